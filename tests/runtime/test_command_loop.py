"""The loop itself: nothing waits behind anything, nothing is lost, nothing is left."""

import asyncio
import contextvars
import dataclasses
import threading

import pytest

import agy_nb as agy
from agy_nb.protocol import commands as c
from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.events import Error, Text
from agy_nb.protocol.values import TextPart, Trajectory
from tests.runtime import virtual_time
from tests.runtime.conftest import agent_with, first_piece, hangs, runtime_with, settings
from tests.support.memory import MemoryBackend, MemorySession


async def test_query_does_not_wait_for_fifty_chats():
    async with runtime_with(hangs) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(50)]
        for agent in agents:
            await first_piece(await agent.chat("go"))
        assert await agents[0].turn_count() == 1


async def test_a_failing_agent_takes_no_other_down():
    async def play(turn):
        if turn.prompt == "break":
            raise RuntimeError("a bug below us")
        turn.say("fine")

    async with runtime_with(play) as runtime:
        bad, good = await runtime.create_agent({}), await runtime.create_agent({})
        response = await bad.chat("break")
        with pytest.raises(agy.BackendError, match="a bug below us"):
            await response.text()
        assert await good.chat_text("x") == await bad.chat_text("x") == "fine"


async def test_a_query_that_fails_is_an_error_and_the_loop_goes_on(monkeypatch):
    async with agent_with() as agent:
        monkeypatch.setattr(MemorySession, "turn_count", lambda self: 1 / 0)
        with pytest.raises(agy.BackendError, match="ZeroDivisionError"):
            await agent.turn_count()
        assert await agent.is_idle()


async def test_shutdown_leaves_no_task(no_task_is_left):
    async with runtime_with(hangs) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(3)]
        for agent in agents:
            await agent.chat("go")
            await agent.chat("and again")
    await no_task_is_left()


async def test_shutdown_tells_whoever_waits():
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        text = asyncio.create_task(response.text())
        idle = asyncio.create_task(agent.wait_for_idle())
        await first_piece(response)
        await agent.runtime.close()
        with pytest.raises(agy.ChannelClosedError):
            await text
        await asyncio.wait([idle])
        assert idle.exception() is None or isinstance(idle.exception(), agy.ChannelClosedError)
        assert response.partial_text == "partial "


async def test_shutdown_closes_the_others_when_one_agent_fails(monkeypatch):
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(3)]

        async def fail():
            raise RuntimeError("no exit")

        monkeypatch.setattr(backend.sessions[0], "close", fail)
        assert runtime.agent_ids == tuple(agent.id for agent in agents)
    assert [session.closed for session in backend.sessions[1:]] == [True, True]


def test_shutdown_gives_up_an_agent_that_never_exits():
    async def scenario():
        backend = MemoryBackend()
        async with runtime_with(backend=backend, exit_timeout=3) as runtime:
            agents = [await runtime.create_agent({}) for _ in range(2)]
            backend.sessions[0].close = asyncio.Event().wait
            assert all(agent.is_started for agent in agents)
        assert backend.sessions[1].closed

    _, seconds = virtual_time.run(scenario())
    assert seconds == pytest.approx(3)


async def test_closed_runtime_refuses_at_once():
    async with runtime_with() as runtime:
        agent = await runtime.create_agent({})
    with pytest.raises(agy.ChannelClosedError):
        await runtime.create_agent({})
    with pytest.raises(agy.AgentNotStartedError):
        await agent.turn_count()
    with pytest.raises(agy.AgentNotStartedError):
        await agent.chat("x")
    await runtime.close()


def test_waiting_for_room_in_the_channel_counts_against_the_time():
    async def scenario():
        async with runtime_with(channel_capacity=1, operation_timeout=5) as runtime:
            agent = await runtime.create_agent({})
            blocked = asyncio.Event()
            core = runtime._core
            core._dispatch = lambda envelope: None  # a loop that answers nothing
            waiting = [asyncio.create_task(agent.turn_count()) for _ in range(4)]
            done, _ = await asyncio.wait(waiting)
            assert not blocked.is_set()
            errors = [task.exception() for task in done]
            del core._dispatch
            return errors

    errors, seconds = virtual_time.run(scenario())
    assert seconds == pytest.approx(5)
    assert {(type(error), error.operation) for error in errors} == {
        (agy.AgyTimeoutError, "get_turn_count")
    }


async def test_dropped_reply_harms_nobody():
    async with agent_with() as agent:
        dropped = asyncio.create_task(agent.turn_count())
        await asyncio.sleep(0)
        dropped.cancel()
        assert await agent.turn_count() == 0


def test_wakeup_may_wait_longer_than_any_other_limit():
    async def scenario():
        async with agent_with(limits={"operation_timeout": 5}) as agent:
            return await agent.wait_for_wakeup(1_000)

    woken, seconds = virtual_time.run(scenario())
    assert woken is False
    assert seconds == pytest.approx(1_000)


@pytest.mark.parametrize(
    "failed",
    [
        agy.BackendError("no answer", http_code=503),
        agy.QuotaExceededError(30),
        agy.SafetyError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("said_since", [False, True])
def test_silence_after_an_error_is_that_error(failed, said_since):
    async def gets_over_it(turn):
        turn.emit(Error(error=to_info(failed), fatal=False))
        if said_since:
            turn.say("better")
        await asyncio.Event().wait()

    async def scenario():
        async with agent_with(gets_over_it, limits={"chat_timeout": 7}) as agent:
            return await (await agent.chat("go")).wait()

    error = virtual_time.run(scenario())[0].error
    if said_since:
        assert isinstance(error, agy.AgyTimeoutError)
        return
    assert type(error) is type(failed)
    assert error.http_code == failed.http_code
    assert "ended after 7 s of silence" in str(error)
    assert isinstance(error.__cause__, agy.AgyTimeoutError)


def test_start_that_hangs_is_a_timeout():
    class Slow(MemoryBackend):
        async def open(self, spec, sink, gate):
            await asyncio.Event().wait()

    async def scenario():
        async with runtime_with(backend=Slow(), start_timeout=7) as runtime:
            with pytest.raises(agy.AgyTimeoutError) as raised:
                await runtime.create_agent({})
            assert runtime.agent_ids == ()
            return raised.value

    error, seconds = virtual_time.run(scenario())
    assert (error.duration, error.operation) == (7, "create_agent")
    assert seconds == pytest.approx(7)


async def test_another_loop_is_refused():
    async with agent_with(hangs) as agent:
        response = await agent.chat("one")

        def elsewhere():
            async def use():
                with pytest.raises(agy.WrongLoopError):
                    await agent.turn_count()
                with pytest.raises(agy.WrongLoopError):
                    await response.text()
                with pytest.raises(agy.WrongLoopError):
                    await agent.shutdown()

            asyncio.run(use())

        failures = []
        thread = threading.Thread(target=lambda: failures.append(_outcome(elsewhere)))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert failures == [None]
        assert agent.is_started


def _outcome(work):
    try:
        work()
    except BaseException as error:
        return error
    return None


async def test_many_runtimes_share_nothing():
    async with runtime_with() as one, runtime_with() as two:
        first, second = await one.create_agent({}), await two.create_agent({})
        assert first.id == second.id == 1
        await first.chat_text("x")
        assert (await first.turn_count(), await second.turn_count()) == (1, 0)


async def test_statistics_tell_how_the_loop_stands():
    async with runtime_with(hangs) as runtime:
        agent = await runtime.create_agent({})
        waiting = asyncio.create_task(agent.wait_for_wakeup(60))
        await asyncio.sleep(0.01)
        statistics = runtime.statistics()
        assert (statistics.agents, statistics.tasks, statistics.capacity) == (1, 1, 64)
        await agent.send("go")
        await waiting


async def test_shutdown_command_ends_the_loop():
    async with runtime_with() as runtime:
        await runtime.create_agent({})
        await runtime.submit(c.Shutdown())
        with pytest.raises(agy.ChannelClosedError):
            await runtime.submit(c.CreateAgent())


def test_pause_between_chats_is_beside_the_loop():
    async def scenario():
        config = settings(chat_pause=10)
        async with agy.Runtime(config, backend=MemoryBackend()) as runtime:
            agents = [await runtime.create_agent({}) for _ in range(3)]
            loop = asyncio.get_running_loop()
            began = loop.time()
            responses = [await agent.chat("x") for agent in agents]
            assert await agents[2].turn_count() == 0
            assert loop.time() == began
            return [((await response).done, loop.time() - began) for response in responses]

    result, _ = virtual_time.run(scenario())
    assert [seconds for _, seconds in result] == pytest.approx([0, 10, 20])


@pytest.mark.slow
async def test_queries_are_answered_while_fifty_chats_stream():
    release = asyncio.Event()

    async def streams(turn):
        while not release.is_set():
            turn.say("x")
            await asyncio.sleep(0)

    async with runtime_with(streams) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(50)]
        responses = [await agent.chat("go") for agent in agents]
        assert not any([await agent.is_idle() for agent in agents[:5]])
        assert [await agent.turn_count() for agent in agents[:5]] == [1] * 5
        release.set()
        for response in responses:
            assert set(await response.text()) == {"x"}


async def test_commands_are_taken_in_the_order_in_which_they_are_sent():
    async with agent_with(hangs) as agent:
        runtime = agent.runtime
        commands = [c.Chat(agent_id=1, prompt=(TextPart(text=str(n)),)) for n in range(5)]
        replies = await asyncio.gather(*(runtime.submit(command) for command in commands))
        assert [reply.turn_id for reply in replies] == [1, 2, 3, 4, 5]


async def test_a_command_without_a_phase_is_an_error_and_no_hang():
    @dataclasses.dataclass(frozen=True)
    class Odd:
        kind = c.Kind.GLOBAL
        type = "odd"

    async with runtime_with() as runtime:
        runtime._telemetry = Silent()
        with pytest.raises(agy.BackendError, match="no handler for"):
            await runtime.submit(Odd())


class Silent:
    def __getattr__(self, name):
        return lambda *_: None


async def test_operation_that_fails_is_an_error_and_the_loop_goes_on():
    async with agent_with() as agent:
        agent._state.session.conversation.clear_history = lambda: 1 / 0
        with pytest.raises(agy.BackendError, match="clear_history failed: ZeroDivisionError"):
            await agent.clear_history()
        assert await agent.chat_text("one") == "one "


def test_send_has_a_limit_of_its_own():
    async def never(message, _):
        await asyncio.Event().wait()

    async def scenario():
        async with agent_with(limits={"handler_timeout": 9}) as agent:
            table = agent.runtime._handlers.table
            table[c.Send] = table[c.SignalIdle] = never
            found = []
            for operation in (agent.send("x"), agent.signal_idle()):
                with pytest.raises(agy.AgyTimeoutError) as raised:
                    await operation
                found.append((raised.value.duration, raised.value.operation))
            return found

    found, seconds = virtual_time.run(scenario())
    assert found == [(9, "send"), (9, "signal_idle")]
    assert seconds == pytest.approx(18)


def test_round_trip_is_the_chats_limit_and_two_minutes():
    async def scenario():
        async with agent_with(hangs, limits={"chat_timeout": 1_000}) as agent:
            await agent.runtime.request(c.IsIdle(agent_id=1))
            agent.runtime._handlers.table[c.ClearHistory] = lambda *_: asyncio.Event().wait()
            with pytest.raises(agy.AgyTimeoutError) as raised:
                await agent.clear_history()
            return raised.value.duration

    duration, seconds = virtual_time.run(scenario())
    assert duration == seconds == pytest.approx(1_120)


def test_pause_is_none_where_a_turn_was_cancelled_before_its_start():
    async def scenario():
        config = settings(chat_pause=10)
        async with agy.Runtime(config, backend=MemoryBackend(hangs)) as runtime:
            first, other = await runtime.create_agent({}), await runtime.create_agent({})
            running = await first.chat("a")
            await first_piece(running)
            queued = await first.chat("b")
            await queued.cancel()
            await running.cancel()
            await first.wait_for_idle()
            began = asyncio.get_running_loop().time()
            await first_piece(await other.chat("c"))
            return asyncio.get_running_loop().time() - began

    waited, _ = virtual_time.run(scenario())
    assert waited <= 10


async def test_tools_print_in_the_context_of_whoever_sent_the_prompt():
    cell = contextvars.ContextVar("cell", default="none")
    seen = []

    def tool():
        seen.append(cell.get())

    async def play(turn):
        await turn.call("tool")

    async with agent_with(play, tools=[tool]) as agent:
        for name in ("first", "second"):
            cell.set(name)
            await agent.chat_text("go")
    assert seen == ["first", "second"]


async def test_messages_wake_and_so_does_a_subagent():
    async with agent_with() as agent:
        waiting = asyncio.create_task(agent.wait_for_wakeup(60))
        where = Trajectory(id="sub", parent_id="root", depth=1)
        while not waiting.done():  # nothing tells when it has begun to wait
            agent._state.session.sink(Text(trajectory=where, text="hi"))
            await asyncio.sleep(0)
        assert await waiting is True


async def test_wakeup_with_no_time_is_an_answer():
    async with agent_with() as agent:
        assert await agent.wait_for_wakeup(0) is False


def test_stopped_turns_give_their_place_in_the_start_pause_back():
    async def scenario():
        async with runtime_with(chat_pause=0.5) as runtime:
            agents = [await runtime.create_agent({}) for _ in range(42)]
            await agents[0].chat_text("first")
            waiting = [await agent.chat("go") for agent in agents[1:41]]
            last = await agents[41].chat("last")
            for response in waiting:
                await response.cancel()
            return await last.text()

    answer, seconds = virtual_time.run(scenario())
    assert answer == "last "
    assert seconds == pytest.approx(0.5)


def test_turns_start_one_after_the_other_in_their_order():
    started = []

    async def play(turn):
        started.append((turn.prompt, asyncio.get_running_loop().time()))
        turn.say("fine")

    async def scenario():
        async with runtime_with(play, chat_pause=2) as runtime:
            agents = [await runtime.create_agent({}) for _ in range(4)]
            responses = [await agent.chat(str(i)) for i, agent in enumerate(agents)]
            await responses[1].cancel()
            for response in responses:
                await response.wait()

    virtual_time.run(scenario())
    moments = [moment - started[0][1] for _, moment in started]
    assert [prompt for prompt, _ in started] == ["0", "2", "3"]
    assert moments == pytest.approx([0, 2, 4])


def test_waiting_for_idle_takes_as_long_as_a_turn_may():
    async def play(turn):
        for _ in range(100):
            turn.say("tick ")
            await asyncio.sleep(10)

    async def scenario():
        async with agent_with(play, limits={"chat_timeout": 30, "operation_timeout": 60}) as agent:
            await agent.send("go")
            with pytest.raises(agy.AgyTimeoutError) as raised:
                await agent.wait_for_idle(timeout=200)
            await agent.wait_for_idle()
            return raised.value, await agent.is_idle()

    (error, idle), seconds = virtual_time.run(scenario())
    assert (error.duration, error.operation, idle) == (200, "wait_for_idle", True)
    assert seconds == pytest.approx(1000)
