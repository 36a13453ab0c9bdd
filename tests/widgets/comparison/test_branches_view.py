"""Two branches of a conversation side by side, on the real harness."""

import re
from contextlib import asynccontextmanager

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, fail, say
from tests.widgets.comparison.test_comparison_view import HOSTILE

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]


def get_weather(city: str) -> str:
    """Look up the weather."""
    return f"sunny in {city}"


def answer(request):
    if "weather" in request.user_text and not request.tool_results:
        return call("get_weather", city="Paris")
    if "fail" in request.user_text:
        return fail(400, "no <b>such</b> thing")
    return say(f"You said {request.user_text}")


@asynccontextmanager
async def talking(*prompts, **options):
    config = agy.RuntimeConfig(chat_pause=0, **{"checkpoints": "all"} | options)
    async with ScriptedModel(answer) as model, agy.Runtime(config) as runtime:
        agent = await runtime.create_agent(model.config(), tools=[get_weather])
        for prompt in prompts:
            await agent.chat_text(prompt)
        yield agent


async def shown(agent, *branches):
    view = await agent.compare_branches(*branches)
    try:
        still = view._static()
        return view, still.html, view.to_markdown()
    finally:
        view.close()


async def test_turns_in_common_are_above_and_the_others_in_pairs():
    async with talking("one", "the weather here", "three") as agent:
        await agent.rewind(1)
        await agent.chat_text("the news here")
        view, html, markdown = await shown(agent, 1)
    assert "Agent 1 and Branch 1 part after turn 1." in html
    assert [turn.prompt for turn in view.pair.common] == ["one"]
    assert [[run.prompt for run in row] for row in view.pair.rows] == [
        ["the news here", "the weather here"],
        ["three", "three"],
    ]
    assert "the <del>news</del> <ins>weather</ins> here" in html
    assert "You said the <del>news</del> <ins>weather</ins> here" in html
    assert "get_weather(city=&#x27;Paris&#x27;)" in html
    assert "This branch ends earlier." in html
    assert html.count("You said one") == 1
    assert markdown.count("You said one") == 1
    assert "**Agent 1** (the branch has no turn here)" in markdown
    [here, there] = view.pair.rows[0]
    assert there.tokens > here.tokens > 0
    assert here.duration > 0


async def test_sent_again_a_prompt_is_the_head_of_both_answers():
    async with talking("one", "two") as agent:
        await agent.rewind(1)
        await agent.chat_text("two")
        _, html, _ = await shown(agent, 1)
    assert "Same as the first answer" in html
    assert "agy-asked" not in html


async def test_two_abandoned_branches_and_a_fork_are_compared():
    async with talking("one", "two", "three") as agent:
        await agent.rewind(2)
        await agent.chat_text("second three")
        await agent.rewind(1)
        await agent.chat_text("second two")
        view, _, _ = await shown(agent, 1, 2)
        assert [turn.prompt for turn in view.pair.common] == ["one", "two"]
        assert [run.prompt for run in view.pair.rows[0]] == ["three", "second three"]
        fork = await agent.fork(1)
        await fork.chat_text("forked")
        view, _, _ = await shown(agent, fork)
        assert view.pair.names == ("Agent 1", "Agent 2")
        assert [run.prompt for run in view.pair.rows[0]] == ["second two", "forked"]
        assert view.pair.rows[0][1].tokens > 0
        view, html, _ = await shown(agent, agent)
        assert "have the same turns" in html


async def test_branches_without_a_turn_in_common_are_compared():
    async with talking("one", checkpoints="off") as agent:
        await agent.rewind(0)
        await agent.chat_text("other")
        view, html, _ = await shown(agent, 1)
    assert "no turn in common" in html
    assert [run.answer for run in view.pair.rows[0]] == ["You said other", "You said one"]


async def test_hostile_text_and_failed_turns_are_text():
    async with talking("one", f"two {HOSTILE}") as agent:
        await agent.rewind(1)
        with pytest.raises(agy.AgyError):
            await agent.chat_text("fail")
        _, html, markdown = await shown(agent, 1)
    assert "<script" not in html
    assert "<img" not in html
    assert re.search("agy-error", html)
    assert "<script" not in markdown


async def test_long_branches_show_their_first_turns(monkeypatch):
    from agy_nb.widgets.comparison import answers_view, branches_view

    for module in (answers_view, branches_view):
        monkeypatch.setattr(module, "MOST_ROWS", 1)
    async with talking("one", "two", "three", "four") as agent:
        await agent.rewind(2)
        await agent.chat_text("other")
        _, html, _ = await shown(agent, 1)
    assert "1 earlier turn in common." in html
    assert "1 more row of turns, up to turn 4." in html


async def test_marks_can_be_switched_off():
    async with talking("one", "the weather here") as agent:
        await agent.rewind(1)
        await agent.chat_text("the news here")
        view = await agent.compare_branches(1)
        assert "<ins>" in view._page.html()
        view.view._on_act("differences", "")
        assert "<ins>" not in view._page.html()
        view.close()


@pytest.mark.parametrize("branches", [(), (1, 1, 1), (7,), (0,), ("1",), (True,), (None,)])
async def test_branches_that_do_not_exist_are_refused(branches):
    async with talking("one") as agent:
        await agent.rewind(0)
        with pytest.raises(agy.InvalidInputError, match="branch"):
            await agent.compare_branches(*branches)


async def test_agents_that_ended_or_belong_elsewhere_are_refused():
    async with talking("one") as agent, talking() as other:
        with pytest.raises(agy.InvalidInputError, match="another runtime"):
            await agent.compare_branches(other)
        fork = await agent.fork()
        await fork.shutdown()
        with pytest.raises(agy.AgentNotStartedError):
            await agent.compare_branches(fork)
