"""The end of a runtime, whatever goes on at that moment."""

import asyncio

import pytest

import agy_nb as agy
from agy_nb.protocol import commands as c
from tests.runtime import virtual_time
from tests.runtime.conftest import first_piece, hangs, runtime_with
from tests.support.memory import MemoryBackend


async def test_senders_before_a_full_channel_are_told(no_task_is_left):
    async with runtime_with(channel_capacity=1) as runtime:
        agent = await runtime.create_agent({})
        waiting = [asyncio.create_task(agent.turn_count()) for _ in range(6)]
        closing = asyncio.create_task(runtime.close())
        _, late = await asyncio.wait([*waiting, closing], timeout=5)
        assert not late
    outcomes = {type(task.exception()) for task in waiting}
    assert outcomes <= {type(None), agy.ChannelClosedError}
    await no_task_is_left()


async def test_senders_before_a_full_channel_are_told_though_an_exit_takes_its_time():
    backend = MemoryBackend()
    async with runtime_with(backend=backend, channel_capacity=1) as runtime:
        agent = await runtime.create_agent({})
        may_exit = asyncio.Event()
        backend.sessions[0].close = may_exit.wait
        runtime._core._dispatch = lambda envelope: None  # a loop that answers nothing
        waiting = [asyncio.create_task(agent.turn_count()) for _ in range(6)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(runtime.close())
        _, late = await asyncio.wait(waiting[1:], timeout=5)
        assert not late
        assert {type(task.exception()) for task in waiting[1:]} == {agy.ChannelClosedError}
        may_exit.set()
        await closing


async def test_shutdown_waits_for_an_exit_that_is_under_way(no_task_is_left):
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        agent = await runtime.create_agent({})
        session, exiting, may_exit = backend.sessions[0], asyncio.Event(), asyncio.Event()
        close = session.close

        async def slowly():
            exiting.set()
            await may_exit.wait()
            await close()

        session.close = slowly
        ending = asyncio.create_task(agent.delete())
        await exiting.wait()
        closing = asyncio.create_task(runtime.close())
        await asyncio.sleep(0)
        may_exit.set()
        await closing
        await ending
        assert (session.closed, session.deleted) == (True, True)
    await no_task_is_left()


async def test_shutdown_in_the_middle_of_everything_leaves_nothing(no_task_is_left):
    backend = MemoryBackend(hangs)
    asked = asyncio.Event()

    async def never(request):
        asked.set()
        await asyncio.Event().wait()

    async def asks(turn):
        await turn.call("tool")

    async with runtime_with(backend=backend) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(3)]
        backend._play = asks
        asking = await runtime.create_agent({}, ask_user=never)
        responses = [await agent.chat("go") for agent in (*agents, asking)]
        queued = await agents[0].chat("and then")
        waiting = [
            asyncio.create_task(agents[0].wait_for_idle()),
            asyncio.create_task(agents[1].wait_for_wakeup(1_000)),
            asyncio.create_task(responses[0].text()),
            asyncio.create_task(queued.text()),
            asyncio.create_task(agents[2].shutdown()),
        ]
        await asked.wait()
    await asyncio.wait(waiting)
    assert all(isinstance(response.error, agy.ChannelClosedError) for response in responses)
    assert all(session.closed for session in backend.sessions)
    await no_task_is_left()


async def test_shut_down_agent_leaves_no_task_of_its_turns(no_task_is_left):
    async with runtime_with(hangs) as runtime:
        agent = await runtime.create_agent({})
        first, second = await agent.chat("go"), await agent.chat("queued")
        await first_piece(first)
        await agent.shutdown()
        assert isinstance(first.error, agy.ChannelClosedError)
        assert isinstance(second.error, agy.ChannelClosedError)
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert not [name for name in names if name.startswith("agy_nb turn")]


async def test_shutdown_by_command_is_as_good_as_close():
    async with runtime_with(hangs) as runtime:
        agent = await runtime.create_agent({})
        response = await agent.chat("go")
        await first_piece(response)
        await runtime.submit(c.Shutdown())
        assert runtime.closed
        assert not agent.is_started
        assert isinstance(response.error, agy.ChannelClosedError)
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert not [name for name in names if name.startswith("agy_nb")]


async def test_this_kernels_runtime_is_made_anew_after_a_shutdown_by_command():
    runtime = agy.runtime()
    runtime.statistics()
    async with runtime:
        await runtime.submit(c.Shutdown())
        other = agy.runtime()
        assert other is not runtime
        await other.close()


async def test_close_from_another_loop_is_refused():
    async with runtime_with() as runtime:
        await runtime.create_agent({})

        async def elsewhere():
            with pytest.raises(agy.WrongLoopError):
                await runtime.close()

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert not runtime.closed


def test_a_turn_that_ignores_its_end_does_not_keep_the_runtime_open():
    async def stubborn(turn):
        turn.say("x")
        while True:
            try:
                await asyncio.sleep(10_000)
            except asyncio.CancelledError:
                if turn.session.may_go.is_set():
                    raise

    async def scenario():
        backend = MemoryBackend(stubborn)
        runtime = agy.Runtime(agy.RuntimeConfig(exit_timeout=3), backend=backend)
        agent = await runtime.create_agent({})
        backend.sessions[0].may_go = asyncio.Event()
        await first_piece(await agent.chat("go"))
        await runtime.close()
        took = asyncio.get_running_loop().time()
        backend.sessions[0].may_go.set()
        return took

    took, _ = virtual_time.run(scenario())
    assert took < 1_000 + 60


async def test_two_that_close_at_once_both_wait_for_the_end():
    backend = MemoryBackend()
    runtime = agy.Runtime(backend=backend)
    await runtime.create_agent({})
    first = asyncio.create_task(runtime.close())
    await asyncio.sleep(0)
    await runtime.close()
    assert backend.closed
    assert backend.sessions[0].closed
    await first


async def test_statistics_start_nothing_and_can_be_read_at_any_time():
    runtime = agy.Runtime(backend=MemoryBackend())
    assert (runtime.statistics().capacity, runtime.statistics().agents) == (64, 0)
    assert runtime.loop is None
    async with runtime:
        await runtime.create_agent({})
        assert runtime.statistics().agents == 1
    assert runtime.statistics().agents == 0


def test_script_that_forgets_to_close_ends(capfd):
    backend = MemoryBackend(hangs)

    async def main():
        runtime = agy.Runtime(backend=backend)
        agent = await runtime.create_agent({})
        await first_piece(await agent.chat("go"))
        return runtime, agent

    runtime, _ = asyncio.run(main())
    assert runtime.closed
    assert backend.sessions[0].closed
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("end", ["shutdown", "delete", "runtime"])
async def test_the_end_of_an_agent_is_watched_once(end):
    ends = []
    async with runtime_with() as runtime:
        agent = await runtime.create_agent({})
        agent.watch_end(lambda: ends.append("heard"))
        stop = agent.watch_end(lambda: ends.append("unheard"))
        stop()
        stop()
        await {"shutdown": agent.shutdown, "delete": agent.delete, "runtime": runtime.close}[end]()
        assert ends == ["heard"]
    assert ends == ["heard"]
