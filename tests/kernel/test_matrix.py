"""Clicks, interrupts, queued cells and outputs on every supported ipykernel."""

from __future__ import annotations

import pytest

from tests.kernel.conftest import also_on_the_first_7

pytestmark = [
    pytest.mark.kernel_matrix,
    pytest.mark.timeout(300),  # the first test makes the environments
    pytest.mark.blocking_allowed,  # no loop of ours runs in this process
]

BLOCK = {"await": "result = await {}", "sync": "result = K.run({})"}
modes = pytest.mark.parametrize("mode", BLOCK)


def start_turn(kernel, mode, *, before="", after=""):
    code = f"{before}\nturn = Turn()\n{BLOCK[mode].format('turn.wait()')}\nprint(result)\n{after}"
    cell = kernel.send(code)
    return cell, kernel.ready(cell)


@also_on_the_first_7
@modes
def test_click_is_handled_while_the_cell_runs(kernel, mode):
    cell, button = start_turn(kernel, mode)
    kernel.click(button)
    assert kernel.reply(cell)["status"] == "ok"
    assert "CLICKED\ndone" in kernel.text(cell)


@also_on_the_first_7
@modes
def test_click_over_a_subshell_is_handled_while_the_cell_runs(kernel, env, mode):
    if "6." in env:
        pytest.skip("no subshells before ipykernel 7")
    subshell = kernel.new_subshell()
    for _ in range(2):  # newer kernels move the widget's messages after the first one
        cell, button = start_turn(kernel, mode)
        kernel.click(button, subshell)
        assert kernel.reply(cell)["status"] == "ok"


@modes
def test_every_change_of_an_input_widget_arrives(kernel, mode):
    """A front end sends the next change only after the idle of the last."""
    cell = kernel.send(
        "values = []\nbox = ipywidgets.Checkbox()\n"
        "box.observe(lambda change: values.append(change.new), 'value')\n"
        "print('BOX', box.model_id, flush=True)\nturn = Turn()\n"
        + BLOCK[mode].format("turn.wait()")
        + "\nprint(values)"
    )
    button = kernel.ready(cell)
    box = kernel.text(cell).split("BOX ")[1].split()[0]
    for value in (True, False, True, False):
        change = kernel.set_value(box, value)
        kernel.wait("iopub", "status", change, execution_state="busy")
        kernel.wait("iopub", "status", change, execution_state="idle")
    kernel.click(button)
    kernel.reply(cell)
    assert "[True, False, True, False]" in kernel.text(cell)


def test_status_is_busy_again_after_a_click(kernel):
    """The front end's indicator shows the last status that it heard."""
    cell = kernel.send(
        "turn = Turn()\nbox = ipywidgets.Checkbox()\nprint(box.model_id)\nawait turn.wait()"
    )
    button = kernel.ready(cell)
    change = kernel.set_value(kernel.text(cell).split()[0], value=True)
    kernel.wait("iopub", "status", change, execution_state="idle")
    kernel.click(button)
    kernel.reply(cell)
    states = [
        (m["content"]["execution_state"], m["parent_header"]["msg_id"])
        for _, m in kernel.seen
        if m["header"]["msg_type"] == "status"
    ]
    assert states[states.index(("idle", change)) + 1] == ("busy", cell)


@also_on_the_first_7
@modes
def test_queued_cells_run_afterwards_in_order(kernel, mode):
    cell, button = start_turn(kernel, mode)
    queued = [kernel.send(f"print('cell', {n})") for n in range(4)]
    kernel.click(button)
    assert [kernel.reply(one)["status"] for one in (cell, *queued)] == ["ok"] * 5
    assert kernel.order(cell, *queued) == [cell, *queued]
    assert [kernel.text(one) for one in queued] == [f"cell {n}\n" for n in range(4)]


@also_on_the_first_7
@modes
def test_cells_sent_together_run_in_order(kernel, mode):
    """Run all: the later cells have arrived before the first one opens the pump."""
    code = f"turn = Turn()\n{BLOCK[mode].format('turn.wait()')}"
    cells = [kernel.send(code), *(kernel.send(f"print('cell', {n})") for n in range(3))]
    kernel.click(kernel.ready(cells[0]))
    assert [kernel.reply(one)["status"] for one in cells] == ["ok"] * 4
    assert kernel.order(*cells) == cells


@modes
def test_two_turns_in_one_cell_keep_the_queue(kernel, mode):
    cell, first = start_turn(
        kernel,
        mode,
        after="turn = Turn()\nprint('SECOND', turn.button.model_id, flush=True)\n"
        + BLOCK[mode].format("turn.wait()"),
    )
    queued = kernel.send("print('queued')")
    kernel.click(first)
    kernel.says(cell, "SECOND ")
    kernel.click(kernel.text(cell).split("SECOND ")[1].split()[0])
    assert kernel.reply(cell)["status"] == "ok"
    assert kernel.reply(queued)["status"] == "ok"
    assert kernel.order(cell, queued) == [cell, queued]


@modes
def test_error_in_the_running_cell_aborts_the_queued_ones(kernel, mode):
    cell, button = start_turn(kernel, mode, after="1 / 0")
    queued = [kernel.send("print('no')") for _ in range(2)]
    kernel.click(button)
    assert kernel.reply(cell)["ename"] == "ZeroDivisionError"
    assert [kernel.reply(one)["status"] for one in queued] == ["aborted", "aborted"]
    assert kernel.do("print('goes on')") == "goes on\n"


@modes
def test_error_in_a_queued_cell_aborts_those_after_it(kernel, mode):
    cell, button = start_turn(kernel, mode)
    queued = [kernel.send(code) for code in ("print('yes')", "1 / 0", "print('no')")]
    kernel.click(button)
    kernel.reply(cell)
    assert [kernel.reply(one)["status"] for one in queued] == ["ok", "error", "aborted"]
    assert kernel.do("print('goes on')") == "goes on\n"


@modes
def test_outputs_stay_in_their_cell(kernel, mode):
    """The text before a click is still buffered when the click sets another parent."""
    cell = kernel.send(
        "turn = Turn()\nturn.button.on_click(lambda b: print('in the callback'))\n"
        + BLOCK[mode].format("turn.wait()")
        + "\nprint('after')"
    )
    button = kernel.ready(cell)
    click = kernel.click(button)
    kernel.reply(cell)
    assert kernel.text(cell).split("\n")[1:] == ["CLICKED", "after", ""]
    assert kernel.text(click) == "in the callback\n"
    following = kernel.send("print('following')")
    kernel.reply(following)
    assert kernel.text(following) == "following\n"


def test_interrupt_cancels_an_awaiting_cell(kernel):
    cell, _ = start_turn(
        kernel, "await", before="heard = []\nforget = K.current_host().on_interrupt(heard.append)"
    )
    queued = kernel.queue("print('no')")
    kernel.interrupt()
    assert kernel.reply(cell, patience=2)["ename"] in {"CancelledError", "KeyboardInterrupt"}
    assert kernel.reply(queued)["status"] == "aborted"
    assert kernel.do("forget(); print(heard, turn.cancelled)") == "['cell'] True\n"


def test_interrupt_cancels_a_blocking_cell(kernel):
    cell, _ = start_turn(
        kernel,
        "sync",
        before="heard = []\nforget = K.current_host().on_interrupt(heard.append)\n"
        "tasks = len(asyncio.all_tasks(K.main_loop()))",
    )
    queued = kernel.queue("print('no')")
    kernel.interrupt()
    assert kernel.reply(cell, patience=2)["ename"] == "KeyboardInterrupt"
    assert kernel.reply(queued)["status"] == "aborted"
    assert kernel.do("forget(); print(heard, turn.cancelled)") == "['cell'] True\n"
    left = kernel.do("print([t for t in asyncio.all_tasks(K.main_loop()) if 'Turn' in repr(t)])")
    assert left == "[]\n"


@modes
def test_interrupt_after_a_click_still_cancels(kernel, mode):
    cell = kernel.send(
        "box = ipywidgets.Checkbox()\nprint(box.model_id)\nturn = Turn()\n"
        + BLOCK[mode].format("turn.wait()")
    )
    kernel.ready(cell)
    change = kernel.set_value(kernel.text(cell).split()[0], value=True)
    kernel.wait("iopub", "status", change, execution_state="idle")
    kernel.interrupt()
    assert kernel.reply(cell, patience=2)["status"] == "error"
    assert kernel.do("print(turn.cancelled, box.value)") == "True True\n"


def test_interrupt_of_an_idle_kernel_reaches_a_background_turn(kernel):
    start = kernel.send(
        "heard = []\nturn = Turn()\ntask = asyncio.ensure_future(turn.wait())\n"
        "def stop(where):\n"
        "    heard.append(where)\n"
        "    task.cancel()\n"
        "    start_parent.append(K.current_host().cell_running)\n"
        "start_parent = []\n"
        "forget = K.current_host().on_interrupt(stop)\n"
        "async def tell():\n"
        "    await asyncio.wait([task])\n"
        "    print('ENDED', flush=True)\n"
        "teller = asyncio.ensure_future(tell())\n"
        "await asyncio.sleep(0)\n"
    )
    kernel.reply(start)
    kernel.do("pass")  # handled by the kernel in between, with its own SIGINT handler
    kernel.interrupt()
    kernel.do("await asyncio.wait_for(teller, 5)")
    assert kernel.do("print(heard, turn.cancelled, start_parent)") == "['idle'] True [False]\n"
    kernel.do("forget()")
    assert "IGN" in kernel.do(
        "import signal\nprint(repr(K.current_host()._kernel.saved_sigint_handler))"
    )


def test_interrupt_of_an_idle_kernel_is_ignored_without_callbacks(kernel):
    kernel.do("forget = K.current_host().on_interrupt(print)")
    kernel.do("forget()")
    kernel.interrupt()
    assert kernel.do("print('alive')") == "alive\n"


def test_interrupt_without_callbacks_is_the_kernels_own(kernel):
    cell = kernel.send("print('READY x', flush=True)\nfor n in range(1000): time.sleep(0.02)")
    kernel.ready(cell)
    kernel.interrupt()
    assert kernel.reply(cell)["ename"] == "KeyboardInterrupt"


def test_interrupt_of_plain_code_is_told_and_still_stops_it(kernel):
    kernel.do("heard = []\nforget = K.current_host().on_interrupt(heard.append)")
    cell = kernel.send("print('READY x', flush=True)\nfor n in range(1000): time.sleep(0.02)")
    kernel.ready(cell)
    kernel.interrupt()
    assert kernel.reply(cell)["ename"] == "KeyboardInterrupt"
    assert kernel.do("forget(); print(heard)") == "['cell']\n"


def test_second_interrupt_stops_a_turn_that_resists(kernel):
    cell = kernel.send(
        "async def resist():\n"
        "    print('READY x', flush=True)\n"
        "    while True:\n"
        "        try:\n"
        "            await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError:\n"
        "            print('NO', flush=True)\n"
        "            if end: raise\n"
        "end = []\n"
        "K.run(resist())"
    )
    kernel.ready(cell)
    kernel.interrupt()
    kernel.says(cell, "NO")
    kernel.interrupt()
    assert kernel.reply(cell, patience=2)["ename"] == "KeyboardInterrupt"
    kernel.do(
        "end.append(1)\n"
        "for task in asyncio.all_tasks():\n"
        "    if 'resist' in repr(task): task.cancel()\n"
        "await asyncio.sleep(0)"
    )


def test_second_interrupt_stops_a_loop_that_is_blocked(kernel):
    cell = kernel.send(
        "import signal\n"
        "async def block():\n"
        "    handler = signal.getsignal(signal.SIGINT)\n"
        "    print('READY x', flush=True)\n"
        "    while not handler.presses: time.sleep(0.01)\n"
        "    print('PRESSED', flush=True)\n"
        "    for n in range(1000): time.sleep(0.01)\n"
        "K.run(block())"
    )
    kernel.ready(cell)
    kernel.interrupt()
    kernel.says(cell, "PRESSED")
    kernel.interrupt()
    assert kernel.reply(cell, patience=2)["ename"] == "KeyboardInterrupt"


def test_background_turn_does_not_hold_the_next_cell(kernel):
    first = kernel.send(
        "turn = Turn()\ntask = asyncio.ensure_future(turn.wait())\n"
        "print('READY', turn.button.model_id, flush=True)"
    )
    button = kernel.ready(first)
    kernel.reply(first)
    assert kernel.do("print('free', K.current_host()._busy)") == "free 1\n"
    kernel.click(button)
    assert kernel.do("print(await task)").endswith("done\n")


@modes
def test_click_for_a_background_turn_is_handled_during_another_cell(kernel, mode):
    first = kernel.send(
        "turn = Turn()\ntask = asyncio.ensure_future(turn.wait())\n"
        "print('READY', turn.button.model_id, flush=True)"
    )
    button = kernel.ready(first)
    kernel.reply(first)
    cell = kernel.send(
        "async def other():\n    print('WAITING', flush=True)\n"
        "    return await asyncio.wait_for(asyncio.shield(task), 10)\n"
        f"print({'await other()' if mode == 'await' else 'K.run(other())'})"
    )
    kernel.says(cell, "WAITING")
    queued = kernel.send("print('queued')")
    kernel.click(button)
    assert kernel.reply(cell)["status"] == "ok"
    assert kernel.reply(queued)["status"] == "ok"


def test_run_in_a_callback_lets_clicks_through(kernel):
    """No cell runs, and yet the shell is blocked: by the callback that called run()."""
    cell = kernel.send(
        "outer, turn = ipywidgets.Button(), Turn()\ngot = []\n"
        "outer.on_click(lambda b: got.append(K.run(turn.wait())))\n"
        "print('READY', outer.model_id, turn.button.model_id, flush=True)"
    )
    kernel.ready(cell)
    outer, inner = kernel.text(cell).split()[1:]
    kernel.reply(cell)
    click = kernel.click(outer)
    kernel.wait("iopub", "stream", click, text="READY")
    kernel.click(inner)
    kernel.wait("iopub", "status", click, execution_state="idle")
    assert kernel.do("print(got)") == "['done']\n"


def test_first_run_of_a_kernel_may_come_amid_other_work(fresh_kernel):
    """It patches the loop, whose iteration goes on afterwards with what it had counted."""
    kernel = fresh_kernel()
    kernel.do(
        "main, got = K.main_loop(), []\n"
        "def many():\n"
        "    for n in range(20): main.call_soon(got.append, n)\n"
        "    main.call_soon(lambda: got.append(K.run(asyncio.sleep(0.05, 'done'))))\n"
        "    for n in range(20): main.call_soon(got.append, n)\n"
        "_ = main.call_later(0.05, many)"
    )
    kernel.do("while len(got) < 41: await asyncio.sleep(0.01)")
    assert kernel.do("print(got.count('done'), sorted(set(got) - {'done'}) == [*range(20)])") == (
        "1 True\n"
    )


def test_run_works_in_a_thread(kernel):
    cell = kernel.send("turn = Turn()\nprint(await asyncio.to_thread(K.run, turn.wait()))")
    kernel.click(kernel.ready(cell))
    assert kernel.reply(cell)["status"] == "ok"
    assert kernel.text(cell).endswith("done\n")


def test_run_in_run(kernel):
    cell = kernel.send(
        "turn = Turn()\nasync def outer(): return K.run(turn.wait())\nprint(K.run(outer()))"
    )
    kernel.click(kernel.ready(cell))
    assert kernel.reply(cell)["status"] == "ok"


def test_click_is_not_lost_when_the_pump_fails(kernel):
    """What the pump cannot handle goes to the kernel: late is better than never."""
    cell, button = start_turn(
        kernel,
        "await",
        before="pump = K.current_host()._pump\n"
        "def fail(frames): pump.session_spoilt = kernel_session.deserialize("
        "kernel_session.feed_identities(frames, copy=False)[1], copy=False); 1 / 0\n"
        "kernel_session = pump._kernel.session\n"
        "pump._prepare = fail\n"
        "real_wait = Turn.wait\n"
        "Turn.wait = lambda self: real_wait(self, 0.3)\n",
    )
    kernel.click(button)
    kernel.reply(cell)  # OK where the kernel itself handles clicks, else TimeoutError
    after = "del pump._prepare\nTurn.wait = real_wait\nprint(turn.answer.done())"
    assert kernel.do(after) == "True\n"


def test_click_passes_when_another_took_our_place(kernel):
    """Someone may put a callback on top of ours and take it away after us."""
    cell, button = start_turn(
        kernel,
        "await",
        after="from agy_nb.kernel.comm_pump import main_stream\n"
        "stream = main_stream(K.current_host()._kernel)\n"
        "ours = stream._recv_callback\n"
        "stream.on_recv(lambda frames: ours(frames), copy=False)",
    )
    kernel.click(button)
    kernel.reply(cell)
    kernel.do("assert not K.current_host().pump_open\nstream.on_recv(ours, copy=False)")
    cell, button = start_turn(kernel, "sync")
    kernel.click(button)
    assert kernel.reply(cell)["status"] == "ok"
    kernel.do(
        "stream.on_recv(K.current_host()._pump._passed_to, copy=False)\n"
        "assert K.current_host()._pump._passed_to != K.current_host()._pump._sort"
    )


def test_missing_hook_warns_once_and_leaves_the_kernel_alone(fresh_kernel):
    kernel = fresh_kernel()
    cell = kernel.send(
        "import agy_nb.kernel.kernel_host as G, warnings\n"
        "def fail(self, parent): raise AttributeError('no such hook')\n"
        "G.CommPump.open = fail\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    for n in range(3):\n"
        "        with K.current_host().busy(): await asyncio.sleep(0)\n"
        "    K.run(asyncio.sleep(0))\n"
        "print(len(seen), seen[0].category.__name__, K.probe().clicks_during_await)"
    )
    queued = kernel.send("print('queued')")
    assert kernel.reply(cell)["status"] == "ok"
    assert kernel.text(cell).startswith("1 KernelWarning Capability(works=False")
    assert kernel.reply(queued)["status"] == "ok"


@pytest.mark.parametrize("mode", ["sync", "await"])
def test_all_works_after_nest_asyncio_1(fresh_kernel, mode):
    kernel = fresh_kernel("import nest_asyncio\nnest_asyncio.apply()\n")
    code = f"turn = Turn()\n{BLOCK[mode].format('turn.wait()')}"
    for sent_together in (True, False):
        cells = [kernel.send(code)]
        if sent_together:
            cells.append(kernel.send("print('queued')"))
        button = kernel.ready(cells[0])
        cells.append(kernel.send("print('queued later')"))
        kernel.click(button)
        assert [kernel.reply(one)["status"] for one in cells] == ["ok"] * len(cells)
        assert kernel.order(*cells) == cells
    cell, _ = start_turn(kernel, mode)
    kernel.interrupt()
    assert kernel.reply(cell, patience=2)["status"] == "error"
    assert kernel.do("print(turn.cancelled)") == "True\n"


def test_clean_up_runs_at_shutdown(fresh_kernel, tmp_path):
    kernel = fresh_kernel()
    file = tmp_path / "left"
    kernel.do(
        "from pathlib import Path\n"
        "async def leave():\n"
        "    await asyncio.sleep(0.05)\n"
        f"    Path({str(file)!r}).write_text(str(asyncio.get_running_loop() is K.main_loop()))\n"
        "K.current_host().at_exit(leave)"
    )
    kernel.client.shutdown(restart=False)
    assert kernel.manager.provisioner is not None
    kernel.manager.finish_shutdown(waittime=10)
    assert file.read_text(encoding="utf-8") == "True"


def test_clean_up_runs_when_a_cell_waits_at_shutdown(fresh_kernel, tmp_path):
    kernel = fresh_kernel()
    file = tmp_path / "left"
    kernel.do(
        "from pathlib import Path\n"
        f"async def leave(): Path({str(file)!r}).write_text('left')\n"
        "K.current_host().at_exit(leave)"
    )
    start_turn(kernel, "sync")
    kernel.client.shutdown(restart=True)
    kernel.manager.finish_shutdown(waittime=10, restart=True)
    assert file.read_text(encoding="utf-8") == "left"


def test_text_is_asked_for_while_the_loop_turns(kernel):
    cell = kernel.send(
        "ticks = []\n"
        "async def tick():\n"
        "    while True:\n"
        "        await asyncio.sleep(0.005); ticks.append(1)\n"
        "        if len(ticks) == 3: print('TICKED', flush=True)\n"
        "ticker = asyncio.ensure_future(tick())\n"
        "answer = await K.ask_text('Allow? ')\n"
        "ticker.cancel()\nprint(answer)",
        allow_stdin=True,
    )
    request = kernel.wait("stdin", "input_request", cell)
    assert request["content"]["prompt"] == "Allow? "
    kernel.says(cell, "TICKED")
    kernel.do_input("yes")
    assert kernel.reply(cell)["status"] == "ok"
    assert kernel.text(cell) == "TICKED\nyes\n"


def test_text_is_asked_for_in_the_running_cell_by_an_older_task(kernel):
    kernel.do(
        "go = asyncio.Event()\n"
        "async def ask():\n    await go.wait()\n    return await K.ask_text('Sure? ')\n"
        "asking = asyncio.ensure_future(ask())"
    )
    cell = kernel.send("go.set()\nprint(await asking)", allow_stdin=True)
    kernel.wait("stdin", "input_request", cell)
    kernel.do_input("sure")
    assert kernel.reply(cell)["status"] == "ok"


def test_interrupt_takes_a_question_back(kernel):
    cell = kernel.send("await K.ask_text('Allow? ')", allow_stdin=True)
    kernel.wait("stdin", "input_request", cell)
    kernel.interrupt()
    assert kernel.reply(cell, patience=2)["status"] == "error"
    kernel.do(
        "for thread in threading.enumerate():\n"
        "    if thread.name == 'agy_nb-input':\n"
        "        thread.join(5)\n"
        "        assert not thread.is_alive()"
    )


def test_no_text_where_stdin_is_not_allowed(kernel):
    cell = kernel.send("await K.ask_text('Allow? ')", allow_stdin=False)
    assert kernel.reply(cell)["ename"] == "NoStdinError"


def test_no_text_while_no_cell_runs(kernel):
    cell = kernel.send(
        "go = asyncio.Event()\nheard = []\n"
        "async def ask():\n"
        "    await go.wait()\n"
        "    try: await K.ask_text('?')\n"
        "    except K.NoStdinError as error: heard.append(str(error))\n"
        "asking = asyncio.ensure_future(ask())\n"
        "button = ipywidgets.Button(); button.on_click(lambda b: go.set())\n"
        "print('READY', button.model_id)",
        allow_stdin=True,
    )
    button = kernel.ready(cell)
    kernel.reply(cell)
    click = kernel.click(button)
    kernel.wait("iopub", "status", click, execution_state="idle")
    assert "no cell is running" in kernel.do("await asking\nprint(heard)")


def test_probe_says_what_works(kernel, env):
    shown = kernel.do(
        "found = K.probe()\n"
        "print(found.kernel, found.ipykernel, found.front_end)\n"
        "print(bool(found.clicks_during_await), bool(found.clicks_during_sync))\n"
        "print(bool(found.interrupt), bool(found.stdin), found.stdin.reason)"
    ).splitlines()
    version = env.removeprefix("ipykernel-").replace("newest", "7.")
    assert shown[0].startswith(f"True {version}")
    assert shown[0].endswith("notebook")
    assert shown[1] == "True True"
    assert shown[2].startswith("True False this front end")


def test_kernel_is_as_before_when_nobody_is_busy(kernel):
    kernel.do("before = None")
    assert kernel.do("print(K.current_host().pump_open)") == "False\n"
    kernel.do("K.run(asyncio.sleep(0))")
    assert kernel.do("print(K.current_host().pump_open)") == "False\n"


def test_import_loads_no_kernel(pythons, env):
    import subprocess

    code = (
        "import sys, agy_nb.kernel\nprint([m for m in ('IPython', 'ipykernel', 'zmq', "
        "'nest_asyncio2', 'google.antigravity') if m in sys.modules])"
    )
    from pathlib import Path

    root = Path(__file__).parents[2]
    result = subprocess.run(
        [str(pythons(env)), "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert result.stdout == "[]\n"
