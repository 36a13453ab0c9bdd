"""Agents start and end whatever the user's code does with the loop's threads."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


@pytest.fixture
async def blocked():
    """The loop's only thread, and a tool that blocks it: when it does, and when it may go on."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
    blocks, may_go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> str:
        """Work for a minute."""
        loop.call_soon_threadsafe(blocks.set)
        may_go_on.wait(60)
        return "worked"

    yield work, blocks
    may_go_on.set()


SOON = agy.RuntimeConfig(chat_pause=0, start_timeout=8)
"""Less than it takes to give up on a name that no thread is left to look up."""


async def test_tool_that_blocks_the_only_thread_keeps_no_agent_from_starting_and_ending(blocked):
    work, blocks = blocked
    script = {"block": [call("work")], "": lambda _request: say("fine")}
    async with (
        ScriptedModel(script) as model,
        agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
        agy.Runtime(SOON) as other_runtime,
    ):
        first = await runtime.create_agent(model.config(), tools=[work])
        response = await first.chat("block")
        await blocks.wait()
        async with asyncio.timeout(20):
            other = await other_runtime.create_agent(model.config())
            assert await other.chat_text("go") == "fine"
            await other.shutdown()
            await first.shutdown()
        assert isinstance(response.error, agy.ChannelClosedError)
