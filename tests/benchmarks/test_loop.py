"""The command loop on the backend in memory: queries under load, and how it scales."""

import asyncio
import statistics
import time

import pytest

import agy_nb as agy
from tests.support.memory import MemoryBackend

CHATS = 50
CHUNK_PAUSE_S = 0.01  # 100 chunks a second from each model
QUERIES = 400
FAST = agy.RuntimeConfig(chat_pause=0, channel_capacity=1_000)


async def endless(turn):
    while True:
        turn.say("word ")
        await asyncio.sleep(CHUNK_PAUSE_S)


async def query_times(agent) -> list[float]:
    times = []
    for _ in range(QUERIES):
        began = time.perf_counter()
        await agent.turn_count()
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.002)
    return times


@pytest.mark.benchmark(group="query")
def test_query_does_not_wait_for_chats(loop, benchmark, record):
    async def measure():
        async with agy.Runtime(FAST, backend=MemoryBackend(endless)) as runtime:
            agents = [await runtime.create_agent({}) for _ in range(CHATS)]
            idle = await query_times(agents[0])
            for agent in agents:
                await agent.chat("go")
            return idle, await query_times(agents[0])

    idle, busy = loop.run(measure())
    ratio = statistics.median(busy) / statistics.median(idle)
    benchmark.extra_info["ratio"] = ratio
    benchmark.pedantic(lambda: None, rounds=1)
    record(
        f"query's round trip while {CHATS} chats stream",
        f"{statistics.median(busy) * 1e3:.3f} ms, {ratio:.2f} x idle",
        "< 1 ms, <= 2 x idle",
    )


def chats_at_once(agents: int, chunks: int = 200):
    async def play(turn):
        for _ in range(chunks):
            turn.say("word ")
            await asyncio.sleep(0)
        turn.meter()

    async def run() -> float:
        async with agy.Runtime(FAST, backend=MemoryBackend(play)) as runtime:
            handles = [await runtime.create_agent({}) for _ in range(agents)]
            began = time.perf_counter()
            for response in [await handle.chat("go") for handle in handles]:
                await response.text()
            return agents * chunks / (time.perf_counter() - began)

    return run


@pytest.mark.benchmark(group="scaling")
def test_throughput_does_not_fall_with_agents(loop, benchmark, record):
    rates = {agents: loop.run(chats_at_once(agents)()) for agents in (1, 10, 100)}
    benchmark.extra_info["ratio"] = rates[100] / rates[1]
    benchmark.pedantic(lambda: loop.run(chats_at_once(100)()), rounds=3)
    record(
        "throughput with 100 agents over that with 1",
        f"{rates[100] / rates[1]:.2f} ({rates[100]:,.0f} chunks/s)",
        ">= 1",
    )


def turns_in_a_row(turns: int):
    async def run() -> float:
        async with agy.Runtime(FAST, backend=MemoryBackend()) as runtime:
            agent = await runtime.create_agent({})
            began = time.perf_counter()
            for _ in range(turns):
                await agent.chat_text("one two three")
            return (time.perf_counter() - began) / turns

    return run


@pytest.mark.benchmark(group="scaling")
def test_a_turn_costs_the_same_after_ten_thousand(loop, benchmark, record):
    costs = {turns: loop.run(turns_in_a_row(turns)()) for turns in (10, 100, 1_000, 10_000)}
    benchmark.extra_info["ratio"] = costs[10_000] / costs[100]
    benchmark.pedantic(lambda: loop.run(turns_in_a_row(100)()), rounds=3)
    record(
        "a turn's time at 10,000 turns over that at 100",
        f"{costs[10_000] / costs[100]:.2f} ({costs[10_000] * 1e6:,.0f} us per turn)",
        "about 1",
    )
