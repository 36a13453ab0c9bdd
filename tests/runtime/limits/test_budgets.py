"""Budgets of a turn and of a session, and what counts as a failed answer."""

import asyncio
from contextlib import asynccontextmanager

import pytest

import agy_nb as agy
from agy_nb.analysis import Prices
from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.events import Error, Text, Thought, ToolCall, Usage
from agy_nb.protocol.values import TokenUsage, Trajectory
from agy_nb.runtime.limits.budgets import AnswerCounter
from tests.runtime import virtual_time
from tests.runtime.conftest import agent_with, hangs, runtime_with

DEAR = Prices(own={"dear": (1.0, 0.5, 10.0), "dearer": (2.0, 1.0, 20.0)})
"""US dollars per million tokens."""

ROOT = Trajectory(id="root")
SUB = Trajectory(id="sub", parent_id="root", depth=1)


def failed(where=ROOT, error=None):
    return Error(trajectory=where, error=to_info(error or agy.BackendError("no")), fatal=False)


def counted(*events, failed=3, empty=3):
    """The place of the event that ends the turn, and with what; None if none does."""
    counter = AnswerCounter(failed, empty)
    for place, event in enumerate(events):
        if (error := counter.add(event)) is not None:
            return place, error
    return None


def text(step, where=ROOT):
    return Text(trajectory=where, text="x", step_index=step)


def test_empty_answers_in_a_row_end_the_turn():
    place, error = counted(failed(), Thought(trajectory=ROOT, text="Hm."), failed(), failed())
    assert place == 3
    assert type(error) is agy.BackendError


@pytest.mark.parametrize("error", [agy.SafetyError("no"), agy.MaxTokensError("no")])
def test_refused_answers_end_the_turn_as_what_they_are(error):
    events = [text(1), failed(error=error), text(3), failed(error=error), failed(error=error)]
    place, ended = counted(*events)
    assert (place, type(ended)) == (4, type(error))


def test_a_tool_call_ends_the_row():
    use = ToolCall(trajectory=ROOT, call_id="1", name="tool")
    assert counted(failed(), failed(), use, failed(), failed()) is None


def test_text_ends_the_row_only_once_its_answer_was_accepted():
    assert counted(failed(), failed(), text(3), text(4), failed(), failed()) is None
    assert counted(failed(), failed(), text(3), failed(), empty=3, failed=1) is not None


def test_each_trajectory_has_a_row_of_its_own():
    assert counted(failed(), failed(SUB), failed(), failed(SUB)) is None
    assert counted(failed(), failed(SUB), text(9), failed(SUB), failed(SUB))[0] == 4


@pytest.mark.parametrize(
    "outage",
    [
        agy.QuotaExceededError(1),
        agy.BackendError("x", http_code=503),
        agy.BackendError("connection lost", retryable=True),
        agy.BackendError("x", http_code=400),
    ],
    ids=repr,
)
def test_an_outage_is_no_answer(outage):
    assert counted(*[failed(error=outage)] * 50) is None


def test_zero_is_no_limit():
    assert counted(*[failed()] * 50, empty=0) is None
    assert counted(*[failed(error=agy.SafetyError("no"))] * 50, failed=0) is None


# --- budgets ------------------------------------------------------------------------------------


@asynccontextmanager
async def dear_agent(play, config=None, **limits):
    async with runtime_with(play, prices=DEAR, **limits) as runtime:
        yield await runtime.create_agent(config or {"model": "dear"})


async def talks(turn):
    """A model that calls on and on: 10 tokens in, 5 out, each time."""
    while True:
        turn.say("word ")
        turn.meter()
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("budget", "used"),
    [
        ({"max_turn_tokens": 100}, 105),
        ({"max_turn_cost_usd": 0.0003}, 0.00036),  # 60 millionths a call
        ({"max_session_cost_usd": 0.0003}, 0.00036),
    ],
    ids=["tokens", "turn", "session"],
)
async def test_turn_that_uses_more_than_its_budget_is_ended(budget, used):
    (name, limit) = next(iter(budget.items()))
    async with dear_agent(talks, **budget) as agent:
        response = await (await agent.chat("go"))
        assert isinstance(response.error, agy.BudgetExceededError)
        assert (response.error.budget, response.error.limit) == (name, limit)
        assert response.error.used == pytest.approx(used)
        assert name in str(response.error)
        assert response.partial_text.startswith("word ")
        await agent.wait_for_idle()


async def test_tokens_are_counted_anew_for_each_turn():
    async def play(turn):
        turn.meter(input_tokens=60, output_tokens=0)
        turn.say("fine")

    async with agent_with(play, limits={"max_turn_tokens": 100}) as agent:
        assert [await agent.chat_text("go") for _ in range(3)] == ["fine"] * 3


async def test_session_that_is_too_dear_takes_no_further_prompts():
    prompts = []

    async def play(turn):
        prompts.append(turn.prompt)
        turn.say("fine")
        turn.meter(input_tokens=100)
        await asyncio.sleep(0)

    async with dear_agent(play, max_session_cost_usd=0.00025) as agent:
        assert await agent.chat_text("one") == "fine"
        for prompt in ("two", "three"):
            with pytest.raises(agy.BudgetExceededError) as raised:
                await agent.chat_text(prompt)
            assert raised.value.budget == "max_session_cost_usd"
            assert raised.value.used == pytest.approx(0.0003)
    assert prompts == ["one", "two"]


async def test_subagents_calls_count_and_cost_what_the_dearest_model_does():
    async def play(turn):
        call = TokenUsage(input_tokens=100, output_tokens=0, total_tokens=100)
        turn.emit(Usage(trajectory=SUB, usage=call, trajectory_total=call, session_total=call))
        await hangs(turn)

    config = {"model": "dear", "subagents": [{"model": "dearer"}]}
    async with dear_agent(play, config, max_turn_cost_usd=0.00015) as agent:
        with pytest.raises(agy.BudgetExceededError) as raised:
            await agent.chat_text("go")
    assert raised.value.used == pytest.approx(0.0002)


@pytest.mark.parametrize("budget", ["max_turn_cost_usd", "max_session_cost_usd"])
@pytest.mark.parametrize(
    "config",
    [{"model": "no-such-model"}, {"model": "dear", "subagents": [{"model": "no-such-model"}]}],
    ids=["agent", "subagent"],
)
async def test_agent_without_a_price_is_not_created_under_a_budget_in_dollars(config, budget):
    async with runtime_with(**{budget: 1.0, "prices": DEAR}) as runtime:
        with pytest.raises(agy.errors.InvalidConfigError, match="no-such-model") as raised:
            await runtime.create_agent(config)
        assert raised.value.field == budget
        assert runtime.agent_ids == ()


async def test_call_whose_price_is_not_known_ends_the_turn():
    async def play(turn):
        nothing = TokenUsage(total_tokens=5)  # neither input nor output is known
        turn.emit(Usage(usage=nothing, trajectory_total=nothing, session_total=nothing))
        await hangs(turn)

    async with dear_agent(play, max_turn_cost_usd=1.0) as agent:
        with pytest.raises(agy.BudgetExceededError, match="not known") as raised:
            await agent.chat_text("go")
    assert raised.value.used is None


# --- time ---------------------------------------------------------------------------------------


def test_turn_that_always_says_something_is_ended_when_it_is_too_long():
    async def play(turn):
        while True:
            turn.say("tick ")
            await asyncio.sleep(1)

    async def scenario():
        async with agent_with(play, limits={"max_turn_duration": 30}) as agent:
            response = await (await agent.chat("go"))
            return response.error, len(response.partial_text.split())

    (error, ticks), seconds = virtual_time.run(scenario())
    assert isinstance(error, agy.BudgetExceededError)
    assert (error.budget, error.limit) == ("max_turn_duration", 30)
    assert 29 <= ticks <= 31
    assert seconds == pytest.approx(30, abs=1)


def test_waiting_for_the_user_takes_no_time_of_the_turn():
    async def play(turn):
        await turn.call("tool")
        turn.say("fine")

    async def ask_user(_request):
        await asyncio.sleep(100)
        return True

    def tool():
        return 1

    async def scenario():
        limits = {"max_turn_duration": 30, "approval_timeout": 200}
        async with agent_with(play, limits=limits, tools=[tool], ask_user=ask_user) as agent:
            return await agent.chat_text("go")

    assert virtual_time.run(scenario())[0] == "fine"


def test_waiting_for_the_quota_takes_time_of_the_turn():
    async def play(turn):
        del turn
        raise agy.QuotaExceededError(500)

    async def scenario():
        limits = {"max_turn_duration": 30, "max_quota_retries": 5}
        async with agent_with(play, limits=limits) as agent:
            return (await (await agent.chat("go"))).error

    error, seconds = virtual_time.run(scenario())
    assert isinstance(error, agy.BudgetExceededError)
    assert seconds == pytest.approx(30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_turn_tokens", 0),
        ("max_turn_tokens", 1.5),
        ("max_turn_duration", -1),
        ("max_turn_cost_usd", 0),
        ("max_turn_cost_usd", "1"),
        ("max_session_cost_usd", float("nan")),
        ("max_model_errors", -1),
        ("max_empty_answers", True),
        ("prices", {"dear": 1}),
    ],
)
def test_limit_that_is_none_names_its_field(name, value):
    with pytest.raises(agy.errors.InvalidConfigError) as raised:
        agy.RuntimeConfig(**{name: value})
    assert raised.value.field == name
