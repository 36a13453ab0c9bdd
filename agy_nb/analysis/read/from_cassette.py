"""From a recording on disk to columns: one pass, line by line, nothing kept of the frames.

Rule 1: read as much of a file as possible. The rest is a row in `problems`, never an exception.
Rule 2: a moment is when the client saw a frame. Lines tell the time since the line before by a
clock that cannot go back; the harness's own clock only says where that began.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from agy_nb.analysis.builders.column_buffer import Columns
from agy_nb.analysis.builders.from_events import EventTables
from agy_nb.analysis.builders.session_builder import SessionBuilder
from agy_nb.analysis.label_columns import encoded
from agy_nb.analysis.read.discovery import is_conversation, name_of
from agy_nb.analysis.read.harness_databases import read_database
from agy_nb.analysis.read.harness_logs import NAMES as TRANSCRIPTS, read_transcript
from agy_nb.analysis.read.identity import identity_of
from agy_nb.collector import collector_paused
from agy_nb.protocol.events import Event
from agy_nb.protocol.labels import readable_labels
from agy_nb.wire import WireReader
from agy_nb.wire.frames import TIMESTAMP
from agy_nb.wire.parsing import parse_lines
from agy_nb.wire.stored.frame_changes import Restored, SessionFrames
from agy_nb.wire.stored.literal_marks import ESCAPE, unmarked_line

_MICRO = 1e-6
_CONNECTIONS = 2**31
_BATCH = 65_536
"""Bytes of the lines that are read at a time; one line may have more."""


def read_file(
    path: str | Path,
    *,
    name: str | None = None,
    chunks: bool = False,
    text: bool = False,
    columns: Columns | None = None,
    model_requests: bool = True,
) -> Columns:
    """Read the columns of one recording.

    Args:
        path: A cassette's folder, its `wire.jsonl`, or a file that the harness keeps of a
            conversation: a transcript, or a database.
        name: Its name; when None, that of its folder.
        chunks: Whether to keep a row for each piece of text.
        text: Whether to keep texts.
        columns: Where to add the rows; new ones when None.
        model_requests: Whether to read the recorded HTTP requests to the model.

    Returns:
        The columns. Unreadable parts are rows of `problems`.
    """
    from agy_nb.cassette.storage import format as fmt

    path = Path(path)
    wire = path if path.name.endswith(".jsonl") else path / fmt.WIRE
    folder = wire.parent
    columns = Columns() if columns is None else columns
    kept = is_conversation(path)
    name = name or name_of(path)
    header = _Header({}) if kept else _Header.read(folder)
    session_id = name_of(path) if kept else identity_of(wire, header.data, name)
    session = SessionBuilder(
        columns,
        session_id,
        chunks=chunks,
        text=text,
        session_name=name,
        source="conversation" if kept else "cassette",
        path=str(path),
    )
    reader = _Reader(session, path)
    if path.name in TRANSCRIPTS:
        read_transcript(path, session)
    elif kept:
        read_database(path, session)
    elif path.is_file() and wire != path:
        detail = "only cassettes, a .jsonl of their wire, and the harness's own files are read"
        session.problem("not_a_session", path=str(path), detail=detail)
    elif reader.header(header):
        with collector_paused():
            reader.wire(wire)
        session.sync()
        if model_requests:
            reader.requests(folder)
        return columns
    session.sync()
    return columns


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of a cassette, or why it cannot be read."""

    data: dict[str, Any]
    problem: tuple[str, str] | None = None

    @classmethod
    def read(cls, folder: Path) -> _Header:
        from agy_nb.cassette import errors
        from agy_nb.cassette.storage import format as fmt

        if not (folder / fmt.HEADER).exists():
            return cls({}, ("not_a_session", f"{fmt.HEADER} is missing"))
        try:
            return cls(fmt.read_header_data(folder))
        except errors.CassetteError as error:
            return cls({}, ("damaged", f"its header: {error}"[:300]))


@dataclass(slots=True)
class _Connection:
    """One connection of the recording.

    Its first lines wait until one says what time it was.
    """

    reader: WireReader
    harness: Callable[[dict[str, Any], float], list[Event]]
    frames: SessionFrames
    add: Callable[[Event], None]
    offset: float = 0.0
    base: float | None = None
    waiting: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)
    ended: bool = False


class _Reader:
    def __init__(self, session: SessionBuilder, path: Path) -> None:
        self._session = session
        self._path = str(path)
        self._connections: dict[int, _Connection] = {}
        self._recorded_at: float | None = None
        self._complete: bool | None = None
        self._frames = 0
        self._read: list[tuple[Callable[[Event], None], list[Event]]] = []
        self._damaged = 0
        self._restored = Restored()

    # -- the header --------------------------------------------------------------------------

    def header(self, header: _Header) -> bool:
        """Take the header of a cassette.

        Returns:
            Whether the wire can be read.
        """
        from agy_nb.cassette.storage import format as fmt

        if header.problem is not None:
            self._problem(*header.problem)
            return True
        data = header.data
        version, newest = data["version"], fmt.VERSION
        if version > newest:
            self._problem("newer_format", f"format {version}; this agy_nb reads up to {newest}")
            return False
        self._complete = bool(data.get("complete"))
        with contextlib.suppress(ValueError, OverflowError, OSError):
            self._recorded_at = datetime.fromisoformat(str(data.get("recorded_at"))).timestamp()
        if not self._complete:
            self._problem("partial", "the recording is incomplete, or still running")
        labels = encoded(readable_labels(data.get("labels")))
        sdk = str(data.get("sdk") or "") or None
        self._session.about(complete=self._complete, sdk=sdk, labels=labels)
        return True

    # -- the wire ----------------------------------------------------------------------------

    def wire(self, path: Path) -> None:
        """Read every line that is whole."""
        from agy_nb.cassette.storage.safe_files import bounded_lines, open_plain

        try:
            with open_plain(path) as file:
                self._lines(bounded_lines(file))
        except OSError as error:
            self._problem("unreadable", f"{path.name}: {error.strerror}")
        except ValueError as error:
            self._problem("damaged", f"{path.name}: {error}")
        for connection in self._connections.values():
            self._flush(connection, self._recorded_at)
            self._add()
            if not connection.ended:
                at = None if connection.base is None else connection.base + connection.offset
                for event in connection.reader.end("unknown", at or 0.0):
                    connection.add(event)
                self._problem("not_closed", "its connection was not closed")
        if self._damaged > 1:
            self._problem("damaged", f"{self._damaged} lines in all")
        self._session.about(n_frames=self._frames)

    def _lines(self, lines: Iterable[bytes]) -> None:
        """Parse, read and add some lines at a time.

        That takes a fifth less time than one line at a time: the code of each stage stays in the
        processor's caches.
        """
        batch, size, number = [], 0, 0
        try:
            for number, raw in enumerate(lines, start=1):
                batch.append(raw)
                size += len(raw)
                if size > _BATCH:
                    self._take_lines(batch, number)
                    batch, size = [], 0
        finally:
            if batch:  # the end of the file, or the lines before an unreadable one
                self._take_lines(batch, number)

    def _take_lines(self, batch: list[bytes], last: int) -> None:
        connections, parsed = (
            self._connections,
            parse_lines(
                [unmarked_line(raw) if ESCAPE in raw else raw for raw in batch]  # most have none
            ),
        )
        first = last - len(batch) + 1
        for number, line in enumerate(parsed, start=first):
            try:
                connection = connections.get(line["s"]) or self._connect(line["s"])
                direction, frame = line["d"], line.get("f")
                if frame is None:
                    frame = connection.frames.changed(line, len(batch[number - first]))
                elif direction == "harness":
                    connection.frames.note(frame, len(batch[number - first]))
                connection.offset = offset = connection.offset + line["dt"]
                base = connection.base
                if base is None:
                    connection.waiting.append((direction, offset, frame))
                    if TIMESTAMP in frame:
                        self._flush(connection, int(frame[TIMESTAMP]) * _MICRO - offset)
                elif direction == "harness":
                    self._frames += 1
                    self._read.append((connection.add, connection.harness(frame, base + offset)))
                else:
                    self._take(connection, direction, base + offset, frame)
            except Exception as error:
                self._add()  # problems have their order
                for damaged in connections.values():
                    # The line may have been a frame of any connection. Changes of a lost frame,
                    # applied to an older one, would give a frame that was never sent.
                    damaged.frames.forget()
                if number == last and not batch[-1].endswith(b"\n"):
                    self._problem("partial", "the last line is cut off", number)
                else:
                    self._note_damage(line if isinstance(line, Exception) else error, number)
        self._add()

    def _add(self) -> None:
        """Add the recorded lines to the tables."""
        read, self._read = self._read, []
        for add, events in read:
            try:
                for event in events:
                    add(event)
            except Exception as error:
                self._note_damage(error)

    def _note_damage(self, error: Exception, line: int | None = None) -> None:
        self._damaged += 1
        if self._damaged == 1:
            self._problem("damaged", f"{type(error).__name__}: {error}"[:200], line)

    def _connect(self, number: int) -> _Connection:
        if not 0 <= int(number) < _CONNECTIONS:
            raise ValueError("`s` is the number of a connection, from 0")
        event_tables = EventTables(self._session.agent(int(number) + 1))
        reader = WireReader()
        connection = _Connection(
            reader, reader.harness, SessionFrames(self._restored), event_tables.add
        )
        self._connections[number] = connection
        return connection

    def _flush(self, connection: _Connection, base: float | None) -> None:
        """Process the lines that waited for a time."""
        waiting, connection.waiting = connection.waiting, []
        if connection.base is None:
            connection.base = base
        for direction, offset, frame in waiting:
            try:
                self._take(connection, direction, None if base is None else base + offset, frame)
            except Exception as error:
                self._note_damage(error)

    def _take(
        self, connection: _Connection, direction: str, at: float | None, frame: dict[str, Any]
    ) -> None:
        if direction == "end":
            connection.ended = True
        else:
            self._frames += direction != "host"
        self._read.append((connection.add, connection.reader.take(direction, frame, at or 0.0)))

    def requests(self, folder: Path) -> None:
        """Correct the rows of model calls with the recorded HTTP requests, if there are any."""
        from agy_nb.analysis.read.merge_requests import merge_requests
        from agy_nb.analysis.read.model_requests import read_requests
        from agy_nb.cassette.errors import CassetteError

        try:
            requests = read_requests(folder)
        except (CassetteError, OSError, TypeError, ValueError, KeyError) as error:
            self._problem("damaged", f"the requests to the model: {error}"[:300])
            return
        for agent in self._session.agents.values():
            for request in requests:
                if request.conversation in agent.threads:
                    for args in request.subagents:
                        agent.subagents.asked(args)
            for thread in agent.name_subagents().values():
                thread.sync(self._session.columns)
        if requests:
            merge_requests(self._session, requests)

    def _problem(self, problem: str, detail: str, line: int | None = None) -> None:
        self._session.problem(problem, detail=detail, path=self._path, line=line)
