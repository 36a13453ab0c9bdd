"""Forks of agents whose state is more than prompts and answers."""

import json
import sys
from pathlib import Path

import pytest
from google.antigravity import types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, in_system, say
from tests.runtime.checkpoints.test_branches import asked, fill_context, say_all, scripted
from tests.sdk.needs import needs_sdk

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]
MCP_SERVER = Path(__file__).parents[2] / "sdk" / "mcp_server.py"


async def test_an_mcp_agent_starts_its_own_servers():
    server = types.McpStdioServer(name="shop", command=sys.executable, args=[str(MCP_SERVER)])
    async with scripted() as (runtime, model):
        config = model.config(mcp_servers=[server], policies=[policy.allow_all()])
        agent = await runtime.create_agent(config)
        await say_all(agent, 1)
        fork = await agent.fork(1)
        await agent.shutdown()
        price = call(
            "call_mcp_tool", ServerName="shop", ToolName="price", Arguments={"item": "tea"}
        )
        model.next += [price, say("done")]
        response = await (await fork.chat("prompt-2"))
        assert "tea costs" in json.dumps(model.requests[-1].body["contents"])
        assert response.error is None
        assert asked(model) == ["prompt-1", "prompt-2"]


async def test_a_triggers_turn_is_a_turn():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1)
        await (await agent.trigger("prompt-2"))
        await agent.wait_for_idle()
        await say_all(agent, 3)
        fork, earlier = await agent.fork(2), await agent.fork(1)
        await fork.chat_text("prompt-4")
        text = json.dumps(model.requests[-1].body["contents"])
        assert "prompt-2" in text
        assert "prompt-3" not in text
        await earlier.chat_text("prompt-5")
        assert "prompt-2" not in json.dumps(model.requests[-1].body["contents"])


@needs_sdk("0.1.22", "its harness has a smaller prompt of its own, and so compacts later")
async def test_a_compacted_conversation_is_forked_before_and_after():
    compaction = types.CompactionConfig(token_threshold=18_000)
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config(compaction_config=compaction))
        await fill_context(agent, model)
        before, after = await agent.fork(1), await agent.fork()
        await before.chat_text("prompt-11")
        assert "<summary>" not in json.dumps(model.requests[-1].body)
        assert asked(model) == ["prompt-1", "prompt-11"]
        await after.chat_text("prompt-12")
        assert "prompt-12" in json.dumps(model.requests[-1].body)


async def test_a_fork_knows_the_answers_of_subagents():
    task = {"TypeName": "counter", "Role": "counter", "Prompt": "count"}
    counter = types.SubagentConfig(
        name="counter", description="x", system_instructions="You count."
    )
    scripts = [
        (in_system("You count."), [say("one-two-three")]),
        (
            "prompt-1",
            [call("invoke_subagent", Subagents=[task]), *[say("Done.")] * 6],
        ),
    ]
    async with (
        ScriptedModel(scripts) as model,
        agy.Runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all")) as runtime,
    ):
        config = model.config(subagents=[counter], policies=[policy.allow_all()])
        agent = await runtime.create_agent(config)
        await say_all(agent, 1)
        await agent.wait_for_idle()
        for _ in range(100):  # the subagent may answer in a turn of its own
            if "one-two-three" in json.dumps([each.body for each in model.requests]):
                break
            await agent.wait_for_wakeup(1)
        await agent.wait_for_idle()
        fork = await agent.fork()
        response = await (await fork.chat("prompt-2"))
        assert response.error is None
        assert "one-two-three" in json.dumps(model.requests[-1].body["contents"])
