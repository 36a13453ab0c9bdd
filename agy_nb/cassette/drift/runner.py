"""The real harness, session by session: the recorded client's side, recorded again."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agy_nb.cassette.drift.client_replayer import ClientReplayer
from agy_nb.cassette.drift.errors import HarnessSilentError, RerunRefusedError
from agy_nb.cassette.drift.local_config import Conversations, Workspaces
from agy_nb.cassette.drift.trust import harness_environ, restricted
from agy_nb.cassette.matching.placeholders import Placeholders
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.late_secrets import LateSecrets
from agy_nb.cassette.shim import handshake, real_harness
from agy_nb.cassette.shim.client_socket import WebSocket
from agy_nb.cassette.storage.cassette_reader import RecordedSession, load
from agy_nb.cassette.storage.format import Frame, Header, parse_frame
from agy_nb.cassette.storage.writer import CassetteWriter, this_moment
from agy_nb.wire.frames import given_id

_QUIET_S = 0.3
"""Seconds without a frame, after the last turn, until all has been said."""


class AnsweringModel(Protocol):
    """The model that answers a rerun."""

    def into(self, config: Frame) -> Frame:
        """Return a configuration for the harness that names this model."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings:
    """How a rerun is done.

    Attributes:
        model: What answers.
        harness: The harness's binary; None for that of the installed SDK.
        folder: Where the recorded folders are made again; None for a temporary one.
        silence_s: Seconds without a frame, in a turn, after which a rerun is given up.
        trust: Whether to start recorded MCP servers, give the recorded answers of hooks, and obey
            recorded rules that allow tools of the harness.
        workspaces: Folders of the user for the recorded workspaces; temporary ones beyond these.
    """

    model: AnsweringModel
    harness: Path | None = None
    folder: Path | None = None
    silence_s: float = 120.0
    trust: bool = False
    workspaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DriftRun:
    """The outcome.

    Attributes:
        path: Folder of the new recording.
        unanswered: Requests of the harness that the old recording holds no answer to, in words.
        refused: Steps that were left out because the cassette is not trusted, in words.
    """

    path: Path
    unanswered: tuple[str, ...]
    refused: tuple[str, ...] = ()


def rerun(path: Path, into: Path, settings: DriftSettings) -> DriftRun:
    """Do again what a cassette's client did. Blocks; starts processes, reads and writes the disk.

    Args:
        path: Folder of the cassette.
        into: Folder of the new one.
        settings: How.

    Raises:
        CassetteError: The cassette cannot be read, or the new one not be written.
        NoHarnessError: The harness is missing, or it does not start.
        UnknownAddressError: A recorded model is at an address that the user did not give.
        RerunRefusedError: The harness rejects the recorded configuration.
        HarnessSilentError: Nothing more came.
    """
    recording = load(path)
    binary = settings.harness or real_harness.find()
    redactor = Redactor()
    late = LateSecrets(redactor)
    began = this_moment()
    writer = CassetteWriter(
        into, Header(recorded_at=began, sdk=recording.header.sdk), redact=late.line
    )
    try:
        with _folder(settings.folder) as folder:
            live = HarnessRun(recording.sessions, binary, folder, settings, writer)
            asyncio.run(live.run())
    except BaseException:
        writer.abandon()
        raise
    writer.finish(lambda: dict(redactor.counts), revise=late.revised)
    return DriftRun(into, tuple(live.unanswered), tuple(live.refused))


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="agy-") as folder:
        yield Path(folder)


class HarnessRun:
    """Recorded sessions on the real harness, one after the other.

    Args:
        sessions: The sessions.
        binary: The harness.
        folder: Where the recorded folders are made again.
        settings: How it is done.
        writer: Records the sessions again.

    Attributes:
        save_dir: Folder of the conversations.
        unanswered: Requests of the harness that the recording has no answer to.
        refused: Parts of the configuration that were left out, in order, each once.
    """

    def __init__(
        self,
        sessions: tuple[RecordedSession, ...],
        binary: Path,
        folder: Path,
        settings: DriftSettings,
        writer: CassetteWriter,
    ) -> None:
        self._sessions = sessions
        self._binary = binary
        self.save_dir: Path = folder / "save"
        self._settings = settings
        self._writer = writer
        self._folders = Workspaces(sessions, folder, settings.workspaces)
        self._conversations = Conversations()
        self.unanswered: list[str] = []
        self.refused: dict[str, None] = {}

    async def run(self) -> None:
        """Run all sessions, past a cassette that this process uses."""
        from agy_nb.sdk.process.interceptor import let_through

        with let_through():
            for session in self._sessions:
                if session.config:
                    await self._session(session)

    async def _session(self, session: RecordedSession) -> None:
        greeting = handshake.greeting_message(str(self.save_dir))
        harness = await self._started(greeting)
        try:
            await asyncio.to_thread(harness.wait_for_address)
            ws = await harness.connect()
            try:
                if not await self._talk(session, ws):
                    words = await asyncio.to_thread(harness.said)
                    raise RerunRefusedError(
                        f"session {session.number}: the harness rejects the recorded "
                        f"configuration: {words}"
                    )
            finally:
                await ws.close()
        finally:
            await asyncio.to_thread(harness.stop)

    async def _started(self, greeting: bytes) -> real_harness.RealHarness:
        """Start a harness; a cancelled caller stops it again."""
        starting = asyncio.ensure_future(
            asyncio.to_thread(
                real_harness.RealHarness,
                self._binary,
                greeting,
                quiet=True,
                environ=harness_environ(os.environ, trust=self._settings.trust),
            )
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: it would leave a harness that nothing stops.
            await asyncio.wait([starting])
            if starting.exception() is None:
                await asyncio.to_thread(starting.result().stop)
            raise

    async def _talk(self, session: RecordedSession, ws: WebSocket) -> bool:
        """Return whether the harness sent anything."""
        from websockets.exceptions import ConnectionClosed

        script = ClientReplayer(session)
        config = self._conversations.into(self._folders.into(session.config))
        here = Placeholders(session.config, config, redact=str)
        config = json.loads(here.outward(json.dumps(config)))
        self._keep(session, "client", config)
        if not self._settings.trust:
            safe = restricted(config)
            config = safe.config
            self.refused |= dict.fromkeys(safe.refused)
        await ws.send(json.dumps(self._settings.model.into(config)))
        end: Frame = {"by": "client"}
        heard = False
        try:
            while (frame := await self._heard(session, ws, script)) is not None:
                heard = True
                for answer in script.take(frame):
                    text = here.outward(json.dumps(answer))
                    self._keep(session, "client", text)
                    await ws.send(text)
        except ConnectionClosed as closed:
            if not (script.over and session.end == end):  # that client had hung up by then
                close = closed.rcvd
                end = {"by": "harness", "code": close.code if close else 1006}
                end["reason"] = close.reason if close else ""
        self._keep(session, "end", end)
        self.unanswered += [f"session {session.number}: {what}" for what in script.unanswered]
        return heard

    async def _heard(
        self, session: RecordedSession, ws: WebSocket, script: ClientReplayer
    ) -> Frame | None:
        if script.hung_up:
            return None
        limit = _QUIET_S if script.over else self._settings.silence_s
        try:
            async with asyncio.timeout(limit):
                message = await ws.recv()
        except TimeoutError:
            if script.over:
                return None
            raise HarnessSilentError(
                f"session {session.number}: the harness sent nothing for {limit:g} s in the "
                "middle of a turn. If the model needs more time, raise the limit with "
                "--silence"
            ) from None
        self._keep(session, "harness", message)
        frame = parse_frame(message)
        if live := given_id(frame):
            recorded = (given_id(line.frame) for line in session.lines)
            self._conversations.learn(next(filter(None, recorded), ""), live)
        return frame

    def _keep(self, session: RecordedSession, direction: str, message: str | bytes | Frame) -> None:
        self._writer.put(session.number, direction, time.perf_counter(), message)  # type: ignore[arg-type]  # one of the three
