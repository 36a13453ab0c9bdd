"""How long the event loop stands still while a real agent starts, chats, is cancelled and stops."""

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, hang, say
from tests.stalls import Stalls

pytestmark = pytest.mark.real


@pytest.mark.benchmark(group="stalls")
def test_no_phase_stalls_the_loop(loop, benchmark, record):
    async def measure() -> dict[str, float]:
        worst: dict[str, float] = {}

        async def phase(name, work):
            async with Stalls() as stalls:
                result = await work
            worst[name] = max(worst.get(name, 0.0), stalls.longest)
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
