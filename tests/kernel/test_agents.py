"""Real agents on the real SDK and harness in a real kernel: what a cell and the stop square do."""

import sys
import time
from pathlib import Path

import pytest

from tests.kernel.conftest import Driver, in_subshell

pytestmark = [pytest.mark.real, pytest.mark.slow]

START = """
import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, hang, say

async def start(script, **parts):
    model = ScriptedModel(script)
    await model.start()
    agent = await agy.create_agent(model.config(), **parts)
    return model, agent
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    driver = Driver(Path(sys.executable), tmp_path_factory.mktemp("agents"), START)
    yield driver
    driver.close()


@pytest.fixture
def cell(shared):
    shared.seen.clear()
    return shared


def interrupted(cell: Driver, running: str) -> float:
    """Interrupt a cell once it says READY; give the seconds to its reply."""
    cell.says(running, "READY")
    began = time.monotonic()
    cell.interrupt()
    assert cell.reply(running)["status"] == "error"
    return time.monotonic() - began


def test_chat_streams_into_an_await_cell(cell):
    assert "Hello world" in cell.do("""
model, agent = await start([say(["Hello", " ", "world"])])
async for piece in (await agent.chat("hi")).text_stream():
    print(piece, end="", flush=True)
""")


def test_chat_blocks_a_sync_cell(cell):
    cell.do("model, agent = await start([say('Hello')])")
    assert "Hello" in cell.do("print(agent.sync.chat_text('hi'), agent.sync.turn_count())")


@pytest.mark.parametrize(
    "wait", ["await response.text()", "agy.run(response.text())", "async for _ in response: pass"]
)
def test_interrupt_cancels_the_turn_and_keeps_the_agent(cell, wait):
    running = cell.send(f"""
import asyncio
model, agent = await start([hang("partial"), say("next")])
response = await agent.chat("hi")
async for piece in response.text_stream():
    break
tasks = asyncio.all_tasks()
print("READY", flush=True)
{wait}
""")
    assert interrupted(cell, running) < 1
    assert cell.do("await response; print(response.state, response.partial_text)").split() == [
        "cancelled",
        "partial",
    ]
    assert "next" in cell.do("print(await agent.chat_text('again'))")


def test_display_that_is_interrupted_leaves_the_next_cell_alone(cell):
    failed = cell.send("""
import asyncio
class Interrupted:
    def _ipython_display_(self):
        raise KeyboardInterrupt
await asyncio.sleep(0)
Interrupted()
""")
    assert cell.reply(failed)["status"] == "error"
    assert cell.do("await asyncio.sleep(0); print('next')").strip() == "next"


def test_interrupt_of_an_idle_kernel_cancels_a_background_turn(cell):
    cell.do("""
model, agent = await start([hang("partial"), say("next")])
response = await agent.chat("hi")
async for piece in response.text_stream():
    break
""")
    began = time.monotonic()
    cell.interrupt()
    assert "cancelled partial" in cell.do(
        "await asyncio.wait_for(response.wait(), 5); print(response.state, response.partial_text)"
    )
    assert time.monotonic() - began < 1
    assert "next" in cell.do("print(await agent.chat_text('again'))")


def test_interrupt_leaves_another_agents_background_turn_alone(cell):
    running = cell.send("""
model, agent = await start([hang("mine")])
other_model, other = await start([hang("other")])
theirs = await other.chat("hi")
async for piece in theirs.text_stream():
    break
response = await agent.chat("hi")
async for piece in response.text_stream():
    break
del piece
print("READY", flush=True)
await response.text()
""")
    interrupted(cell, running)
    assert "cancelled running" in cell.do("await response; print(response.state, theirs.state)")
    cell.do("await theirs.cancel()")


def test_runtime_survives_running_a_cell_again(cell):
    first = cell.do("rt = agy.runtime(); print(id(rt))")
    assert first == cell.do("rt = agy.runtime(); print(id(rt))")


def test_kernel_shutdown_leaves_no_harness(tmp_path):
    driver = Driver(Path(sys.executable), tmp_path, START)
    try:
        pid = int(
            driver.do("""
model, agent = await start([say("Hello")])
print(agent._state.session._harness._harness_process.pid)
""")
        )
        assert Path(f"/proc/{pid}").exists()
        driver.client.shutdown()
        driver.manager.provisioner.process.wait(20)
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            driver.receive(0.05)
        assert not Path(f"/proc/{pid}").exists()
    finally:
        driver.close()


def test_what_a_tool_and_a_handler_print_goes_to_the_cell_of_the_chat(cell):
    cell.do("""
def tool(city: str) -> str:
    "Weather of a city."
    print("TOOL", city)
    return "sunny"

def decide(request):
    print("ASKED", request.tool)
    return True

model, agent = await start(
    [call("tool", city="Oslo"), say("Sunny")], tools=[tool], ask_user=decide
)
""")
    assert cell.do("print(await agent.chat_text('hi'))").split() == [
        *("ASKED", "tool", "TOOL", "Oslo", "Sunny")
    ]


def test_two_kernels_at_once_do_not_meet(cell, tmp_path):
    other = Driver(Path(sys.executable), tmp_path, START)
    try:
        cell.do("model, agent = await start([say('first')])")
        other.do("model, agent = await start([say('second')])")
        here = cell.send("print(agent.id, await agent.chat_text('hi'))")
        there = other.send("print(agent.id, await agent.chat_text('hi'))")
        assert cell.reply(here)["status"] == other.reply(there)["status"] == "ok"
        assert "first" in cell.text(here)
        assert other.text(there).split() == ["1", "second"]
    finally:
        other.close()


def test_agent_that_a_subshell_makes_first_is_the_main_shells_too(tmp_path):
    driver = Driver(Path(sys.executable), tmp_path, START)
    try:
        subshell = driver.new_subshell()
        made = in_subshell(
            driver,
            "model, agent = await start([say('first'), say('second'), say('third')])\n"
            "print(await agent.chat_text('hi'))\n"
            "print(agent._state.session._harness._harness_process.pid)",
            subshell,
        )
        assert driver.reply(made, patience=60)["status"] == "ok"
        first, pid = driver.text(made).split()
        assert first == "first"
        assert driver.do("print(await agent.chat_text('hi'), agent.sync.chat_text('hi'))") == (
            "second third\n"
        )
        driver.do("await agy.runtime().close()")
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            driver.receive(0.05)
        assert not Path(f"/proc/{pid}").exists()
    finally:
        driver.close()
