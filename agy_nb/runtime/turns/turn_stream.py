"""Iterate over an agent's turns as they begin: prompts, triggers and wake-ups."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from agy_nb.protocol.amounts import counted
from agy_nb.runtime.turns.response import Response


class TurnStream:
    """Iterate over an agent's turns from the stream's creation on; see `Agent.turns`.

    Each stream yields every turn and ends with the agent. A stream that is not read only costs the
    memory for the handles.
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

    def __repr__(self) -> str:
        turns = counted(len(self._turns), "turn")
        return f"<TurnStream: {turns} to read{', ended' if self._over else ''}>"

    def add(self, response: Response) -> None:
        """Add a turn that begins."""
        self._turns.append(response)
        self._more.set()

    def end(self) -> None:
        """End the iteration after the turns so far."""
        self._over = True
        self._more.set()
