"""Every approval ends, in the events of the turn that shows it, whatever ends the turn and when."""

import asyncio
import random

import pytest

from agy_nb.protocol.events import Approval, ApprovalState, Question
from agy_nb.protocol.values import AskedQuestion
from tests.runtime import virtual_time
from tests.runtime.conftest import agent_with

RUNS = 320
MOMENTS = (0.0, 0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
ENDS = ("nothing", "response.cancel", "agent.cancel", "agent.shutdown", "runtime.close", "silence")


async def one_run(seed: int):  # noqa: C901 - one scene, in the order in which it is played
    """A turn that asks several times, from several places, and something that ends it."""
    dice = random.Random(seed)
    end = dice.choice(ENDS)
    stubborn = dice.random() < 0.5

    def tool(path: str) -> str:
        return path

    async def pause():
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)
        await asyncio.sleep(dice.choice(MOMENTS))

    async def handler(_request):
        await pause()
        return dice.random() < 0.5

    async def one_call(turn, number):
        await pause()
        try:
            await turn.call("tool", {"path": str(number)})
        except asyncio.CancelledError:
            if not stubborn:
                raise
            # a harness that was told to halt may still ask about the next call
            await turn.call("tool", {"path": f"late {number}"})

    late = []

    async def play(turn):
        calls = [asyncio.ensure_future(one_call(turn, n)) for n in range(dice.randrange(1, 5))]
        late.extend(calls)
        if dice.random() < 0.3:
            question = Question(
                question_id=f"q{seed}",
                questions=(AskedQuestion(question="Which?"),),
                trajectory=turn.session.root,
            )
            turn.emit(question)
        if dice.random() < 0.3:
            await pause()  # the turn ends while something is still asked
            return
        try:
            await asyncio.gather(*calls)
        finally:
            if stubborn:
                await asyncio.sleep(0.2)

    limits = {"chat_timeout": 0.4} if end == "silence" else {}
    async with agent_with(play, tools=[tool], ask_user=handler, limits=limits) as agent:
        response = await agent.chat("go")
        await pause()
        acts = {
            "response.cancel": response.cancel,
            "agent.cancel": agent.cancel,
            "agent.shutdown": agent.shutdown,
            "runtime.close": agent.runtime.close,
        }
        if end in acts:
            await acts[end]()
        await response.wait()
        await asyncio.gather(*late, return_exceptions=True)
        telemetry = agent.approvals
    return response, telemetry


def pending(response):
    """Approvals of a turn that were never decided."""
    last = {
        event.approval_id: event.state
        for event in response.event_log
        if isinstance(event, Approval)
    }
    return [key for key, state in last.items() if state is ApprovalState.PENDING]


def unanswered(response):
    last = {event.question_id: event for event in response.event_log if isinstance(event, Question)}
    return [key for key, event in last.items() if event.answers is None]


@pytest.mark.parametrize("part", range(8))
@pytest.mark.slow
def test_no_approval_stays_pending(part):
    for seed in range(part, RUNS, 8):
        (response, table), _ = virtual_time.run(one_run(seed))
        assert pending(response) == [], f"seed {seed}"
        assert unanswered(response) == [], f"seed {seed}"
        ends = [event for event in response.event_log if isinstance(event, Approval)]
        decided = [each.approval_id for each in ends if each.state is not ApprovalState.PENDING]
        assert len(decided) == len(set(decided)), f"seed {seed}"
        assert response.event_log[-1].state == response.state
        assert "pending" not in set(table.decision.dropna()), f"seed {seed}"
        assert table.decision.notna().all(), f"seed {seed}"
