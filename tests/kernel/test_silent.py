"""Silent requests and subshells on every supported ipykernel: the main shell never goes deaf."""

from __future__ import annotations

import pytest

from tests.kernel.conftest import also_on_the_first_7, in_subshell, subshell_of

pytestmark = [
    pytest.mark.kernel_matrix,
    pytest.mark.timeout(300),  # the first test makes the environments
    pytest.mark.blocking_allowed,  # no loop of ours runs in this process
]

FIRST_USE = {
    "guest": "with K.current_host().busy(): await asyncio.sleep(0)",
    "await": "await Turn().wait(0.1)",
    "sync": "K.run(Turn().wait(0.1))",
}
uses = pytest.mark.parametrize("use", FIRST_USE)
uses_of_a_subshell = pytest.mark.parametrize(
    "use", ["guest", "sync"]
)  # the turn is the main loop's


def still_hears(kernel):
    """Cells run, and a click reaches the cell that waits for it."""
    assert kernel.do("print('alive', K.current_host().pump_open)") == "alive False\n"
    cell = kernel.send("turn = Turn()\nprint(await turn.wait())")
    button = kernel.ready(cell)
    queued = kernel.send("print('queued')")
    kernel.click(button)
    assert kernel.reply(cell)["status"] == kernel.reply(queued)["status"] == "ok"
    assert kernel.order(cell, queued) == [cell, queued]
    assert kernel.do("print(K.current_host().pump_open)") == "False\n"


def quiet(use):
    """The code of a first use, which ends well although nothing is clicked."""
    return "try:\n    " + FIRST_USE[use] + "\nexcept (TimeoutError, asyncio.TimeoutError): pass"


@uses
def test_first_use_in_a_silent_request(fresh_kernel, use):
    kernel = fresh_kernel()
    assert kernel.reply(kernel.send(quiet(use), silent=True))["status"] == "ok"
    still_hears(kernel)


@uses
def test_first_use_in_a_silent_request_that_others_wait_behind(fresh_kernel, use):
    kernel = fresh_kernel()
    cells = [kernel.send(quiet(use), silent=True), *(kernel.send(f"print({n})") for n in range(3))]
    assert [kernel.reply(one)["status"] for one in cells] == ["ok"] * 4
    assert kernel.order(*cells) == cells
    still_hears(kernel)


@also_on_the_first_7
@uses_of_a_subshell
def test_first_use_in_a_subshell(fresh_kernel, env, use):
    kernel = fresh_kernel()
    subshell = subshell_of(kernel, env)
    cell = in_subshell(kernel, quiet(use), subshell)
    assert kernel.reply(cell)["status"] == "ok"
    still_hears(kernel)


@uses_of_a_subshell
def test_first_use_in_a_subshell_while_a_cell_of_the_main_shell_runs(fresh_kernel, env, use):
    kernel = fresh_kernel()
    subshell = subshell_of(kernel, env)
    running = kernel.send(
        "go = asyncio.Event()\nmain = asyncio.get_running_loop()\n"
        "print('RUNS', flush=True)\n_ = await go.wait()"
    )
    kernel.says(running, "RUNS")
    cell = in_subshell(kernel, quiet(use), subshell)
    assert kernel.reply(cell)["status"] == "ok"
    queued = kernel.send("print('queued')")
    # without results: ipykernel has one result for all threads, and would send it twice
    done = in_subshell(kernel, "_ = main.call_soon_threadsafe(go.set)", subshell)
    assert [kernel.reply(one)["status"] for one in (running, queued, done)] == ["ok"] * 3
    still_hears(kernel)


@also_on_the_first_7
def test_silent_request_is_clicked_while_it_waits(kernel):
    """An extension's set-up may ask for an approval, too."""
    shown = kernel.send(
        "turn = Turn()\nprint('READY', turn.button.model_id, flush=True)\nheard = []"
    )
    button = kernel.ready(shown)
    kernel.reply(shown)
    silent = kernel.send("heard.append(await turn.wait())", silent=True)
    queued = kernel.send("print('queued')")
    kernel.says(silent, "READY")  # the pump is open: what came before would wait for the cell
    kernel.click(button)
    assert kernel.reply(silent)["status"] == kernel.reply(queued)["status"] == "ok"
    assert kernel.do("print(heard)") == "['done']\n"
    still_hears(kernel)


def test_interrupt_cancels_a_silent_request(kernel):
    kernel.do("turn = Turn()\nbegun = asyncio.Event()")
    silent = kernel.send(
        "heard = []\nforget = K.current_host().on_interrupt(heard.append)\nawait turn.wait()",
        silent=True,
    )
    kernel.says(silent, "READY")
    kernel.interrupt()
    assert kernel.reply(silent, patience=5)["status"] == "error"
    assert kernel.do("forget()\nprint(heard, turn.cancelled)") == "['cell'] True\n"
    still_hears(kernel)


@also_on_the_first_7
def test_cells_of_a_subshell_do_not_count_as_the_main_shells(kernel, env):
    subshell = subshell_of(kernel, env)
    cell = in_subshell(
        kernel,
        "host = K.current_host()\nwith host.busy(): print(host.cell_running, host.pump_open)",
        subshell,
    )
    assert kernel.reply(cell)["status"] == "ok"
    assert kernel.text(cell) == "False False\n"
    still_hears(kernel)


def test_message_is_not_held_where_no_request_runs(kernel, env):
    """Whatever the reason that the pump was left open: the next cell is not held."""
    if "6." in env:
        pytest.skip("ipykernel 6 has no mark of a running request, and never skips a hook")
    kernel.do(
        "from agy_nb.kernel.comm_pump import current_parent\n"
        "main = K.main_loop()\nhost = K.current_host()"
    )
    cell = kernel.send(
        "def leave_open():\n"
        "    host._cells._stack.append(host._cells._this_request(is_cell=True))\n"
        "    host._pump.open(current_parent(host._kernel))\n"
        "    print('OPEN', flush=True)\n"
        "_ = main.call_later(0.5, leave_open)"
    )
    kernel.reply(cell)
    kernel.says(cell, "OPEN")  # while no request is handled
    still_hears(kernel)


def test_message_that_cannot_be_delivered_does_not_take_others_along(kernel):
    """What was held behind it runs all the same, in its order."""
    cell = kernel.send(
        "pump = K.current_host()._pump\ndeliver = pump._deliver\nfailed = []\n"
        "def fail_once(callback, frames):\n"
        "    if not failed:\n"
        "        failed.append(1)\n"
        "        raise RuntimeError('cannot be delivered')\n"
        "    deliver(callback, frames)\n"
        "pump._deliver = fail_once\n"
        "turn = Turn()\nprint(await turn.wait())"
    )
    button = kernel.ready(cell)
    kernel.send("print('lost by the one who raised')")
    queued = [kernel.send(f"print({n})") for n in range(2)]
    kernel.click(button)
    assert [kernel.reply(one)["status"] for one in (cell, *queued)] == ["ok"] * 3
    assert kernel.do("del pump._deliver\nprint(failed)") == "[1]\n"
    still_hears(kernel)
