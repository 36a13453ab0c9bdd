"""Starting an agent: whatever goes wrong, there is an error and no agent that nobody holds."""

import asyncio

import pytest

import agy_nb as agy
from agy_nb.protocol import commands as c
from tests.runtime import virtual_time
from tests.runtime.conftest import runtime_with
from tests.support.memory import MemoryBackend


class Gated(MemoryBackend):
    """Opens a session when it is told to."""

    def __init__(self):
        super().__init__()
        self.asked = asyncio.Event()
        self.may_open = asyncio.Event()

    async def open(self, spec, sink, gate):
        self.asked.set()
        await self.may_open.wait()
        return await super().open(spec, sink, gate)


class Failing(MemoryBackend):
    def __init__(self, error):
        super().__init__()
        self.error = error

    async def open(self, spec, sink, gate):
        raise self.error


async def test_start_that_nobody_waits_for_any_more_leaves_no_agent(no_task_is_left):
    backend = Gated()
    async with runtime_with(backend=backend) as runtime:
        start = asyncio.create_task(runtime.create_agent({}))
        await backend.asked.wait()
        start.cancel()
        await asyncio.wait([start])
        backend.may_open.set()
        assert (await runtime.create_agent({})).id == 2
        assert runtime.agent_ids == (2,)
    assert all(session.closed for session in backend.sessions)
    await no_task_is_left()


async def test_start_whose_reply_comes_as_its_sender_leaves_is_taken_back():
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        start = asyncio.create_task(runtime.create_agent({}))
        runtime._handlers._telemetry.agent_started = lambda *_: start.cancel()
        await asyncio.wait([start])
        assert start.cancelled()
        await asyncio.wait_for(backend.sessions[0].over.wait(), 5)
        assert runtime.agent_ids == ()


def test_start_beyond_the_round_trip_leaves_no_agent():
    async def scenario():
        backend = Gated()
        async with runtime_with(backend=backend, operation_timeout=5) as runtime:
            with pytest.raises(agy.AgyTimeoutError) as raised:
                await runtime.create_agent({})
            backend.may_open.set()
            await asyncio.sleep(1)
            assert runtime.agent_ids == ()
            return raised.value

    error, _ = virtual_time.run(scenario())
    assert (error.duration, error.operation) == (5, "create_agent")


async def test_time_out_of_the_backend_is_told_as_it_is():
    slow = agy.AgyTimeoutError(3, "handshake")
    async with runtime_with(backend=Failing(slow)) as runtime:
        with pytest.raises(agy.AgyTimeoutError) as raised:
            await runtime.create_agent({})
        assert raised.value is slow


@pytest.mark.parametrize("error", [ValueError("odd"), TimeoutError("odd"), OSError("odd")])
async def test_foreign_error_of_a_start_is_a_backend_error(error):
    async with runtime_with(backend=Failing(error)) as runtime:
        with pytest.raises(agy.BackendError, match="odd"):
            await runtime.create_agent({})
        assert runtime.agent_ids == ()


async def test_start_that_gives_itself_up_is_an_error_and_no_hang():
    async with runtime_with(backend=Failing(asyncio.CancelledError())) as runtime:
        with pytest.raises(agy.AgyError):
            await asyncio.wait_for(runtime.create_agent({}), 5)
        assert runtime.agent_ids == ()


async def test_agents_start_side_by_side():
    backend = Gated()
    async with runtime_with(backend=backend) as runtime:
        starts = [asyncio.create_task(runtime.create_agent({})) for _ in range(5)]
        await backend.asked.wait()
        backend.may_open.set()
        agents = await asyncio.gather(*starts)
        assert sorted(agent.id for agent in agents) == [1, 2, 3, 4, 5]


async def test_start_while_the_runtime_closes_is_refused_and_leaves_nothing(no_task_is_left):
    backend = Gated()
    runtime = agy.Runtime(backend=backend)
    start = asyncio.create_task(runtime.create_agent({}))
    await backend.asked.wait()
    await runtime.close()
    with pytest.raises(agy.ChannelClosedError):
        await start
    assert backend.sessions == []
    await no_task_is_left()


async def test_command_from_afar_makes_an_agent_of_plain_data():
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        await runtime.submit(c.CreateAgent(config={"api_key": "k"}))
        assert backend.sessions[0].spec.config == {"api_key": "k"}
