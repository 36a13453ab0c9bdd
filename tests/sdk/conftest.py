"""What the tests of the seam share: a runtime, and no harness left behind by any of them."""

import asyncio
import gc
import importlib
import os
import time

import pytest

import agy_nb as agy
from agy_nb.sdk.process.harness_process import HarnessProcess
from agy_nb.testing import ScriptedModel
from tests.stalls import Stalls


@pytest.fixture(autouse=True)
def harnesses(monkeypatch):
    """Every harness that this process starts in the test; each must have been waited for."""
    born = []
    take_note = HarnessProcess.attach

    def born_too(self, process):
        born.append(process)
        take_note(self, process)

    monkeypatch.setattr(HarnessProcess, "attach", born_too)
    yield born
    deadline = time.monotonic() + 5
    while any(each.returncode is None for each in born) and time.monotonic() < deadline:
        os.sched_yield()
    assert [each.pid for each in born if each.returncode is None] == []


@pytest.fixture
async def runtime():
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime:
        yield runtime


@pytest.fixture
def told(runtime):
    """One turn of a new agent: the response, the model and the agent; the turn may have failed."""

    async def told(script, prompt="go", *, on=runtime, settings=None, **parts):
        model = ScriptedModel(script)
        async with model:
            agent = await on.create_agent(model.config(**(settings or {})), **parts)
            response = await agent.chat(prompt)
            await response
            await agent.shutdown()
        return response, model, agent

    return told


class Ticker(Stalls):
    """Takes note of our stalls only.

    Not of Python's own collector, which stops any program for as long as its heap is large, nor of
    the import of the SDK: both come once, and neither is ours.
    """

    async def __aenter__(self):
        await asyncio.to_thread(importlib.import_module, "agy_nb.sdk.backend")
        gc.collect()
        gc.disable()
        return await super().__aenter__()

    async def __aexit__(self, *error):
        await super().__aexit__(*error)
        gc.enable()


@pytest.fixture
def ticker():
    """Entered while something must not stall the loop; `longest` is the longest pause."""
    return Ticker()
