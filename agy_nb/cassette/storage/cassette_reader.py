"""Read a whole cassette for replay, with its lines grouped by session."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agy_nb.cassette.errors import CassetteNotFoundError
from agy_nb.cassette.storage.format import (
    Frame,
    Header,
    WireRecord,
    is_partial,
    read_header,
    read_lines,
)
from agy_nb.cassette.storage.ownership import where_unfinished
from agy_nb.cassette.storage.safe_json import parse_to_read
from agy_nb.collector import collector_paused
from agy_nb.errors import InvalidMessageError
from agy_nb.wire.frames import CONFIG, TURN_KINDS, kind_of

if TYPE_CHECKING:
    from agy_nb.protocol.events import Event
    from agy_nb.wire.summaries.beginning import Beginning

_TOOL_RAISED = "tool_exception"
_BEGINNINGS = ("agent_started", "turns_abandoned")
"""Types of the host notes that say where a session begins."""


@dataclass(slots=True)
class RecordedSession:
    """One connection of one agent, as recorded.

    Attributes:
        number: Number of the session, from 0, in the order of their start.
        lines: The frames in order, without host notes and the end. A replay plays these.
        story: The frames and host notes in order, without the end. Views read these.
        end: How the session ended: `{"by": "client"}`, or `{"by": "harness", "code": ...,
            "reason": ...}`; None if the recording stops before.
        end_dt: Seconds from the last line to the end.
    """

    number: int
    lines: list[WireRecord] = field(default_factory=list)
    story: list[WireRecord] = field(default_factory=list)
    end: Frame | None = None
    end_dt: float = 0.0
    _raised: dict[str, Frame] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def config(self) -> Frame:
        """The frame that opened the session, empty if there is none."""
        for line in self.lines:
            if line.direction == "client":
                return line.frame if CONFIG in line.frame else {}
        return {}

    @property
    def first_prompt(self) -> Frame | None:
        """The frame that began the first turn, None if there is none."""
        return next((line.frame for line in self.lines if _begins_turn(line)), None)

    @property
    def opening(self) -> list[str]:
        """Sender and kind of the frames before the first prompt."""
        before = itertools.takewhile(lambda line: not _begins_turn(line), self.lines)
        return [f"{line.direction} {kind_of(line.frame)}" for line in before]

    def raised_by(self, call_id: str) -> Frame | None:
        """Return the host note about what a host tool raised, None if it raised nothing."""
        if self._raised is None:  # most sessions are never asked
            self._raised = {
                str(line.frame.get("call_id")): line.frame
                for line in reversed(self.story)  # the first note on a call counts
                if line.direction == "host" and line.frame.get("type") == _TOOL_RAISED
            }
        return self._raised.get(call_id)

    @property
    def begins(self) -> Beginning | None:
        """Where its conversation begins; None if it was recorded without the runtime's notes."""
        notes = [line.frame for line in self.story if line.direction == "host"]
        found = [note for note in notes if note.get("type") in _BEGINNINGS]
        if not found:
            return None
        from agy_nb.wire.summaries.beginning import beginning_of

        return beginning_of(_events(found))


def _begins_turn(line: WireRecord) -> bool:
    return line.direction == "client" and kind_of(line.frame) in TURN_KINDS


def _events(notes: list[Frame]) -> Iterator[Event]:
    from agy_nb.protocol.codec import event_of  # a recording through the stand-in needs none

    for note in notes:
        with contextlib.suppress(InvalidMessageError):  # a note of another program
            yield event_of(note, 0.0)


@dataclass(frozen=True, slots=True)
class Cassette:
    """A whole cassette.

    Attributes:
        path: The cassette's folder.
        header: The content of `header.json`.
        sessions: The sessions in the order of their start.
        partial: Whether frames are missing.
    """

    path: Path
    header: Header
    sessions: tuple[RecordedSession, ...]
    partial: bool = False


def by_session(lines: Iterable[WireRecord]) -> tuple[RecordedSession, ...]:
    """Group lines by session. The time before a host note is added to the next frame."""
    found: dict[int, RecordedSession] = {}
    waited: dict[int, float] = {}  # seconds of the notes before a frame
    for line in lines:
        session = found.get(line.session)
        if session is None:
            session = found[line.session] = RecordedSession(line.session)
        if line.direction == "host":
            waited[line.session] = waited.get(line.session, 0.0) + line.dt
            session.story.append(line)
            continue
        late = waited.pop(line.session, 0.0)
        if line.direction == "end":
            session.end, session.end_dt = line.frame, line.dt + late
        else:
            session.story.append(line)
            session.lines.append(replace(line, dt=line.dt + late) if late else line)
    return tuple(session for _, session in sorted(found.items()))


def load(path: Path) -> Cassette:
    """Read a cassette.

    Raises:
        CassetteNotFoundError: The cassette does not exist.
        CassetteInvalidError: The cassette cannot be read.
    """
    header = find_header(path)
    with collector_paused():
        sessions = by_session(read_lines(path, parse=parse_to_read))
    return Cassette(path, header, sessions, partial=is_partial(path, header))


def find_header(path: Path) -> Header:
    """Read a cassette's header. An error names unfinished recordings of a missing cassette.

    Raises:
        CassetteNotFoundError: The cassette does not exist.
        CassetteInvalidError: The cassette cannot be read.
    """
    try:
        return read_header(path)
    except CassetteNotFoundError as error:
        left = where_unfinished(path)
        if left:
            raise CassetteNotFoundError(f"{error}. {left}", path=str(path)) from None
        raise
