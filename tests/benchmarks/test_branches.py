"""What checkpoints cost per turn, and a fork against sending the prompts again."""

import statistics
import time

import pytest

import agy_nb as agy
from agy_nb.runtime.agent_state import AgentState
from agy_nb.testing import ScriptedModel, call, say

pytestmark = pytest.mark.real

TURNS = 100
FORKS = 10


class Timed:
    """Awaits something, and counts the seconds in which it holds the loop."""

    def __init__(self, work):
        self.on_loop = 0.0
        self._work = work

    def __await__(self):
        steps = self._work.__await__()
        while True:
            began = time.perf_counter()
            try:
                waits_for = steps.send(None)
            except StopIteration as end:
                return end.value
            finally:
                self.on_loop += time.perf_counter() - began
            yield waits_for


def look_up(city: str) -> str:
    """Look up a city."""
    return f"{city} is large. " * 10


def answer(request):
    """Use the tool in every third turn, as often as not with a long answer."""
    if request.number % 4 == 1:
        return call("look_up", city="Rome")
    return say("A sentence of an answer. " * (request.number % 20))


async def converse(runtime, config) -> tuple[agy.Agent, float]:
    agent = await runtime.create_agent(config, tools=[look_up])
    began = time.perf_counter()
    for number in range(TURNS):
        await agent.chat_text(f"prompt {number}: " + "tell me more " * 5)
    await agent.wait_for_idle()
    return agent, time.perf_counter() - began


def test_checkpoints_and_forks(loop, benchmark, record, monkeypatch):
    keep, times = AgentState.keep_checkpoint, []

    async def timed(self, response):
        began, work = time.perf_counter(), Timed(keep(self, response))
        await work
        times.append((work.on_loop, time.perf_counter() - began))

    async def measure():
        config = agy.RuntimeConfig(chat_pause=0, checkpoints="all")
        async with ScriptedModel(answer) as model, agy.Runtime(config) as runtime:
            agent, again = await converse(runtime, model.config())
            size = agent._state.checkpoints.size
            forks = []
            for number in range(FORKS):
                began = time.perf_counter()
                fork = await agent.fork(TURNS - number)
                forks.append(time.perf_counter() - began)
                await fork.shutdown()
            return again, size, statistics.median(forks)

    monkeypatch.setattr(AgentState, "keep_checkpoint", timed)
    again, size, fork = loop.run(measure())
    on_loop = statistics.median(each for each, _ in times)
    in_all = statistics.median(each for _, each in times)
    benchmark.extra_info.update(size=size, fork=fork, on_loop=on_loop)
    benchmark.pedantic(lambda: None, rounds=1)
    longest = max(each for each, _ in times)
    record(
        "checkpoint per turn: time on the loop, median and longest",
        f"{on_loop * 1e3:.2f} ms, {longest * 1e3:.2f} ms",
        "< 2 ms",
    )
    record("checkpoint per turn: in all", f"{in_all * 1e3:.1f} ms", "-")
    record(
        f"checkpoints of {TURNS} turns with tools on disk",
        f"{size / 1e6:.1f} MB ({size / TURNS / 1e3:.0f} kB per turn)",
        "< 20 MB",
    )
    record(
        f"fork after {TURNS} turns, against sending the prompts again",
        f"{fork:.2f} s, {again / fork:.0f} times as fast",
        "-",
    )
