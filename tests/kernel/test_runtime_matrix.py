"""The runtime on a backend in memory in real kernels: approvals by click, interrupts, the queue."""

import pytest

pytestmark = [pytest.mark.kernel_matrix, pytest.mark.alone]

SETUP = """
import agy_nb as agy
from agy_nb.testing.memory import MemoryBackend

ran = []

def tool(path: str) -> str:
    ran.append(path)
    return "done"

async def play(turn):
    turn.say("partial ")
    if "hang" in turn.prompt:
        await asyncio.Event().wait()
    await turn.call("tool", {"path": "x"})
    turn.say("end")

class Clicks:
    "An approval by button, as a widget does it."

    async def __call__(self, request):
        answer = K.main_loop().create_future()
        button = ipywidgets.Button()
        button.on_click(
            lambda _: K.main_loop().call_soon_threadsafe(
                lambda: answer.done() or answer.set_result(True)
            )
        )
        print(f"READY {button.model_id}", flush=True)
        return await answer

runtime = agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend(play))
agent = await runtime.create_agent({}, tools=[tool], ask_user=Clicks())
"""


@pytest.fixture
def cell(kernel):
    kernel.do(SETUP)
    yield kernel
    kernel.do("await runtime.close()")


@pytest.mark.parametrize("code", ["await agent.chat_text('go')", "agent.sync.chat_text('go')"])
def test_approval_is_clicked_while_the_cell_runs(cell, code):
    running = cell.send(f"print({code}, ran)")
    queued = cell.send("print('after')")
    cell.click(cell.ready(running))
    assert cell.reply(running)["status"] == "ok"
    assert cell.reply(queued)["status"] == "ok"
    assert "partial end ['x']" in cell.text(running)
    assert cell.order(running, queued) == [running, queued]


@pytest.mark.parametrize("code", ["await response.text()", "agy.run(response.text())"])
def test_interrupt_denies_and_cancels(cell, code):
    running = cell.send(f"response = await agent.chat('go')\n{code}")
    cell.ready(running)
    cell.interrupt()
    assert cell.reply(running)["status"] == "error"
    said = cell.do("await response; print(response.state, response.partial_text, ran)")
    assert said.split() == ["cancelled", "partial", "[]"]
    assert cell.do("print(await agent.is_idle())").strip() == "True"


def test_interrupt_just_before_a_cell_blocks_is_not_lost(cell):
    running = cell.send("""
import os, signal
response = await agent.chat('hang')
async for _ in response.text_stream(): break
os.kill(os.getpid(), signal.SIGINT)
agy.run(response.text())
""")
    assert cell.reply(running)["status"] == "error"
    assert "cancelled" in cell.do("await response; print(response.state)")


def test_background_turn_is_clicked_with_no_cell_running(cell):
    started = cell.send(
        "response = await agent.chat('go')\nasync for _ in response.thoughts: break"
    )
    cell.click(cell.ready(started))
    cell.reply(started)
    assert cell.do("print(await response.text(), ran)").strip() == "partial end ['x']"


def test_interrupt_of_an_idle_kernel_cancels_the_background_turn(cell):
    cell.do("response = await agent.chat('hang')\nasync for _ in response.text_stream(): break")
    cell.interrupt()
    assert "cancelled" in cell.do("await response; print(response.state)")
