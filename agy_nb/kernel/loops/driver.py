"""Run a loop in this thread until an awaitable is done, and let an interrupt cancel it."""

from __future__ import annotations

import asyncio
import inspect
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from agy_nb.kernel.environment import in_kernel
from agy_nb.kernel.interrupts import OurHandler, blocking
from agy_nb.kernel.loops.signal_wakeup import SignalWakeup
from agy_nb.kernel.short_traceback import interrupted_by

if TYPE_CHECKING:
    from agy_nb.kernel.kernel_host import KernelHost

T = TypeVar("T")


def drive(
    coro: Awaitable[T],
    loop: asyncio.AbstractEventLoop,
    host: KernelHost,
    *,
    only_turns: bool = False,
) -> T:
    """Run a loop in this thread until an awaitable is done, with our handling of SIGINT.

    Args:
        coro: The awaitable.
        loop: The loop to run.
        host: Calls the callbacks for interrupts.
        only_turns: Whether an interrupt cancels the awaitable only while a turn is active. Else
            the previous handler decides, and the awaitable is left as it is.
    """
    task = asyncio.ensure_future(as_coroutine(coro), loop=loop)
    stop = loop.create_future()  # waited for instead of the task: a hard stop does not need it

    def finish(_task: object = None) -> None:
        if not stop.done():
            stop.set_result(None)

    task.add_done_callback(finish)
    handler = _Interrupt(loop, task, finish, host, only_turns=only_turns)
    installed = handler.install()
    try:
        loop.run_until_complete(stop)
        if not task.done():
            raise interrupted_by()
        return task.result()
    except asyncio.CancelledError as error:
        if handler.presses:
            raise interrupted_by(error) from None
        raise
    finally:
        if installed:
            handler.remove()
        _leave(task, cancel=not only_turns)
        if handler.late:  # the handler that is in place again decides
            signal.raise_signal(signal.SIGINT)


def _leave(task: asyncio.Future[Any], *, cancel: bool) -> None:
    if task.done():
        if not task.cancelled():
            task.exception()  # read it, or asyncio logs a KeyboardInterrupt of the task
    elif cancel:
        task.cancel()


class _Interrupt(OurHandler):
    """SIGINT while `run()` blocks: first cancel, then stop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        task: asyncio.Future[Any],
        finish: Callable[[], None],
        host: KernelHost,
        *,
        only_turns: bool,
    ) -> None:
        self.presses = 0
        self.late = False
        self._loop = loop
        self._task = task
        self._finish = finish
        self._host = host
        self._only_turns = only_turns
        self._waker = SignalWakeup()

    def install(self) -> bool:
        """Install the handler, except over a script's own handler or outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return False
        current = signal.getsignal(signal.SIGINT)
        ours = current is signal.default_int_handler or isinstance(current, OurHandler)
        if not ours and not in_kernel():
            return False
        self.previous = current
        signal.signal(signal.SIGINT, self)
        blocking.append(self)
        if not in_kernel():  # in a kernel, the KernelHost has one
            self._waker.open(self._loop)
        return True

    def remove(self) -> None:
        """Restore the previous handler."""
        blocking.remove(self)
        self._waker.close()
        current: object = signal.getsignal(signal.SIGINT)
        if current is self:
            signal.signal(signal.SIGINT, self.previous)

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if _outside_the_loop(frame) and (self.presses or self._task.done()):
            # A KeyboardInterrupt raised there would leave this handler in place permanently.
            self.late = True
            return
        if self._only_turns and not self.presses and not self._host.is_busy:
            self.previous(signum, frame)
            return
        self.presses += 1
        self._host.notify_interrupt("cell")
        if self.presses == 1:
            # Not `cancel()` itself: in its last step, the task would still return, and asyncio
            # would turn its result into a cancellation.
            self._loop.call_soon_threadsafe(self._task.cancel)
        elif _in_poller(frame):
            # The loop waits in its poller, so it can stop at once and cleanly.
            self._loop.call_soon_threadsafe(self._finish)
        else:
            # Python code runs and may never return to the loop; only an exception stops it.
            raise KeyboardInterrupt


def _outside_the_loop(frame: FrameType | None) -> bool:
    """Return whether the signal arrived in `drive()` itself, before or after the loop ran."""
    if frame is not None and frame.f_code is drive.__code__:
        return True
    own = {_Interrupt.install.__code__, _Interrupt.remove.__code__}
    while frame is not None and frame.f_code is not drive.__code__:
        if frame.f_code in own:
            return True
        frame = frame.f_back
    return False


def _in_poller(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_globals.get("__name__") == "selectors"


def as_coroutine(coro: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """Return a coroutine for anything that can be awaited."""
    if inspect.iscoroutine(coro):
        return coro

    async def wait() -> T:
        return await coro

    return wait()
