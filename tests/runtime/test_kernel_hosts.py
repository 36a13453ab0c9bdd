"""The runtime as a guest: interrupts, handles that are dropped, views that watch turns."""

import asyncio
import contextlib
import gc
import threading

import pytest

import agy_nb as agy
from agy_nb.protocol.events import TurnState
from agy_nb.protocol.replies import Failed
from agy_nb.runtime.sync_agent import SyncAgent
from tests.runtime.conftest import agent_with, first_piece, hangs, runtime_with, settings
from tests.support.memory import MemoryBackend
from tests.support.waiting import until


class Kernel:
    """What a runtime wants of a kernel: it takes note, and interrupts."""

    def __init__(self):
        self.busy_now = 0
        self.callbacks = []

    @contextlib.contextmanager
    def busy(self):
        self.busy_now += 1
        try:
            yield
        finally:
            self.busy_now -= 1

    def on_interrupt(self, callback):
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def interrupt(self, where):
        for callback in tuple(self.callbacks):
            callback(where)


@pytest.fixture
async def kernel():
    return Kernel()


@pytest.fixture
async def runtime(kernel):
    backend = MemoryBackend(hangs)
    async with agy.Runtime(settings(), backend=backend, host=kernel) as runtime:
        yield runtime


async def test_interrupt_of_a_cell_cancels_the_turn_that_it_waits_for_and_no_other(runtime, kernel):
    read, beside = await runtime.create_agent({}), await runtime.create_agent({})
    waited, other = await read.chat("a"), await beside.chat("b")
    await first_piece(other)
    waiting = asyncio.ensure_future(waited.text())
    await until(lambda: waited.awaited and not other.awaited)
    kernel.interrupt("cell")
    with pytest.raises(agy.TurnCancelledError) as caught:
        await waiting
    assert caught.value.partial_text == "partial "
    assert not other.done


async def test_interrupt_of_an_idle_kernel_cancels_every_turn(runtime, kernel):
    agents = [await runtime.create_agent({}) for _ in range(2)]
    responses = [await agent.chat("a") for agent in agents]
    kernel.interrupt("idle")
    for response in responses:
        await response
        assert response.state is TurnState.CANCELLED


async def test_cell_that_was_cancelled_just_before_its_interrupt_is_told_counts(runtime, kernel):
    response = await (await runtime.create_agent({})).chat("a")
    waiting = asyncio.ensure_future(response.text())
    await until(lambda: response.awaited)
    waiting.cancel()
    await asyncio.wait([waiting])
    kernel.interrupt("cell")
    await response
    assert response.state is TurnState.CANCELLED


async def test_closed_runtime_hears_no_interrupt(kernel):
    async with agy.Runtime(settings(), backend=MemoryBackend(hangs), host=kernel) as runtime:
        await (await runtime.create_agent({})).chat("a")
        assert len(kernel.callbacks) == 1
    assert kernel.callbacks == []


async def test_kernel_is_busy_while_a_turn_runs_and_not_after(runtime, kernel):
    response = await (await runtime.create_agent({})).chat("a")
    assert await first_piece(response) == "partial "
    assert kernel.busy_now == 1
    await response.cancel()
    await until(lambda: kernel.busy_now == 0)


async def test_handle_that_another_thread_drops_ends_its_agent():
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        held = [await runtime.create_agent({})]

        def drop():
            held.clear()
            gc.collect()

        thread = threading.Thread(target=drop)
        thread.start()
        await backend.sessions[0].over.wait()
        thread.join()
        assert runtime.agent_ids == ()


async def test_dropping_what_is_not_there_is_no_error():
    runtime = agy.Runtime(settings(), backend=MemoryBackend())
    runtime.drop(1)  # before its first use
    async with runtime:
        runtime.drop(99)
        agent = await runtime.create_agent({})
        assert await agent.chat_text("still here") == "still here "
    runtime.drop(agent.id)


async def test_watcher_hears_of_every_turn_until_it_is_stopped():
    async with agent_with() as agent:
        heard = []
        stop = agent.watch_turns(heard.append)
        first = await agent.chat("one")
        await agent.send("two")
        await agent.wait_for_idle()
        stop()
        stop()
        await agent.chat_text("three")
        assert heard[0] is first
        assert [response.partial_text for response in heard] == ["one ", "two "]


async def test_response_is_cancelled_in_the_way_that_it_was_told():
    response = agy.Response(agent_id=1, turn_id=1, prompt=())
    calls = []

    async def cancel():
        calls.append(response.done)
        response.finish(TurnState.CANCELLED, error=agy.TurnCancelledError())

    response.on_cancel(cancel)
    await response.cancel()
    await response.cancel()
    assert calls == [False]
    assert response.state is TurnState.CANCELLED


def test_round_trip_is_that_of_the_settings_or_follows_the_chats():
    assert agy.RuntimeConfig(chat_timeout=30).round_trip == 150
    assert agy.RuntimeConfig(chat_timeout=30, operation_timeout=7).round_trip == 7


async def test_tools_are_told_with_where_they_come_from():
    def look(place: str) -> str:
        return place

    async with agent_with(tools=[look]) as agent:
        assert agent.available_tools() == (agy.ToolInfo(name="look", source="custom"),)


async def test_agents_blocking_twin_is_of_its_class():
    async with agent_with() as agent:
        assert isinstance(agent.sync, SyncAgent)
        assert agent.sync.available_tools() == agent.available_tools()


async def test_request_gives_the_error_as_a_reply():
    from agy_nb.protocol.commands import IsIdle

    async with runtime_with() as runtime:
        reply = await runtime.request(IsIdle(agent_id=7))
        assert isinstance(reply, Failed)
        assert "no agent 7" in reply.error.message
