"""Track whether a request executes on the main shell.

ipykernel calls `kernel.pre_handler_hook` before and `kernel.post_handler_hook` after each request
that it handles, so these hooks mark exactly when a request runs. IPython's events are not enough.
IPython triggers no event at the end of a silent request, such as the set-up of an extension. And it
triggers events for cells of subshells, which run in other threads and do not delay other cells.

Two cases are special. The first request started before this module was imported, so only its end is
seen. One request may run inside another (`kernel.do_one_iteration` of ipykernel 6), so there is a
stack of requests.
"""

from __future__ import annotations

import builtins
import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agy_nb.kernel.comm_pump import Parent, current_parent
from agy_nb.kernel.environment import main_loop, on_main_loop, running_loop


@dataclass(frozen=True, slots=True)
class _Request:
    """A request that the main shell handles now.

    Attributes:
        is_cell: Whether it executes code.
        parent: The request that its outputs belong to; None if unknown.
        context: The context that its code runs in.
    """

    is_cell: bool
    parent: Parent | None
    context: contextvars.Context | None


class CellTracker:
    """Follows the requests of the main shell that execute code, silent ones included.

    Args:
        shell: IPython's shell.
        kernel: Its kernel.
        on_start: Called when code of the main shell starts to run; several times for one request
            where code runs other code.
        on_end: Called when the code has ended, before the reply, and again when the request has.
        before_end: Called when the code has ended and outputs still belong to its cell.

    Raises:
        AttributeError: A hook is missing in this kernel.
    """

    def __init__(
        self,
        shell: Any,
        kernel: Any,
        on_start: Callable[[], None],
        on_end: Callable[[], None],
        before_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._kernel = kernel
        self._before_end = before_end
        self._on_start = on_start
        self._on_end = on_end
        self._stack: list[_Request] = []
        self._depth = 0  # code runs other code: %run, get_ipython().run_cell
        self._code_is_over = False
        self._before, self._after = kernel.pre_handler_hook, kernel.post_handler_hook
        if _handles_a_request(kernel):
            self._stack.append(self._this_request(is_cell=True))
            self._depth = 1
        kernel.pre_handler_hook, kernel.post_handler_hook = self._begin, self._finish
        # Not at the request's start: ipykernel installs a SIGINT handler between that and the code.
        shell.events.register("pre_execute", self._code_starts)
        # Before the request's end: a cell that failed aborts those that wait at its reply.
        shell.events.register("post_execute", self._code_ends)

    @property
    def running(self) -> bool:
        """Whether the main shell executes code."""
        return self._has_cell and not self._code_is_over

    @property
    def _has_cell(self) -> bool:
        return any(request.is_cell for request in self._stack)

    @property
    def parent(self) -> Parent | None:
        """The request whose code runs; None if there is none or it is unknown."""
        return next((each.parent for each in self._stack if each.is_cell), None)

    @property
    def context(self) -> contextvars.Context | None:
        """The context of the code that runs; outputs in it go to its cell."""
        return next((each.context for each in self._stack if each.is_cell), None)

    def shell_is_free(self) -> bool:
        """Return whether the kernel's own lock shows that its main shell handles no request.

        If so, the requests in the stack are removed. ipykernel 6 has no such lock and needs none:
        it has no subshells and never skips a hook.
        """
        lock = getattr(self._kernel, "_main_asyncio_lock", None)
        if lock is None or lock.locked():
            return False
        self._stack.clear()
        return True

    def _begin(self) -> None:
        # ipykernel 7 calls the hooks for subshells too, in threads whose loops are others.
        if running_loop() is main_loop():
            message = self._kernel.get_parent("shell") or {}
            is_cell = message.get("header", {}).get("msg_type") == "execute_request"
            if is_cell and not self._has_cell:
                self._depth, self._code_is_over = 0, False
            self._stack.append(self._this_request(is_cell=is_cell))
        self._before()

    def _finish(self) -> None:
        try:
            self._after()
        finally:
            if running_loop() is main_loop() and self._stack:
                ended = self._stack.pop()
                if ended.is_cell and not self._has_cell:
                    self._on_end()

    def _this_request(self, *, is_cell: bool) -> _Request:
        if not on_main_loop():  # first use in a subshell: the main shell's request is another
            return _Request(is_cell, None, None)
        return _Request(is_cell, current_parent(self._kernel), contextvars.copy_context())

    def _code_starts(self) -> None:
        # The event is also triggered for each message of a widget.
        if self._has_cell and running_loop() is main_loop():
            self._depth += 1
            self._code_is_over = False
            self._on_start()

    def _code_ends(self) -> None:
        if self._has_cell and running_loop() is main_loop():
            self._depth -= 1
            if self._depth <= 0:
                self._end_code()

    def _end_code(self) -> None:
        try:
            self._before_end()
        finally:
            self._depth, self._code_is_over = 0, True
            self._on_end()


def _handles_a_request(kernel: Any) -> bool:
    """Return whether the main shell is inside a request already."""
    lock = getattr(kernel, "_main_asyncio_lock", None)
    if lock is not None:
        return bool(lock.locked())
    # ipykernel 6 has one shell. While that executes code, and only then, input() is the kernel's.
    return getattr(builtins.input, "__self__", None) is kernel
