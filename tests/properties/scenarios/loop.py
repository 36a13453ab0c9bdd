"""Small scenarios of the command loop, the handle of a turn and the runtime's end."""

import asyncio

import agy_nb as agy
from agy_nb.protocol import commands as c, replies as r
from agy_nb.protocol.events import Text, TurnState
from tests.properties.stage import agent_in, ended_once, outcome, runtime_in, scenario
from tests.support.memory import MemoryBackend

# --- the loop -----------------------------------------------------------------------------------

CLOSED = (agy.ChannelClosedError, agy.AgentNotStartedError)
"""What a command gets whose runtime was closed meanwhile, or before."""


@scenario
async def chats_of_one_agent_are_sent_in_order(world):
    sent = []

    async def play(turn):
        sent.append(turn.prompt)
        await world.at(f"the model answers {turn.prompt!r}")
        turn.say(turn.prompt)

    async with agent_in(world, play) as agent:
        world.begin()
        responses = [await agent.chat(prompt) for prompt in "abc"]
        assert [await response.text() for response in responses] == ["a", "b", "c"]
        assert sent == ["a", "b", "c"]
        assert [await agent.is_idle(), await agent.turn_count()] == [True, 3]


@scenario
async def no_text_crosses_from_agent_to_agent(world):
    async with runtime_in(world) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(2)]
        world.begin()
        for agent in agents:
            world.does(f"chat with {agent.id}", lambda a=agent: a.chat_text(f"for {a.id}"))
        assert await world.all_done() == ["for 1", "for 2"]
        for agent in agents:
            assert await agent.last_response() == f"for {agent.id}"
            assert (await agent.total_usage()).total_tokens == 15


@scenario
async def a_query_waits_for_nothing(world):
    async with runtime_in(world) as runtime:
        one, two = [await runtime.create_agent({}) for _ in range(2)]
        world.begin()
        responses = [await one.chat("a"), await two.chat("b"), await one.chat("c")]

        async def ask():
            before = world.loop.iterations
            count = await one.turn_count()
            assert world.loop.iterations - before < 10
            return count

        world.does("the user asks for the count", ask)
        (count,) = await world.all_done()
        assert count in (0, 1, 2)
        for response in responses:
            await response.wait()


@scenario
async def a_query_that_breaks_ends_nothing(world):
    backend = MemoryBackend(one_word(world))
    async with runtime_in(world, backend=backend) as runtime:
        agent = await runtime.create_agent({})
        backend.sessions[0].turn_count = lambda: 1 / 0
        world.begin()
        chat = world.does("a chat", lambda: agent.chat_text("a"))
        broken = world.does("a query", lambda: outcome(agent.turn_count()))
        assert await chat == "word"
        assert isinstance(await broken, agy.BackendError)
        assert await agent.is_idle()


@scenario
async def whoever_leaves_while_an_agent_starts_leaves_no_agent(world):
    backend = Slow(world)
    async with runtime_in(world, backend=backend) as runtime:
        world.begin()
        creating = asyncio.ensure_future(runtime.create_agent({}))
        leaving = world.goes("the user goes away", creating)
        await asyncio.wait([creating, leaving])
        world.settle()
        for _ in range(20):
            await asyncio.sleep(0)
        if creating.cancelled():
            assert runtime.agent_ids == ()
            assert all(session.closed for session in backend.sessions)
        else:
            assert runtime.agent_ids == (1,)


class Slow(MemoryBackend):
    """Opens a session once the world says so."""

    def __init__(self, world):
        super().__init__()
        self.world = world

    async def open(self, spec, sink, gate):
        await self.world.at("the harness is up")
        return await super().open(spec, sink, gate)


@scenario
async def a_start_that_takes_too_long_is_given_up(world):
    backend = Slow(world)
    async with runtime_in(world, backend=backend, start_timeout=5) as runtime:
        world.begin(seconds=5)
        made = await outcome(runtime.create_agent({}))
        world.settle()
        if isinstance(made, agy.AgyTimeoutError):
            assert made.operation == "create_agent"
            assert runtime.agent_ids == ()
            assert all(session.closed for session in backend.sessions)
        else:
            assert runtime.agent_ids == (made.id,)


@scenario
async def whoever_leaves_while_a_chat_is_queued_harms_nobody(world):
    async with agent_in(world) as agent:
        world.begin()
        chatting = asyncio.ensure_future(agent.chat("a"))
        leaving = world.goes("the user goes away", chatting)
        await asyncio.wait([chatting, leaving])
        assert await agent.chat_text("b") == "b"
        assert await agent.is_idle()


@scenario
async def senders_of_a_full_channel_each_get_one_reply(world):
    async with runtime_in(world, channel_capacity=1) as runtime:
        agent = await runtime.create_agent({})
        world.begin()
        for number in range(2):
            world.does(f"query {number}", agent.turn_count)
        world.does("a chat", lambda: agent.chat_text("a"))
        *counts, text = await world.all_done()
        assert text == "a"
        assert set(counts) <= {0, 1}


@scenario
async def shutdown_finds_a_full_channel(world):
    async with runtime_in(world, channel_capacity=1) as runtime:
        agent = await runtime.create_agent({})
        world.begin()
        asked = [asyncio.ensure_future(outcome(agent.turn_count())) for _ in range(4)]
        world.does("the user closes the runtime", runtime.close)
        replies = await asyncio.gather(*asked)
        assert all(reply == 0 or isinstance(reply, CLOSED) for reply in replies)
        await world.all_done()
        assert isinstance(await outcome(agent.turn_count()), agy.AgentNotStartedError)


@scenario
async def shutdown_tells_everybody_who_waits(world):
    async with runtime_in(world) as runtime:
        agent = await runtime.create_agent({})
        world.begin(seconds=20)
        response = await agent.chat("a")
        waiting = [
            asyncio.ensure_future(outcome(work))
            for work in (response.text(), agent.wait_for_idle(), agent.wait_for_wakeup(20))
        ]
        world.does("the user closes the runtime", runtime.close)
        text, idle, woken = await asyncio.gather(*waiting)
        await world.all_done()
        assert text == "a" or isinstance(text, agy.ChannelClosedError), text
        assert idle is None or isinstance(idle, agy.ChannelClosedError), idle
        assert woken in (True, False) or isinstance(woken, agy.ChannelClosedError), woken
        ended_once(response)


@scenario
async def shutdown_lands_while_an_agent_starts(world):
    backend = Slow(world)
    async with runtime_in(world, backend=backend) as runtime:
        world.begin()
        creating = asyncio.ensure_future(outcome(runtime.create_agent({})))
        world.does("the user closes the runtime", runtime.close)
        await world.all_done()
        made = await creating
        assert isinstance(made, agy.ChannelClosedError | agy.Agent), made
        assert runtime.agent_ids == ()
        assert all(session.closed for session in backend.sessions)


@scenario
async def two_close_the_runtime(world):
    async with runtime_in(world) as runtime:
        agent = await runtime.create_agent({})
        world.begin()
        response = await agent.chat("a")
        for who in "one", "two":
            world.does(f"{who} closes it", runtime.close)
        await world.all_done()
        assert runtime.closed
        ended_once(response)


@scenario
async def a_close_that_is_given_up_ends_everything_all_the_same(world):
    async with runtime_in(world) as runtime:
        agent = await runtime.create_agent({})
        world.begin()
        response = await agent.chat("a")
        closing = asyncio.ensure_future(runtime.close())
        world.goes("the user interrupts the closing", closing)
        await asyncio.wait([closing])
        await world.all_done()
        await response.wait()
        ended_once(response)


@scenario
async def a_shutdown_out_of_time_leaves_no_session_open(world):
    backend = MemoryBackend(one_word(world))
    async with runtime_in(world, backend=backend, channel_capacity=1) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(2)]
        response = await agents[0].chat("a")
        world.begin(seconds=25)
        asked = [asyncio.ensure_future(outcome(agent.turn_count())) for agent in agents * 2]
        closing = asyncio.ensure_future(outcome(runtime.close()))
        await response.wait()
        assert isinstance(await closing, agy.AgyTimeoutError | None)
        for reply in await asyncio.gather(*asked):
            assert reply in (0, 1) or isinstance(
                reply, agy.ChannelClosedError | agy.AgentNotStartedError
            ), reply
        await world.until(lambda: all(session.closed for session in backend.sessions))


@scenario
async def waiting_for_a_place_counts(world):
    async with runtime_in(world, channel_capacity=1, operation_timeout=5) as runtime:
        agent = await runtime.create_agent({})
        channel = runtime._core._channel
        get = channel.get

        async def get_later():
            await world.at("the loop goes on")
            channel.get = get
            return await get()

        channel.get = get_later
        await agent.turn_count()  # the loop was waiting for this one already
        world.begin(seconds=6)
        began = world.now
        asked = [asyncio.ensure_future(outcome(agent.turn_count())) for _ in range(3)]
        replies = await asyncio.gather(*asked)
        late = [isinstance(reply, agy.AgyTimeoutError) for reply in replies]
        assert all(reply == 0 or isinstance(reply, agy.AgyTimeoutError) for reply in replies), (
            replies
        )
        if world.keeps_order:
            assert late == sorted(late), "who has no place yet is not given more time"
        assert world.now - began <= 5


@scenario
async def shutdown_command_answers_and_so_does_what_came_before(world):
    async with runtime_in(world) as runtime:
        agent = await runtime.create_agent({})
        world.begin()
        replies = [
            asyncio.ensure_future(outcome(runtime.submit(command)))
            for command in (
                c.GetTurnCount(agent_id=agent.id),
                c.WaitForIdle(agent_id=agent.id),
                c.Shutdown(),
                c.GetTurnCount(agent_id=agent.id),
            )
        ]
        count, idle, end, late = await asyncio.gather(*replies)
        assert idle == r.Done() or isinstance(idle, agy.ChannelClosedError)
        assert end == r.Done()
        if world.keeps_order:
            assert count == r.TurnCount(turns=0)
            assert isinstance(late, agy.ChannelClosedError)


@scenario
async def a_dropped_handle_ends_its_agent_and_no_other(world):
    backend = MemoryBackend(one_word(world))
    async with runtime_in(world, backend=backend) as runtime:
        kept, dropped = [await runtime.create_agent({}) for _ in range(2)]
        world.begin()
        first, second = await kept.chat("a"), await dropped.chat("b")
        handles = {"dropped": dropped}
        del dropped

        async def drop():
            handles.clear()

        world.does("the handle is dropped", drop)
        await world.all_done()
        await second.wait()
        if ended_once(second) is not TurnState.DONE:
            assert isinstance(second.error, agy.ChannelClosedError)
        assert await first.text() == "word"
        await world.until(lambda: backend.sessions[1].closed)
        assert runtime.agent_ids == (1,)
        assert not backend.sessions[0].closed


def one_word(world):
    async def play(turn):
        await world.at(f"the model answers {turn.prompt!r}")
        turn.say("word")

    return play


@scenario
async def idle_is_told_once_and_to_all(world):
    async with agent_in(world) as agent:
        world.begin()
        response = await agent.chat("a")
        for who in "one", "two":
            world.does(f"{who} waits for idle", agent.wait_for_idle)
        world.does("somebody signals", agent.signal_idle)
        assert await world.all_done() == [None, None, None]
        await response
        assert await agent.is_idle()


@scenario
async def whoever_waits_to_be_idle_and_leaves_harms_no_other(world):
    async with agent_in(world) as agent:
        world.begin()
        response = await agent.chat("a")
        leaver = asyncio.ensure_future(agent.wait_for_idle())
        stayer = asyncio.ensure_future(agent.wait_for_idle())
        world.goes("one goes away", leaver)
        await stayer
        assert response.done
        await world.all_done()


@scenario
async def a_wakeup_is_a_turn_or_the_time(world):
    async with agent_in(world) as agent:
        world.begin(seconds=10)
        waiting = [asyncio.ensure_future(agent.wait_for_wakeup(seconds)) for seconds in (5, 9)]
        chat = world.does("the user chats", lambda: agent.chat_text("a"))
        short, long = await asyncio.gather(*waiting)
        if world.keeps_order:  # else who waits less may begin to when the other has waited enough
            assert long or not short, "who waits longer hears at least as much"
        assert await chat == "a"


@scenario
async def a_chat_meets_its_agents_deletion(world):
    backend = MemoryBackend(one_word(world))
    async with runtime_in(world, backend=backend) as runtime:
        agent = await runtime.create_agent({})
        world.begin()
        response = await agent.chat("a")
        late = world.does("one more chat", lambda: outcome(agent.chat("b")))
        world.does("the agent is deleted", agent.delete)
        await world.all_done()
        await response.wait()
        if ended_once(response) is not TurnState.DONE:
            assert isinstance(response.error, agy.ChannelClosedError)
        second = late.result()
        if isinstance(second, agy.Response):
            await second.wait()
            ended_once(second)
        else:
            assert isinstance(second, agy.AgentNotStartedError | agy.BackendError), second
        (session,) = backend.sessions
        assert (session.closed, session.deleted) == (True, True)


@scenario
async def two_shut_one_agent_down(world):
    async with runtime_in(world) as runtime:
        agent = await runtime.create_agent({})
        world.begin()
        response = await agent.chat("a")
        commands = [c.ShutdownAgent(agent_id=agent.id), c.Disconnect(agent_id=agent.id)]
        for number, command in enumerate(commands, start=1):
            world.does(f"shutdown {number}", lambda m=command: outcome(runtime.submit(m)))
        replies = await world.all_done()
        assert sorted(map(type, replies), key=str) == sorted([r.Done, agy.BackendError], key=str)
        await response.wait()
        ended_once(response)


@scenario
async def one_agent_that_fails_leaves_the_other_alone(world):
    async def play(turn):
        await world.at(f"the model answers {turn.prompt!r}")
        if turn.prompt == "break":
            raise RuntimeError("a bug below us")
        turn.say("fine")

    async with runtime_in(world, play) as runtime:
        bad, good = [await runtime.create_agent({}) for _ in range(2)]
        world.begin()
        broken, fine = await bad.chat("break"), await good.chat("go")
        assert isinstance(await outcome(broken.text()), agy.BackendError)
        assert await fine.text() == "fine"
        assert await bad.chat_text("again") == "fine"


@scenario
async def a_pause_between_chats_holds_nobody_up(world):
    async with runtime_in(world, chat_pause=4) as runtime:
        one, two = [await runtime.create_agent({}) for _ in range(2)]
        world.begin(seconds=10)
        first, second = await one.chat("a"), await two.chat("b")
        world.does("the second is cancelled", second.cancel)
        assert await outcome(first.text()) == "a" or isinstance(first.error, agy.AgyTimeoutError)
        await second.wait()
        assert ended_once(second) in (TurnState.DONE, TurnState.CANCELLED, TurnState.FAILED)
        await world.all_done()


# --- the handle of a turn -----------------------------------------------------------------------


def pieces(world, *words):
    async def play(turn):
        for word in words:
            await world.at(f"the model says {word!r}")
            turn.say(word)

    return play


async def read(response):
    return [piece async for piece in response.text_stream()]


@scenario
async def every_reader_sees_the_same_whenever_it_comes(world):
    async with agent_in(world, pieces(world, "a", "b")) as agent:
        world.begin()
        response = await agent.chat("go")
        for who in "one", "two":
            world.does(f"reader {who} comes", lambda: read(response))
        assert await world.all_done() == [["a", "b"], ["a", "b"]]


@scenario
async def a_reader_that_goes_away_harms_no_other(world):
    async with agent_in(world, pieces(world, "a", "b")) as agent:
        world.begin()
        response = await agent.chat("go")
        leaver = asyncio.ensure_future(read(response))
        stayer = asyncio.ensure_future(read(response))
        world.goes("the first reader goes away", leaver)
        assert await stayer == ["a", "b"]
        assert await response.text() == "ab"
        await world.all_done()
        assert ended_once(response) is TurnState.DONE


@scenario
async def two_wait_for_the_end_and_one_gives_up(world):
    async with agent_in(world, pieces(world, "a")) as agent:
        world.begin()
        response = await agent.chat("go")
        leaver = asyncio.ensure_future(response.wait())
        stayer = asyncio.ensure_future(response.text())
        world.goes("one gives up", leaver)
        assert await stayer == "a"
        await world.all_done()


@scenario
async def a_view_that_breaks_ends_nothing(world):
    async with agent_in(world, pieces(world, "a", "b")) as agent:
        world.begin()
        response = await agent.chat("go")
        seen = []

        def broken(event):
            seen.append(event)
            if isinstance(event, Text):
                raise ValueError("a bug in a view")  # noqa: TRY004 - any error

        async def look():
            response.watch(broken)

        world.does("a view is shown", look)
        assert await response.text() == "ab"
        await world.all_done()
        assert 1 <= sum(isinstance(event, Text) for event in seen) <= 2


@scenario
async def silence_ends_a_turn_and_not_the_agent(world):
    async with agent_in(world, pieces(world, "a", "b"), limits={"chat_timeout": 10}) as agent:
        world.begin(seconds=25)
        response = await agent.chat("go")
        await response.wait()
        if ended_once(response) is TurnState.FAILED:
            assert isinstance(response.error, agy.AgyTimeoutError)
            assert (response.error.operation, response.error.duration) == ("chat", 10)
            assert response.partial_text in ("", "a")
        else:
            assert response.partial_text == "ab"
        world.settle()
        assert await agent.chat_text("again") == "ab"


# --- cancel -------------------------------------------------------------------------------------


@scenario
async def a_cancel_races_the_answer(world):
    async with agent_in(world, pieces(world, "a", "b")) as agent:
        world.begin()
        response = await agent.chat("go")
        world.does("the user cancels", agent.cancel)
        text = await outcome(response.text())
        if ended_once(response) is TurnState.DONE:
            assert text == "ab"
        else:
            assert isinstance(text, agy.TurnCancelledError)
            assert text.partial_text == response.partial_text
        await world.all_done()
        assert await agent.is_idle()
        assert await agent.chat_text("again") == "ab"


@scenario
async def after_a_cancel_has_returned_the_turn_is_over(world):
    async with agent_in(world, pieces(world, "a")) as agent:
        world.begin()
        response = await agent.chat("go")

        async def cancel():
            await response.cancel()
            assert response.done
            return len(response.event_log)

        world.does("one cancels", cancel)
        world.does("another cancels", cancel)
        counts = await world.all_done()
        ended_once(response)
        assert set(counts) == {len(response.event_log)}


@scenario
async def cancelling_what_waits_leaves_what_runs(world):
    async with agent_in(world) as agent:
        world.begin()
        responses = [await agent.chat(prompt) for prompt in "abc"]
        world.does("the second is cancelled", responses[1].cancel)
        await asyncio.gather(*(response.wait() for response in responses))
        await world.all_done()
        assert [ended_once(response) for response in responses][::2] == [TurnState.DONE] * 2
        assert ended_once(responses[1]) in (TurnState.DONE, TurnState.CANCELLED)


@scenario
async def cancelling_the_agent_ends_what_runs_and_the_next_goes_on(world):
    async with agent_in(world) as agent:
        world.begin()
        responses = [await agent.chat(prompt) for prompt in "ab"]
        world.does("the user cancels", agent.cancel)
        await asyncio.gather(*(response.wait() for response in responses))
        await world.all_done()
        ends = [ended_once(response) for response in responses]
        assert ends.count(TurnState.CANCELLED) <= 1
        assert set(ends) <= {TurnState.DONE, TurnState.CANCELLED}


@scenario
async def a_cancel_right_after_a_chat_is_for_it(world):
    async with agent_in(world) as agent:
        world.begin()
        response = await agent.chat("a")
        await agent.cancel()
        assert ended_once(response) is TurnState.CANCELLED or not world.keeps_order


@scenario
async def a_model_that_ignores_a_cancel_is_left_behind(world):
    async def deaf(turn):
        try:
            await world.at("the model says 'a'")
        except asyncio.CancelledError:
            await world.at("the deaf model wakes")
            raise
        turn.say("a")

    async with agent_in(world, deaf) as agent:
        world.begin(seconds=5)
        response = await agent.chat("go")

        async def cancel():
            began = world.now
            await response.cancel()
            assert world.now - began <= 30.5

        world.does("the user cancels", cancel)
        await response.wait()
        ended_once(response)
        await world.all_done()
        await agent.wait_for_idle()


@scenario
async def a_cancel_meets_the_limit_of_silence(world):
    async with agent_in(world, pieces(world, "a"), limits={"chat_timeout": 10}) as agent:
        world.begin(seconds=15)
        response = await agent.chat("go")
        world.does("the user cancels", agent.cancel)
        await response.wait()
        await world.all_done()
        ended_once(response)
        assert isinstance(response.error, agy.AgyTimeoutError | agy.TurnCancelledError | None)


@scenario
async def a_cancel_meets_the_agents_shutdown(world):
    async with runtime_in(world) as runtime:
        agent = await runtime.create_agent({})
        world.begin()
        response = await agent.chat("a")
        world.does("the user cancels", lambda: outcome(agent.cancel()))
        world.does("the agent is shut down", agent.shutdown)
        cancelled, _ = await world.all_done()
        gone = (agy.BackendError, agy.AgentNotStartedError)
        assert cancelled is None or isinstance(cancelled, gone)
        await response.wait()
        ended_once(response)
