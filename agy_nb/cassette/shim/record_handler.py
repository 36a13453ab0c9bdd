"""Stands between the client and the real harness, and keeps a copy of every frame.

Rule 1: a frame is kept before it is passed on, so that no answer can come before its question.
Rule 2: what the client sees is the harness's own: frames, closing codes, stderr, exit code.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from agy_nb.cassette.record.recorder import rewritten
from agy_nb.cassette.shim.client_socket import ClientGoneError, WebSocket
from agy_nb.cassette.shim.real_harness import RealHarness
from agy_nb.cassette.storage.format import Frame
from agy_nb.cassette.storage.writer import CassetteWriter

Rewrite: TypeAlias = Callable[[Frame], Frame]


class RecordHandler:
    """Records one session; see `server.Actor`.

    Args:
        harness: The real one.
        journal: Takes the frames; None to take none.
        rewrite: Changes the client's configuration on its way, unseen by the journal.
    """

    def __init__(
        self, harness: RealHarness, journal: CassetteWriter | None, rewrite: Rewrite | None = None
    ) -> None:
        self._harness = harness
        self._journal = journal
        self._rewrite = rewrite
        self.frames = 0

    async def serve(self, ws: WebSocket) -> None:
        """Pass frames on, both ways, until one side hangs up.

        Raises:
            ClientGoneError: The harness did.
            NoHarnessError: It does not listen.
        """
        real = await self._harness.connect()
        there = asyncio.ensure_future(self._pass_on(ws, real, "client"))
        back = asyncio.ensure_future(self._pass_on(real, ws, "harness"))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            by_client = there.done()
            if by_client:
                self._keep("end", {"by": "client"})
                return
            code, reason = real.close_code or 1006, real.close_reason or ""
            self._keep("end", {"by": "harness", "code": code, "reason": reason})
            raise ClientGoneError(code, reason)
        finally:
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            await real.close()

    async def _pass_on(
        self, source: WebSocket, target: WebSocket, direction: Literal["client", "harness"]
    ) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                message = await source.recv()
                self._keep(direction, message)
                if direction == "client" and self._rewrite is not None:
                    message, self._rewrite = rewritten(message, self._rewrite), None
                await target.send(message)
        except ConnectionClosed:
            return

    def _keep(
        self, direction: Literal["client", "harness", "end"], message: str | bytes | Frame
    ) -> None:
        self.frames += 1
        if self._journal is not None:
            self._journal.put(0, direction, time.perf_counter(), message)
