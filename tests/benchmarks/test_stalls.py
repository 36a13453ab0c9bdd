"""How long the event loop stands still while a real agent starts, chats, is cancelled and stops."""

import asyncio
import time

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, hang, say

pytestmark = pytest.mark.real


class Ticker:
    """Takes note of the longest pause between two turns of the loop."""

    async def __aenter__(self):
        self.longest = 0.0
        self._task = asyncio.create_task(self._tick())
        return self

    async def _tick(self):
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            moment = time.perf_counter()
            self.longest = max(self.longest, moment - last)
            last = moment

    async def __aexit__(self, *_):
        self._task.cancel()


@pytest.mark.benchmark(group="stalls")
def test_no_phase_stalls_the_loop(loop, benchmark, record):
    async def measure() -> dict[str, float]:
        worst: dict[str, float] = {}

        async def phase(name, work):
            async with Ticker() as ticker:
                result = await work
            worst[name] = max(worst.get(name, 0.0), ticker.longest)
            return result

        async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime:
            await runtime.create_agent({"api_key": "warm-up, imports the SDK"})
            for _ in range(5):
                script = [say([f"word{number} " for number in range(500)]), hang("partial")]
                async with ScriptedModel(script) as model:
                    agent = await phase("start", runtime.create_agent(model.config()))
                    await phase("chat", agent.chat_text("hi"))
                    response = await agent.chat("again")
                    async for _piece in response.text_stream():
                        break
                    await phase("cancel", response.cancel())
                    await phase("stop", agent.shutdown())
        return worst

    worst = loop.run(measure())
    benchmark.extra_info.update(worst)
    benchmark.pedantic(lambda: None, rounds=1)
    for name, seconds in worst.items():
        record(f"longest stall: {name}", f"{seconds * 1e3:.1f} ms", "< 50 ms")
