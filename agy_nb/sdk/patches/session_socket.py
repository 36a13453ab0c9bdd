"""The socket of one session of our runtime, next to the SDK.

The SDK answers each request of the harness in a task of its own, which it creates while it handles
the frame. Such a task inherits the context variables of the SDK's reader. So this socket
stores the task's input in that context, just before the reader gets the frame: the caller of the
tool that the task decides on, and the context of the turn, which leads prints to the right cell.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from agy_nb.sdk.process.observed_socket import ObservedSocket, OnEnd, OnFrame

SLICE_S = 0.01
"""Seconds that frames may be read in a row."""


class SessionSocket(ObservedSocket):
    """Prepares the SDK's reader for each frame, and lets others run between frames.

    Args:
        inner: The socket below.
        on_frame: Called with every frame; see `ObservedSocket`.
        on_received: Called in the reader's context with each received frame, after `on_frame`.
        rewrite: Changes a frame on its way out; most come back as they are.
        is_answer: Whether a frame answers a request. An answer to a harness that is gone is
            dropped: the reader reports the loss.
        on_end: Called once, when the connection ends; see `ObservedSocket`.
        keep: Context variables of ours that a turn's context must not change.
    """

    def __init__(
        self,
        inner: Any,
        on_frame: OnFrame,
        *,
        on_received: Callable[[str | bytes], None],
        rewrite: Callable[[str | bytes], str | bytes],
        is_answer: Callable[[str | bytes], bool],
        keep: Collection[contextvars.ContextVar[Any]] = (),
        on_end: OnEnd | None = None,
    ) -> None:
        super().__init__(inner, on_frame, on_end)
        self._on_received = on_received
        self._rewrite = rewrite
        self._is_answer = is_answer
        self._kept = frozenset(keep)
        self._reader: asyncio.Task[Any] | None = None
        self._turn: contextvars.Context | None = None
        self._set: list[tuple[contextvars.ContextVar[Any], contextvars.Token[Any]]] = []
        self._loop = asyncio.get_running_loop()
        self._slice_began = self._loop.time()

    @property
    def is_read(self) -> bool:
        """Whether the SDK still reads from it."""
        return self._reader is None or not self._reader.done()

    def run_in(self, context: contextvars.Context) -> None:
        """Have the tasks that answer from now on run in a copy of this context."""
        self._turn = context

    async def send(self, message: str | bytes) -> None:
        """Send a frame, changed if need be; see `ObservedSocket.send`."""
        try:
            await super().send(self._rewrite(message))
        except Exception:
            if not self._is_answer(message):
                raise

    async def __aiter__(self) -> AsyncIterator[Any]:
        self._reader = asyncio.current_task()
        async for message in super().__aiter__():
            self._enter_turn()
            self._on_received(message)
            yield message
            # The SDK handles a burst of frames without a pause; others wait meanwhile. They run
            # between two frames, never between the report of a frame and what the SDK does with it.
            if self._loop.time() - self._slice_began > SLICE_S:
                await asyncio.sleep(0)
                self._slice_began = self._loop.time()

    def _enter_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        for variable, token in reversed(self._set):
            variable.reset(token)
        # Variables of ours say which session this is, which no turn may change.
        self._set = [
            (variable, variable.set(value))
            for variable, value in turn.items()
            if variable not in self._kept
        ]
