"""The pause between the starts of successive turns, first come, first served."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Any

from agy_nb.runtime.turns.response import Response


class StartPause:
    """Lets one turn start at a time, with a pause between two starts.

    A turn that is over before its start gives its place back: those behind it move up.

    Args:
        seconds: The pause; 0 lets every turn start at once.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._latest = -math.inf
        self._line: deque[Response] = deque()
        self._moved: asyncio.Future[None] | None = None

    async def wait(self, response: Response) -> bool:
        """Wait for a turn's start.

        Args:
            response: The turn.

        Returns:
            Whether it is to start; False where it was ended meanwhile.
        """
        self._line.append(response)
        try:
            while not response.done and (rest := self._rest(response)) > 0:
                await self._changed(rest, response)
            if not response.done:
                self._latest = asyncio.get_running_loop().time()
        finally:
            self._line.remove(response)
            self._move_up()
        return not response.done

    def _rest(self, response: Response) -> float:
        """Seconds until a turn may start, if those before it all do."""
        due = self._latest + self._seconds * (self._line.index(response) + 1)
        return due - asyncio.get_running_loop().time()

    async def _changed(self, seconds: float, response: Response) -> None:
        """Wait until the time is over, the turn is over, or the line has moved."""
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        over = asyncio.ensure_future(response.over.wait())
        try:
            either: list[asyncio.Future[Any]] = [over, self._moved]
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()

    def _move_up(self) -> None:
        moved, self._moved = self._moved, None
        if moved is not None:
            moved.set_result(None)
