"""Agents that come and go, with the real SDK and its harness: nothing of those that went is held.

AGY_SOAK=1 (`make soak`) has twenty agents take five thousand turns.
"""

import asyncio
import gc
import itertools
import os
import time

import pytest

import agy_nb as agy
from agy_nb.analysis.builders.live_tables import LiveTables
from agy_nb.testing import ScriptedModel, call, fail, say
from tests.endurance.gauges import Log, children

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.blocking_allowed,  # the SDK looks for its binary on the loop
]

MAX_ROWS = 60
WAYS = ("shutdown", "disconnect", "delete", "drop")
THREADS = min(32, (os.cpu_count() or 1) + 4)
"""As many as the loop's executor has at the most."""


def look(place: str) -> str:
    """Look at a place."""
    return f"nothing at {place}"


def answer(request):
    """A model that looks once and answers; now and then it fails."""
    prompt = request.user_text
    if "fail" in prompt:
        return fail(400, "no")
    if "look" in prompt and not request.tool_results:
        return call("look", place="here")
    return say(["It is ", "so."])


class Pool:
    """Agents of one runtime, the oldest first."""

    def __init__(self, runtime, model):
        self.runtime = runtime
        self.model = model
        self.agents = []
        self.turns = 0
        self.ways = itertools.cycle(WAYS)

    async def fill(self, size):
        self.agents += await asyncio.gather(
            *(
                self.runtime.create_agent(
                    self.model.config(), tools=[look], ask_user=lambda request: True
                )
                for _ in range(size - len(self.agents))
            )
        )

    async def all_chat(self, times):
        await asyncio.gather(*(self.one_chats(agent, times) for agent in self.agents))

    async def one_chats(self, agent, times):
        for number in range(times):
            self.turns += 1
            kind = ("say", "look", "say", "fail", "cancel")[(self.turns + number) % 5]
            response = await agent.chat(f"{kind} {self.turns}")
            if kind == "cancel":
                await response.cancel()
            elif kind == "fail":
                with pytest.raises(agy.BackendError):
                    await response.text()
            else:
                assert await response.text() == "It is so."

    async def some_leave(self, count):
        """The oldest go, each in another way."""
        left, self.agents = self.agents[:count], self.agents[count:]
        while left:
            agent = left.pop()
            way = next(self.ways)
            if way == "drop":
                del agent
            else:
                await getattr(agent, way)()
        gc.collect()
        async with asyncio.timeout(30):
            while len(self.runtime.agent_ids) > len(self.agents):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def come_and_go(*, agents, leaving, times, rounds):
    """Rounds of turns; gives what was measured after each."""
    log, others = Log(), set(children())
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.05) for _ in range(THREADS * 2)))
    config = agy.RuntimeConfig(chat_pause=0)
    telemetry = LiveTables(max_rows=MAX_ROWS)
    await asyncio.to_thread(lambda: telemetry.tables().turns)  # loads pandas
    async with ScriptedModel(answer, keep_requests=10) as model:
        async with agy.Runtime(config, telemetry=telemetry) as runtime:
            pool = Pool(runtime, model)
            for _ in range(rounds):
                await pool.fill(agents)
                await pool.all_chat(times)
                await model_is_quiet(model)
                log.take(pool.turns)
                print(log.samples[-1], flush=True)
                assert log.samples[-1].processes >= agents
                await pool.some_leave(leaving)
            del pool
        assert set(children()) <= others
        turns = await asyncio.to_thread(lambda: telemetry.tables().turns)
        assert len(turns) <= MAX_ROWS + agents
    print(log.report())
    return log


async def model_is_quiet(model):
    """Calls that were cancelled are over for the model, too."""
    async with asyncio.timeout(30):
        while model.statistics().active:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.timeout(300)
async def test_agents_that_come_and_go_leave_nothing_behind():
    log = await come_and_go(agents=4, leaving=2, times=1, rounds=9)
    assert log.samples[-1].turns == 36
    flat(log)


@pytest.mark.skipif(not os.environ.get("AGY_SOAK"), reason="takes ten minutes; make soak")
@pytest.mark.timeout(3600)
async def test_five_thousand_turns_leave_nothing_behind():
    log = await come_and_go(agents=20, leaving=4, times=5, rounds=50)
    assert log.samples[-1].turns == 5_000
    flat(log)
    assert log.slope("memory").at_most < 4, log.report()  # it goes up and down by megabytes
    assert log.slope("blocks").at_most < 2, log.report()


CHANCE = {"threads": 0, "descriptors": 1, "processes": 0, "tasks": 2}
"""Of a connection that a harness keeps to the model for its next request, or does not."""


def flat(log):
    """Hardly a round has more than the ones before had at the most: what is held never goes."""
    late = log.samples[len(log.samples) // 3 :]
    half = len(late) // 2
    for gauge, chance in CHANCE.items():
        counts = [getattr(each, gauge) for each in late]
        assert min(counts[half:]) <= max(counts[:half]) + chance, log.report()
