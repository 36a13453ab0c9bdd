"""`KernelHost`: the one object per process through which agy_nb uses the kernel.

It opens the comm pump while a cell of the main shell executes and a turn is active, reports
interrupts, and cleans up when the kernel ends. Outside a kernel it does less: `busy()` has no
effect, `on_interrupt` reports interrupts of `run()`, and `at_exit` runs when Python ends.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator

from agy_nb.kernel.cell_tracker import CellTracker
from agy_nb.kernel.comm_pump import CommPump, current_parent
from agy_nb.kernel.compat_ipykernel7 import fix_replies, forget_failed_displays
from agy_nb.kernel.environment import current_kernel, current_shell, main_loop, on_main_loop
from agy_nb.kernel.errors import KernelWarning
from agy_nb.kernel.interrupts import InterruptCallback, Interrupts, Where
from agy_nb.kernel.loops.terminal_cells import cancel_turns_on_interrupt
from agy_nb.kernel.shutdown import Cleanup, ShutdownHooks

_log = logging.getLogger("agy_nb.kernel")


class KernelHost:
    """The services of the kernel that agy_nb uses.

    Call `current_host()` to get the host of this process. Do not create one.

    Attributes:
        clicks_reason: Why widget messages are not handled while a cell runs; empty if no reason
            is known.
        cells_reason: Why the host cannot see when cells run; empty if it can.
    """

    def __init__(self) -> None:
        self.clicks_reason: str = ""
        self.cells_reason: str = ""
        self._kernel = current_kernel()
        self._lock = threading.Lock()  # busy() may be entered in a subshell's thread
        self._busy = 0
        self._blocking = 0
        self._cells: CellTracker | None = None
        self._cell_callbacks: list[Callable[[], None]] = []
        self._pump = CommPump(self._kernel, self._holds_cells) if self._kernel is not None else None
        self._interrupts = Interrupts(
            self._kernel,
            main_loop,
            lambda: self.cell_running,
            lambda: bool(self._busy or self._blocking),
        )
        self._exit = ShutdownHooks(self._kernel, main_loop)
        shell = current_shell()
        if self._kernel is None and shell is not None:
            with contextlib.suppress(AttributeError):  # then the terminal works as it did before
                cancel_turns_on_interrupt(shell, self)
        if self._kernel is not None:
            try:
                self._cells = CellTracker(
                    shell,
                    self._kernel,
                    self._cell_started,
                    self._cell_ended,
                    self._cell_ends,
                )
            except Exception as error:
                self.cells_reason = f"agy_nb cannot see when cells of this kernel run ({error})"
                _warn(f"{self.cells_reason}: widgets answer only when no cell is running")
            with contextlib.suppress(AttributeError):  # then the kernel works as it did before
                forget_failed_displays(shell)
            with contextlib.suppress(AttributeError):
                fix_replies(self._kernel)

    @property
    def is_busy(self) -> bool:
        """Whether a turn or an approval is active."""
        return self._busy > 0

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
        """Keep widgets responsive while a cell runs.

        Enter it while a turn or an approval is active. You can enter it several times at once and
        from any thread. It has no effect while no cell runs. Once widget messages are handled,
        they are handled until that cell ends.

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
        """Keep the pump open while `run()` blocks the shell, whether a cell runs or not.

        A widget callback may call `run()`, too. Then no running cell shows that messages wait.
        """
        self._blocking += 1
        self._update()
        try:
            yield
        finally:
            self._blocking -= 1
            self._close_when_free()

    def on_interrupt(self, callback: InterruptCallback) -> Callable[[], None]:
        """Call a function at every interrupt of the kernel (SIGINT).

        The kernel still cancels the cell. Without a callback, an idle kernel ignores an interrupt;
        with one, the interrupt is reported.

        Args:
            callback: Called on the main loop with `"cell"` if a cell was running, else with
                `"idle"`, once for each interrupt.

        Returns:
            A function that removes the callback; it may be called twice.
        """
        return self._interrupts.add(callback)

    def at_cell_end(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call a function at the end of each cell, while outputs still belong to the cell.

        Front ends without input, such as papermill and nbconvert, drop later outputs.

        Args:
            callback: Called on the main loop after the cell's code; it may call `run()`.

        Returns:
            A function that removes the callback; it may be called twice.
        """
        self._cell_callbacks.append(callback)

        def remove() -> None:
            self._cell_callbacks = [each for each in self._cell_callbacks if each is not callback]

        return remove

    def at_exit(
        self, callback: Cleanup, *, fallback: Callable[[], object] | None = None
    ) -> Callable[[], None]:
        """Call a function once when the kernel shuts down or restarts, or when Python ends.

        Args:
            callback: Called without arguments on the main loop; an awaitable result is awaited.
                All callbacks together have 2 seconds: front ends kill a kernel that takes longer.
            fallback: Called synchronously instead if no loop can run any more. Without a
                `fallback`, a `callback` that is not a coroutine function is called.

        Returns:
            A function that removes the callback; it may be called twice.
        """
        return self._exit.add(callback, fallback)

    def leave(self) -> None:
        """Run the callbacks of `at_exit` now, each once."""
        self._exit.finish()

    def notify_interrupt(self, where: Where) -> None:
        """Call the callbacks of `on_interrupt`; `run()` has its own SIGINT handler."""
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

    def _cell_ends(self) -> None:
        for callback in tuple(self._cell_callbacks):
            try:
                callback()
            except Exception:
                _log.exception("a callback at the end of a cell failed")

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
        except Exception as error:
            self.clicks_reason = (
                f"this version of ipykernel lacks a hook that agy_nb needs ({error})"
            )
            _warn(
                f"{self.clicks_reason}: clicks on widgets are handled only after the cell has "
                "ended; answer questions as text, or start turns in the background"
            )

    def _holds_cells(self) -> bool:
        """Return whether code runs that the next cell must wait for."""
        return self._blocking > 0 or self._cells is None or not self._cells.shell_is_free()

    def _close_when_free(self) -> None:
        if self._pump is not None and not self._blocking and not self.cell_running:
            self._pump.close()


def _warn(text: str) -> None:
    warnings.warn(text, KernelWarning, stacklevel=4)


_host: KernelHost | None = None
_host_lock = threading.Lock()


def _forget_host() -> None:
    """Forget the parent's host in a forked child: a thread of the parent may hold its lock."""
    global _host, _host_lock
    _host, _host_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_host)


def current_host() -> KernelHost:
    """Return the host of this process; the first call creates it.

    Example:
        >>> unregister = current_host().on_interrupt(lambda where: print("stopped"))
        >>> unregister()
    """
    global _host  # noqa: PLW0603 - one host per kernel
    with _host_lock:
        if _host is None or _host._kernel is not current_kernel():
            _host = KernelHost()
        return _host
