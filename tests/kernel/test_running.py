"""`run()` outside a kernel: scripts, threads, running loops, and what happens on errors."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import pytest

from agy_nb import kernel
from agy_nb.errors import AgyError
from agy_nb.kernel.loops import nested_loop
from tests.processes import started

ROOT = Path(__file__).parents[2]


def script(code: str, *, interrupts: int = 0) -> subprocess.CompletedProcess:
    """Run a script of its own; send SIGINT each time that it prints READY."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-u", "-c", textwrap.dedent(code)]
    with started(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        shown = ""
        for _ in range(interrupts):
            while "READY" not in (line := process.stdout.readline()):
                assert line, process.stderr.read()
                shown += line
            process.send_signal(2)
        rest, errors = process.communicate(timeout=45)
    return subprocess.CompletedProcess(command, process.returncode, shown + rest, errors)


HEAD = "import asyncio, threading\nfrom agy_nb import kernel as K\n"


def lines(code: str, **kwargs) -> list[str]:
    result = script(HEAD + textwrap.dedent(code), **kwargs)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.split("\n")[:-1]


def test_runs_of_a_script_share_one_loop():
    assert lines("""
        async def here(): return asyncio.get_running_loop()
        first = K.run(here())
        print(first is K.run(here()), K.main_loop() is first)
    """) == ["True True"]


def test_background_task_lives_on_between_runs():
    assert lines("""
        async def count():
            for n in range(3):
                await asyncio.sleep(0)
            return n
        async def start():
            global task
            task = asyncio.ensure_future(count())
        K.run(start())
        async def wait(): return await task
        print(K.run(wait()))
    """) == ["2"]


def test_loop_is_closed_at_exit_after_the_clean_up():
    assert lines("""
        async def leave():
            await asyncio.to_thread(print, "in a thread")
            print("left", asyncio.get_running_loop() is K.main_loop())
        K.current_host().at_exit(leave)
        async def endless():
            try:
                await asyncio.sleep(60)
            finally:
                print("ended")
        async def start():
            global task
            task = asyncio.ensure_future(endless())
            await asyncio.sleep(0)
        K.run(start())
    """) == ["in a thread", "left True", "ended"]


def test_fallback_is_called_where_no_loop_is_left():
    assert lines("""
        async def leave(): print("no")
        async def main():
            K.main_loop()
            K.current_host().at_exit(leave, fallback=lambda: print("fallback"))
            K.current_host().at_exit(lambda: print("plain"))
            K.current_host().at_exit(leave)
            K.current_host().at_exit(lambda: print("taken back"))()
        asyncio.run(main())
    """) == ["plain", "fallback"]


def test_failing_clean_up_does_not_stop_the_others():
    result = script(
        HEAD
        + textwrap.dedent("""
        async def fail(): raise ValueError("broken")
        K.current_host().at_exit(lambda: print("other"))
        K.current_host().at_exit(fail)
        K.run(asyncio.sleep(0))
    """)
    )
    assert result.stdout == "other\n"
    assert "ValueError: broken" in result.stderr


def test_threads_share_the_loop_and_take_over_from_each_other():
    assert lines("""
        loops = set()
        async def work(seconds):
            loops.add(id(asyncio.get_running_loop()))
            await asyncio.sleep(seconds)
            return seconds
        results = []
        threads = [
            threading.Thread(target=lambda s=s: results.append(K.run(work(s))))
            for s in (0.01, 0.05, 0.09, 0.03)
        ]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(sorted(results), len(loops))
    """) == ["[0.01, 0.03, 0.05, 0.09] 1"]


def test_interrupt_of_a_script_cancels_the_coroutine():
    assert lines(
        """
        async def wait():
            try:
                print("READY", flush=True)
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                print("cancelled")
                raise
        heard = []
        K.current_host().on_interrupt(heard.append)
        try:
            K.run(wait())
        except KeyboardInterrupt:
            print("KeyboardInterrupt", heard)
        print(K.run(asyncio.sleep(0, "usable")))
    """,
        interrupts=1,
    ) == ["cancelled", "KeyboardInterrupt ['cell']", "usable"]


@pytest.mark.flaky(reruns=1)  # Python drops what a signal raises within a finaliser
def test_second_interrupt_of_a_script_stops_at_once():
    assert lines(
        """
        async def resist():
            for _ in range(2):
                try:
                    print("READY", flush=True)
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass
            await asyncio.sleep(60)
        try:
            K.run(resist())
        except KeyboardInterrupt:
            print("stopped")
    """,
        interrupts=2,
    ) == ["stopped"]


@pytest.mark.parametrize(("caught", "reported"), [(1, False), (999, True)])
@pytest.mark.slow
def test_task_that_resists_its_cancellation_does_not_keep_a_script_from_ending(caught, reported):
    result = script(f"""
        import asyncio
        from agy_nb import kernel as K

        async def resist():
            for _ in range({caught}):
                try:
                    await asyncio.sleep(600)
                except asyncio.CancelledError:
                    pass
            await asyncio.sleep(600)

        async def begin():
            K.kept = asyncio.create_task(resist())
            await asyncio.sleep(0)

        K.run(begin())
        print("end")
    """)
    assert (result.returncode, result.stdout) == (0, "end\n")
    assert ("still runs 2 s after it was cancelled" in result.stderr) == reported
    assert reported or result.stderr == ""


def test_interrupts_while_the_handler_is_taken_away_leave_none_behind():
    """Python's own handler is back, and gets them."""
    assert lines("""
        import signal
        from agy_nb.kernel import interrupts
        from agy_nb.kernel.loops import driver

        class Pressed(driver.SignalWakeup):
            def close(self):
                if self._sockets is not None:
                    for _ in range(3):
                        signal.raise_signal(signal.SIGINT)
                super().close()

        waker, driver.SignalWakeup = driver.SignalWakeup, Pressed
        try:
            K.run(asyncio.sleep(0))
        except KeyboardInterrupt:
            print("heard")
        print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, interrupts.blocking)
        driver.SignalWakeup = waker
        print(K.run(asyncio.sleep(0, "usable")))
    """) == ["heard", "True []", "usable"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_of_a_fork_waits_for_no_lock_and_does_not_clean_up_for_its_parent():
    """A thread of the parent may hold each of our locks at that moment."""
    result = script(
        HEAD
        + textwrap.dedent("""
        import os, sys, warnings
        warnings.simplefilter("ignore")  # Python warns of a fork with threads
        import agy_nb as agy
        from agy_nb.kernel import kernel_host
        from agy_nb.runtime import default_runtime

        K.current_host().at_exit(lambda: print("cleaned up"))
        held, go = threading.Barrier(2), threading.Event()

        def hold():
            with kernel_host._host_lock, default_runtime._lock:
                held.wait()
                go.wait(10)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        if (child := os.fork()) == 0:
            with K.current_host().busy():
                print("child", agy.runtime().closed, flush=True)
            sys.exit()
        os.waitpid(child, 0)
        go.set()
        thread.join()
    """)
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split("\n") == ["child False", "cleaned up", ""]


def test_result_of_a_coroutine_that_ends_well_after_an_interrupt_is_kept():
    assert lines(
        """
        async def partial():
            try:
                print("READY", flush=True)
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "partial"
        print(K.run(partial()))
    """,
        interrupts=1,
    ) == ["partial"]


def test_result_of_a_coroutine_that_is_interrupted_in_its_last_step_is_kept():
    assert lines(
        """
        import signal
        async def last_step():
            signal.raise_signal(signal.SIGINT)
            return "whole"
        print(K.run(last_step()))
    """
    ) == ["whole"]


def test_a_scripts_own_handler_of_interrupts_is_left_alone():
    assert lines(
        """
        import signal
        async def wait():
            print("READY", flush=True)
            await event.wait()
        event = asyncio.Event()
        signal.signal(signal.SIGINT, lambda *_: K.main_loop().call_soon_threadsafe(event.set))
        K.run(wait())
        print("own")
    """,
        interrupts=1,
    ) == ["own"]


@pytest.mark.slow
def test_runs_in_ipython_without_a_kernel_share_its_loop():
    shown = lines("""
        import warnings
        warnings.simplefilter("ignore")
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        async def here(): return asyncio.get_running_loop()
        shell.user_ns.update(globals())
        shell.run_cell("first = await here()")
        print(shell.user_ns["first"] is K.run(here()), K.probe().front_end)
        shell.run_cell("print(K.run(here()) is first)")
    """)
    assert shown == ["True terminal", "True"]


@pytest.mark.blocking_allowed  # a thread waits, not the loop
async def test_run_in_a_thread_uses_the_loop_of_the_main_thread():
    loop = asyncio.get_running_loop()
    assert kernel.main_loop() is loop

    async def here():
        return asyncio.get_running_loop()

    assert await asyncio.to_thread(kernel.run, here()) is loop


@pytest.mark.blocking_allowed
async def test_cancelled_coroutine_is_cancelled_error_in_the_thread():
    kernel.main_loop()

    async def cancelled():
        raise asyncio.CancelledError

    def block():
        try:
            kernel.run(cancelled())
        except asyncio.CancelledError:
            return "cancelled"

    assert await asyncio.to_thread(block) == "cancelled"


@pytest.mark.blocking_allowed
async def test_result_that_comes_as_the_thread_looks_is_not_lost(monkeypatch):
    """The thread looks from time to time whether the loop is still there."""
    from agy_nb.kernel import run_blocking

    monkeypatch.setattr(run_blocking, "_LOOK_S", 0.0)
    kernel.main_loop()

    async def soon(number):
        await asyncio.sleep(0)
        return number

    def many():
        return [kernel.run(soon(number)) for number in range(100)]

    assert await asyncio.to_thread(many) == list(range(100))


@pytest.mark.blocking_allowed
async def test_timeout_of_the_coroutine_is_passed_on():
    kernel.main_loop()

    async def late():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await asyncio.to_thread(kernel.run, late())


async def test_running_loop_of_a_script_is_not_patched():
    coro = asyncio.sleep(0)
    with pytest.raises(kernel.CannotBlockError, match="await"):
        kernel.run(coro)
    assert nested_loop.implementation(asyncio.get_running_loop()) == "none"


async def test_refused_coroutine_is_closed():
    async def never():
        raise AssertionError

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(kernel.CannotBlockError):
            kernel.run(never())


def test_loop_that_is_not_asyncios_is_refused():
    class UvLoop:
        """uvloop's loop derives from AbstractEventLoop alone."""

    with pytest.raises(kernel.CannotBlockError, match="UvLoop cannot be nested"):
        nested_loop.allow_nesting(UvLoop())


def test_what_cannot_be_awaited_is_a_type_error():
    with pytest.raises(TypeError, match="needs a coroutine, got function"):
        kernel.run(lambda: None)


def test_errors_are_agy_errors():
    for error in (kernel.KernelError, kernel.CannotBlockError, kernel.NoStdinError):
        assert issubclass(error, AgyError)


def test_outside_a_kernel_the_guest_has_nothing_to_do():
    guest = kernel.current_host()
    assert guest is kernel.current_host()
    assert not kernel.in_kernel()
    with guest.busy(), guest.busy():
        assert not guest.pump_open
    assert not guest.cell_running
    guest.on_interrupt(print)()


def test_probe_outside_a_kernel():
    found = kernel.probe()
    assert (found.kernel, found.ipykernel, found.front_end) == (False, None, "none")
    assert not found.clicks_during_await
    assert "not a Jupyter kernel" in found.clicks_during_sync.reason
    assert found.interrupt


def test_ask_text_reads_a_line():
    result = subprocess.run(
        [sys.executable, "-c", HEAD + "print(K.run(K.ask_text('? ')))"],
        input="yes\n",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.stdout == "? yes\n"


async def test_ask_text_without_stdin_is_a_clear_error(monkeypatch):
    def no_input(prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", no_input)
    with pytest.raises(kernel.NoStdinError, match="cannot ask for input"):
        await kernel.ask_text("? ")


async def test_questions_are_asked_one_after_the_other(monkeypatch):
    open_now, most = [], []
    release = threading.Event()

    def slow_input(prompt):
        open_now.append(prompt)
        most.append(len(open_now))
        release.wait(5)
        open_now.remove(prompt)
        return prompt

    monkeypatch.setattr("builtins.input", slow_input)
    asking = [asyncio.ensure_future(kernel.ask_text(str(n))) for n in range(3)]
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(*asking) == ["0", "1", "2"]
    assert set(most) == {1}
