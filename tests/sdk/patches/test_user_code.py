"""Tools, handlers and hooks that raise more than an ordinary error end nothing but themselves."""

import asyncio
import signal
import sys

import pytest
from google.antigravity.hooks import hooks, policy

from agy_nb.protocol.events import Approval, ApprovalState
from agy_nb.sdk.patches.user_code.guard import UserCodeError, contained, contained_wait
from agy_nb.testing import ScriptedModel, call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]

ESCAPING = [SystemExit(3), KeyboardInterrupt("now"), asyncio.CancelledError(), StopIteration()]
SCRIPT = [call("weather", city="Oslo"), say("ok")]


def weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def exits(*_what):
    sys.exit(3)


async def exits_later(*_what):
    sys.exit(3)


# --- tools ---------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ESCAPING, ids=lambda error: type(error).__name__)
async def test_tool_in_a_thread_may_raise_anything(told, error):
    def weather(city: str) -> str:
        """Weather of a city."""
        raise error

    response, model, _ = await told(SCRIPT, tools=[weather])
    assert [result.error for result in response.tool_results] == [str(UserCodeError(error))]
    assert type(error).__name__ in model.requests[1].tool_results[0].text
    assert response.partial_text == "ok"


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), asyncio.CancelledError(), KeyboardInterrupt("now"), GeneratorExit("then")],
    ids=lambda error: type(error).__name__,
)
async def test_tool_on_the_loop_may_exit_or_cancel_itself(told, error):
    async def weather(city: str) -> str:
        """Weather of a city."""
        raise error

    response, _, _ = await told(SCRIPT, tools=[weather])
    assert [result.error for result in response.tool_results] == [str(UserCodeError(error))]
    assert response.partial_text == "ok"


async def test_error_without_a_word_is_an_error_all_the_same(told):
    def weather(city: str) -> str:
        """Weather of a city."""
        raise NotImplementedError

    response, model, _ = await told(SCRIPT, tools=[weather])
    assert [result.error for result in response.tool_results] == ["NotImplementedError"]
    assert "NotImplementedError" in model.requests[1].tool_results[0].text


# --- whoever decides -----------------------------------------------------------------------


@pytest.mark.parametrize("handler", [exits, exits_later])
async def test_handler_that_exits_denies_and_the_model_hears_why(told, handler):
    response, model, _ = await told(SCRIPT, tools=[weather], ask_user=handler)
    states = [event.state for event in response.event_log if isinstance(event, Approval)]
    assert states[-1] is ApprovalState.FAILED
    assert "SystemExit: 3" in model.requests[1].tool_results[0].text


@pytest.mark.parametrize(
    "rule",
    [policy.ask_user("weather", handler=exits_later), policy.deny("weather", when=exits)],
    ids=["handler", "condition"],
)
async def test_policy_that_exits_denies_and_the_model_hears_why(told, rule):
    response, model, _ = await told(SCRIPT, tools=[weather], policies=[rule])
    assert [result.denied for result in response.tool_results] == [True]
    assert "the policy failed: SystemExit: 3" in model.requests[1].tool_results[0].text


async def test_hook_that_exits_denies_the_call_and_the_model_hears_why(told):
    @hooks.pre_tool_call_decide
    async def exits(call):
        sys.exit(3)

    response, model, _ = await told(SCRIPT, tools=[weather], hooks=[exits])
    assert [result.denied for result in response.tool_results] == [True]
    assert "SystemExit: 3" in model.requests[1].tool_results[0].text


# --- triggers ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("no bell")])
async def test_trigger_that_fails_is_told_of(runtime, caplog, error):
    async def doorbell(context):
        raise error

    async with ScriptedModel([say("fine")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell])
        assert await agent.chat_text("hi") == "fine"
    assert "trigger doorbell failed and is called no more" in caplog.text
    assert f"{type(error).__name__}: {error}" in caplog.text


# --- the pieces ----------------------------------------------------------------------------


def test_ordinary_errors_and_results_pass_through():
    with pytest.raises(KeyError):
        contained({}.__getitem__)("city")
    assert contained(weather)("Oslo") == "sunny in Oslo"


async def test_cancellation_from_outside_stays_one():
    task = asyncio.create_task(contained_wait(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_interrupt_of_the_user_reaches_the_caller():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    async def interrupted():
        signal.raise_signal(signal.SIGINT)

    waiting = contained_wait(interrupted())
    try:
        with pytest.raises(KeyboardInterrupt):
            waiting.send(None)
    finally:
        signal.signal(signal.SIGINT, before)


async def test_closed_coroutine_is_closed():
    waiting = contained_wait(asyncio.Event().wait())
    waiting.send(None)
    await asyncio.to_thread(waiting.close)  # as by the collector, outside its task
