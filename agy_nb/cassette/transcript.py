"""A cassette as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from agy_nb.cassette.events import RecordedEvents
from agy_nb.cassette.format import Line, read_lines
from agy_nb.wire.render import SessionText


def transcript(path: Path) -> Iterator[str]:
    """A cassette as text, a line for each thing that was said, done or decided.

    It is read line by line, in the order of the recording: where several sessions ran at the same
    time, the name of the session is repeated where it changes.

    Args:
        path: The cassette's folder.

    Raises:
        CassetteInvalid: A line is damaged.
    """
    shown: int | None = None
    for number, line in _written(read_lines(path)):
        if shown != number:
            shown = number
            yield f"Session {number}"
        yield line


def _written(lines: Iterable[Line]) -> Iterator[tuple[int, str]]:
    sessions: dict[int, tuple[RecordedEvents, SessionText]] = {}
    for line in lines:
        number = line.session
        if number not in sessions:
            sessions[number] = RecordedEvents(), SessionText()
        events, text = sessions[number]
        for event in events.take(line):
            for written in text.take(event):
                yield number, written
        if line.direction == "end":
            del sessions[number]
    for number, (events, text) in sorted(sessions.items()):
        for event in events.end(None):
            for written in text.take(event):
                yield number, written
