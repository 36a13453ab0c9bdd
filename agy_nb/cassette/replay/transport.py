"""Connect a replayed session to the SDK in place of a harness.

`agy_nb.sdk.process.launch` knows how the SDK starts a harness. This module gives it a socket and a
process that replay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from agy_nb.cassette.record.recorder import websockets_of_sdk
from agy_nb.cassette.replay.cassette_answers import CassetteAnswers, Tools
from agy_nb.cassette.replay.clock import ReplayClock
from agy_nb.cassette.replay.fake_process import FakeProcess
from agy_nb.cassette.replay.machine import SessionMachine
from agy_nb.cassette.replay.replay_socket import CassetteSocket
from agy_nb.cassette.replay.session_matcher import SessionMatcher
from agy_nb.cassette.storage.format import Frame, parse_frame
from agy_nb.errors import InvalidMessageError
from agy_nb.protocol.codec import event_of
from agy_nb.protocol.events import Event
from agy_nb.wire.frames import (
    INITIALIZED,
    TOOL_RESPONSE,
    TURN_KINDS,
    FrameKey,
    given_id,
    kind_of,
)

if TYPE_CHECKING:
    from agy_nb.sdk.process.launch import Connected, HarnessStart


@dataclass(frozen=True, slots=True)
class PlaybackSettings:
    """How a session is replayed.

    Attributes:
        speed: 0 for no waiting, 1 for the recorded pace, 2 for twice that pace.
        stall_after: Seconds without progress after which the replay raises an error.
        tools: Whether host tools run (and are compared), or their recorded results are used.
        restore_files: Whether to write the files that the harness wrote in the recording.
    """

    speed: float = 0
    stall_after: float = 10.0
    tools: Tools = "check"
    restore_files: bool = False


def replay(start: HarnessStart, matcher: SessionMatcher, settings: PlaybackSettings) -> Connected:
    """Replay a session in place of the harness.

    Args:
        start: The harness start of the SDK. With `tools="replay"`, its host tools are replaced too.
        matcher: Assigns the recorded sessions.
        settings: How the session is replayed.
    """
    from agy_nb.sdk.process.launch import Connected

    socket = _socket(start, matcher, settings)
    return Connected(FakeProcess(lambda: socket.stderr), socket, socket)


def _socket(
    start: HarnessStart, matcher: SessionMatcher, settings: PlaybackSettings
) -> CassetteSocket:
    on_acquire: Callable[[SessionMachine], None] | None = None
    if settings.tools == "replay":
        results = _RecordedResults()
        start.use_recorded_results(results)
        on_acquire = results.use
    return CassetteSocket(
        matcher,
        speed=settings.speed,
        stall_after=settings.stall_after,
        closed=connection_closed,
        on_acquire=on_acquire,
        any_model=start.any_model,
        begins=start.begins,
        restore_files=settings.restore_files,
    )


class RecordOrReplaySocket:
    """Replay a session that was recorded, and record one that was not.

    The configuration decides if no recorded session has it. Otherwise the first prompt decides, as
    agents with one configuration may have different prompts. The SDK has received the answer to the
    configuration by then, with the id of the recorded conversation. This id stands for the one of
    the real harness from then on.
    """

    def __init__(
        self,
        play: CassetteSocket,
        matcher: SessionMatcher,
        recorded: Callable[[Frame], bool],
        start: Callable[[], Awaitable[Connected]],
        process: RecordOrReplayProcess,
    ) -> None:
        self._play = play
        self._matcher = matcher
        self._inner: Any = play
        self._recorded = recorded
        self._start = start
        self._process = process
        self._config: Any = None
        self._known_id = ""
        self._ids: tuple[str, str] | None = None
        self._notes: list[Event] | None = []  # until the session is chosen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def note(self, note: Event) -> None:
        """Keep a host note of a live session, also from before it is one; see `NoteSink`."""
        if not self._is_played:
            self._inner.note(self._with_live_id(note))
        elif self._notes is not None:
            self._notes.append(note)

    def _with_live_id(self, note: Event) -> Event:
        """Name the conversation in a note as the real harness does."""
        if self._ids is None or note.trajectory.id != self._ids[0]:
            return note
        return replace(note, trajectory=replace(note.trajectory, id=self._ids[1]))

    async def send(self, message: Any) -> None:
        """Decide, then send."""
        frame = parse_frame(message)
        if self._config is None:
            self._config = message
            if not self._recorded(frame):
                await self._go_live()
        elif self._is_played and (machine := self._play.leave_if_new(frame)) is not None:
            self._matcher.give_back(machine)
            # The replay ends last. The SDK waits in its `recv`: if it ended earlier, `_next` would
            # read the real socket at the same time as `_skip_opening`, and the SDK could get a
            # second answer to its configuration.
            real = await self._go_live()
            await real.send(self._config)
            await self._skip_opening(real)
            self._play.end()
            for note in self._notes or ():
                self._inner.note(self._with_live_id(note))
            self._notes = None
        elif kind_of(frame) in TURN_KINDS:
            self._notes = None
        await self._inner.send(_exchanged(message, self._ids))

    async def _go_live(self) -> Any:
        real = await self._start()
        self._inner = real.socket
        self._process.become(real.process)
        return real.socket

    async def _skip_opening(self, real: Any) -> None:
        """Receive the answer to the configuration, which the SDK has received from the replay."""
        frame: Frame = {}
        while INITIALIZED not in frame:
            frame = parse_frame(await real.recv())
        live_id = given_id(frame)
        if self._known_id and live_id:
            self._ids = (self._known_id, live_id)

    async def recv(self) -> Any:
        """Return the next frame of the chosen socket."""
        return await self._next(lambda socket: socket.recv())

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        return await self._next(anext)

    async def _next(self, receive: Callable[[Any], Awaitable[Any]]) -> Any:
        while True:
            # `send` may exchange the socket while this call waits. An error of the old one then
            # means only that it was left.
            inner = self._inner
            try:
                message = await receive(inner)
            except Exception:
                if inner is self._inner:
                    raise
                continue
            if inner is self._play:
                self._known_id = self._known_id or given_id(parse_frame(message))
                return message
            return _exchanged(message, self._ids and (self._ids[1], self._ids[0]))

    async def close(self) -> None:
        """Close the chosen socket."""
        await self._inner.close()

    def read_through(self, is_read: Callable[[], bool]) -> None:
        """See `CassetteSocket.read_through`."""
        self._play.read_through(is_read)

    @property
    def _is_played(self) -> bool:
        return self._inner is self._play

    @property
    def clock(self) -> ReplayClock | None:
        """See `CassetteSocket.clock`; None for a live session."""
        return self._play.clock if self._is_played else None

    @property
    def error(self) -> Exception | None:
        """See `CassetteSocket.error`; None for a live session."""
        return self._play.error if self._is_played else None

    def show_requests(self) -> CassetteAnswers | None:
        """See `CassetteSocket.show_requests`; None for a live session."""
        return self._play.show_requests() if self._is_played else None


def _exchanged(message: Any, ids: tuple[str, str] | None) -> Any:
    """Replace an id in a message; ids are long and random, so nothing else is replaced."""
    if ids is None:
        return message
    old, new = ids
    if isinstance(message, bytes):
        return message.replace(old.encode(), new.encode())
    return message.replace(old, new)


class RecordOrReplayProcess:
    """Stand for a process that starts later; until then, for a fake one.

    Args:
        play: The socket that replays the session.
    """

    def __init__(self, play: CassetteSocket) -> None:
        self._real: Any = FakeProcess(lambda: play.stderr)

    def become(self, process: Any) -> None:
        """Forward all calls to this process from now on."""
        self._real = process

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def replay_or_record(
    start: HarnessStart,
    matcher: SessionMatcher,
    settings: PlaybackSettings,
    record: Callable[[], Awaitable[Connected]],
) -> Connected:
    """Replay the session if it was recorded, otherwise record it."""
    from agy_nb.sdk.process.launch import Connected

    play = _socket(start, matcher, settings)
    process = RecordOrReplayProcess(play)
    recorded = partial(matcher.has, any_model=start.any_model, begins=start.begins)
    socket = RecordOrReplaySocket(play, matcher, recorded, record, process)
    return Connected(process, socket, socket)


class _RecordedResults:
    """The recorded results of an agent's host tools."""

    def __init__(self) -> None:
        self._machine: SessionMachine | None = None

    def use(self, machine: SessionMachine) -> None:
        self._machine = machine

    def result(self, call_id: str) -> Frame:
        """Return the recorded `ToolResponse`, empty if there is none."""
        key = FrameKey(TOOL_RESPONSE, call_id)
        frame = self._machine.recorded_response(key) if self._machine else None
        response: Frame = {} if frame is None else frame[TOOL_RESPONSE]
        return response

    def raised(self, call_id: str) -> Event | None:
        """Return the recorded `ToolException`, None if the tool raised nothing."""
        machine = self._machine
        note = None if machine is None else machine.session.raised_by(call_id)
        if machine is None or note is None:
            return None
        try:
            return event_of(machine.words.note(note), 0.0)
        except InvalidMessageError:  # a note of another program
            return None


def connection_closed(code: int, reason: str) -> Exception:
    """Create the error that a WebSocket raises after the other side closed it."""
    websockets = websockets_of_sdk()
    if code == 1006:  # noqa: PLR2004 - "abnormal": there was no closing frame
        return websockets.ConnectionClosedError(None, None, None)  # type: ignore[no-any-return]
    kind = (
        websockets.ConnectionClosedOK if code in (1000, 1001) else websockets.ConnectionClosedError
    )
    return kind(websockets.frames.Close(code, reason), None)  # type: ignore[no-any-return]
