"""The proxy changes nothing by itself, and each fault does what it says."""

import asyncio

import pytest

import agy_nb as agy
from agy_nb.testing import FaultProxy, ScriptedModel, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]

LIMITS = agy.RuntimeConfig(chat_pause=0)
ANSWER = say(["one ", "two ", "three"], chunk_delay_s=0.05)


@pytest.fixture
async def proxy():
    async with FaultProxy() as proxy:
        yield proxy


@pytest.fixture
async def agent(proxy):
    async with (
        ScriptedModel(lambda _request: ANSWER) as model,
        agy.Runtime(LIMITS) as runtime,
    ):
        yield await runtime.create_agent(model.config())


async def test_proxy_alone_changes_nothing(agent, proxy):
    assert await agent.chat_text("go") == "one two three"
    assert len(proxy.connections) == 1
    assert proxy.connections[0].frames > 3


async def test_each_start_has_a_line_of_its_own_and_tells_of_it(agent, proxy):
    started = []

    async def note(line):
        started.append(line.process.pid)

    proxy.at_start = note
    await agent.spawn_subagent(agent._state.spec.config)
    assert started == [proxy.connections[1].process.pid]
    assert proxy.connections[0].process.pid not in started


async def test_cut_line_breaks_the_connection_and_not_the_harness(agent, proxy):
    response = await agent.chat("go")
    await anext(aiter(response.text_stream()))
    line = proxy.connections[0]
    line.cut()
    assert line.process.poll() is None
    with pytest.raises(agy.HarnessError):
        await response.text()
    assert await agent.chat_text("again") == "one two three"


async def test_held_line_lets_nothing_through_until_its_release(agent, proxy):
    line = proxy.connections[0]
    line.hold()
    response = await agent.chat("go")
    before = line.frames
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(response.wait(), 0.3)
    assert line.frames == before
    line.release()
    assert await response.text() == "one two three"


async def test_corrupt_line_changes_what_the_harness_says(agent, proxy):
    proxy.connections[0].corrupt(lambda payload: payload.replace(b"two", b"TWO"))
    assert await agent.chat_text("go") == "one TWO three"


async def test_flood_comes_between_the_harness_own_frames(agent, proxy):
    await proxy.connections[0].flood(b"{}" for _ in range(1000))
    assert await agent.chat_text("go") == "one two three"


async def test_line_that_nobody_is_connected_to_cannot_be_flooded(agent, proxy):
    async def early(line):
        with pytest.raises(RuntimeError, match="not connected"):
            await line.flood([b"{}"])

    proxy.at_start = early
    await agent.spawn_subagent(agent._state.spec.config)


async def test_harness_is_found_again_once_the_proxy_is_gone():
    async with ScriptedModel([say("x")]) as model, agy.Runtime(LIMITS) as runtime:
        async with FaultProxy() as proxy:
            pass
        agent = await runtime.create_agent(model.config())
        assert await agent.chat_text("go") == "x"
        assert proxy.connections == []
