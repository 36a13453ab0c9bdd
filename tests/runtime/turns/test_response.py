"""The response's handle: independent cursors over one buffer, and what is left of a cut turn."""

import asyncio
import traceback

import pytest

import agy_nb as agy
from agy_nb.cassette import CassetteMismatchError
from agy_nb.kernel.short_traceback import turn_interrupted
from agy_nb.protocol import events
from agy_nb.protocol.values import ErrorInfo, Trajectory
from agy_nb.runtime.turns.response import Response
from agy_nb.runtime.turns.response_stream import ResponseStream
from tests.runtime import virtual_time
from tests.runtime.conftest import agent_with, first_piece, hangs

SUBAGENT = Trajectory(id="sub", parent_id="root", depth=1)


async def everything(turn):
    turn.think("hm")
    turn.say("one ")
    turn.say("theirs", trajectory=SUBAGENT)
    await turn.call("tool", {"x": 1})
    turn.say("two")
    turn.meter(input_tokens=3, output_tokens=4)
    turn.meter(input_tokens=1, output_tokens=1)


def tool(x: int) -> int:
    return x + 1


async def test_chat_returns_at_once():
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        assert not response.done


async def test_root_text_is_apart_from_a_subagents():
    async with agent_with(everything, tools=[tool]) as agent:
        response = await agent.chat("go")
        assert await response.text() == "one two"
        assert [piece async for piece in response.text_stream()] == ["one ", "two"]
        assert list(response.text_stream("sub")) == ["theirs"]
        assert [trajectory.depth for trajectory in response.trajectories] == [0, 1]


async def test_streams_pick_what_they_are_for():
    async with agent_with(everything, tools=[tool]) as agent:
        response = await agent.chat("go")
        assert [thought async for thought in response.thoughts] == ["hm"]
        calls: ResponseStream = response.tool_calls
        assert [(call.name, call.args) for call in calls] == [("tool", {"x": 1})]
        assert [result.result for result in response.tool_results] == [2]
        assert [step.status for step in response.steps] == ["active", "done"]
        assert response.usage.total_tokens == 9
        assert response.stop_reason == "UNSPECIFIED"


async def test_every_cursor_sees_everything_at_its_own_pace():
    async with agent_with(everything, tools=[tool]) as agent:
        response = await agent.chat("go")
        slow = aiter(response.events())
        first = await anext(slow)
        fast = [event async for event in response.events()]
        assert [first, *[event async for event in slow]] == fast == response.event_log


async def test_a_response_yields_its_text_as_the_sdk_does_and_events_on_request():
    async with agent_with(everything, tools=[tool]) as agent:
        response = await agent.chat("go")
        assert [piece async for piece in response] == ["one ", "two"]
        assert list(response.events()) == response.event_log
        assert len(response.events()) == len(response.event_log) > 2


async def test_late_reader_sees_all():
    async with agent_with() as agent:
        response = await agent.chat("one two")
        await response
        assert [piece async for piece in response.text_stream()] == ["one ", "two "]


async def test_reader_that_leaves_ends_nothing():
    async with agent_with() as agent:
        response = await agent.chat("one two")
        assert await first_piece(response) == "one "
        assert await response.text() == "one two "


async def test_cancelled_wait_leaves_the_turn_alone():
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.text(), 0.01)
        assert not response.done


async def test_states_tell_the_turns_way():
    async with agent_with() as agent:
        response = await agent.chat("one")
        await response
        states = [event.state for event in response.event_log if isinstance(event, events.State)]
        assert states == ["running", "done"]


async def test_cancel_keeps_the_partial_text_and_the_agent():
    async def play(turn):
        if turn.number == 1:
            await hangs(turn)
        turn.say("next")

    async with agent_with(play) as agent:
        response = await agent.chat("go")
        await first_piece(response)
        await response.cancel()
        with pytest.raises(agy.TurnCancelledError) as raised:
            await response.text()
        assert raised.value.partial_text == response.partial_text == "partial "
        assert await agent.chat_text("again") == "next"


async def test_cancel_of_a_turn_that_waits_behind_another():
    async with agent_with(hangs) as agent:
        first, second = await agent.chat("a"), await agent.chat("b")
        await second.cancel()
        assert (second.state, second.partial_text, first.done) == ("cancelled", "", False)


async def test_cancel_twice_and_after_the_end_does_nothing():
    async with agent_with() as agent:
        response = await agent.chat("one")
        await response
        await response.cancel()
        await response.cancel()
        assert response.state == "done"


async def test_error_keeps_the_partial_text_and_is_the_last_thing_seen():
    async def play(turn):
        turn.say("so far ")
        raise agy.SafetyError("no")

    async with agent_with(play) as agent:
        response = await agent.chat("go")
        with pytest.raises(agy.SafetyError):
            await anext(piece async for piece in response.text_stream() if piece == "never said")
        assert response.partial_text == "so far "
        assert isinstance(response.event_log[-2], events.Error)
        assert response.event_log[-2].fatal
        assert response.event_log[-1].state == "failed"


def test_silence_is_a_timeout_that_says_so_and_the_next_turn_works():
    async def play(turn):
        if turn.number == 1:
            await hangs(turn)
        turn.say("next")

    async def scenario():
        async with agent_with(play, limits={"chat_timeout": 30}) as agent:
            response = await agent.chat("go")
            with pytest.raises(agy.AgyTimeoutError) as raised:
                await response.text()
            assert response.partial_text == "partial "
            assert await agent.chat_text("again") == "next"
            return raised.value

    error, seconds = virtual_time.run(scenario())
    assert (error.duration, error.operation) == (30, "chat")
    assert seconds == pytest.approx(30)


def test_long_turn_that_is_not_silent_is_no_timeout():
    async def play(turn):
        for _ in range(10):
            await asyncio.sleep(29)
            turn.say("x")

    async def scenario():
        async with agent_with(play, limits={"chat_timeout": 30}) as agent:
            return await agent.chat_text("go")

    assert virtual_time.run(scenario())[0] == "x" * 10


async def test_structured_output_comes_at_the_end():
    async def play(turn):
        turn.structured_output = {"a": 1}

    async with agent_with(play) as agent:
        response = await agent.chat("go")
        assert await response.structured_output() == {"a": 1}
        assert agent.last_structured_output == {"a": 1}


async def test_text_of_a_refused_try_counts_no_more():
    response = Response(agent_id=1, turn_id=1, prompt=())
    root = Trajectory(id="root")
    error = ErrorInfo(type="BackendError", message="broke off")
    response.emit(events.Text(trajectory=root, text="Hel", step_index=1))
    response.emit(events.Error(trajectory=root, error=error, fatal=False, refused_step=1))
    assert response.partial_text == "Hel"
    response.emit(events.Text(trajectory=root, text="Hello", step_index=3))
    assert response.partial_text == "Hello"


async def test_repr_is_short_and_shows_no_text():
    async with agent_with() as agent:
        response = await agent.chat("secret")
        await response
        assert repr(response) == "<Response turn 1 of agent 1: done, 7 chars, 15 tokens>"
        assert "secret" not in repr(response.text_stream())


async def test_states_and_root_are_the_root_agents_though_a_subagent_speaks_first():
    async def play(turn):
        turn.say("theirs", trajectory=SUBAGENT)

    response = Response(agent_id=1, turn_id=1, prompt=())
    response.emit(events.Text(trajectory=SUBAGENT, text="theirs"))
    response.finish(events.TurnState.DONE)
    assert response.root.is_root
    assert response.event_log[-1].trajectory.is_root


async def test_cancel_from_another_loop_is_refused():
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        await first_piece(response)

        async def elsewhere():
            with pytest.raises(agy.WrongLoopError):
                await response.cancel()

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert not response.done


async def test_cancel_that_the_backend_fails_ends_the_response_all_the_same():
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        await first_piece(response)

        async def fail():
            raise RuntimeError("no way to stop it")

        agent._state.session.cancel = fail
        with pytest.raises(RuntimeError):
            await response.cancel()
        assert response.state == "cancelled"


async def test_view_can_be_read_while_the_turn_runs_and_again_after():
    release = asyncio.Event()

    async def play(turn):
        turn.say("one ")
        await release.wait()
        turn.say("two")

    async with agent_with(play) as agent:
        response = await agent.chat("go")
        view = response.text_stream()
        await first_piece(response)
        assert list(view) == ["one "]
        release.set()
        assert [piece async for piece in view] == list(view) == ["one ", "two"]
        assert len(view) == 2


@pytest.mark.parametrize("name", ["thoughts", "tool_calls", "tool_results", "steps"])
async def test_every_view_ends_with_the_error_of_the_turn(name):
    async def play(turn):
        raise agy.MaxTokensError("too long")

    async with agent_with(play) as agent:
        response = await agent.chat("go")
        with pytest.raises(agy.MaxTokensError):
            _ = [item async for item in getattr(response, name)]
        assert isinstance(list(getattr(response, name)), list)


async def everything_of(response):
    return [event async for event in response.events()]


def frames_of(error) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


@pytest.mark.parametrize("read", [Response.text, everything_of])
async def test_error_of_a_turn_keeps_nothing_of_those_who_read_it(read):
    """What they hold would live as long as the turn, and the agent's handle may be among it."""

    async def fails(turn):
        turn.say("half ")
        raise agy.BackendError("no", http_code=503)

    async def reader(response):
        await read(response)

    async with agent_with(fails) as agent:
        response = await (await agent.chat("go"))
        came_with = frames_of(response.error)
        for _ in range(3):
            with pytest.raises(agy.BackendError, match=r"^no$") as caught:
                await reader(response)
            assert caught.value.http_code == 503
            assert "reader" in frames_of(caught.value)
            assert frames_of(caught.value)[-len(came_with) :] == came_with
        assert frames_of(response.error) == came_with


@pytest.mark.parametrize(
    "error",
    [
        agy.AgyTimeoutError(3, "chat", hint="wait longer"),
        agy.TurnCancelledError("half "),
        agy.QuotaExceededError(7.5, http_code=429),
        agy.InvalidConfigError("no such model", field="model"),
        CassetteMismatchError("differs from the recording", phase="x", path="c"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_error_that_a_reader_gets_says_all_that_the_turns_own_does(error):
    error.add_note("what to do")
    error.__cause__ = ValueError("below")
    response = Response(agent_id=1, turn_id=1, prompt=())
    response.finish(events.TurnState.FAILED, error=error)
    with pytest.raises(type(error)) as caught:
        await response.text()
    copy = caught.value
    assert copy is not response.error is error
    assert (str(copy), repr(copy), vars(copy)) == (str(error), repr(error), vars(error))
    assert copy.__cause__ is error.__cause__
    assert copy.__suppress_context__ is error.__suppress_context__


async def test_awaiting_a_response_raises_nothing_of_the_turns():
    async def play(turn):
        raise agy.SafetyError("no")

    async with agent_with(play) as agent:
        response = await agent.chat("go")
        assert await response is response
        assert isinstance(response.error, agy.SafetyError)
        assert response.stop_reason is None
        assert response.output is None
        with pytest.raises(agy.SafetyError):
            await response.structured_output()


async def test_usage_is_none_where_nothing_was_metered():
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        await first_piece(response)
        assert response.usage is None


async def test_cursor_that_nobody_reads_stalls_no_other():
    async def play(turn):
        for number in range(2_000):
            turn.say(f"{number} ")

    async with agent_with(play) as agent:
        response = await agent.chat("go")
        unread = aiter(response.text_stream())
        assert await anext(unread) == "0 "
        assert (await response.text()).count(" ") == 2_000
        assert await anext(unread) == "1 "


async def test_readers_that_come_at_any_time_see_the_same():
    release = [asyncio.Event() for _ in range(3)]

    async def play(turn):
        for number, event in enumerate(release):
            turn.say(str(number))
            await event.wait()

    async def read(response):
        return [piece async for piece in response.text_stream()]

    async with agent_with(play) as agent:
        response = await agent.chat("go")
        readers = []
        for event in release:
            readers.append(asyncio.create_task(read(response)))
            await asyncio.sleep(0)
            event.set()
        assert await asyncio.gather(*readers) == [["0", "1", "2"]] * 3


async def test_chats_of_one_agent_run_one_after_the_other():
    running, most = 0, 0

    async def play(turn):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        turn.say(turn.prompt)
        running -= 1

    async with agent_with(play) as agent:
        responses = [await agent.chat(str(number)) for number in range(5)]
        assert [await response.text() for response in responses] == list("01234")
        assert most == 1


async def test_chats_of_two_agents_run_side_by_side():
    met = asyncio.Barrier(2)

    async def play(turn):
        await met.wait()
        turn.say("met")

    async with agent_with(play) as agent:
        other = await agent.spawn_subagent({})
        responses = [await agent.chat("x"), await other.chat("x")]
        assert [await response.text() for response in responses] == ["met", "met"]


async def test_stop_reason_of_a_turn_that_runs_is_unknown():
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        await first_piece(response)
        assert (response.stop_reason, response.done, response.state) == (None, False, "running")


async def test_what_a_turn_owes_comes_before_its_last_event_and_once():
    response = Response(agent_id=1, turn_id=1, prompt=())
    response.before_end(lambda: response.emit(events.Text(text="owed")))
    response.finish(events.TurnState.CANCELLED)
    response.finish(events.TurnState.DONE)
    assert [type(event) for event in response.event_log] == [events.Text, events.State]
    assert response.state is events.TurnState.CANCELLED


async def test_watcher_that_is_added_by_a_watcher_gets_each_event_once():
    response = Response(agent_id=1, turn_id=1, prompt=())
    first, second = [], []

    def watch(event):
        first.append(event)
        if len(first) == 2:
            response.watch(second.append)

    response.watch(watch)
    texts = [events.Text(text=str(number)) for number in range(4)]
    for text in texts:
        response.emit(text)
    assert first == second == texts


async def test_watcher_that_fails_on_what_has_come_so_far_is_called_no_more():
    response = Response(agent_id=1, turn_id=1, prompt=())
    calls = []

    def fails(event):
        calls.append(event)
        raise ValueError("no")

    response.emit(events.Text(text="a"))
    response.emit(events.Text(text="b"))
    response.watch(fails)
    response.emit(events.Text(text="c"))
    assert len(calls) == 1


async def test_watcher_finds_the_turn_over_at_its_last_event():
    async with agent_with() as agent:
        response, over = await agent.chat("hello"), []
        response.watch(lambda _event: over.append(response.done))
        await response
    assert over[-1]
    assert not any(over[:-1])


def test_line_about_an_interrupt_names_every_tool_that_goes_on():
    line = turn_interrupted(["load", "\x1b[2Jsave"])
    assert r"The tools 'load', '\x1b[2Jsave' still run in their threads." in line
