"""Is a cell executing on the main shell right now?

IPython says when a cell starts and ends (`pre_run_cell`, `post_run_cell`). Three things need
care: the first cell has started before we were imported; cells of subshells run in other
threads and hold nobody back; a cell may run another (`%run`, `get_ipython().run_cell`).
"""

from __future__ import annotations

import builtins
import contextvars
from collections.abc import Callable
from typing import Any

from agy_nb.kernel.access import main_loop, running_loop
from agy_nb.kernel.pump import Parent, current_parent


class CellTracker:
    """Follows the cells of the main shell.

    Args:
        shell: IPython's shell.
        kernel: Its kernel.
        on_start: Called when a cell of the main shell starts, in the cell's context.
        on_end: Called when it has ended, before its reply is sent.
    """

    def __init__(
        self,
        shell: Any,  # noqa: ANN401
        kernel: Any,  # noqa: ANN401
        on_start: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self.parent: Parent | None = None
        self.context: contextvars.Context | None = None
        self._kernel = kernel
        self._on_start = on_start
        self._on_end = on_end
        self._stack: list[Any] = []
        if self._started_before_us():
            self._note_cell()
            self._stack.append(None)
        shell.events.register("pre_run_cell", self._pre_run_cell)
        shell.events.register("post_run_cell", self._post_run_cell)

    @property
    def running(self) -> bool:
        """Whether a cell of the main shell is executing."""
        return bool(self._stack)

    def _started_before_us(self) -> bool:
        # For the time of a cell, and only then, the kernel puts its own input() in place.
        return getattr(builtins.input, "__self__", None) is self._kernel

    def _note_cell(self) -> None:
        self.parent = current_parent(self._kernel)
        self.context = contextvars.copy_context()

    def _pre_run_cell(self, info: Any) -> None:  # noqa: ANN401
        if running_loop() is not main_loop():
            return  # a cell of a subshell
        if self._stack and self._message_id(current_parent(self._kernel)) != self._message_id(
            self.parent
        ):
            self._end()  # the end of the last cell was never announced
        self._stack.append(info)
        if len(self._stack) == 1:
            self._note_cell()
            self._on_start()

    def _post_run_cell(self, result: Any) -> None:  # noqa: ANN401
        if running_loop() is not main_loop() or not self._stack:
            return
        info = getattr(result, "info", None)
        # An empty cell ends without having started; it must not end the one around it.
        if result is not None and self._stack[-1] is not None and self._stack[-1] is not info:
            return
        self._stack.pop()
        if not self._stack:
            self._end()

    def _end(self) -> None:
        self._stack.clear()
        self._on_end()

    @staticmethod
    def _message_id(parent: Parent | None) -> object:
        if parent is None or not parent.message:
            return None
        return parent.message.get("header", {}).get("msg_id")
