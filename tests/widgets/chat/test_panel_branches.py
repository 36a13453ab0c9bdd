"""Edit and retry in the chat panel make branches, and the user switches between them."""

import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.protocol.values import MediaPart, TextPart
from agy_nb.runtime.checkpoints import checkpoint_log
from agy_nb.testing import ScriptedModel, hang, say
from tests.widgets.chat.test_panel import Page, until

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]


ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def chatting(*prompts, panel_first=True, monkeypatch, checkpoints="all", keep_frames=None):
    """An agent that has answered prompts, its model, and the page of its panel."""
    config = agy.RuntimeConfig(chat_pause=0, checkpoints=checkpoints, keep_frames=keep_frames)
    answers = []

    def answer(request):
        return answers.pop(0) if answers else say(f"re: {request.user_text[:40]}")

    async with ScriptedModel(answer) as model, agy.Runtime(config) as runtime:
        model.next = answers
        agent = await runtime.create_agent(model.config())
        page = Page(agent.chat_ui(), monkeypatch) if panel_first else None
        for prompt in prompts:
            await agent.chat_text(prompt)
        page = page or Page(agent.chat_ui(), monkeypatch)
        await settled(page)
        yield agent, model, page
        page.panel.close()


async def settled(page) -> None:
    """Wait until the panel has nothing to do."""
    await until(
        lambda: (
            not page.panel._tasks.others
            and not page.panel._tasks.reading
            and all(each.done for each in page.panel.responses)
        )
    )


def prompts(page) -> list[str]:
    return re.findall(r'agy-prompt"[^>]*><div class="agy-plain">(.*?)</div>', page.html())


def controls(page, words: str):
    """The node of a prompt that is shown, and its controls."""
    for change in page.panel.transcript.snapshot():
        turn = getattr(change, "turn", None)
        if turn is not None and words in change.body + change.head:
            return change.id, turn
    raise AssertionError(f"{words} is not shown")


def asked(model) -> list[str]:
    return re.findall(r"[a-z]+-\d", "\n".join(model.requests[-1].user_texts))


async def test_edited_prompt_makes_a_branch_and_both_can_be_shown(monkeypatch):
    async with chatting("plan-1", "plan-2", "plan-3", monkeypatch=monkeypatch) as (
        agent,
        model,
        page,
    ):
        node, turn = controls(page, "plan-2")
        assert (turn.at, turn.of, turn.why_not) == (1, 1, "")
        page.say(type="edit", node=node)
        assert (page.last("compose")["text"], page.last("compose")["node"]) == ("plan-2", node)
        page.say(type="rewrite", node=node, text="other-2")
        await until(lambda: "re: other-2" in page.html())
        await settled(page)
        assert prompts(page) == ["plan-1", "other-2"]
        assert asked(model) == ["plan-1", "other-2"]
        node, turn = controls(page, "other-2")
        assert (turn.at, turn.of) == (2, 2)
        assert "Branch 2 of 2. Only this one is shown here." in page.panel._static().html
        assert page.panel.to_markdown().count("> ") == 2
        page.say(type="switch", node=node, to=1)
        await until(lambda: "plan-3" in page.html())
        await settled(page)
        assert prompts(page) == ["plan-1", "plan-2", "plan-3"]
        assert controls(page, "plan-2")[1].at == 1
        assert "re: plan-3" in page.html()
        await agent.chat_text("more-4")  # the variable in the user's cells is the agent shown
        assert asked(model) == ["plan-1", "plan-2", "plan-3", "more-4"]
        await settled(page)
        page.say(type="switch", node=controls(page, "plan-2")[0], to=2)
        await until(lambda: "other-2" in page.html())
        await settled(page)
        assert prompts(page) == ["plan-1", "other-2"]
        (left,) = agent.abandoned
        assert left.turns == 4


async def test_retry_of_an_earlier_turn_makes_a_branch(monkeypatch):
    async with chatting("plan-1", "plan-2", monkeypatch=monkeypatch) as (_, model, page):
        model.next.append(say("another answer"))
        page.say(type="retry", node=controls(page, "plan-1")[0])
        await until(lambda: "another answer" in page.html())
        await settled(page)
        assert prompts(page) == ["plan-1"]
        assert asked(model) == ["plan-1"]
        page.say(type="retry")
        await until(lambda: "Branch 3 of 3" in page.html())
        page.say(type="switch", node=controls(page, "plan-1")[0], to=1)
        await until(lambda: "plan-2" in page.html())
        await settled(page)
        assert (controls(page, "plan-1")[1].at, controls(page, "plan-1")[1].of) == (1, 3)


async def test_attachments_of_an_edited_prompt_stay(monkeypatch):
    picture = MediaPart(kind="image", mime_type="image/png", data=b"\x89PNG", description="cat.png")
    async with chatting("plan-1", monkeypatch=monkeypatch) as (agent, _, page):
        await (await agent.chat([TextPart(text="look-2"), picture])).wait()
        await settled(page)
        node, _turn = controls(page, "look-2")
        page.say(type="edit", node=node)
        assert page.last("compose")["files"] == ["cat.png"]
        page.say(type="rewrite", node=node, text="again-2")
        await until(lambda: "again-2" in page.html())
        assert agent.latest.prompt == (TextPart(text="again-2"), picture)
        await settled(page)


@pytest.mark.parametrize("keep_frames", [True, False])
async def test_turns_from_before_the_panel_can_be_edited(monkeypatch, keep_frames):
    before = {"panel_first": False, "keep_frames": keep_frames, "monkeypatch": monkeypatch}
    async with chatting("plan-1", "plan-2", "plan-3", **before) as (_, model, page):
        page.say(type="rewrite", node=controls(page, "plan-2")[0], text="other-2")
        await until(lambda: "re: other-2" in page.html())
        await settled(page)
        assert prompts(page) == ["plan-1", "other-2"]
        assert asked(model) == ["plan-1", "other-2"]
        page.say(type="switch", node=controls(page, "other-2")[0], to=1)
        await until(lambda: "re: plan-3" in page.html())
        assert prompts(page) == ["plan-1", "plan-2", "plan-3"]
        await settled(page)


@pytest.mark.parametrize("keep_frames", [True, False])
async def test_branches_from_before_the_panel_are_shown(monkeypatch, keep_frames):
    config = agy.RuntimeConfig(chat_pause=0, checkpoints="all", keep_frames=keep_frames)
    async with ScriptedModel(lambda r: say(f"re: {r.user_text}")) as m, agy.Runtime(config) as rt:
        agent = await rt.create_agent(m.config())
        for prompt in ("plan-1", "plan-2"):
            await agent.chat_text(prompt)
        await agent.rewind(1)
        await agent.chat_text("other-2")
        page = Page(agent.chat_ui(), monkeypatch)
        await settled(page)
        assert prompts(page) == ["plan-1", "other-2"]
        page.say(type="switch", node=controls(page, "other-2")[0], to=1)
        await until(lambda: prompts(page) == ["plan-1", "plan-2"])
        await settled(page)
        page.panel.close()


async def test_rewind_in_a_cell_is_followed_by_all_panels(monkeypatch):
    async with chatting("plan-1", "plan-2", monkeypatch=monkeypatch) as (agent, _, page):
        other = Page(agent.chat_ui(), monkeypatch)
        await settled(other)
        await agent.rewind(1)
        for each in (page, other):
            await until(lambda each=each: "went back" in each.html())
            await settled(each)
            assert prompts(each) == ["plan-1"]
            assert "Later turns are on another branch." in each.html()
        node, turn = controls(page, "went back")
        assert (turn.at, turn.of) == (0, 1)
        page.say(type="switch", node=node, to=1)
        for each in (page, other):
            await until(lambda each=each: prompts(each) == ["plan-1", "plan-2"])
            await settled(each)
            assert "went back" not in each.html()
        await agent.rewind(1)
        await agent.chat_text("other-2")
        await until(lambda: "went back" not in page.html())
        await settled(page)
        other.panel.close()


async def test_controls_say_why_a_turn_cannot_be_edited(monkeypatch):
    off = {"checkpoints": "off", "monkeypatch": monkeypatch}
    async with chatting("plan-1", "plan-2", **off) as (agent, _, page):
        assert controls(page, "plan-1")[1].why_not == ""  # nothing is before it
        why = controls(page, "plan-2")[1].why_not
        assert why.startswith("The state before this turn cannot be restored: ")
        assert "checkpoints=" in why
        page.say(type="rewrite", node=controls(page, "plan-2")[0], text="other-2")
        await until(lambda: "CheckpointError" in page.html())
        assert page.last("compose")["text"] == "other-2"  # nothing is lost
        assert "node" not in page.last("compose")
        assert prompts(page) == ["plan-1", "plan-2"]
        await agent.shutdown()


async def test_nothing_goes_back_while_a_turn_runs(monkeypatch):
    async with chatting("plan-1", monkeypatch=monkeypatch) as (agent, model, page):
        model.next.append(say("so far") + hang())
        response = await agent.chat("hang-2")
        await until(lambda: "so far" in page.html())
        node = controls(page, "plan-1")[0]
        page.say(type="retry", node=node)
        page.say(type="switch", node=node, to=1)
        page.say(type="rewrite", node=node, text="other-1")
        await until(lambda: any(message["type"] == "compose" for message in page.told))
        assert page.last("compose")["text"] == "other-1"
        assert agent.abandoned == ()
        assert prompts(page) == ["plan-1", "hang-2"]
        await response.cancel()
        await settled(page)


async def test_messages_about_turns_that_do_not_exist_change_nothing(monkeypatch):
    async with chatting("plan-1", monkeypatch=monkeypatch) as (agent, _, page):
        node = controls(page, "plan-1")[0]
        for message in (
            {"type": "switch", "node": "n99", "to": 1},
            {"type": "switch", "node": node, "to": 7},
            {"type": "switch", "node": node, "to": 0},
            {"type": "rewrite", "node": node, "text": "  "},
            {"type": "edit", "node": "n99"},
            {"type": "retry", "node": "n99"},
        ):
            page.say(**message)
        await settled(page)
        assert prompts(page) == ["plan-1"]
        assert agent.abandoned == ()


async def test_recorded_prompt_is_sent_again_after_the_turns_of_the_agent(monkeypatch):
    """The recording is not part of the agent's conversation, so there is nothing to go back to."""
    config = agy.RuntimeConfig(chat_pause=0, checkpoints="all")
    async with (
        ScriptedModel(lambda request: say(f"re: {request.user_text}")) as model,
        agy.Runtime(config) as runtime,
    ):
        agent = await runtime.create_agent(model.config())
        panel = agy.widgets.chat_ui(ROOT / "cassettes" / "plain_chat", agent=agent)
        page = Page(panel, monkeypatch)
        await settled(page)
        recorded = prompts(page)
        await agent.chat_text("plan-1")
        await settled(page)
        node = next(iter(panel.transcript.prompts))
        page.say(type="retry", node=node)
        await until(lambda: len(prompts(page)) == len(recorded) + 2)
        await settled(page)
        assert agent.abandoned == ()
        page.say(type="rewrite", node=controls(page, "plan-1")[0], text="other-1")
        await until(lambda: "re: other-1" in page.html())
        await settled(page)
        assert prompts(page) == [*recorded, "other-1"]
        panel.close()


async def test_turns_of_a_recording_that_the_agent_continues_cannot_be_edited(monkeypatch):
    await agy.runtime().close()
    agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all"))
    async with ScriptedModel(lambda request: say(f"re: {request.user_text}")) as model:
        agent = await agy.fork(ROOT / "cassettes" / "plain_chat", 1, config=model.config())
        await agent.chat_text("plan-2")
        page = Page(agent.chat_ui(), monkeypatch)
        await settled(page)
        assert prompts(page) == ["Say hello", "plan-2"]
        assert "before this agent continued" in controls(page, "Say hello")[1].why_not
        page.say(type="rewrite", node=controls(page, "plan-2")[0], text="other-2")
        await until(lambda: "re: other-2" in page.html())
        await settled(page)
        assert prompts(page) == ["Say hello", "other-2"]
        assert controls(page, "other-2")[1].of == 2
        page.panel.close()
    await agy.runtime().close()


async def test_turns_whose_number_was_forgotten_cannot_be_edited(monkeypatch):
    monkeypatch.setattr(checkpoint_log, "MOST_ABANDONED", 1)
    off = {"checkpoints": "off", "monkeypatch": monkeypatch}
    async with chatting("plan-1", "plan-2", "plan-3", **off) as (_, _, page):
        assert "no longer has the state" in controls(page, "plan-1")[1].why_not
        assert "checkpoints=" in controls(page, "plan-3")[1].why_not


async def test_branches_are_shown_side_by_side_in_the_panel(monkeypatch):
    async with chatting("plan-1", "plan-2", "plan-3", monkeypatch=monkeypatch) as (_, _, page):
        page.say(type="rewrite", node=controls(page, "plan-2")[0], text="other-2")
        await until(lambda: "re: other-2" in page.html())
        await settled(page)
        node = controls(page, "other-2")[0]
        for _ in range(2):  # the second one replaces the first
            page.say(type="compare", node=node)
            await settled(page)
        assert page.html().count("Branches side by side") == 1
        assert "Agent 1 and Branch 1 part after turn 1." in page.html()
        page.say(type="compare", node="n99")
        page.say(type="compare", node=controls(page, "plan-1")[0])
        page.say(type="switch", node=node, to=1)
        await until(lambda: prompts(page)[:3] == ["plan-1", "plan-2", "plan-3"])
        await settled(page)
        assert "Branches side by side" not in page.html()
