"""Recording at the wire: a copy of all that SDK and harness say to each other.

Rule 1: the SDK sees the same frames and errors as without a recording.
Rule 2: a copy is kept of what left. A frame of the client that is still being sent when the harness
answers has left, so its copy comes before the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from agy_nb.cassette.record.stderr_tee import StderrTee
from agy_nb.cassette.storage.format import Direction, Frame, parse_frame
from agy_nb.wire.frames import CONFIG, TOOL_CALL

if TYPE_CHECKING:
    from agy_nb.protocol.events import AnyEvent, Event
    from agy_nb.sdk.interfaces.harness_socket import Start
    from agy_nb.sdk.process.launch import Connected, HarnessStart

Rewrite: TypeAlias = Callable[[int, Frame], Frame]
"""Changes a session's configuration on its way to the harness, unseen by the recording."""


class FrameSink(Protocol):
    """Takes frames as they are said; `CassetteWriter` writes them, `FrameBuffer` holds them."""

    def put(
        self, session: int, direction: Direction, at: float, message: str | bytes | Frame
    ) -> None:
        """See `CassetteWriter.put`."""
        ...


class FrameRecorder:
    """Where recorded sessions go; off once the cassette is finished.

    Args:
        sink: Takes the frames; None to take none.
        first: Number of the first session.
    """

    def __init__(self, sink: FrameSink | None, *, first: int = 0) -> None:
        self._sink = sink
        self._next = first
        self._open: set[int] = set()
        self._then: Callable[[], object] = lambda: None
        self.sessions: int = 0

    def begin(self) -> int:
        """Begin a session and return its number."""
        number, self._next = self._next, self._next + 1
        self.sessions += 1
        self._open.add(number)
        return number

    def put(self, session: int, direction: Direction, message: str | bytes | Frame) -> None:
        """Append a frame, unless recording has stopped."""
        if self._sink is not None:
            self._sink.put(session, direction, time.perf_counter(), message)
        if direction == "end":
            self._open.discard(session)
            self._tell_if_over()

    @property
    def is_open(self) -> bool:
        """Whether a session has not ended yet."""
        return bool(self._open)

    def when_over(self, then: Callable[[], object]) -> None:
        """Call a function, maybe twice, once no session is open; at once if none is."""
        self._then = then
        self._tell_if_over()

    def _tell_if_over(self) -> None:
        if not self._open:
            self._then()

    def stop(self) -> None:
        """Take nothing more; sessions that are still open continue unrecorded."""
        self._sink = None


_CALL = f'"{TOOL_CALL}"'


class RecordingSocket:
    """The real WebSocket, with a copy of every frame.

    Args:
        ws: The real one.
        recorder: Where the copies go.
        session: Their session.
        rewrite: Changes the configuration before the harness gets it.
        stderr: Returns what the harness wrote to stderr. Blocks shortly.
    """

    def __init__(
        self,
        ws: Any,
        recorder: FrameRecorder,
        session: int,
        rewrite: Callable[[Frame], Frame] | None = None,
        stderr: Callable[[], str] = str,
    ) -> None:
        self._ws = ws
        self._recorder = recorder
        self._session = session
        self._rewrite = rewrite
        self._stderr = stderr
        self._over = False
        self._asked = False
        self._sending: list[Any] = []
        from agy_nb.sdk.process.observed_socket import NoteSink

        self._inner_note = ws.note if isinstance(ws, NoteSink) else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ws, name)

    def note(self, note: Event) -> None:
        """Keep a host note, in its order among the frames; see `NoteSink`.

        It may come after the session's end: how a turn ended whose harness went away.
        """
        from agy_nb.protocol.codec import note_of

        self._keep_sending()
        self._recorder.put(self._session, "host", note_of(cast("AnyEvent", note)))
        if self._inner_note is not None:
            self._inner_note(note)

    async def send(self, message: Any) -> None:
        """Send, and keep a copy of a frame that leaves, before the copy of its answer."""
        # The harness may answer before `ws.send` returns. `recv` then keeps this copy first, or a
        # replay would wait for a frame that was recorded after its own answer.
        self._sending.append(message)
        sent = message
        if self._rewrite is not None:
            sent, self._rewrite = rewritten(message, self._rewrite), None
        try:
            await self._ws.send(sent)
        except Exception:
            # By identity: two tools may send equal frames at the same time.
            self._sending = [each for each in self._sending if each is not message]
            raise
        except BaseException:  # cancelled while it waits for the buffer to drain: it has left
            self._keep_sending()
            raise
        self._keep_sending()

    def _keep_sending(self) -> None:
        """Keep copies of all frames on their way, in their order."""
        while self._sending:
            self._recorder.put(self._session, "client", self._sending.pop(0))

    async def recv(self, *args: Any, **kwargs: Any) -> Any:
        """Receive, and keep a copy.

        The SDK answers a tool call in a task of its own, which also puts the call into the chunks
        of the response. So that task begins before the next frame, as in a replay.
        """
        if self._asked:
            self._asked = False
            await asyncio.sleep(0)
        try:
            message = await self._ws.recv(*args, **kwargs)
        except closed_errors() as error:
            from agy_nb.sdk.process.executor import run_in_thread

            words = "" if self._over else await run_in_thread(self._stderr)
            self._end("harness", error, words)
            raise
        if self._sending:
            self._keep_sending()
        self._recorder.put(self._session, "harness", message)
        self._asked = isinstance(message, str) and _CALL in message
        return message

    def __aiter__(self) -> RecordingSocket:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.recv()
        except websockets_of_sdk().ConnectionClosedOK:
            raise StopAsyncIteration from None

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """Close, and record that the client did."""
        self._end("client")
        await self._ws.close(*args, **kwargs)

    def _end(self, by: str, error: Any = None, stderr: str = "") -> None:
        if self._over:
            return
        self._over = True
        end: Frame = {"by": by}
        if error is not None:
            frame = error.rcvd or error.sent
            end |= {"code": frame.code if frame else 1006, "reason": frame.reason if frame else ""}
        if stderr:
            end["stderr"] = stderr
        self._recorder.put(self._session, "end", end)


def rewritten(message: str | bytes, rewrite: Callable[[Frame], Frame]) -> str | bytes:
    """Return the changed first frame of a client."""
    import json

    frame = parse_frame(message)
    return json.dumps(rewrite(frame)) if CONFIG in frame else message


async def record(
    start: HarnessStart, recorder: FrameRecorder, rewrite: Rewrite | None = None
) -> Connected:
    """Start the real harness and record its frames."""
    real = await start.spawn()
    session = recorder.begin()
    change = partial(rewrite, session) if rewrite is not None else None
    tee = getattr(real.process, "tee_stderr", None)
    stderr = str if tee is None else tee(StderrTee).text
    return replace(real, socket=RecordingSocket(real.socket, recorder, session, change, stderr))


def closed_errors() -> Any:
    """Return the exceptions of a closed WebSocket."""
    return websockets_of_sdk().ConnectionClosed


def websockets_of_sdk() -> Any:
    """Return the library that the SDK's sockets come from."""
    from google.antigravity.connections.local import local_connection

    return local_connection.websockets


def harness_path(start: Start) -> Path:
    """Return the path of the harness binary."""
    return Path(start.binary_path)


def harness_text(path: Path) -> str:
    """Describe the harness binary by its name and size. Reads the disk."""
    try:
        return f"{path.name} {path.stat().st_size} bytes"
    except OSError:
        return path.name
