"""What scenarios share: a runtime over a model that waits for the world, and what always holds."""

import asyncio
import random
from contextlib import asynccontextmanager

import agy_nb as agy
from agy_nb.protocol.events import Approval, ApprovalState, State, ToolCall, ToolResult, TurnState
from tests.properties.schedules import Scenario
from tests.support.memory import MemoryBackend

SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Have a scenario explored."""
    SCENARIOS[function.__name__] = function
    return function


@asynccontextmanager
async def runtime_in(world, play=None, *, backend=None, **limits):
    """A runtime whose model answers each prompt when the world says so."""
    backend = backend or MemoryBackend(play or answers(world))
    config = agy.RuntimeConfig(**{"chat_pause": 0, "chat_timeout": 30, **limits})
    runtime = agy.Runtime(config, backend=backend)
    runtime._quota._dice = random.Random(0)  # a schedule is a function of its choices
    runtime._started()
    try:
        yield runtime
    finally:
        world.settle()
        await runtime.close()
        await asyncio.sleep(0.01)  # an exit that was given up ends right after
        assert all(session.closed for session in backend.sessions), "a session was left open"
        assert runtime.agent_ids == ()
        left = runtime.statistics()
        assert (left.queued, left.tasks, left.agents) == (0, 0, 0), left


@asynccontextmanager
async def agent_in(world, play=None, *, limits=None, **parts):
    async with runtime_in(world, play, **(limits or {})) as runtime:
        yield await runtime.create_agent({}, **parts)


def answers(world):
    """A model that says the prompt again once the world says so."""

    async def play(turn):
        await world.at(f"the model answers {turn.prompt!r}")
        turn.say(turn.prompt)
        turn.meter()

    return play


async def outcome(awaitable):
    """What it gives, or the error of ours that it raises."""
    try:
        return await awaitable
    except agy.AgyError as error:
        return error


def states(response) -> list[TurnState]:
    return [event.state for event in response.event_log if isinstance(event, State)]


def ended_once(response) -> TurnState:
    """A turn ends once, in a final state, and nothing comes after it but what was on its way."""
    final = {TurnState.DONE, TurnState.CANCELLED, TurnState.FAILED}
    ends = [state for state in states(response) if state in final]
    assert response.done
    assert len(ends) == 1, ends
    assert response.event_log[-1] == State(trajectory=response.root, state=ends[0]), (
        response.event_log
    )
    assert (response.error is None) is (ends[0] is TurnState.DONE)
    return ends[0]


class Tool:
    """Takes note of each time that it runs."""

    __name__ = "tool"

    def __init__(self) -> None:
        self.ran: list[str] = []

    def __call__(self, path: str) -> str:
        self.ran.append(path)
        return "done"


def approvals(response) -> list[Approval]:
    return [event for event in response.event_log if isinstance(event, Approval)]


def approvals_held(tool: Tool, *responses) -> list[ApprovalState]:
    """Each approval is asked, then told once; a tool runs only after a yes. Gives the ends."""
    allowed: list[str] = []
    ends: list[ApprovalState] = []
    for response in responses:
        pending: dict[str, Approval] = {}
        denied = {
            event.call_id
            for event in response.event_log
            if isinstance(event, ToolResult) and event.denied
        }
        for event in response.event_log:
            if isinstance(event, Approval) and event.state is ApprovalState.PENDING:
                assert event.approval_id not in pending
                pending[event.approval_id] = event
            elif isinstance(event, Approval):
                asked = pending.pop(event.approval_id)  # told once, after it was asked
                ends.append(event.state)
                if event.state is ApprovalState.ALLOWED:
                    allowed.append(asked.args["path"])
            elif isinstance(event, ToolCall):
                yes = event.args["path"] in allowed
                assert yes or event.call_id in denied, "called without a yes"
        assert not pending, f"asked and never told: {pending}"
    assert all(path in allowed for path in tool.ran), f"ran without a yes: {tool.ran}, {allowed}"
    return ends
