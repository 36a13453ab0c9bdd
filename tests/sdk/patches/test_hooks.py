"""The SDK's hooks on the real harness: what they can do, and what happens when they fail."""

import asyncio
import json

import pytest
from google.antigravity import types
from google.antigravity.hooks import hooks
from google.antigravity.tools.tool_context import ToolContext

import agy_nb as agy
from agy_nb.cassette import use_cassette
from agy_nb.protocol.events import Step, TurnState
from agy_nb.sdk import connection
from agy_nb.sdk.context_state import ContextState
from agy_nb.testing import ScriptedModel, ScriptUsage, call, fail, say
from tests.sdk.needs import needs_sdk

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


async def test_hook_may_deny_a_turn_in_its_own_words(told):
    @hooks.pre_turn
    async def not_now(prompt):
        return types.HookResult(allow=False, message="come back tomorrow")

    response, model, agent = await told([say("never")], hooks=[not_now])
    assert (response.state, response.partial_text) == (TurnState.DENIED, "")
    with pytest.raises(agy.TurnDeniedError, match="come back tomorrow") as raised:
        await response.text()
    assert raised.value.reason == "come back tomorrow"
    assert model.requests == []
    turn = agent.tables.turns.iloc[0]
    assert (turn.status, turn.error_type) == ("denied", "TurnDeniedError")
    assert (turn.n_model_calls, turn.n_usage_unknown) == (0, 0)


class Visits:
    """A tool that counts in its context how often it was called, and what goes with it."""

    def __init__(self):
        self.sessions = []
        self.denies = False

    def count(self, ctx: ToolContext) -> int:
        """Count the visits."""
        return ctx.update_state("visits", lambda visits: visits + 1, 0)

    def hooks(self):
        @hooks.on_session_start
        async def begins():
            self.sessions.append("begins")

        class Gate(hooks.PreTurnHook):
            async def run(gate, context, data):  # noqa: N805 - self is the visits
                context.parent.update_state("turns", lambda turns: turns + 1, 0)
                seen = context.get_state("turns")
                return types.HookResult(allow=not self.denies, message=f"turn {seen}")

        return [begins, Gate()]


async def test_harness_goes_on_after_a_denied_turn(runtime, harnesses):
    visits = Visits()
    async with ScriptedModel(lambda r: say("ok") if r.tool_results else call("count")) as model:
        agent = await runtime.create_agent(
            model.config(), tools=[visits.count], hooks=visits.hooks()
        )
        first = await (await agent.chat("come in"))
        visits.denies = True
        denied = await (await agent.chat("come in"))
        visits.denies = False
        last = await (await agent.chat("come in"))
        assert denied.error.reason == "turn 2"
        assert [each.result for each in (*first.tool_results, *last.tool_results)] == [1, 2]
        assert visits.sessions == ["begins"]
        assert len(harnesses) == 1
        await agent.shutdown()


async def test_state_of_tools_and_hooks_outlives_a_harness(runtime, harnesses):
    visits = Visits()

    def answer(request):
        if request.user_texts[-1].endswith("fail"):
            return fail(400)
        return say("ok") if request.tool_results else call("count")

    async with ScriptedModel(answer) as model:
        agent = await runtime.create_agent(
            model.config(), tools=[visits.count], hooks=visits.hooks()
        )
        first = await (await agent.chat("come in"))
        assert isinstance((await (await agent.chat("fail"))).error, agy.BackendError)
        visits.denies = True
        denied = await (await agent.chat("come in"))
        visits.denies = False
        last = await (await agent.chat("come in"))
        assert len(harnesses) == 2
        assert [each.result for each in (*first.tool_results, *last.tool_results)] == [1, 2]
        assert denied.error.reason == "turn 3"
        await agent.shutdown()


async def test_state_that_cannot_be_handed_on_is_reported(caplog):
    class Runner:
        session_context = None

        def set_context(self, context):
            self.context = context

    state = ContextState()
    for _ in range(2):
        state.follow(runner := Runner(), Runner())
        runner.set_context(object())
    assert "the state in ToolContext was lost" in caplog.text


async def test_denied_turn_of_a_recording_has_the_same_row(runtime, tmp_path):
    visits = Visits()
    visits.denies = True
    async with use_cassette(tmp_path / "c", "all"), ScriptedModel([say("x")]) as model:
        agent = await runtime.create_agent(model.config(), hooks=visits.hooks())
        await (await agent.chat("come in"))
        visits.denies = False
        await (await agent.chat("come in"))
        await agent.shutdown()
    recorded = agy.load(tmp_path / "c")
    for table, columns in {
        "turns": ["turn_id", "status", "error_type", "n_model_calls", "n_usage_unknown"],
        "errors": ["error_type", "message", "fatal"],
    }.items():
        rows = [
            getattr(tables, table)[columns].astype(str).to_dict("records")
            for tables in (agent.tables, recorded)
        ]
        assert rows[0] == rows[1]
        assert len(rows[0]) == (2 if table == "turns" else 1)


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
    assert response.partial_text == "one\n\ntwo"


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


@needs_sdk("0.1.22", "its harness has a smaller prompt of its own, and so compacts later")
async def test_compaction_is_seen_by_its_hook_by_the_response_and_by_its_indices(runtime):
    seen = []

    @hooks.on_compaction
    async def compacted(step):
        seen.append(step)

    # The harness counts by itself: about 14,800 tokens of it are its own prompt and its tools.
    compaction = types.CompactionConfig(token_threshold=18_000)
    async with ScriptedModel(
        lambda _request: say("x " * 50, usage=ScriptUsage(prompt=99))
    ) as model:
        agent = await runtime.create_agent(
            model.config(compaction_config=compaction), hooks=[compacted]
        )
        assert await agent.compaction_indices() == ()
        steps = []
        for _ in range(4):
            response = await (await agent.chat("long " * 500))
            steps += [event for event in response.event_log if isinstance(event, Step)]
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
    assert type(response.error) is agy.TurnDeniedError
    assert response.error.reason == "the hook failed: ValueError: no such luck"
    assert model.requests == []


async def test_pre_tool_hook_that_raises_denies_the_call_and_the_model_hears_why(told):
    response, model, _ = await told(SCRIPT, tools=[weather], hooks=[failing("pre tool")])
    assert [result.denied for result in response.tool_results] == [True]
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
    assert isinstance(response.error, agy.AgyTimeoutError)
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
    monkeypatch.setattr(connection, "EXIT_S", 0.2)

    @hooks.on_session_end
    async def end():
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        response, _, agent = await told([say("ok")], hooks=[end])
    assert response.partial_text == "ok"
    assert not agent.is_started
