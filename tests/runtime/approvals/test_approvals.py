"""The gate before a tool: only a yes lets it run."""

import asyncio

import pytest

import agy_nb as agy
from agy_nb.protocol.events import Approval, State
from agy_nb.protocol.values import Trajectory
from agy_nb.runtime.approvals.approval_gate import ApprovalGate
from tests.runtime import virtual_time
from tests.runtime.conftest import agent_with


class Tool:
    """Takes note of each time that it runs."""

    __name__ = "tool"

    def __init__(self):
        self.ran = []

    def __call__(self, path: str) -> str:
        self.ran.append(path)
        return "done"


async def calls_the_tool(turn):
    await turn.call("tool", {"path": "x"})
    turn.say("end")


async def turn_with(handler, play=calls_the_tool, **limits):
    tool = Tool()
    async with agent_with(play, limits=limits, tools=[tool], ask_user=handler) as agent:
        response = await agent.chat("go")
        await response
        return response, tool


def approvals(response):
    return [event for event in response.event_log if isinstance(event, Approval)]


async def yes_later(request):
    await asyncio.sleep(0)
    return True


@pytest.mark.parametrize(
    "handler",
    [
        lambda request: request.tool == "tool",
        lambda tool, args: (tool, args) == ("tool", {"path": "x"}),
        yes_later,
        lambda request: agy.ApprovalDecision(allowed=True, decided_by="me"),
    ],
    ids=["request", "name and arguments", "async", "decision"],
)
async def test_yes_lets_it_run(handler):
    response, tool = await turn_with(handler)
    assert tool.ran == ["x"]
    assert [event.state for event in approvals(response)] == ["pending", "allowed"]


async def test_no_does_not_and_its_reason_is_kept():
    response, tool = await turn_with(
        lambda request: agy.ApprovalDecision(allowed=False, reason="not on a Friday")
    )
    assert tool.ran == []
    assert approvals(response)[-1].reason == "not on a Friday"
    assert [result.error for result in response.tool_results] == ["not on a Friday"]


async def broken(request):
    raise ValueError("handler bug")


async def test_handler_that_raises_denies():
    response, tool = await turn_with(broken)
    assert tool.ran == []
    assert approvals(response)[-1].state == "failed"
    assert "handler bug" in approvals(response)[-1].reason


@pytest.mark.parametrize(
    "answer",
    [
        None,
        1,
        "yes",
        *(agy.ApprovalDecision(allowed=allowed) for allowed in ("no", "yes", 1, None, [True])),
    ],
)
async def test_answer_that_is_no_yes_or_no_denies(answer):
    response, tool = await turn_with(lambda request: answer)
    assert tool.ran == []
    assert approvals(response)[-1].state == "failed"


def test_no_answer_in_time_denies_and_the_turn_goes_on():
    async def never(request):
        await asyncio.Event().wait()

    (response, tool), seconds = virtual_time.run(
        turn_with(never, approval_timeout=300, chat_timeout=10)
    )
    assert tool.ran == []
    assert approvals(response)[-1].state == "timed_out"
    assert response.partial_text == "end"
    assert seconds == pytest.approx(300)


async def test_waiting_for_the_user_is_a_state_of_the_turn():
    response, _ = await turn_with(lambda request: True)
    states = [event.state for event in response.event_log if isinstance(event, State)]
    assert states == ["running", "waiting_for_user", "running", "done"]


async def test_cancelled_turn_denies_what_waits():
    asked = asyncio.Event()

    async def waits(request):
        asked.set()
        await asyncio.Event().wait()

    tool = Tool()
    async with agent_with(calls_the_tool, tools=[tool], ask_user=waits) as agent:
        response = await agent.chat("go")
        await asked.wait()
        await response.cancel()
    assert tool.ran == []
    assert approvals(response)[-1].state == "cancelled"


async def test_two_at_once_are_decided_each_for_itself():
    gates = {"a": asyncio.Event(), "b": asyncio.Event()}

    async def handler(request):
        await gates[request.args["path"]].wait()
        return request.args["path"] == "b"

    async def play(turn):
        await asyncio.gather(*(turn.call("tool", {"path": path}) for path in "ab"))

    tool = Tool()
    async with agent_with(play, tools=[tool], ask_user=handler) as agent:
        response = await agent.chat("go")
        gates["b"].set()
        async for event in response.events():
            if isinstance(event, Approval) and event.state == "allowed":
                break
        gates["a"].set()
        await response
    assert tool.ran == ["b"]
    assert {event.args["path"]: event.state for event in approvals(response)} == {
        "a": "denied",
        "b": "allowed",
    }


@pytest.mark.parametrize("handler", [42, lambda: True, lambda a, b, c: True])
async def test_handler_of_the_wrong_shape_is_refused_at_once(handler):
    with pytest.raises(agy.InvalidConfigError) as raised:
        async with agent_with(calls_the_tool, ask_user=handler):
            pass
    assert raised.value.field == "ask_user"


async def test_spawned_agent_asks_the_same_user():
    asked = []
    tool = Tool()

    def handler(request):
        asked.append(request.tool)
        return True

    async with agent_with(calls_the_tool, tools=[tool], ask_user=handler) as agent:
        child = await agent.spawn_subagent(tools=[tool])
        await child.chat_text("go")
    assert asked == ["tool"]


async def test_nobody_to_ask_denies():
    gate = ApprovalGate(None, timeout=1, emit=lambda event: None)
    decision = await gate(agy.ApprovalRequest(tool="tool"))
    assert not decision.allowed
    assert "ask_user" in decision.reason


async def test_request_tells_who_wants_what():
    seen = []

    async def handler(request):
        seen.append(request)
        return False

    await turn_with(handler)
    assert (seen[0].tool, seen[0].args, seen[0].trajectory.is_root) == ("tool", {"path": "x"}, True)


async def test_subagents_calls_come_to_the_same_handler_with_their_trajectory():
    sub = Trajectory(id="sub", parent_id="root", depth=1)
    seen = []

    async def handler(request):
        seen.append(request.trajectory)
        return True

    async def play(turn):
        await turn.session.gate(agy.ApprovalRequest(tool="tool", trajectory=sub))

    response, _ = await turn_with(handler, play)
    assert seen == [sub]
    assert {event.trajectory for event in approvals(response)} == {sub}


def test_wait_is_told_with_the_decision():
    async def slow(request):
        await asyncio.sleep(7)
        return True

    (response, _), _ = virtual_time.run(turn_with(slow, chat_timeout=5))
    assert [event.wait for event in approvals(response)] == [None, pytest.approx(7)]
    assert response.state == "done"


def test_time_counts_again_once_the_user_has_answered():
    async def slow(request):
        await asyncio.sleep(100)
        return True

    async def play(turn):
        await turn.call("tool", {"path": "x"})
        await asyncio.Event().wait()

    (response, _), seconds = virtual_time.run(turn_with(slow, play, chat_timeout=5))
    assert isinstance(response.error, agy.AgyTimeoutError)
    assert 105 <= seconds <= 111


class Callable:
    async def __call__(self, tool, args):
        return True


async def test_object_that_can_be_called_is_a_handler():
    _, tool = await turn_with(Callable())
    assert tool.ran == ["x"]


async def test_arguments_that_a_handler_changes_are_its_own():
    async def meddles(tool, args):
        args["path"] = "/etc"
        return True

    _, tool = await turn_with(meddles)
    assert tool.ran == ["x"]


async def test_end_of_the_agent_is_the_end_of_what_it_asks():
    asked = asyncio.Event()

    async def waits(request):
        asked.set()
        await asyncio.Event().wait()

    tool = Tool()
    async with agent_with(calls_the_tool, tools=[tool], ask_user=waits) as agent:
        response = await agent.chat("go")
        await asked.wait()
        await agent.shutdown()
    assert tool.ran == []
    assert [event.state for event in approvals(response)] == ["pending", "cancelled"]
    assert response.event_log[-1].state == "cancelled"


async def test_yes_that_comes_with_the_cancel_is_a_no():
    """What the events tell is what happens: a request that was cancelled lets nothing run."""
    told = []
    loop = asyncio.get_running_loop()

    async def handler(request):
        loop.call_soon(gate.shut)
        return True

    gate = ApprovalGate(handler, timeout=1, emit=lambda event: told.append(event.state))
    decision = await gate(agy.ApprovalRequest(tool="tool"))
    assert (decision.allowed, told) == (False, ["pending", "cancelled"])


async def test_gate_that_is_shut_answers_and_a_cancelled_caller_is_cancelled():
    asked = asyncio.Event()

    async def never(request):
        asked.set()
        await asyncio.Event().wait()

    gate = ApprovalGate(never, timeout=60, emit=lambda _event: None)
    asking = asyncio.ensure_future(gate(agy.ApprovalRequest(tool="delete")))
    await asked.wait()
    gate.shut()
    assert (await asking).allowed is False
    gate.refuses = False
    asked.clear()
    asking = asyncio.ensure_future(gate(agy.ApprovalRequest(tool="delete")))
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
