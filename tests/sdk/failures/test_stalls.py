"""No phase of a real agent's life holds the event loop."""

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, fail, hang, say

pytestmark = [
    pytest.mark.alone,
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]

STALL_S = 0.05


def weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


@pytest.fixture
async def warm(runtime):
    """What is imported on first use has been used."""
    async with ScriptedModel([say("x")]) as model:
        agent = await runtime.create_agent(model.config())
        await agent.chat_text("go")
        await agent.shutdown()


TRIES = 3
"""A busy machine stalls any loop now and then; what we do ourselves stalls it each time."""


async def longest_stalls(runtime, ticker) -> dict[str, float]:
    """Seconds of the longest stall while an agent starts, chats, is cancelled and stops."""
    script = [
        call("weather", city="Oslo"),
        say([f"word{number} " for number in range(500)]),
        hang("partial"),
    ]
    longest = {}
    async with ScriptedModel(script) as model:

        async def phase(name, work):
            async with ticker:
                result = await work
            longest[name] = ticker.longest
            return result

        starting = runtime.create_agent(model.config(), tools=[weather], ask_user=lambda _r: True)
        agent = await phase("start", starting)
        await phase("chat", agent.chat_text("go"))
        response = await agent.chat("again")
        await anext(aiter(response.text_stream()))
        await phase("cancel", response.cancel())
        await phase("stop", agent.shutdown())
    return longest


async def test_start_chat_cancel_and_stop_never_stall_the_loop(
    warm, runtime, ticker, record_property
):
    tries = [await longest_stalls(runtime, ticker) for _ in range(TRIES)]
    least = {phase: min(each[phase] for each in tries) for phase in tries[0]}
    record_property("longest stalls", least)
    assert max(least.values()) < STALL_S, least


async def test_restart_after_an_error_does_not_stall_the_loop(warm, runtime, ticker):
    stalls = []
    for _ in range(TRIES):
        async with ScriptedModel([fail(400), say("next")]) as model:
            agent = await runtime.create_agent(model.config())
            with pytest.raises(agy.BackendError):
                await agent.chat_text("go")
            async with ticker:
                assert await agent.chat_text("again") == "next"
        stalls.append(ticker.longest)
    assert min(stalls) < STALL_S
