"""Report interrupts (SIGINT) to callbacks, in a running cell and in an idle kernel.

ipykernel sets a SIGINT handler of its own for the time of each request and puts
`kernel.saved_sigint_handler` back afterwards. That is SIG_IGN: an idle kernel ignores interrupts.
So this module

- wraps the current handler while a cell runs, if a turn is active or a callback is registered (the
  wrapped handler gets the signal afterwards), and
- puts its own handler in `saved_sigint_handler`, if a callback is registered. The kernel then
  installs that handler whenever it is idle.

A handler only schedules calls on the main loop, and wakes the loop. ipykernel's handler for `await`
cells does not wake it, so the cell would be cancelled only at the next event, if there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal

from agy_nb.kernel.loops.signal_wakeup import SignalWakeup

Where = Literal["cell", "idle"]
InterruptCallback = Callable[[Where], object]


class OurHandler:
    """A SIGINT handler of this package, so that no two are stacked by accident."""

    previous: Any = signal.SIG_IGN

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        raise NotImplementedError


blocking: list[OurHandler] = []
"""The handlers of the `run()`s that block now, the innermost last."""


class _Notifying(OurHandler):
    def __init__(
        self,
        notify: InterruptCallback,
        where: Where,
        previous: Any,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.previous = previous
        self._notify = notify
        self._where = where
        self._loop = loop

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self._notify(self._where)
        if not callable(self.previous):
            return
        # A sync cell keeps the loop from running, so its KeyboardInterrupt must be raised here.
        if self.previous is signal.default_int_handler or self._loop is None:
            self.previous(signum, frame)
            return
        # ipykernel's handler for an `await` cell cancels the cell's task. While that task is in its
        # own sync code the cancel would be kept for its next await, and there may be none: a run()
        # would block forever, or the kernel's own code would be cancelled and no reply sent.
        self._loop.call_soon_threadsafe(self._cancel, signum)

    def _cancel(self, signum: int) -> None:
        handler = blocking[-1] if blocking else self.previous
        handler(signum, None)


class Interrupts:
    """The callbacks for interrupts, and the signal handlers that call them.

    Args:
        kernel: The kernel, or None in a script: then only `notify` calls the callbacks.
        loop: Returns the main loop, on which callbacks are called.
        cell_running: Returns whether a cell is executing.
        busy: Returns whether a turn is active.
    """

    def __init__(
        self,
        kernel: Any,
        loop: Callable[[], asyncio.AbstractEventLoop | None],
        cell_running: Callable[[], bool],
        busy: Callable[[], bool],
    ) -> None:
        self._kernel = kernel
        self._loop = loop
        self._cell_running = cell_running
        self._busy = busy
        self._waker = SignalWakeup()
        self._callbacks: dict[object, InterruptCallback] = {}

    def add(self, callback: InterruptCallback) -> Callable[[], None]:
        """Register a callback; return the function that removes it."""
        key = object()
        self._callbacks[key] = callback
        self._on_main_thread(self.arm)

        def unregister() -> None:
            self._callbacks.pop(key, None)
            if not self._callbacks:
                self._on_main_thread(self._disarm)

        return unregister

    def notify(self, where: Where) -> None:
        """Schedule every callback on the main loop; safe in a signal handler."""
        loop = self._loop()
        if loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the callbacks with it
            loop.call_soon_threadsafe(self._call_all, where)  # wakes the loop, callbacks or not

    def _call_all(self, where: Where) -> None:
        for callback in list(self._callbacks.values()):
            try:
                callback(where)
            except Exception as error:
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a callback for interrupts failed", "exception": error}
                )

    def arm(self) -> None:
        """Install the handlers that are needed now; called at the start of each cell."""
        if self._kernel is None or not _in_main_thread():
            return
        current = signal.getsignal(signal.SIGINT)
        saved = getattr(self._kernel, "saved_sigint_handler", signal.SIG_IGN)
        idle = saved
        loop = self._loop()
        if loop is not None and (self._callbacks or self._busy()):
            self._waker.open(loop)  # stays open; otherwise each turn would open it again
        if self._callbacks and not isinstance(saved, _Notifying):
            idle = _Notifying(self.notify, "idle", saved)
            self._kernel.saved_sigint_handler = idle
        # A `run()` has its handler on top, and removes it only from there. Another handler above it
        # would stay, and pass each later interrupt to a `run()` that is over.
        if isinstance(current, OurHandler):
            return
        if current in {saved, signal.SIG_IGN}:  # no request is being handled
            if self._callbacks:
                signal.signal(signal.SIGINT, idle)
        elif self._cell_running() and (self._callbacks or self._busy()):
            signal.signal(signal.SIGINT, _Notifying(self.notify, "cell", current, loop))

    def _disarm(self) -> None:
        if self._kernel is None or self._callbacks or not _in_main_thread():
            return
        saved = getattr(self._kernel, "saved_sigint_handler", None)
        if isinstance(saved, _Notifying):
            self._kernel.saved_sigint_handler = saved.previous
        current = signal.getsignal(signal.SIGINT)
        if isinstance(current, _Notifying):
            signal.signal(signal.SIGINT, current.previous)

    def _on_main_thread(self, function: Callable[[], None]) -> None:
        if self._kernel is None:
            return
        if _in_main_thread():
            function()
            return
        loop = self._loop()
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(function)


def _in_main_thread() -> bool:
    # Python sets signal handlers only in the main thread.
    return threading.current_thread() is threading.main_thread()
