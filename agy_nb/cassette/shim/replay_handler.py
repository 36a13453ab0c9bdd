"""Stands in for the harness: the machine inside, and no process, no model, no network.

Rule 1: a divergence ends the connection, with its explanation on stderr and, as far as there is
room, in the closing frame.
Rule 2: without waiting, a turn ends a moment after the client's last frame. A client that polls
whether the agent is idle would otherwise never see the turn. Other than in process, the stand-in
cannot know what the client has read.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import replace

from agy_nb.cassette.errors import CassetteError, CassetteMismatchError
from agy_nb.cassette.replay.machine import SessionMachine
from agy_nb.cassette.replay.replay_socket import SESSION_ENDED_MESSAGE, CassetteSocket
from agy_nb.cassette.replay.session_matcher import PlaySettings, SessionMatcher
from agy_nb.cassette.shim.client_socket import ClientGoneError, WebSocket
from agy_nb.cassette.shim.shared_state import SharedState
from agy_nb.cassette.storage.cassette_reader import Cassette
from agy_nb.cassette.storage.format import Frame, parse_frame
from agy_nb.wire.frames import SESSION_END
from agy_nb.wire.summaries.beginning import Beginning

DIVERGED = 4409
"""Closing code of a client that differs from the recording; of the range for private use."""

_SHORTEST_S = 0.06
"""Seconds between the client's last frame and the end of its turn: enough for polling every 50 ms,
and little beside the start of a process."""


class ReplayHandler:
    """Plays one session; see `client_socket.ClientHandler`.

    Args:
        cassette: The cassette.
        settings: How it is played.
        shared: Shared by the client's stand-ins.
        speed: 0 for no waiting, 1 for the recorded pace, 2 for twice that pace.
        stall_after: Seconds after which a session in which nothing can move is an error.
        allow_unplayed: Whether the client may hang up before the recording ends.
        tell: Takes the explanation of what went wrong, before the connection ends.

    Attributes:
        error: What went wrong, once it has.
    """

    def __init__(
        self,
        cassette: Cassette,
        settings: PlaySettings,
        shared: SharedState,
        *,
        speed: float = 0,
        stall_after: float = 10.0,
        allow_unplayed: bool = False,
        tell: Callable[[str], None] = lambda text: None,  # noqa: ARG005
    ) -> None:
        self._tell = tell
        self._matcher = SharedSessions(cassette, settings, shared)
        self._speed = speed
        self._stall_after = stall_after
        self._allow_unplayed = allow_unplayed
        self._heard = 0.0
        self.error: CassetteError | None = None

    async def serve(self, ws: WebSocket) -> None:
        """Replay until one side closes the connection.

        Raises:
            ClientGoneError: The harness did in the recording, or the client diverged.
        """
        socket = CassetteSocket(
            self._matcher, speed=self._speed, stall_after=self._stall_after, closed=ClientGoneError
        )
        socket.read_through(self._is_noticed)
        listening = asyncio.ensure_future(self._listen(ws, socket))
        speaking = asyncio.ensure_future(self._speak(ws, socket))
        try:
            await asyncio.wait((listening, speaking), return_when=asyncio.FIRST_COMPLETED)
            if speaking.done():
                speaking.result()
            if listening.done():
                listening.result()
        except CassetteError as error:
            self.error = error
        finally:
            for task in (listening, speaking):
                task.cancel()
            await asyncio.gather(listening, speaking, return_exceptions=True)
            if words := socket.stderr:  # of a harness that ended the session
                sys.stderr.write(words)
                sys.stderr.flush()
        self.error = self.error or self._matcher.error(allow_unplayed=self._allow_unplayed)
        if self.error is not None:
            text = in_options(self.error)
            self._tell(text)
            short = text.removeprefix(f"{self.error.path}, ")  # there is room for little
            raise ClientGoneError(DIVERGED, short) from self.error

    async def _listen(self, ws: WebSocket, socket: CassetteSocket) -> None:
        from websockets.exceptions import ConnectionClosed

        now = asyncio.get_running_loop().time
        while True:
            try:
                message = await ws.recv()
            except ConnectionClosed:
                return
            self._heard = now()
            try:
                await socket.send(message)
            except CassetteMismatchError:
                if SESSION_END in parse_frame(message):  # a client may wait without end
                    await ws.send(SESSION_ENDED_MESSAGE)
                raise

    def _is_noticed(self) -> bool:
        """Return whether a client that polls has had the time to notice its turn."""
        return asyncio.get_running_loop().time() >= self._heard + _SHORTEST_S

    async def _speak(self, ws: WebSocket, socket: CassetteSocket) -> None:
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed):  # the listener notices, too
            while True:
                await ws.send(await socket.recv())
        await asyncio.get_running_loop().create_future()


def in_options(error: CassetteError) -> str:
    """Return an explanation with the advice as options of the command line."""
    return error.text("shell") if isinstance(error, CassetteMismatchError) else str(error)


class SharedSessions:
    """Assigns a session that the other agents of the client have not replayed.

    When all have been replayed, they are assigned from the start again.

    Args:
        recording: The cassette.
        settings: How it is played.
        shared: The sessions that were given to clients.
    """

    def __init__(self, recording: Cassette, settings: PlaySettings, shared: SharedState) -> None:
        self._recording = recording
        self._settings = settings
        self._shared = shared
        self._matcher = SessionMatcher(recording, settings)
        self._machine: SessionMachine | None = None

    @property
    def is_left(self) -> bool:
        """See `SessionMatcher.is_left`."""
        return self._matcher.is_left

    def acquire(
        self, config: Frame, *, any_model: bool = False, begins: Beginning | None = None
    ) -> SessionMachine:
        """See `SessionMatcher.acquire`."""
        with self._shared.open() as state:
            played: dict[str, int] = state.setdefault("played", {})
            sessions = sorted(
                self._recording.sessions,
                key=lambda session: (played.get(str(session.number), 0), session.number),
            )
            self._matcher = SessionMatcher(
                replace(self._recording, sessions=tuple(sessions)), self._settings
            )
            self._machine = machine = self._matcher.acquire(
                config, any_model=any_model, begins=begins
            )
            _count(played, machine.session.number, 1)
        return machine

    def rematch(self, machine: SessionMachine, frame: Frame) -> None:
        """See `SessionMatcher.rematch`."""
        before = machine.session.number
        self._matcher.rematch(machine, frame)
        after = machine.session.number
        if before != after:
            with self._shared.open() as state:
                played: dict[str, int] = state.setdefault("played", {})
                _count(played, before, -1)
                _count(played, after, 1)

    def error(self, *, allow_unplayed: bool) -> CassetteMismatchError | None:
        """Return the error of the assigned session, None if it has none."""
        found = self._matcher.errors(allow_unplayed=True)
        if found:
            return found[0]
        if allow_unplayed or self._machine is None:
            return None
        return self._machine.unplayed_error()


def _count(played: dict[str, int], session: int, change: int) -> None:
    played[str(session)] = played.get(str(session), 0) + change
