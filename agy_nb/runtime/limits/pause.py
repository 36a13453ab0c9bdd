"""Keep a pause between the starts of successive turns, in the order of their prompts."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from agy_nb.runtime.turns.response import Response


@dataclass(slots=True)
class StartPause:
    """Start one turn at a time, with a pause between two starts.

    A turn that is cancelled before its start leaves the queue, and the turns behind it move up.

    Args:
        seconds: The pause; 0 lets every turn start at once.
    """

    _seconds: float
    _latest: float = -math.inf
    _queue: deque[Response] = field(default_factory=deque)
    _queue_moved: asyncio.Future[None] | None = None

    async def wait(self, response: Response) -> bool:
        """Wait until a turn may start.

        Args:
            response: The turn.

        Returns:
            Whether the turn may start; False if it has ended in the meantime.
        """
        self._queue.append(response)
        try:
            while not response.done and (rest := self._rest(response)) > 0:
                await self._changed(rest, response)
            if not response.done:
                self._latest = asyncio.get_running_loop().time()
        finally:
            self._queue.remove(response)
            self._move_up()
        return not response.done

    def _rest(self, response: Response) -> float:
        """Return the seconds until a turn may start if all turns before it start."""
        due = self._latest + self._seconds * (self._queue.index(response) + 1)
        return due - asyncio.get_running_loop().time()

    async def _changed(self, seconds: float, response: Response) -> None:
        """Wait until the time has passed, the turn is over, or the queue has moved."""
        if self._queue_moved is None:
            self._queue_moved = asyncio.get_running_loop().create_future()
        over = asyncio.ensure_future(response.over.wait())
        try:
            either: list[asyncio.Future[Any]] = [over, self._queue_moved]
            # All turns wait for one `_queue_moved`. `wait` leaves it pending at a time-out;
            # `wait_for` would cancel it under the others.
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()

    def _move_up(self) -> None:
        moved, self._queue_moved = self._queue_moved, None
        if moved is not None:
            moved.set_result(None)
