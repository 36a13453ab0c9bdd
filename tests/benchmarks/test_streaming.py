"""A streamed answer through `agent.chat`, against the bare SDK on the same script."""

import gc
import tracemalloc

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, say

CHUNKS = 5_000
ROUNDS = 5

pytestmark = pytest.mark.real


def answer(chunks: int = CHUNKS):
    return say([f"word{number} " for number in range(chunks)])


class Bench:
    """One model, one agent of ours and one of the SDK's on it."""

    async def open(self):
        from google.antigravity import Agent

        self.model = ScriptedModel(lambda _request: answer())
        await self.model.start()
        self.runtime = agy.Runtime(agy.RuntimeConfig(chat_pause=0))
        self.ours = await self.runtime.create_agent(self.model.config())
        self.bare = Agent(self.model.config())
        await self.bare.__aenter__()

    async def close(self):
        await self.bare.__aexit__(None, None, None)
        await self.runtime.close()
        await self.model.stop()

    async def through_ours(self) -> int:
        response = await self.ours.chat("go")
        return sum([len(piece) async for piece in response.text_stream()])

    async def through_the_sdk(self) -> int:
        response = await self.bare.chat("go")
        return sum([len(piece) async for piece in response])


@pytest.fixture
def bench(loop):
    bench = Bench()
    loop.run(bench.open())
    yield bench
    loop.run(bench.close())


@pytest.mark.benchmark(group="streaming 5,000 chunks")
def test_streaming_keeps_up_with_the_sdk(loop, bench, side_by_side, record):
    assert loop.run(bench.through_ours()) == loop.run(bench.through_the_sdk())
    result = side_by_side(
        lambda: loop.run(bench.through_ours()),
        lambda: loop.run(bench.through_the_sdk()),
        ROUNDS,
    )
    record("streaming: our chunks/s over the SDK's", f"{1 / result.ratio:.2f}", ">= 0.9")


@pytest.mark.benchmark(group="memory")
def test_memory_a_chunk_is_near_the_sdks(loop, bench, benchmark, record):
    """What a finished answer keeps, per chunk, beyond what was there before it."""

    def kept(work) -> float:
        loop.run(work())
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        held = loop.run(work())
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del held
        return (after - before) / CHUNKS

    async def ours():
        response = await bench.ours.chat("go")
        await response
        return response

    async def the_sdks():
        response = await bench.bare.chat("go")
        await response.text()
        return response

    mine, theirs = kept(ours), kept(the_sdks)
    benchmark.extra_info["ratio"] = mine / theirs
    benchmark.pedantic(lambda: None, rounds=1)
    record(
        "memory per chunk: ours over the SDK's",
        f"{mine / theirs:.2f} ({mine:,.0f} / {theirs:,.0f} bytes)",
        "<= 1.2",
    )
