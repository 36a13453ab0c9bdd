"""The runtime on a backend in memory in real kernels: approvals by click, interrupts, the queue."""

import pytest

from tests.kernel.conftest import also_on_the_first_7, in_subshell, subshell_of

pytestmark = pytest.mark.kernel_matrix

SETUP = """
import agy_nb as agy
from support.memory import MemoryBackend

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


SUBSHELL = """
import agy_nb as agy, asyncio
from agy_nb.runtime import default_runtime as default
from support.memory import MemoryBackend

async def play(turn):
    turn.say("partial ")
    if "hang" in turn.prompt:
        await asyncio.Event().wait()
    if "wait" in turn.prompt:
        await asyncio.sleep(0.2)
    turn.say("end")

def use_memory():
    runtime = agy.runtime(agy.RuntimeConfig(chat_pause=0))
    runtime._backend = MemoryBackend(play)
    return runtime
"""


@pytest.fixture
def asked_in_a_subshell(kernel, env):
    """A kernel whose runtime was first asked for in a subshell, and that subshell."""
    subshell = subshell_of(kernel, env)
    kernel.do(SUBSHELL)
    made = in_subshell(
        kernel,
        "runtime = use_memory()\nagent = await agy.create_agent({})\n"
        "print(runtime.loop is K.main_loop(), asyncio.get_running_loop() is K.main_loop())",
        subshell,
    )
    assert kernel.reply(made)["status"] == "ok"
    assert kernel.text(made) == "True False\n"
    yield kernel, subshell
    kernel.do("await agy.runtime().close()")


@also_on_the_first_7
def test_runtime_that_a_subshell_asks_for_first_is_the_main_shells(asked_in_a_subshell):
    kernel, subshell = asked_in_a_subshell
    assert kernel.do("print(agy.runtime() is runtime, await agent.chat_text('go'))") == (
        "True partial end\n"
    )
    assert kernel.do("print(agent.sync.chat_text('go'))") == "partial end\n"
    cell = in_subshell(
        kernel,
        "response = await agent.chat('wait')\n"
        "print([piece async for piece in response.text_stream()], agy.runtime() is runtime)\n"
        "print(await agent.turn_count(), agent.sync.chat_text('go'), await response.text())",
        subshell,
    )
    assert kernel.reply(cell)["status"] == "ok"
    assert kernel.text(cell) == "['partial ', 'end'] True\n3 partial end partial end\n"


def test_what_is_cancelled_in_a_subshell_is_cancelled(asked_in_a_subshell):
    kernel, subshell = asked_in_a_subshell
    cell = in_subshell(
        kernel,
        "async def cancelled(work):\n"
        "    try:\n"
        "        await asyncio.wait_for(work, 0.2)\n"
        "    except (TimeoutError, asyncio.TimeoutError):\n"
        "        return agent.latest.state, await agent.is_idle()\n"
        "print(*await cancelled(agent.chat_text('hang')))\n"
        "response = await agent.chat('hang')\n"
        "async for _ in response.text_stream(): break\n"
        "await response.cancel()\n"
        "print(response.state, response.partial_text)\n"
        "print(K.main_loop() is runtime.loop, runtime.statistics().tasks)",
        subshell,
    )
    assert kernel.reply(cell)["status"] == "ok"
    assert kernel.text(cell) == "cancelled True\ncancelled partial \nTrue 0\n"


@also_on_the_first_7
def test_agents_of_both_shells_work_at_the_same_time(asked_in_a_subshell):
    kernel, subshell = asked_in_a_subshell
    code = "print([await {}.chat_text('wait') for _ in range(3)])"
    kernel.do("other = await agy.create_agent({})")
    here = kernel.send(code.format("other"))
    there = in_subshell(kernel, code.format("agent"), subshell)
    assert kernel.reply(here)["status"] == kernel.reply(there)["status"] == "ok"
    assert (
        kernel.text(here) == kernel.text(there) == "['partial end', 'partial end', 'partial end']\n"
    )


def test_views_of_a_subshell_show_what_the_main_shells_turns_say(asked_in_a_subshell):
    kernel, subshell = asked_in_a_subshell
    cell = in_subshell(
        kernel,
        "panel = agent.chat_ui()\ndisplay(panel)\nresponse = await agent.chat('go')\n"
        "display(response)\nprint(await response.text())",
        subshell,
    )
    assert kernel.reply(cell)["status"] == "ok"
    assert "partial end" in kernel.text(cell)
    kernel.do("await agent.chat_text('wait')\nassert panel.transcript.text().count('end') == 2")
    assert kernel.do("print(len(panel.responses), panel.view.running)\npanel.close()") == (
        "2 False\n"
    )


def test_subshell_may_close_the_runtime(asked_in_a_subshell):
    kernel, subshell = asked_in_a_subshell
    kernel.do("waiting = await agent.chat('hang')")
    cell = in_subshell(kernel, "await runtime.close()\nprint(runtime.closed)", subshell)
    assert kernel.reply(cell)["status"] == "ok"
    assert kernel.text(cell) == "True\n"
    assert (
        kernel.do(
            "use_memory()\nagent = await agy.create_agent({})\n"
            "print(await agent.chat_text('go'), waiting.state)"
        )
        == "partial end cancelled\n"
    )


def test_loop_of_a_thread_uses_the_kernels_runtime(kernel):
    kernel.do(SUBSHELL + "\nruntime = use_memory()")
    assert (
        kernel.do(
            "async def there():\n"
            "    agent = await agy.create_agent({})\n"
            "    return await agent.chat_text('go'), agent.runtime is runtime\n"
            "print(await asyncio.to_thread(asyncio.run, there()))"
        )
        == "('partial end', True)\n"
    )
    kernel.do("await runtime.close()")
