"""What the chat panel says where a turn cannot be edited, sent again or switched."""

import sys
from pathlib import Path

import pytest
from google.antigravity import types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, say
from tests.widgets.chat.test_panel import Page, until
from tests.widgets.chat.test_panel_branches import asked, chatting, controls, prompts, settled

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]
MCP_SERVER = Path(__file__).parents[2] / "sdk" / "mcp_server.py"


@pytest.mark.parametrize("damage", ["overwritten", "removed"])
async def test_lost_copies_are_an_error_and_the_prompt_comes_back(monkeypatch, damage):
    async with chatting("plan-1", "plan-2", monkeypatch=monkeypatch) as (agent, model, page):
        for file in agent._state.checkpoints._family.store._folder.iterdir():
            file.unlink() if damage == "removed" else file.write_bytes(b"damaged")
        page.say(type="rewrite", node=controls(page, "plan-2")[0], text="other-2")
        await until(lambda: "cannot be restored" in page.html())
        await settled(page)
        assert page.last("compose")["text"] == "other-2"
        assert prompts(page) == ["plan-1", "plan-2"]
        assert agent.abandoned == ()
        await agent.chat_text("plan-3")
        assert asked(model) == ["plan-1", "plan-2", "plan-3"]


async def test_an_agent_that_was_shut_down_keeps_its_turns_and_says_why(monkeypatch):
    async with chatting("plan-1", "plan-2", monkeypatch=monkeypatch) as (agent, _, page):
        await agent.rewind(1)
        await agent.chat_text("other-2")
        await settled(page)
        node = controls(page, "other-2")[0]
        await agent.shutdown()
        page.say(type="rewrite", node=node, text="third-2")
        await until(lambda: "shut down" in controls(page, "other-2")[1].why_not)
        await settled(page)
        assert page.last("compose")["text"] == "third-2"
        assert prompts(page) == ["plan-1", "other-2"]


async def test_the_turn_of_a_trigger_is_kept_by_an_edit_after_it(monkeypatch):
    async with chatting("plan-1", monkeypatch=monkeypatch) as (agent, model, page):
        await (await agent.trigger("wake-2"))
        await agent.wait_for_idle()
        await agent.chat_text("plan-3")
        await settled(page)
        page.say(type="rewrite", node=controls(page, "plan-3")[0], text="other-3")
        await until(lambda: "re: other-3" in page.html())
        await settled(page)
        assert "wake-2" in "".join(map(str, model.requests[-1].body["contents"]))


async def test_an_edited_turn_of_an_mcp_agent_has_its_servers(monkeypatch):
    server = types.McpStdioServer(name="shop", command=sys.executable, args=[str(MCP_SERVER)])
    price = call("call_mcp_tool", ServerName="shop", ToolName="price", Arguments={"item": "tea"})

    def answer(request):
        asks = "price" in request.user_text and not request.tool_results
        return price if asks else say(f"re: {request.user_text}")

    config = agy.RuntimeConfig(chat_pause=0, checkpoints="all")
    async with ScriptedModel(answer) as model, agy.Runtime(config) as runtime:
        settings = model.config(mcp_servers=[server], policies=[policy.allow_all()])
        agent = await runtime.create_agent(settings)
        page = Page(agent.chat_ui(), monkeypatch)
        await agent.chat_text("plan-1")
        await settled(page)
        page.say(type="rewrite", node=controls(page, "plan-1")[0], text="the price")
        await until(lambda: "re: the price" in page.html())
        await settled(page)
        assert "tea costs" in "".join(map(str, model.requests[-1].body["contents"]))
        page.panel.close()


async def test_nothing_goes_back_while_an_approval_is_pending(monkeypatch):
    def delete(name: str) -> str:
        """Delete a file."""
        return f"deleted {name}"

    def answer(request):
        asks = "delete" in request.user_text and not request.tool_results
        return call("delete", name="x") if asks else say(f"re: {request.user_text}")

    config = agy.RuntimeConfig(chat_pause=0, checkpoints="all")
    async with ScriptedModel(answer) as model, agy.Runtime(config) as runtime:
        approve = agy.widgets.approve()
        agent = await runtime.create_agent(model.config(), tools=[delete], ask_user=approve)
        page = Page(agent.chat_ui(), monkeypatch)
        await agent.chat_text("plan-1")
        await settled(page)
        response = await agent.chat("delete-2")
        await until(lambda: len(agent.approvals) == 1)
        node = controls(page, "plan-1")[0]
        page.say(type="retry", node=node)
        page.say(type="rewrite", node=node, text="other-1")
        await until(lambda: any(message["type"] == "compose" for message in page.told))
        assert page.last("compose")["text"] == "other-1"
        assert agent.abandoned == ()
        assert len(agent.approvals) == 1
        await response.cancel()
        await settled(page)
        page.say(type="retry", node=node)
        await until(lambda: prompts(page) == ["plan-1"])
        await settled(page)
        page.panel.close()
