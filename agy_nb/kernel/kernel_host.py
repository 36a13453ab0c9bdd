"""The guest: one object a kernel that knows when a cell runs and who needs the kernel's help.

It holds the pump open while a cell of the main shell executes and somebody is busy, tells of
interrupts, and cleans up at the end. Outside a kernel it is the same object with nothing to do:
`busy()` counts, `on_interrupt` hears from `run()`, `at_exit` runs when Python ends.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import threading
import warnings
from collections.abc import Callable, Iterator

from agy_nb.kernel.cell_tracker import CellTracker
from agy_nb.kernel.comm_pump import CommPump, current_parent
from agy_nb.kernel.compat_ipykernel7 import mend_replies
from agy_nb.kernel.environment import current_kernel, current_shell, main_loop, on_main_loop
from agy_nb.kernel.errors import KernelWarning
from agy_nb.kernel.interrupts import InterruptCallback, Interrupts, Where
from agy_nb.kernel.shutdown import Cleanup, ShutdownHooks


class KernelHost:
    """What this package asks of the kernel that it lives in.

    Use `current_host()` to get the one of this process; make none yourself.

    Attributes:
        clicks_reason: Why widget messages do not get through while a cell runs; empty when
            they do, as far as known.
        cells_reason: Why it is not known when cells run; empty when it is.
    """

    def __init__(self) -> None:
        self.clicks_reason = ""
        self.cells_reason = ""
        self._kernel = current_kernel()
        self._lock = threading.Lock()  # busy() may be entered in a subshell's thread
        self._busy = 0
        self._blocking = 0
        self._cells: CellTracker | None = None
        self._pump = CommPump(self._kernel, self._holds_cells) if self._kernel is not None else None
        self._interrupts = Interrupts(
            self._kernel,
            main_loop,
            lambda: self.cell_running,
            lambda: bool(self._busy or self._blocking),
        )
        self._exit = ShutdownHooks(self._kernel, main_loop)
        if self._kernel is not None:
            try:
                self._cells = CellTracker(
                    current_shell(), self._kernel, self._cell_started, self._cell_ended
                )
            except Exception as error:  # noqa: BLE001 - a guest never breaks its host
                self.cells_reason = f"this shell does not tell when cells run ({error})"
                _warn(f"{self.cells_reason}: widgets answer only when no cell is running")
            with contextlib.suppress(AttributeError):  # it is then as deaf as without us
                mend_replies(self._kernel)

    @property
    def cell_running(self) -> bool:
        """Whether a cell of the main shell is executing now."""
        return self._cells is not None and self._cells.running

    @property
    def pump_open(self) -> bool:
        """Whether widget messages are handled at once, and other messages held, now."""
        return self._pump is not None and self._pump.is_open

    @property
    def cell_context(self) -> contextvars.Context | None:
        """The context of the last cell that started; outputs in it go to that cell."""
        return self._cells.context if self._cells is not None else None

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Say that widgets must answer even while a cell runs.

        Hold it while a turn or an approval is active. Any number may be held at once, from any
        thread. While no cell runs it changes nothing; once widget messages get through they do so
        to the end of that cell.

        Example:
            >>> with current_host().busy():  # clicks are delivered while this awaits
            ...     await asyncio.sleep(0)
        """
        with self._lock:
            self._busy += 1
        self._soon(self._update)
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    @contextlib.contextmanager
    def blocking(self) -> Iterator[None]:
        """Hold the pump open whether a cell runs or not: `run()` blocks the shell by itself.

        A callback of a widget may call `run()` too, and then nothing else tells that messages
        wait behind it.
        """
        self._blocking += 1
        self._update()
        try:
            yield
        finally:
            self._blocking -= 1
            self._close_when_free()

    def on_interrupt(self, callback: InterruptCallback) -> Callable[[], None]:
        """Have a function called at every interrupt of the kernel (SIGINT).

        The kernel does what it always does, too: it cancels the cell. An interrupt of an idle
        kernel, which otherwise does nothing, is reported while a callback is registered.

        Args:
            callback: Called on the main loop with `"cell"` when a cell was running, and with
                `"idle"` when none was, once for each interrupt.

        Returns:
            A function that removes the callback; it may be called twice.
        """
        return self._interrupts.add(callback)

    def at_exit(
        self, callback: Cleanup, *, fallback: Callable[[], object] | None = None
    ) -> Callable[[], None]:
        """Have a function called once when the kernel shuts down or restarts, or Python ends.

        Args:
            callback: Called without arguments on the main loop; what it returns is awaited if
                it can be. All callbacks together have 2 seconds: front ends kill a kernel that
                takes longer.
            fallback: Called instead, and synchronously, where no loop is left to run on. Without
                one, a `callback` that is no coroutine function is called.

        Returns:
            A function that takes the callback back; it may be called twice.
        """
        return self._exit.add(callback, fallback)

    def leave(self) -> None:
        """Do now what `at_exit` was given to do, each thing once."""
        self._exit.finish()

    def notify_interrupt(self, where: Where) -> None:
        """Tell the callbacks of an interrupt; `run()` has its own SIGINT handler."""
        self._interrupts.notify(where)

    def _soon(self, function: Callable[[], None]) -> None:
        if self._kernel is None:
            return
        if on_main_loop():
            function()
            return
        loop = main_loop()
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # a closed loop has no messages to sort
                loop.call_soon_threadsafe(function)

    def _cell_started(self) -> None:
        self._update()

    def _cell_ended(self) -> None:
        self._close_when_free()

    def _update(self) -> None:
        self._interrupts.arm()
        if self._pump is None or self.clicks_reason:
            return
        if not self._blocking and not (self._busy and self.cell_running):
            return
        try:
            if self._cells is not None and self.cell_running:
                self._pump.open(self._cells.parent)
            else:
                self._pump.open(current_parent(self._kernel))
        except Exception as error:  # noqa: BLE001 - a guest never breaks its host
            self.clicks_reason = f"this ipykernel lacks a hook ({error})"
            _warn(
                f"{self.clicks_reason}: clicks on widgets are handled only after the cell has "
                "ended; answer questions as text, or start turns in the background"
            )

    def _holds_cells(self) -> bool:
        """Whether anything really runs that the next cell must wait for."""
        return self._blocking > 0 or self._cells is None or not self._cells.shell_is_free()

    def _close_when_free(self) -> None:
        if self._pump is not None and not self._blocking and not self.cell_running:
            self._pump.close()


def _warn(text: str) -> None:
    warnings.warn(text, KernelWarning, stacklevel=4)


_guest: KernelHost | None = None
_guest_lock = threading.Lock()


def _start_afresh() -> None:
    """Forget the parent's guest in a forked child: a thread of the parent may hold its lock."""
    global _guest, _guest_lock
    _guest, _guest_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


def current_host() -> KernelHost:
    """Return the guest of this process, made on first use.

    Example:
        >>> unregister = current_host().on_interrupt(lambda where: print("stopped"))
        >>> unregister()
    """
    global _guest  # noqa: PLW0603 - one guest a kernel
    with _guest_lock:
        if _guest is None or _guest._kernel is not current_kernel():
            _guest = KernelHost()
        return _guest
