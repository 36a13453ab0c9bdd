"""A working day in virtual time: the runtime holds no more at its end than in its second hour."""

import asyncio
import gc
import random
import weakref
from collections import Counter

import pytest

import agy_nb as agy
from agy_nb.analysis.builders.live_tables import LiveTables
from tests.endurance.gauges import Log
from tests.runtime.virtual_time import run
from tests.support.memory import MemoryBackend

SHIFT_S = 20 * 60
SHIFTS = 21
USERS = 4
MAX_ROWS = 60
KINDS = ("say", "say", "say", "tool", "ask", "fail", "spent", "hang", "unmetered")


class Forgetful(MemoryBackend):
    """Keeps only the sessions that are open."""

    async def open(self, spec, sink, gate):
        session = await super().open(spec, sink, gate)
        self.sessions[:] = [each for each in self.sessions if not each.closed]
        return session


class Day:
    """What users, the model and the clock do; `tally` counts what came of it."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.tally = Counter()
        self.tried = set()
        self.handles = weakref.WeakSet()

    async def play(self, turn):
        kind, _, number = turn.prompt.partition(" ")
        turn.think("let me see ")
        await asyncio.sleep(self.dice.uniform(1, 20))
        if kind == "fail":
            raise agy.BackendError("the model failed")
        if kind == "spent" and number not in self.tried:
            self.tried.add(number)
            self.tally["tried again"] += 1
            raise agy.QuotaExceededError(5.0)
        self.tried.discard(number)
        if kind == "hang":
            await asyncio.Event().wait()
        if kind in ("tool", "unmetered"):
            await turn.call("look", {"place": number})
        if kind == "ask":
            await turn.call("remove", {"place": number})
        for word in ("It", "is", "so."):
            turn.say(word + " ")
            await asyncio.sleep(self.dice.uniform(0, 2))
        if kind != "unmetered":
            turn.meter()

    def look(self, place: str) -> str:
        return place

    def remove(self, place: str) -> str:
        return place

    async def decide(self, request):
        await asyncio.sleep(self.dice.uniform(1, 8))
        return self.dice.random() < 0.7

    async def ask(self, request):
        if request.tool == "look":
            return True
        if self.dice.random() < 0.1:
            await asyncio.Event().wait()  # nobody looks
        return await self.decide(request)

    async def new_agent(self, runtime):
        agent = await runtime.create_agent(
            {"api_key": f"key-{self.dice.randrange(1_000)}"},
            tools=[self.look, self.remove],
            ask_user=self.ask,
        )
        self.handles.add(agent)
        self.tally["agents"] += 1
        return agent

    async def one_turn(self, agent):
        self.tally["turns"] += 1
        kind = self.dice.choice(KINDS)
        response = await agent.chat(f"{kind} {self.tally['turns']}")
        if self.dice.random() < 0.05:
            await asyncio.sleep(self.dice.uniform(0, 10))
            await response.cancel()
        try:
            await response.text()
        except agy.AgyError as error:
            self.tally[type(error).__name__] += 1
        else:
            self.tally["answers"] += 1
        assert response.done

    async def one_user(self, runtime, end):
        """Agents, one after the other; each ends in another way."""
        loop = asyncio.get_running_loop()
        while loop.time() < end:
            agent = await self.new_agent(runtime)
            for _ in range(self.dice.randint(1, 12)):
                await self.one_turn(agent)
                await asyncio.sleep(self.dice.expovariate(1 / 5))
                if self.dice.random() < 0.2:
                    await agent.wait_for_wakeup(self.dice.uniform(0, 3))
                    await agent.wait_for_idle()
            way = self.dice.choice(["shutdown", "disconnect", "delete", "drop", "mid-turn"])
            if way == "mid-turn":
                await agent.send("hang 0")
                await agent.shutdown()
            elif way != "drop":
                await getattr(agent, way)()
            del agent  # a handle that is dropped ends its agent too

    async def the_regular(self, runtime):
        """An agent of the whole day, with a person who starts afresh now and then."""
        agent = await self.new_agent(runtime)
        while True:
            await self.one_turn(agent)
            await asyncio.sleep(20)
            if self.dice.random() < 0.1:
                await agent.clear_history()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_eight_hours_leave_nothing_behind():
    day, log = Day(seed=8), Log()
    telemetry = LiveTables(max_rows=MAX_ROWS)
    config = agy.RuntimeConfig(
        chat_timeout=60, approval_timeout=30, max_quota_retries=1, max_quota_keys=10
    )

    async def through_the_day():
        async with agy.Runtime(config, backend=Forgetful(day.play), telemetry=telemetry) as runtime:
            regular = asyncio.create_task(day.the_regular(runtime))
            for shift in range(1, SHIFTS + 1):
                end = asyncio.get_running_loop().time() + SHIFT_S
                await asyncio.gather(*(day.one_user(runtime, end) for _ in range(USERS)))
                gc.collect()
                await asyncio.sleep(10)  # handles that were dropped
                telemetry._catch_up()  # events that wait to become rows are no growth
                log.take(day.tally["turns"])
                assert len(runtime.agent_ids) == 1, "only the regular one is left"
                assert len(day.handles) == 1, "nobody holds the handle of an agent that is gone"
                assert runtime.statistics().queued == 0
                assert len(runtime._quota) <= config.max_quota_keys
                if shift == 1:
                    assert_books_are_bounded(telemetry)  # pandas is loaded by this
            regular.cancel()
            await asyncio.wait([regular])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _, seconds = run(through_the_day())
    print(f"{seconds / 3600:.1f} h, {dict(day.tally)}\n{log.report()}")
    assert seconds >= 8 * 3600
    assert day.tally["turns"] > 3_000
    assert day.tally["agents"] > 400
    ends = ("answers", "BackendError", "AgyTimeoutError", "TurnCancelledError", "tried again")
    assert min(day.tally[end] for end in ends) > 100, day.tally
    assert_books_are_bounded(telemetry)
    assert log.slope("blocks").at_most < 0.5, log.report()
    assert log.slope("objects").at_most < 0.25, log.report()
    for gauge in ("threads", "descriptors"):
        assert len({getattr(each, gauge) for each in log.samples}) == 1, log.report()
    assert max(each.tasks for each in log.samples) <= 6, log.report()


def assert_books_are_bounded(telemetry):
    tables = telemetry.tables()
    for name in ("turns", "steps", "tool_calls", "messages", "model_calls", "approvals", "agents"):
        assert 0 < len(getattr(tables, name)) <= MAX_ROWS + USERS + 1, name
    assert "rows_dropped" in set(tables.problems.problem)
