"""The frames of one agent since its start, held in memory: what `Agent.save_cassette` writes.

Rule 1: `put` costs the event loop an append; a thread packs the frames when there are many.
Rule 2: there is a limit. Frames beyond it are dropped, and the cassette says that it is cut.
Rule 3: nothing is on disk before it is asked for, and then without secrets, as in any recording.
"""

from __future__ import annotations

import pickle
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.cassette.cassette_labels import labels_to_keep
from agy_nb.cassette.errors import CassetteNotWrittenError
from agy_nb.cassette.record.recorder import (
    FrameRecorder,
    RecordingSocket,
    harness_path,
    harness_text,
)
from agy_nb.cassette.record_modes import refuse_to_replace
from agy_nb.cassette.redaction import Redactor, Rule
from agy_nb.cassette.redaction.late_secrets import LateSecrets
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.storage.format import Direction, Frame, cassette_path
from agy_nb.cassette.storage.writer import CassetteWriter, TimedFrame, new_header, timed

if TYPE_CHECKING:
    from agy_nb.protocol.events import Event
    from agy_nb.sdk.interfaces.harness_socket import Start

MOST_BYTES = 64_000_000
"""Packed bytes that are held of one agent. Frames repeat each other, so that this is 20 times as
much on the wire."""

PACKING = "agy_nb packs frames"
"""Name of the threads that do."""

_PART = 1_000_000
"""Bytes of frames that are packed at once."""


class FrameBuffer:
    """What one agent and its harnesses have said to each other.

    Args:
        most_bytes: Packed bytes to be held at the most.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._parts: list[_Part] = []
        self._open: list[TimedFrame] = []
        self._size = 0
        self._full = False
        self._recorder = FrameRecorder(self)
        self._harness = Path()

    def listen(self, start: Start, ws: Any) -> RecordingSocket:
        """Listen to a harness that has started; return the socket to use instead of `ws`."""
        self._harness = harness_path(start)
        return RecordingSocket(ws, self._recorder, self._recorder.begin())

    def put(
        self, session: int, direction: Direction, at: float, message: str | bytes | Frame
    ) -> None:
        """Hold a frame; see `CassetteWriter.put`."""
        if self._full:
            return
        self._open.append(TimedFrame(session, direction, at, message))
        self._size += len(message)
        if self._size >= _PART:
            self._parts.append(_Part(self._open))
            self._open, self._size = [], 0
            # A part counts once its thread has packed it, so the limit may be passed by some parts.
            # To wait for the thread here would hold up the event loop.
            self._full = sum(part.size for part in self._parts) >= self._most_bytes

    def so_far(self) -> FrameSnapshot:
        """Return the frames up to now; more may come."""
        return FrameSnapshot(
            (*self._parts, _Part(self._open[:], pack=False)), self._harness, self._full
        )


class FrameSnapshot:
    """A part of a conversation, to be written."""

    def __init__(self, parts: Iterable[_Part], harness: Path, full: bool) -> None:  # noqa: FBT001
        self._parts = tuple(parts)
        self._harness = harness
        self._full = full

    def write(self, path: str | Path, redact: Iterable[Rule] = ()) -> Path:
        """Write it as a cassette, in the place of any that was there. Blocks; not for the loop.

        Args:
            path: The cassette's folder.
            redact: Rules beside the built-in ones.

        Returns:
            The cassette's folder.

        Raises:
            CassetteBusyError: Somebody else records it.
            CassetteInvalidError: The name is not valid, or the path is not a cassette.
            CassetteNotWrittenError: Nothing was said, or the disk refused.
        """
        path = cassette_path(path)
        if path.exists():
            refuse_to_replace(path)
        if next(self._frames(), None) is None:
            raise CassetteNotWrittenError(
                f"{path} was not written: no agent has sent a message to a harness yet",
                path=str(path),
            )
        redactor = Redactor(redact)
        redactor.warm_up()
        # Read by the writer's thread as it writes: unpacked, all at once would be too much.
        late = LateSecrets(redactor)
        lines = map(late.line, joined(timed(self._frames()), redactor, live=True))
        header = replace(new_header(), labels=labels_to_keep(path, redactor))
        CassetteWriter(path, header, keep=lines).finish(
            lambda: dict(redactor.counts),
            complete=not self._full,
            harness=harness_text(self._harness),
            revise=late.revised,
        )
        return path

    def events(self) -> tuple[Event, ...]:
        """Return the events of the conversation; empty if frames are missing. Blocks.

        Each harness of the agent repeats the history, so only the first one's is kept.
        """
        from agy_nb.cassette.inspect.recorded_events import RecordedEvents
        from agy_nb.protocol.events import SessionOpened

        if self._full:
            return ()
        readers: dict[int, RecordedEvents] = {}
        found: list[Event] = []
        for line in timed(self._frames()):
            reader = readers.setdefault(line.session, RecordedEvents())
            is_first = len(readers) == 1
            found += (
                event
                for event in reader.take(line)
                if is_first or not isinstance(event, SessionOpened)
            )
        return tuple(found)

    def _frames(self) -> Iterator[TimedFrame]:
        for part in self._parts:
            yield from part.frames()


class _Part:
    """Some frames in a row, packed as soon as a thread has done it."""

    def __init__(self, frames: list[TimedFrame], *, pack: bool = True) -> None:
        self._frames: list[TimedFrame] | None = frames
        self._packed = b""
        self.size = 0
        if pack:
            threading.Thread(target=self._pack, args=(frames,), name=PACKING, daemon=True).start()

    def _pack(self, frames: list[TimedFrame]) -> None:
        # In this order: `frames` may run in another thread, and looks at `_packed` only after it
        # has seen that `_frames` is gone.
        self._packed = zlib.compress(pickle.dumps(frames), 1)
        self.size = len(self._packed)
        self._frames = None

    def frames(self) -> list[TimedFrame]:
        """Return the frames, oldest first."""
        frames = self._frames
        if frames is None:
            frames = pickle.loads(zlib.decompress(self._packed))  # noqa: S301 - packed above
        return frames
