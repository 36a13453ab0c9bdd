"""The loop of a script that calls `run()` and has no loop of its own.

There is one loop per process, so an agent of the first `run()` still works in the next one.
Several threads may call `run()`. The first thread runs the loop for all of them. When its own
coroutine is done, the next waiting thread continues to run the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable
from typing import Any, TypeVar

from agy_nb.kernel import environment
from agy_nb.kernel.kernel_host import current_host
from agy_nb.kernel.loops.driver import as_coroutine, drive
from agy_nb.kernel.shutdown import BUDGET_S, call_at_exit

T = TypeVar("T")

_CANCELS = 4
"""How often a task is cancelled when Python ends."""


class ScriptLoop:
    """An event loop that runs only while a thread waits in `run()`."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._free = threading.Condition()
        self._driven = False
        self._runner: asyncio.Runner | None = None
        self._last: asyncio.AbstractEventLoop | None = None
        call_at_exit(self.close)

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return IPython's own loop in a terminal, else the loop of this process."""
        with self._free:
            loop = _terminal_loop()
            if loop is None:
                if self._runner is None or self._runner.get_loop().is_closed():
                    self._runner = asyncio.Runner()
                loop = self._runner.get_loop()
            environment.remember(loop)
            self._last = loop
            return loop

    def is_ours(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether this object runs the loop."""
        return loop is self._last

    def run(self, coro: Awaitable[T]) -> T:
        """Run an awaitable on the loop and wait for it."""
        if self._become_driver():
            try:
                return drive(coro, self.loop(), current_host())
            finally:
                self._step_down()
        return self._wait_or_drive(coro)

    def _wait_or_drive(self, coro: Awaitable[T]) -> T:
        loop = self.loop()
        future = asyncio.run_coroutine_threadsafe(as_coroutine(coro), loop)

        def wake(_future: Any) -> None:
            with self._free:
                self._free.notify_all()

        future.add_done_callback(wake)
        try:
            while True:
                with self._free:
                    self._free.wait_for(lambda: future.done() or not self._driven)
                    if future.done():
                        return future.result()
                    self._driven = True
                try:
                    return drive(asyncio.wrap_future(future, loop=loop), loop, current_host())
                finally:
                    self._step_down()
        finally:
            future.cancel()

    def _become_driver(self) -> bool:
        with self._free:
            if self._driven:
                return False
            self._driven = True
            return True

    def _step_down(self) -> None:
        with self._free:
            self._driven = False
            self._free.notify_all()

    def close(self) -> None:
        """Run the exit callbacks, cancel the remaining tasks of the loop, and close it."""
        if self._pid != os.getpid():  # a forked child ends; the parent still uses the loop
            return
        current_host().leave()  # while the loop can still run the callbacks
        if self._runner is not None and not self._driven:
            with contextlib.suppress(RuntimeError):
                _close(self._runner)
            self._runner = None


def _close(runner: asyncio.Runner) -> None:
    """Cancel the tasks until they end, for `BUDGET_S` at most, and close the loop.

    `asyncio.Runner.close` cancels once and waits without a limit: a task that catches one
    cancellation would keep the process from ending.
    """
    loop = runner.get_loop()
    for _ in range(_CANCELS):
        left = asyncio.all_tasks(loop)
        if loop.is_closed() or not left:
            runner.close()
            return
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left, timeout=BUDGET_S / _CANCELS))
    for task in asyncio.all_tasks(loop):
        message = f"the task still runs {BUDGET_S:g} s after it was cancelled, at the end of Python"
        loop.call_exception_handler({"message": message, "task": task})
    loop.close()


def _terminal_loop() -> asyncio.AbstractEventLoop | None:
    # In a terminal IPython runs `await` cells on a loop of its own; agents must be on that one.
    if environment.current_shell() is None:
        return None
    try:
        from IPython.core.async_helpers import get_asyncio_loop
    except ImportError:  # before IPython 8
        return None
    loop: object = get_asyncio_loop()
    return loop if isinstance(loop, asyncio.AbstractEventLoop) else None


_process_loop: ScriptLoop | None = None
_lock = threading.Lock()


def _forget() -> None:
    global _process_loop, _lock
    _process_loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def owns(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop runs only while a thread waits in `run()`."""
    return _process_loop is not None and _process_loop.is_ours(loop)


def process_loop() -> ScriptLoop:
    """Return the `ScriptLoop` of this process."""
    global _process_loop  # noqa: PLW0603 - one per process
    with _lock:
        if _process_loop is None:
            _process_loop = ScriptLoop()
        return _process_loop
