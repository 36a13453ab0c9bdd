"""An event loop that is closed while a turn runs: errors name that as the cause."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow]

PROGRAM = """
import asyncio, logging
import agy_nb as agy
from agy_nb.testing import ScriptedModel, hang, say

logging.disable(logging.CRITICAL)

async def start():
    model = await ScriptedModel([say("One, ") + hang()]).start()
    runtime = agy.Runtime(agy.RuntimeConfig(chat_pause=0))
    agent = await runtime.create_agent(model.config())
    response = await agent.chat("Count")
    async for _ in response.text_stream():
        break
    return model, runtime, agent, response

loop = asyncio.new_event_loop()
model, runtime, agent, response = loop.run_until_complete(start())
loop.close()
for call in (lambda: agent.chat_text("x"), response.text, runtime.close):
    try:
        asyncio.run(call())
    except agy.WrongLoopError as error:
        print("closed:", "was closed" in str(error) and "loop.close()" in str(error))
print(response.partial_text)
"""


def test_closed_loop_is_named_as_the_cause():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == ["closed: True"] * 3 + ["One, "], done.stderr
