"""Turns that the backend begins by itself: a trigger's turn is a turn like any other."""

import asyncio

import pytest

import agy_nb as agy
from agy_nb.protocol.events import State, TurnBegan, TurnState
from agy_nb.protocol.values import TextPart
from tests.runtime.conftest import agent_with, first_piece, hangs, runtime_with
from tests.support.memory import MemoryBackend


def kinds(responses):
    return [(each.kind, each.prompt[0].text) for each in responses]


async def test_trigger_has_a_response_a_row_and_its_watchers():
    async with agent_with() as agent:
        watched = []
        agent.watch_turns(watched.append)
        response = await agent.trigger("the build is red")
        assert await response.text() == "the build is red "
        assert (response.kind, response.state) == ("trigger", TurnState.DONE)
        assert watched == [response]
        await agent.chat_text("and now?")
        turns = agent.tables.turns
        assert turns.kind.tolist() == ["trigger", "prompt"]
        assert turns.status.tolist() == ["ok", "ok"]
        assert turns.turn_id.tolist() == [1, 2]
        assert turns.n_model_calls.tolist() == [1, 1]
        assert agent.tables.model_calls.turn_id.tolist() == [1, 2]


async def test_turns_gives_every_turn_as_it_begins_and_ends_with_the_agent():
    async with agent_with() as agent:
        await agent.chat_text("before anybody looks")
        turns = agent.turns()
        await agent.chat_text("one")
        await (await agent.trigger("two"))
        await agent.send("three")
        await agent.wait_for_idle()
        await agent.shutdown()
        async with asyncio.timeout(5):
            seen = [each async for each in turns]
    assert kinds(seen) == [("prompt", "one"), ("trigger", "two"), ("prompt", "three")]
    with pytest.raises(agy.AgentNotStartedError):
        agent.turns()


async def test_prompt_waits_until_the_turn_of_a_trigger_is_over():
    go_on = asyncio.Event()

    async def play(turn):
        turn.say(turn.prompt + " ")
        await go_on.wait()
        turn.say("done")

    async with agent_with(play) as agent:
        own = await agent.trigger("ring")
        prompt = await agent.chat("hello")
        await first_piece(own)
        assert not await agent.is_idle()
        assert (own.state, prompt.state) == (TurnState.RUNNING, TurnState.QUEUED)
        go_on.set()
        assert await prompt.text() == "hello done"
        assert await own.text() == "ring done"
        assert agent.tables.turns.status.tolist() == ["ok", "ok"]
        starts = agent.tables.turns.started_at
        assert starts.is_monotonic_increasing


async def test_prompt_waits_for_each_turn_that_the_agent_begins_before_it():
    ends = {"one": asyncio.Event(), "two": asyncio.Event()}
    begun = []

    async def play(turn):
        turn.say(turn.prompt)
        if turn.prompt in ends:
            await ends[turn.prompt].wait()

    backend = MemoryBackend(play)
    async with runtime_with(backend=backend) as runtime:
        agent = await runtime.create_agent({})

        def ring_again(event):
            if isinstance(event, State) and event.state is TurnState.DONE:
                begun.append(asyncio.ensure_future(agent.trigger("two")))

        one, prompt = await agent.trigger("one"), await agent.chat("hello")
        one.watch(ring_again)
        ends["one"].set()
        async with asyncio.timeout(5):
            await one
            two = await begun[0]
            assert await first_piece(two) == "two"
            assert (two.state, prompt.state) == (TurnState.RUNNING, TurnState.QUEUED)
            ends["two"].set()
            assert [await each.text() for each in (two, prompt)] == ["two", "hello"]


async def test_trigger_in_a_turn_that_runs_is_answered_by_that_turn():
    go_on = asyncio.Event()

    async def play(turn):
        await go_on.wait()

    async with agent_with(play) as agent:
        prompt = await agent.chat("hello")
        async for _ in prompt.steps:
            break
        assert await agent.trigger("ring") is prompt
        go_on.set()
        await prompt
        assert agent.tables.turns.kind.tolist() == ["prompt"]


async def test_cancel_ends_the_turn_of_a_trigger_and_the_prompt_behind_it_goes_on():
    async def play(turn):
        if turn.prompt == "ring":
            await hangs(turn)
        turn.say("fine")

    async with agent_with(play) as agent:
        own = await agent.trigger("ring")
        prompt = await agent.chat("hello")
        await first_piece(own)
        await agent.cancel()
        assert (own.state, own.partial_text) == (TurnState.CANCELLED, "partial ")
        with pytest.raises(agy.TurnCancelledError):
            await own.text()
        assert await prompt.text() == "fine"


async def test_prompt_that_is_cancelled_behind_a_trigger_is_never_sent():
    sent = []

    async def play(turn):
        sent.append(turn.prompt)
        if turn.prompt == "ring":
            await hangs(turn)

    async with agent_with(play) as agent:
        own = await agent.trigger("ring")
        prompt = await agent.chat("hello")
        await first_piece(own)
        await prompt.cancel()
        assert (prompt.state, own.state) == (TurnState.CANCELLED, TurnState.RUNNING)
        await own.cancel()
        await agent.wait_for_idle()
        assert sent == ["ring"]


async def test_turn_of_a_trigger_that_fails_says_why():
    async def play(turn):
        raise agy.BackendError("no")

    async with agent_with(play) as agent:
        own = await (await agent.trigger("ring"))
        assert (own.state, str(own.error)) == (TurnState.FAILED, "no")
        assert agent.tables.turns.error_type.tolist() == ["BackendError"]


async def test_silent_turn_of_a_trigger_is_a_timeout():
    async with agent_with(hangs, limits={"chat_timeout": 0.1}) as agent:
        own = await (await agent.trigger("ring"))
        assert isinstance(own.error, agy.AgyTimeoutError)
        assert own.partial_text == "partial "


async def test_turn_of_a_trigger_asks_and_waits_for_the_user():
    def add(x: int) -> int:
        return x + 1

    async def play(turn):
        turn.say(str(await turn.call("add", {"x": 1})))

    async with agent_with(play, tools=[add], ask_user=lambda request: True) as agent:
        own = await agent.trigger("ring")
        assert await own.text() == "2"
        assert TurnState.WAITING_FOR_USER in [
            each.state for each in own.event_log if isinstance(each, State)
        ]
        assert agent.approvals.decision.tolist() == ["allow"]


async def test_turn_of_a_trigger_ends_with_its_agent():
    async with agent_with(hangs) as agent:
        own = await agent.trigger("ring")
        await first_piece(own)
        await agent.shutdown()
        assert own.state is TurnState.CANCELLED
        with pytest.raises(agy.ChannelClosedError):
            await own.text()


async def test_wakeup_has_a_turn_also_where_a_prompt_is_about_to_be_sent():
    """As when a timer of the harness goes off while the harness is started again for a prompt."""

    async def play(turn):
        session = turn.session
        session.in_turn = False
        session.sink(TurnBegan(prompt=(TextPart(text=""),), kind="wakeup"))
        turn.say("I am awake")
        session.sink(State(state=TurnState.DONE))
        session.in_turn = True
        turn.say("hello")

    async with agent_with(play) as agent:
        turns = agent.turns()
        assert await agent.chat_text("hi") == "hello"
        prompt, wakeup = await anext(turns), await anext(turns)
        assert (prompt.kind, wakeup.kind) == ("prompt", "wakeup")
        assert wakeup.partial_text == "I am awake"


async def test_agent_that_ends_begins_no_turn():
    """As when a timer goes off in the moment in which the agent is shut down."""
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        agent = await runtime.create_agent({})
        begun = []
        agent.watch_turns(begun.append)
        await agent.shutdown()
        (session,) = backend.sessions
        session.in_turn = False
        session.sink(TurnBegan(prompt=(TextPart(text=""),), kind="wakeup"))
        assert begun == []


@pytest.mark.parametrize("text", ["", " \n"])
async def test_trigger_must_say_something(text):
    async with agent_with() as agent:
        with pytest.raises(agy.InvalidInputError, match="text must not be empty"):
            await agent.trigger(text)
