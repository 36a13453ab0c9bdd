"""Stands between the client and the real harness, and keeps a copy of every frame.

Rule 1: a frame of the client is kept if it left, and always before its answer.
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
from agy_nb.cassette.storage.format import Frame, parse_frame
from agy_nb.cassette.storage.writer import CassetteWriter

Rewrite: TypeAlias = Callable[[Frame], Frame]


class RecordHandler:
    """Records one session; see `client_socket.ClientHandler`.

    Args:
        harness: The real one.
        writer: Takes the frames; None to take none.
        session: Number of the session in the recording.
        rewrite: Changes the client's configuration on its way, unseen by the recording.
        check: Called with the client's first frame; raises if the session may not be recorded.
        finish: Saves the recording. Called in a thread when the harness has hung up.

    Attributes:
        frames: How many frames there were.
        is_open: Whether neither side has hung up.
    """

    def __init__(
        self,
        harness: RealHarness,
        writer: CassetteWriter | None,
        session: int,
        rewrite: Rewrite | None = None,
        check: Callable[[Frame], None] | None = None,
        finish: Callable[[], None] | None = None,
    ) -> None:
        self._harness = harness
        self._writer = writer
        self._session = session
        self._rewrite = rewrite
        self._sending: str | bytes | None = None
        self._check = check
        self._finish = finish
        self.frames: int = 0
        self.is_open: bool = True

    async def serve(self, ws: WebSocket) -> None:
        """Pass frames on, both ways, until one side hangs up.

        Raises:
            ClientGoneError: The harness did.
            NoHarnessError: It does not listen.
            EchoRecordingError: The client's agent is on the echo model.
        """
        real = await self._harness.connect()
        there = asyncio.ensure_future(self._pass_on(ws, real, "client"))
        back = asyncio.ensure_future(self._pass_on(real, ws, "harness"))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            if there.done():
                there.result()
            if there.done() and real.close_code is None:
                self._keep("end", {"by": "client"})
                return
            code, reason = real.close_code or 1006, real.close_reason or ""
            await asyncio.to_thread(self._end_with_harness, code, reason)
            raise ClientGoneError(code, reason)
        finally:
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            self.is_open = False
            await real.close()

    def _end_with_harness(self, code: int, reason: str) -> None:
        """Save the recording before the client sees the end, since it may kill this process."""
        end: Frame = {"by": "harness", "code": code, "reason": reason}
        if words := self._harness.stderr_text():
            end["stderr"] = words
        self._keep("end", end)
        if self._finish is not None:
            self._finish()

    async def _pass_on(
        self, source: WebSocket, target: WebSocket, direction: Literal["client", "harness"]
    ) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                message = await source.recv()
                if direction == "harness":
                    self._keep_sending()
                    self._keep("harness", message)
                else:
                    if self._check is not None:
                        self._check(parse_frame(message))
                        self._check = None
                    self._sending = message
                    if self._rewrite is not None:
                        message, self._rewrite = rewritten(message, self._rewrite), None
                await target.send(message)
                if direction == "client":
                    self._keep_sending()
        except ConnectionClosed:
            if direction == "client":
                self._sending = None  # the harness was gone

    def _keep_sending(self) -> None:
        """Keep the client's frame that is on its way, if there is one."""
        message, self._sending = self._sending, None
        if message is not None:
            self._keep("client", message)

    def _keep(
        self, direction: Literal["client", "harness", "end"], message: str | bytes | Frame
    ) -> None:
        self.frames += 1
        if self._writer is not None:
            self._writer.put(self._session, direction, time.perf_counter(), message)
