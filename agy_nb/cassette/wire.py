"""The wire seam: records what SDK and harness say to each other, or plays it back.

The only module that knows how a connection of the SDK is made. All it touches of the SDK is named
here, and a test pins each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from agy_nb.cassette.deck import Deck
from agy_nb.cassette.format import Direction, Frame, parse_frame
from agy_nb.cassette.machine import SessionMachine, Tools
from agy_nb.cassette.playback import Dealer, NoProcess, ReplaySocket

Connected: TypeAlias = tuple[Any, Any, str]
Spawn: TypeAlias = Callable[[], Awaitable[Connected]]
Rewrite: TypeAlias = Callable[[int, Frame], Frame]
"""Changes a session's configuration on its way to the harness, unseen by the recording."""

URL = "ws://cassette/"


class TakesFrames(Protocol):
    """Takes frames as they are said; `Journal` writes them, `KeptFrames` holds them."""

    def put(
        self, session: int, direction: Direction, at: float, message: str | bytes | Frame
    ) -> None:
        """See `Journal.put`."""
        ...


class Tape:
    """Where recorded sessions go; off once the cassette is finished.

    Args:
        journal: Takes the frames; None to take none.
        first: Number of the first session.
    """

    def __init__(self, journal: TakesFrames | None, *, first: int = 0) -> None:
        self._journal = journal
        self._next = first
        self.sessions = 0

    def begin(self) -> int:
        """A number for a new session."""
        number, self._next = self._next, self._next + 1
        self.sessions += 1
        return number

    def put(self, session: int, direction: Direction, message: str | bytes | Frame) -> None:
        """Append a frame, unless the tape is off."""
        if self._journal is not None:
            self._journal.put(session, direction, time.perf_counter(), message)

    def stop(self) -> None:
        """Take nothing more; sessions that are still open go on unrecorded."""
        self._journal = None


class RecordingSocket:
    """The real WebSocket, with a copy of every frame for the tape.

    Args:
        ws: The real one.
        tape: Where the copies go.
        session: Their session.
        rewrite: Changes the configuration before the harness gets it.
    """

    def __init__(
        self,
        ws: Any,  # noqa: ANN401 - of websockets
        tape: Tape,
        session: int,
        rewrite: Callable[[Frame], Frame] | None = None,
    ) -> None:
        self._ws = ws
        self._tape = tape
        self._session = session
        self._rewrite = rewrite
        self._over = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real one has
        return getattr(self._ws, name)

    async def send(self, message: Any) -> None:  # noqa: ANN401 - str or bytes
        """Send, and keep a copy; it is kept first, so that no answer can come before it."""
        self._tape.put(self._session, "client", message)
        if self._rewrite is not None:
            message, self._rewrite = rewritten(message, self._rewrite), None
        await self._ws.send(message)

    async def recv(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - str or bytes
        """Receive, and keep a copy."""
        try:
            message = await self._ws.recv(*args, **kwargs)
        except closed_errors() as error:
            self._end("harness", error)
            raise
        self._tape.put(self._session, "harness", message)
        return message

    def __aiter__(self) -> RecordingSocket:
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 - str or bytes
        try:
            return await self.recv()
        except _websockets().ConnectionClosedOK:
            raise StopAsyncIteration from None

    async def close(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the real one's
        """Close, and say that the client did."""
        self._end("client")
        await self._ws.close(*args, **kwargs)

    def _end(self, by: str, error: Any = None) -> None:  # noqa: ANN401 - of websockets
        if self._over:
            return
        self._over = True
        end: Frame = {"by": by}
        if error is not None:
            frame = error.rcvd or error.sent
            end |= {"code": frame.code if frame else 1006, "reason": frame.reason if frame else ""}
        self._tape.put(self._session, "end", end)


def rewritten(message: str | bytes, rewrite: Callable[[Frame], Frame]) -> str | bytes:
    """The first frame of a client, changed."""
    import json

    frame = parse_frame(message)
    return json.dumps(rewrite(frame)) if "config" in frame else message


@dataclass(frozen=True, slots=True)
class PlaybackSettings:
    """How sockets play.

    Attributes:
        speed: 0 for no waiting, 1 for the recorded pace, 2 for twice that pace.
        stall_after: Seconds after which a session in which nothing can move is an error.
        tools: Whether host tools run (and are checked), or their recorded results are used.
    """

    speed: float = 0
    stall_after: float = 10.0
    tools: Tools = "check"


async def record(spawn: Spawn, tape: Tape, rewrite: Rewrite | None = None) -> Connected:
    """Start the real harness and record what is said."""
    process, ws, url = await spawn()
    session = tape.begin()
    change = partial(rewrite, session) if rewrite is not None else None
    return process, RecordingSocket(ws, tape, session, change), url


def replay(strategy: Any, deck: Deck, settings: PlaybackSettings) -> Connected:  # noqa: ANN401
    """Stand in for the harness.

    Args:
        strategy: The SDK's; its host tools are stood in for too where the settings say so.
        deck: Deals the recorded sessions.
        settings: How they are played.
    """
    return NoProcess(), _socket(strategy, _dealer(strategy, deck), settings), URL


class _AnyModel:
    """Deals to an agent that leaves it open which model it has."""

    def __init__(self, deck: Deck) -> None:
        self._deck = deck

    @property
    def is_left(self) -> bool:
        """See `Deck.is_left`."""
        return self._deck.is_left

    def has(self, config: Frame) -> bool:
        """See `Deck.has`."""
        return self._deck.has(config, any_model=True)

    def deal(self, config: Frame) -> SessionMachine:
        """See `Deck.deal`."""
        return self._deck.deal(config, any_model=True)

    def settle(self, machine: SessionMachine, frame: Frame) -> None:
        """See `Deck.settle`."""
        self._deck.settle(machine, frame)


def any_model(strategy: Any) -> bool:  # noqa: ANN401 - the SDK's
    """Whether an agent leaves it open which model it has."""
    from agy_nb.sdk.harness import options_of

    return options_of(strategy).any_model


def needs_no_key(strategy: Any) -> None:  # noqa: ANN401 - the SDK's
    """Let the real harness start without a key, as the cassette answers for the model."""
    from agy_nb.sdk.harness import needs_no_key

    needs_no_key(strategy)


def _dealer(strategy: Any, deck: Deck) -> Deck | _AnyModel:  # noqa: ANN401 - the SDK's
    return _AnyModel(deck) if any_model(strategy) else deck


def _socket(strategy: Any, deck: Dealer, settings: PlaybackSettings) -> ReplaySocket:  # noqa: ANN401
    on_deal: Callable[[SessionMachine], None] | None = None
    runner = getattr(strategy, "_tool_runner", None)
    if settings.tools == "replay" and runner is not None:
        strategy._tool_runner = silent = _RecordedTools(runner)  # noqa: SLF001 - no public way in
        on_deal = silent.use
    return ReplaySocket(
        deck,
        speed=settings.speed,
        stall_after=settings.stall_after,
        closed=connection_closed,
        on_deal=on_deal,
    )


class EpisodeSocket:
    """Plays a session if it was recorded, and records it if it was not.

    Which of the two shows only when the client's configuration comes.
    """

    def __init__(
        self, play: ReplaySocket, deck: Deck | _AnyModel, start: Spawn, process: LateProcess
    ) -> None:
        self._inner: Any = play
        self._deck = deck
        self._start = start
        self._process = process
        self._undecided = True

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the chosen one has
        return getattr(self._inner, name)

    async def send(self, message: Any) -> None:  # noqa: ANN401 - str or bytes
        """Decide, then send."""
        if self._undecided:
            self._undecided = False
            if not self._deck.has(parse_frame(message)):
                real, self._inner, _ = await self._start()
                self._process.become(real)
        await self._inner.send(message)

    def __aiter__(self) -> Any:  # noqa: ANN401 - the chosen one's
        return self._inner.__aiter__()


class LateProcess:
    """A process that is known only later; none until then."""

    def __init__(self) -> None:
        self._real: Any = NoProcess()

    def become(self, process: Any) -> None:  # noqa: ANN401 - a Popen
        """Be that process from now on."""
        self._real = process

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a process has
        return getattr(self._real, name)


def episode(
    strategy: Any,  # noqa: ANN401 - the SDK's
    deck: Deck,
    settings: PlaybackSettings,
    start: Spawn,
) -> Connected:
    """Play what was recorded, record what was not."""
    process = LateProcess()
    dealer = _dealer(strategy, deck)
    play = _socket(strategy, dealer, settings)
    return process, EpisodeSocket(play, dealer, start, process), URL


class _RecordedTools:
    """The SDK's tool runner, with results from the recording instead of the tools'."""

    def __init__(self, runner: Any) -> None:  # noqa: ANN401 - the SDK's
        self._runner = runner
        self._machine: SessionMachine | None = None

    def use(self, machine: SessionMachine) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real one has
        return getattr(self._runner, name)

    async def process_tool_calls(self, calls: list[Any]) -> list[Any]:
        from google.antigravity import types

        results = []
        for call in calls:
            recorded = self._machine.recorded_result(call.id) if self._machine else {}
            fields = _result_fields(recorded)
            results.append(types.ToolResult(id=call.id, name=call.name, **fields))
        await asyncio.sleep(0)
        return results


def _result_fields(response: Frame) -> dict[str, Any]:
    import json

    if "errorMessage" in response:
        return {"error": response["errorMessage"]}
    try:
        value = json.loads(response.get("responseJson") or "null")
    except ValueError:
        value = response.get("responseJson")
    if isinstance(value, dict) and set(value) == {"result"}:
        value = value["result"]
    return {"result": value}


def connection_closed(code: int, reason: str) -> Exception:
    """The error that a WebSocket raises when the other side closed it."""
    websockets = _websockets()
    if code == 1006:  # noqa: PLR2004 - "abnormal": there was no closing frame
        return websockets.ConnectionClosedError(None, None)  # type: ignore[no-any-return]
    kind = (
        websockets.ConnectionClosedOK if code in (1000, 1001) else websockets.ConnectionClosedError
    )
    return kind(websockets.frames.Close(code, reason), None)  # type: ignore[no-any-return]


def closed_errors() -> Any:  # noqa: ANN401 - an exception type
    """What a closed WebSocket raises."""
    return _websockets().ConnectionClosed


def _websockets() -> Any:  # noqa: ANN401 - a module
    from google.antigravity.connections.local import local_connection

    return local_connection.websockets


def harness_path(strategy: Any) -> Path:  # noqa: ANN401 - the SDK's
    """Where the harness binary is."""
    return Path(str(getattr(strategy, "_binary_path", "") or ""))


def harness_text(path: Path) -> str:
    """What is known of the harness binary: its name and size. Reads the disk."""
    try:
        return f"{path.name} {path.stat().st_size} bytes"
    except OSError:
        return path.name
