"""Whoever is asked about a tool call of a harness that is gone is not asked any longer."""

import asyncio
import os
import signal

import pytest

import agy_nb as agy
from agy_nb.protocol.events import Approval, ApprovalState
from agy_nb.testing import FaultProxy, ScriptedModel, call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


def work() -> str:
    """Work."""
    return "worked"


async def test_approval_of_a_harness_that_is_gone_is_withdrawn():
    asked, withdrawn = asyncio.Event(), asyncio.Event()

    async def nobody_there(_request):
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            withdrawn.set()

    limits = agy.RuntimeConfig(chat_pause=0)
    async with (
        ScriptedModel([call("work"), say("next")]) as model,
        FaultProxy() as proxy,
        agy.Runtime(limits) as runtime,
    ):
        agent = await runtime.create_agent(model.config(), tools=[work], ask_user=nobody_there)
        response = await agent.chat("go")
        await asked.wait()
        os.kill(proxy.connections[0].process.pid, signal.SIGKILL)
        with pytest.raises(agy.HarnessError):
            await response.text()
        await asyncio.wait_for(withdrawn.wait(), 10)
        states = [event.state for event in response.event_log if isinstance(event, Approval)]
        assert states == [ApprovalState.PENDING, ApprovalState.CANCELLED]
        assert await agent.chat_text("again") == "next"
