"""Cancel means cancel: whoever is cancelled while a command is under way leaves nothing behind."""

import asyncio
import contextlib

import pytest

import agy_nb as agy
from agy_nb.protocol.commands import Chat
from agy_nb.protocol.events import TurnState
from agy_nb.protocol.values import TextPart
from tests.runtime.conftest import agent_with, first_piece, hangs, runtime_with, settings
from tests.support.memory import MemoryBackend


async def turns(count):
    """Let the loop turn a number of times."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("method", ["chat", "chat_text", "send"])
@pytest.mark.parametrize("after", range(12))
async def test_call_that_is_cancelled_at_any_moment_leaves_no_turn(method, after):
    async with agent_with(hangs) as agent:
        queued = []
        agent.watch_turns(queued.append)
        call = asyncio.ensure_future(getattr(agent, method)("go"))
        await turns(after)
        if call.done() and method != "chat_text":
            await agent.cancel()  # it had returned: the turn is the caller's to cancel
        call.cancel()
        await asyncio.wait([call])
        await asyncio.wait_for(agent.wait_for_idle(), 10)
        assert [response.state for response in queued] in ([], [TurnState.CANCELLED])


async def test_one_invalid_prompt_of_a_group_cancels_the_others_turns():
    async with agent_with(hangs) as agent:
        queued = []
        agent.watch_turns(queued.append)

        async def ask_all():
            async with asyncio.TaskGroup() as group:
                for prompt in ("one", "two", "", "three", "four"):
                    group.create_task(agent.chat_text(prompt))

        with pytest.raises(ExceptionGroup) as caught:
            await ask_all()
        assert [type(each) for each in caught.value.exceptions] == [agy.errors.InvalidPromptError]
        async with asyncio.timeout(10):
            await agent.wait_for_idle()
        assert {response.state for response in queued} <= {TurnState.CANCELLED}


async def test_command_of_the_protocol_that_is_cancelled_leaves_no_turn():
    async with agent_with(hangs) as agent:
        command = Chat(agent_id=agent.id, prompt=(TextPart(text="go"),))
        for after in range(8):
            asking = asyncio.ensure_future(agent.runtime.submit(command))
            await turns(after)
            asking.cancel()
            await asyncio.wait([asking])
            if not asking.cancelled():
                await asking.result().response.cancel()
            await asyncio.wait_for(agent.wait_for_idle(), 10)


@pytest.mark.parametrize("wait", ["wait_for_idle", "wait_for_wakeup"])
async def test_cancelled_wait_leaves_no_task(wait):
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        await first_piece(response)
        before = asyncio.all_tasks()
        waiting = [asyncio.ensure_future(getattr(agent, wait)()) for _ in range(5)]
        await turns(5)
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)
        await turns(5)
        assert asyncio.all_tasks() == before
        assert agent.runtime.statistics().tasks == 0
        await response.cancel()


async def test_cancel_is_for_the_next_turn_while_the_cancelled_one_winds_down():
    """The harness may take its time to halt; the turn's response is over by then."""
    halted = asyncio.Event()

    async def play(turn):
        try:
            await asyncio.Event().wait()
        finally:
            while not halted.is_set():
                try:
                    await asyncio.shield(halted.wait())
                except asyncio.CancelledError:
                    continue

    async with agent_with(play) as agent:
        first, second, third = [await agent.chat(text) for text in ("a", "b", "c")]
        await turns(5)
        await agent.cancel()
        assert (first.done, second.done) == (True, False)
        await agent.cancel()
        assert (second.state, third.done) == (TurnState.CANCELLED, False)
        halted.set()
        await third.cancel()


async def test_close_that_is_cancelled_closes_and_can_be_waited_for_again():
    backend = MemoryBackend(hangs)
    async with runtime_with(backend=backend) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(3)]
        for agent in agents:
            await first_piece(await agent.chat("go"))
        closing = asyncio.ensure_future(runtime.close())
        await turns(1)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        await runtime.close()
        assert all(session.closed for session in backend.sessions)
        assert [task for task in asyncio.all_tasks() if "agy_nb" in task.get_name()] == []
        await runtime.close()


async def test_many_who_close_wait_for_the_same_end():
    backend = MemoryBackend(hangs)
    async with runtime_with(backend=backend) as runtime:
        await runtime.create_agent({})
        closing = [asyncio.ensure_future(runtime.close()) for _ in range(3)]
        await turns(2)
        closing[0].cancel()
        done = await asyncio.gather(*closing, return_exceptions=True)
        assert [type(each) for each in done[1:]] == [type(None)] * 2
        assert backend.sessions[0].closed


class Interrupter:
    """A kernel that only interrupts."""

    def __init__(self):
        self.callbacks = []

    def busy(self):
        return contextlib.nullcontext()

    def on_interrupt(self, callback):
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)


async def test_interrupt_of_a_cell_leaves_a_turn_in_the_start_pause_alone():
    kernel = Interrupter()
    config = settings(chat_pause=3600)
    async with agy.Runtime(config, backend=MemoryBackend(hangs), host=kernel) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(2)]
        started, paused = [await agent.chat("go") for agent in agents]
        await first_piece(started)
        await turns(5)
        assert not paused.awaited
        for callback in kernel.callbacks:
            callback("cell")
        await turns(5)
        assert not paused.done
        await paused.cancel()
        await started.cancel()


async def test_interrupt_of_a_cell_leaves_a_turn_in_the_quota_back_off_alone():
    async def play(turn):
        raise agy.QuotaExceededError(3600)

    kernel = Interrupter()
    config = settings(max_quota_retries=3)
    async with agy.Runtime(config, backend=MemoryBackend(play), host=kernel) as runtime:
        agent = await runtime.create_agent({})
        paused = await agent.chat("go")
        async with asyncio.timeout(10):
            while not runtime.quota().throttled:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await turns(20)
        assert not paused.done
        assert not paused.awaited
        for callback in kernel.callbacks:
            callback("cell")
        await turns(20)
        assert not paused.done
        await paused.cancel()


async def test_interrupt_of_a_cell_leaves_the_turn_of_a_trigger_and_the_prompt_behind_it():
    kernel = Interrupter()
    async with agy.Runtime(settings(), backend=MemoryBackend(hangs), host=kernel) as runtime:
        agent = await runtime.create_agent({})
        own, behind = await agent.trigger("ring"), await agent.chat("go")
        await first_piece(own)
        await turns(5)
        assert (own.awaited, behind.awaited) == (False, False)
        for callback in kernel.callbacks:
            callback("cell")
        await turns(20)
        assert (own.state, behind.state) == (TurnState.RUNNING, TurnState.QUEUED)
        await behind.cancel()
        await own.cancel()
