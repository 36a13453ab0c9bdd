"""The turns of an agent, as they begin: prompts, triggers and what the agent does by itself."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from agy_nb.runtime.turns.response import Response


class TurnStream:
    """Iterates over an agent's turns from the moment it was made; `Agent.turns` makes it.

    It ends when the agent does. Each stream sees every turn; one that is not read costs nothing
    but the handles that it keeps.
    """

    def __init__(self) -> None:
        self._turns: deque[Response] = deque()
        self._more = asyncio.Event()
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Response:
        while not self._turns:
            if self._over:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._turns.popleft()

    def add(self, response: Response) -> None:
        """A turn begins."""
        self._turns.append(response)
        self._more.set()

    def end(self) -> None:
        """No more turns will begin."""
        self._over = True
        self._more.set()
