"""Clean up when the kernel or Python ends.

A kernel ends after a shutdown_request, which is handled in the control thread while the main
loop still runs: `kernel.do_shutdown` is the last moment for asynchronous clean-up. The front end
waits about 2.5 s before it sends SIGTERM, so all clean-up together gets `BUDGET_S`.
When Python ends, the loop has stopped. The clean-up runs the loop once more if it is still open,
else it calls the synchronous fallbacks. This happens before Python shuts down its executors,
because closing an agent uses threads.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import inspect
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

BUDGET_S = 2.0

Cleanup = Callable[[], Awaitable[object] | object]


class _Task(NamedTuple):
    callback: Cleanup
    fallback: Callable[[], object] | None


class ShutdownHooks:
    """The exit callbacks, each called once.

    Args:
        kernel: The kernel, or None in a script.
        loop: Returns the main loop.
    """

    def __init__(
        self,
        kernel: Any,
        loop: Callable[[], asyncio.AbstractEventLoop | None],
    ) -> None:
        self._pid = os.getpid()
        self._kernel = kernel
        self._loop = loop
        self._tasks: dict[object, _Task] = {}
        self._installed = False

    def add(self, callback: Cleanup, fallback: Callable[[], object] | None) -> Callable[[], None]:
        """Register a clean-up; return the function that removes it."""
        if not self._installed:
            self._installed = True
            if self._kernel is not None:
                self._wrap_shutdown()
            call_at_exit(self.finish)
        key = object()
        self._tasks[key] = _Task(callback, fallback)

        def unregister() -> None:
            self._tasks.pop(key, None)

        return unregister

    def _wrap_shutdown(self) -> None:
        kernel = self._kernel
        original = getattr(kernel, "do_shutdown", None)
        if original is None:
            return

        async def do_shutdown(*args: Any, **kwargs: Any) -> Any:
            try:
                await self._from_control_thread()
            except Exception:  # the kernel must end also if the clean-up fails
                kernel.log.exception("clean-up of agents failed")
            result = original(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        # A kernel that cannot be changed still has Python's end.
        with contextlib.suppress(AttributeError, TypeError):
            kernel.do_shutdown = do_shutdown

    async def _from_control_thread(self) -> None:
        loop = self._loop()
        if loop is None or not loop.is_running() or not self._tasks:
            return
        future = asyncio.run_coroutine_threadsafe(self._run_all(), loop)
        # A cell that blocks the main thread must not keep the kernel from ending.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(future), BUDGET_S)

    def _take(self) -> list[_Task]:
        # Emptied before they run: the kernel's shutdown and Python's end may both come here.
        tasks = list(reversed(self._tasks.values()))  # last in, first out, as atexit does
        self._tasks.clear()
        return tasks

    async def _run_all(self) -> None:
        async def one(task: _Task) -> None:
            result = task.callback()
            if inspect.isawaitable(result):
                await result

        results = await asyncio.gather(*map(one, self._take()), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                self._complain(result)

    def finish(self) -> None:
        """Run the remaining callbacks, from a thread without a running loop."""
        if not self._tasks or self._pid != os.getpid():  # a forked child: the parent cleans up
            return
        loop = self._loop()
        if loop is not None and not loop.is_closed() and not loop.is_running():
            with contextlib.suppress(TimeoutError):
                loop.run_until_complete(asyncio.wait_for(self._run_all(), BUDGET_S))
            return
        for task in self._take():
            call = task.fallback
            if call is None and not inspect.iscoroutinefunction(task.callback):
                call = task.callback
            if call is None:
                continue
            try:
                left = call()
            except Exception as error:
                self._complain(error)
            else:
                if inspect.iscoroutine(left):
                    left.close()

    def _complain(self, error: BaseException) -> None:
        loop = self._loop()
        if loop is not None:
            loop.call_exception_handler({"message": "clean-up at exit failed", "exception": error})


def call_at_exit(function: Callable[[], None]) -> None:
    """Call a function when Python ends, while threads can still be started."""
    register: Any = getattr(threading, "_register_atexit", None)
    try:
        if register is not None:
            import concurrent.futures.thread  # it must shut down after our callbacks

            assert concurrent.futures.thread is not None
            register(function)
            return
    except RuntimeError:  # Python is ending already
        pass
    atexit.register(function)
