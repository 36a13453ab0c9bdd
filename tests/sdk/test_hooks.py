"""The SDK's hooks on the real harness: what they can do, and what happens when they fail."""

import asyncio
import json

import pytest
from google.antigravity import types
from google.antigravity.hooks import hooks

import agy_nb as agy
from agy_nb.protocol.events import Step
from agy_nb.sdk import link
from agy_nb.testing import ScriptedModel, Usage, call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]

BY_KIND = {
    "pre turn": hooks.pre_turn,
    "pre tool": hooks.pre_tool_call_decide,
    "post tool": hooks.post_tool_call,
    "post turn": hooks.post_turn,
}


def weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


SCRIPT = [call("weather", city="Oslo"), say("ok"), say("next")]


# --- what they can do ----------------------------------------------------------------------


async def test_hook_may_change_what_a_tool_is_called_with(told):
    @hooks.pre_tool_call_decide
    async def elsewhere(tool_call):
        return types.HookResult(allow=True, modified_args={"city": "Rome"})

    response, model, _ = await told(SCRIPT, tools=[weather], hooks=[elsewhere])
    assert [each.result for each in response.tool_results] == ["sunny in Rome"]
    assert "sunny in Rome" in model.requests[1].tool_results[0].text


async def test_hook_may_refuse_a_turn_in_its_own_words(told):
    @hooks.pre_turn
    async def not_now(prompt):
        return types.HookResult(allow=False, message="come back tomorrow")

    response, model, _ = await told([say("never")], hooks=[not_now])
    assert "come back tomorrow" in str(response.error)
    assert model.requests == []


async def test_stop_hook_has_the_agent_go_on(told):
    answers = []

    class TwoAnswers(hooks.StopHook):
        async def run(self, context, data):
            answers.append(data.response_text)
            if len(answers) == 2:
                return types.StopHookResult()
            return types.StopHookResult(decision=types.StopDecision.CONTINUE, reason="and then?")

    response, model, _ = await told([say("one"), say("two")], hooks=[TwoAnswers()])
    assert answers == ["one", "two"]
    assert "and then?" in model.requests[1].user_texts[-1]
    assert response.partial_text == "onetwo"


async def test_hooks_get_the_prompt_and_the_answer(told):
    seen = []

    @hooks.pre_turn
    async def before(prompt):
        seen.append(prompt)
        return types.HookResult(allow=True)

    @hooks.post_turn
    async def after(text):
        seen.append(text)

    await told([say("fine")], "how are you", hooks=[before, after])
    assert seen == ["how are you", "fine"]


async def test_hook_is_in_force_from_the_first_event(told):
    seen = []

    @hooks.on_session_start
    async def started():
        seen.append("started")

    @hooks.pre_turn
    async def turn(prompt):
        seen.append("turn")
        return types.HookResult(allow=True)

    await told([say("x")], hooks=[started, turn])
    assert seen == ["started", "turn"]


async def test_compaction_is_seen_by_its_hook_by_the_response_and_by_its_indices(runtime):
    seen = []

    @hooks.on_compaction
    async def compacted(step):
        seen.append(step)

    # The harness counts by itself: about 14,800 tokens of it are its own prompt and its tools.
    compaction = types.CompactionConfig(token_threshold=18_000)
    async with ScriptedModel(lambda _request: say("x " * 50, usage=Usage(prompt=99))) as model:
        agent = await runtime.create_agent(
            model.config(compaction_config=compaction), hooks=[compacted]
        )
        assert await agent.compaction_indices() == ()
        steps = []
        for _ in range(4):
            response = await (await agent.chat("long " * 500))
            steps += [event for event in response.events if isinstance(event, Step)]
        assert await agent.compaction_indices()
    assert seen
    assert {"compaction"} <= {step.kind for step in steps}
    assert "<summary>" in json.dumps([request.body for request in model.requests])


# --- when they fail ------------------------------------------------------------------------


def failing(kind):
    @BY_KIND[kind]
    async def fails(data):
        raise ValueError("no such luck")

    return fails


def hanging(kind):
    @BY_KIND[kind]
    async def hangs(data):
        await asyncio.Event().wait()

    return hangs


async def test_pre_turn_hook_that_raises_refuses_the_turn_and_says_why(told):
    response, model, _ = await told(SCRIPT, tools=[weather], hooks=[failing("pre turn")])
    assert type(response.error) is agy.BackendError
    assert "ValueError: no such luck" in str(response.error)
    assert model.requests == []


async def test_pre_tool_hook_that_raises_denies_the_call_and_the_model_hears_why(told):
    response, model, _ = await told(SCRIPT, tools=[weather], hooks=[failing("pre tool")])
    assert not list(response.tool_results)
    assert "no such luck" in model.requests[1].tool_results[0].text
    assert response.partial_text == "ok"


@pytest.mark.parametrize("kind", ["post tool", "post turn"])
async def test_hook_that_looks_on_and_raises_harms_nothing(told, kind):
    response, _, _ = await told(SCRIPT, tools=[weather], hooks=[failing(kind)])
    assert (response.error, response.partial_text) == (None, "ok")


async def test_session_hook_that_raises_harms_nothing(told):
    @hooks.on_session_start
    async def start():
        raise ValueError("no such luck")

    @hooks.on_session_end
    async def end():
        raise ValueError("no such luck")

    response, _, _ = await told(SCRIPT, tools=[weather], hooks=[start, end])
    assert response.partial_text == "ok"


@pytest.mark.parametrize("kind", BY_KIND)
async def test_hook_that_never_answers_is_a_timeout(told, kind):
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0, chat_timeout=0.5)) as impatient:
        response, _, _ = await told(SCRIPT, on=impatient, tools=[weather], hooks=[hanging(kind)])
    assert isinstance(response.error, agy.Timeout)
    assert response.error.operation == "chat"


async def test_turn_after_a_hook_that_hung_works(runtime):
    calls = []

    @hooks.pre_tool_call_decide
    async def hangs_once(tool_call):
        calls.append(tool_call.name)
        await asyncio.Event().wait()

    async with ScriptedModel([call("weather", city="Oslo"), say("next")]) as model:
        agent = await runtime.create_agent(model.config(), tools=[weather], hooks=[hangs_once])
        response = await agent.chat("go")
        await model.requested(1)
        await response.cancel()
        assert await agent.chat_text("again") == "next"


async def test_session_end_hook_that_hangs_does_not_hold_the_shutdown(told, monkeypatch):
    monkeypatch.setattr(link, "EXIT_S", 0.2)

    @hooks.on_session_end
    async def end():
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        response, _, agent = await told([say("ok")], hooks=[end])
    assert response.partial_text == "ok"
    assert not agent.is_started
