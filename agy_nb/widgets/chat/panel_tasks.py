"""The background tasks of a chat panel, on the loop of its view."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from agy_nb.kernel.environment import running_loop


class PanelTasks:
    """Starts tasks, and keeps them until they are done.

    Args:
        loop: The loop of the view.
        on_error: Called with the exception of a task that failed.

    Attributes:
        reading: Tasks that show the earlier turns or another branch.
        costs: Tasks that calculate costs.
        others: All other tasks.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_error: Callable[[BaseException], None]
    ) -> None:
        self.reading: set[asyncio.Future[Any]] = set()
        self.costs: set[asyncio.Future[Any]] = set()
        self.others: set[asyncio.Future[Any]] = set()
        self._loop = loop
        self._on_error = on_error

    def start(
        self, work: Coroutine[Any, Any, Any], group: set[asyncio.Future[Any]] | None = None
    ) -> None:
        """Start a task on the main loop; a panel made in a subshell is called on another loop.

        Args:
            work: What to do.
            group: Contains the task until it is done; `others` by default.
        """
        known = self.others if group is None else group
        if running_loop() is self._loop or not self._loop.is_running():
            self._start(work, known)
        else:
            self._loop.call_soon_threadsafe(self._start, work, known)

    def _start(self, work: Coroutine[Any, Any, Any], group: set[asyncio.Future[Any]]) -> None:
        task = asyncio.ensure_future(work, loop=self._loop)
        group.add(task)
        task.add_done_callback(group.discard)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Future[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)
