"""Comparisons in a real kernel: shown once per cell, and an interrupt keeps the results."""

import sys
from pathlib import Path

import pytest

from tests.kernel.conftest import Driver

pytestmark = [pytest.mark.real, pytest.mark.slow]

START = """
import agy_nb as agy
from agy_nb.testing import ScriptedModel, hang, say
model = await ScriptedModel(lambda r: hang("so far") if r.user_text == "slow" else say("x")).start()
rt = agy.Runtime(agy.RuntimeConfig(chat_pause=0))
options = {"base": model.config(), "runtime": rt, "concurrency": 1}
"""


@pytest.fixture
def kernel(tmp_path):
    driver = Driver(Path(sys.executable), tmp_path, START)
    yield driver
    driver.close()


def displayed(kernel, cell):
    """The HTML that a cell displays, without the updates."""
    return [
        message["content"]["data"]["text/html"]
        for _, message in kernel.seen
        if message["header"]["msg_type"] == "display_data"
        and message["parent_header"].get("msg_id") == cell
        and "text/html" in message["content"]["data"]
    ]


def test_a_cell_shows_a_comparison_once(kernel):
    cell = kernel.send("await agy.compare_runs(['one'], {'a': {}, 'b': {}}, **options)")
    assert kernel.reply(cell)["status"] == "ok"
    assert len(displayed(kernel, cell)) == 1
    again = kernel.send("found = await agy.compare_runs(['one'], {'a': {}}, **options)")
    kernel.reply(again)
    assert len(displayed(kernel, again)) == 1
    other = kernel.send("found")
    kernel.reply(other)
    assert len(displayed(kernel, other)) == 1
    silent = kernel.send(
        "quiet = await agy.compare_runs(['one'], {'a': {}}, progress=False, **options)"
    )
    kernel.reply(silent)
    assert displayed(kernel, silent) == []


def test_an_interrupt_keeps_the_results_and_stops_the_agents(kernel):
    kernel.do(
        """
import asyncio
async def tell():
    await model.requested(2)
    print("slow was asked")
found = agy.compare_runs(["quick", "slow", "third"], {"a": {}}, **options)
"""
    )
    cell = kernel.send("telling = asyncio.ensure_future(tell())\nawait found")
    kernel.says(cell, "slow was asked")
    kernel.interrupt()
    assert kernel.reply(cell)["status"] == "error"
    assert kernel.do("print(found.table.status.tolist(), rt.agent_ids)").strip() == (
        "['ok', 'not run', 'not run'] ()"
    )
    assert "interrupted" in kernel.do("print(found.table.error[1])")
