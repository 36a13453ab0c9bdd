"""Small scenarios of approvals: only a yes that was told lets a tool run, whatever lands when."""

import asyncio

import agy_nb as agy
from agy_nb.protocol.events import ApprovalState, TurnState
from agy_nb.protocol.values import Trajectory
from agy_nb.sdk.interfaces.approval_request import ApprovalRequest
from tests.properties.stage import (
    Tool,
    agent_in,
    approvals,
    approvals_held,
    ended_once,
    outcome,
    scenario,
)

ALLOWED, DENIED, CANCELLED = (
    ApprovalState.ALLOWED,
    ApprovalState.DENIED,
    ApprovalState.CANCELLED,
)
TIMED_OUT, FAILED = ApprovalState.TIMED_OUT, ApprovalState.FAILED


async def calls_the_tool(turn):
    await turn.call("tool", {"path": "x"})
    turn.say("end")


def answer(world, value):
    """A person who answers when the world says so."""

    async def ask(request):
        await world.at(f"the user answers {value!r} for {request.args['path']}")
        return value

    return ask


def thread(value):
    """The same as a plain function: it runs in a thread, which is done when the world says so."""

    def ask(request):
        return value

    return ask


def agent_that_asks(world, handler, tool, play=calls_the_tool, **limits):
    return agent_in(world, play, tools=[tool], ask_user=handler, limits=limits)


@scenario
async def a_yes_races_a_cancel(world):
    tool = Tool()
    async with agent_that_asks(world, answer(world, True), tool) as agent:
        world.begin()
        response = await agent.chat("go")
        world.does("the user cancels", agent.cancel)
        await world.all_done()
        assert response.done, "a cancel returns after the end"
        await response.wait()
        (end,) = approvals_held(tool, response) or [CANCELLED]
        assert end in (ALLOWED, CANCELLED)
        if ended_once(response) is TurnState.DONE:
            assert tool.ran == ["x"]


@scenario
async def after_a_cancel_no_yes_counts(world):
    tool = Tool()
    async with agent_that_asks(world, answer(world, True), tool) as agent:
        world.begin()
        response = await agent.chat("go")
        ran: list[int] = []

        async def cancel():
            await agent.cancel()
            ran.append(len(tool.ran))

        world.does("the user cancels", cancel)
        await world.all_done()
        await response.wait()
        world.settle()
        await agent.wait_for_idle()
        assert ran == [len(tool.ran)]
        assert await agent.wait_for_wakeup(5) is False


@scenario
async def a_no_never_runs(world):
    tool = Tool()
    async with agent_that_asks(world, answer(world, False), tool) as agent:
        world.begin(seconds=5)
        response = await agent.chat("go")
        world.does("the user cancels", agent.cancel)
        await response.wait()
        await world.all_done()
        assert set(approvals_held(tool, response)) <= {DENIED, CANCELLED}
        assert tool.ran == []


@scenario
async def an_answer_races_its_limit(world):
    tool = Tool()
    async with agent_that_asks(world, answer(world, True), tool, approval_timeout=5) as agent:
        world.begin(seconds=6)
        response = await agent.chat("go")
        assert await response.text() == "end"
        (end,) = approvals_held(tool, response)
        assert end in (ALLOWED, TIMED_OUT)
        assert tool.ran == (["x"] if end is ALLOWED else [])
        if end is TIMED_OUT:
            assert approvals(response)[-1].reason == "no answer within 5 s"


@scenario
async def a_threads_answer_races_a_cancel_and_the_limit(world):
    tool = Tool()
    async with agent_that_asks(world, thread(True), tool, approval_timeout=5) as agent:
        world.begin(seconds=6)
        response = await agent.chat("go")
        world.does("the user cancels", agent.cancel)
        await response.wait()
        await world.all_done()
        (end,) = approvals_held(tool, response) or [CANCELLED]
        assert end in (ALLOWED, TIMED_OUT, CANCELLED)
        assert not tool.ran or end is ALLOWED


@scenario
async def an_answer_races_the_shutdown(world):
    tool = Tool()
    async with agent_that_asks(world, answer(world, True), tool) as agent:
        world.begin()
        response = await agent.chat("go")
        world.does("the runtime is closed", agent.runtime.close)
        await world.all_done()
        await response.wait()
        ran = list(tool.ran)
        ended_once(response)
        for _ in range(10):
            await asyncio.sleep(0)
        assert tool.ran == ran, "a tool ran after the end"
        assert not any(event.state is ApprovalState.PENDING for event in last_told(response))


def last_told(response):
    return list({event.approval_id: event for event in approvals(response)}.values())


@scenario
async def a_handler_that_fails_denies(world):
    tool = Tool()

    async def broken(request):
        await world.at("the handler fails")
        raise ValueError("a bug")

    async with agent_that_asks(world, broken, tool, approval_timeout=5) as agent:
        world.begin(seconds=6)
        response = await agent.chat("go")
        assert await response.text() == "end"
        (end,) = approvals_held(tool, response)
        assert end in (FAILED, TIMED_OUT)
        assert tool.ran == []


@scenario
async def a_handler_that_answers_nonsense_denies(world):
    tool = Tool()
    async with agent_that_asks(world, answer(world, "yes"), tool) as agent:
        world.begin()
        response = await agent.chat("go")
        world.does("the user cancels", agent.cancel)
        await response.wait()
        await world.all_done()
        assert set(approvals_held(tool, response)) <= {FAILED, CANCELLED}
        assert tool.ran == []


async def two_at_once(turn):
    await asyncio.gather(*(turn.call("tool", {"path": path}) for path in "xy"))
    turn.say("end")


@scenario
async def answers_reach_the_call_that_they_are_for(world):
    tool = Tool()

    async def ask(request):
        path = request.args["path"]
        await world.at(f"the user answers for {path}")
        return path == "y"

    async with agent_that_asks(world, ask, tool, two_at_once) as agent:
        world.begin()
        response = await agent.chat("go")
        assert await response.text() == "end"
        assert sorted(approvals_held(tool, response)) == [ALLOWED, DENIED]
        assert tool.ran == ["y"]


@scenario
async def a_cancel_denies_all_that_waits(world):
    tool = Tool()
    async with agent_that_asks(world, answer(world, True), tool, two_at_once) as agent:
        world.begin()
        response = await agent.chat("go")
        world.does("the user cancels", agent.cancel)
        await response.wait()
        await world.all_done()
        ended_once(response)
        for event in last_told(response):
            assert event.state in (ALLOWED, CANCELLED), event
        assert len(tool.ran) <= sum(e.state is ALLOWED for e in last_told(response))


@scenario
async def while_the_user_is_asked_no_silence_counts(world):
    tool = Tool()
    handler = answer(world, True)
    limits = {"chat_timeout": 10, "approval_timeout": 35}
    async with agent_that_asks(world, handler, tool, **limits) as agent:
        response = await agent.chat("go")
        await world.until(lambda: approvals(response))
        world.begin(seconds=40)
        assert await response.text() == "end"
        (end,) = approvals_held(tool, response)
        assert end in (ALLOWED, TIMED_OUT)
        states = [event.state for event in response.event_log if event.type == "state"]
        assert states == ["running", "waiting_for_user", "running", "done"]


@scenario
async def an_answer_for_one_turn_is_none_for_the_next(world):
    tool = Tool()

    async def play(turn):
        await turn.call("tool", {"path": turn.prompt})
        turn.say(turn.prompt)

    async with agent_that_asks(world, answer(world, True), tool, play) as agent:
        world.begin()
        first, second = await agent.chat("x"), await agent.chat("y")
        world.does("the first turn is cancelled", first.cancel)
        assert await second.text() == "y"
        await world.all_done()
        approvals_held(tool, first, second)
        assert all(event.args["path"] == "x" for event in approvals(first))
        assert [event.state for event in approvals(second)] == ["pending", "allowed"]


@scenario
async def whoever_asks_and_goes_away_is_told_as_cancelled(world):
    tool = Tool()
    told = []

    async def ask(request):
        try:
            await world.at("the user answers")
        except asyncio.CancelledError:
            told.append("the dialogue is taken away")
            raise
        return True

    async def play(turn):
        call = asyncio.ensure_future(turn.call("tool", {"path": "x"}))
        await world.at("the model gives up the call")
        call.cancel()
        await asyncio.wait([call])
        turn.say("end")

    async with agent_that_asks(world, ask, tool, play) as agent:
        world.begin()
        response = await agent.chat("go")
        assert await response.text() == "end"
        ends = approvals_held(tool, response)
        assert ends in ([ALLOWED], [CANCELLED], [])
        assert not told or ends == [CANCELLED]


@scenario
async def nobody_to_ask_is_a_no(world):
    async with agent_in(world) as agent:
        gate = agent._state.gate
        world.begin()
        request = ApprovalRequest(tool="tool", args={"path": "x"}, trajectory=Trajectory())
        world.does("one is asked", lambda: gate(request))
        world.does("all is cancelled", lambda: outcome(agent.cancel()))
        decision, _ = await world.all_done()
        assert decision.allowed is False
        assert "ask_user" in decision.reason


@scenario
async def a_late_yes_of_a_deaf_handler_does_not_count(world):
    tool = Tool()

    async def deaf(request):
        try:
            await world.at("the user answers")
        except asyncio.CancelledError:
            await world.at("the deaf dialogue answers")
        return True

    async with agent_that_asks(world, deaf, tool, approval_timeout=5) as agent:
        world.begin(seconds=6)
        response = await agent.chat("go")
        world.does("the user cancels", lambda: outcome(response.cancel()))
        await world.all_done()
        await response.wait()
        world.settle()
        await agent.wait_for_idle()
        ended_once(response)
        for event in last_told(response):
            assert event.state is not ApprovalState.PENDING
            assert not tool.ran or event.state is ALLOWED


@scenario
async def an_agents_end_takes_its_dialogue_away(world):
    tool = Tool()
    async with agent_that_asks(world, answer(world, True), tool) as agent:
        world.begin()
        response = await agent.chat("go")
        world.does("the agent is shut down", agent.shutdown)
        await world.all_done()
        await response.wait()
        if ended_once(response) is not TurnState.DONE:
            assert isinstance(response.error, agy.ChannelClosedError)
        assert not any("answers" in event for event in world.loop.events)
        assert len(tool.ran) <= sum(e.state is ALLOWED for e in last_told(response))
