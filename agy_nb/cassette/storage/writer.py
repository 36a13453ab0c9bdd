"""Writes a recording: append-only while it runs, one atomic rename when it is done.

Rule 1: `put` costs the event loop nothing but a queue; parsing, redaction and writing are done by a
thread.
Rule 2: until the rename the old cassette is untouched; a crash leaves `NAME.partial` beside it, in
which every whole line counts.
Rule 3: one writer a name. The lock is the operating system's, so that a crash lets it go.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from agy_nb.cassette.errors import CassetteBusyError, CassetteError, CassetteNotWrittenError
from agy_nb.cassette.inspect.session_summary import Summaries
from agy_nb.cassette.storage.atomic_replace import swap_in
from agy_nb.cassette.storage.format import (
    HEADER,
    WIRE,
    Direction,
    Frame,
    Header,
    WireRecord,
    encode_line,
    parse_frame,
)
from agy_nb.cassette.storage.model_log import has_model
from agy_nb.cassette.storage.safe_files import LONGEST_LINE, write_all
from agy_nb.cassette.storage.write_thread import WriteThread

PARTIAL = ".partial"

Redact: TypeAlias = Callable[[WireRecord], WireRecord]
Join: TypeAlias = Callable[[Iterable[WireRecord]], Iterable[WireRecord]]


class TimedFrame(NamedTuple):
    """A frame as it was heard; see `CassetteWriter.put`."""

    session: int
    direction: Direction
    at: float
    message: str | bytes | Frame


def timed(said: Iterable[TimedFrame]) -> Iterator[WireRecord]:
    """Frames as lines, which tell how long after the session's line before they came."""
    last: dict[int, float] = {}
    for item in said:
        since = item.at - last.get(item.session, item.at)
        last[item.session] = item.at
        message = item.message
        frame = message if isinstance(message, dict) else parse_frame(message)
        yield WireRecord(item.session, item.direction, max(since, 0.0), frame)


class CassetteWriter:
    """A recording under way.

    Args:
        path: Folder of the cassette.
        header: What is known before the first frame.
        redact: Takes secrets out of a line; runs in the writer's thread.
        join: Takes out, before, what only several lines show; it may hold lines back.
        keep: Lines to begin with, e.g. those of the cassette that is being extended.

    Raises:
        CassetteBusyError: Somebody else is recording it.
        CassetteNotWrittenError: The folder cannot be made.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        *,
        redact: Redact = lambda line: line,
        join: Join = iter,
        keep: Iterable[WireRecord] = (),
    ) -> None:
        self.path = path
        self.folder = path.with_name(path.name + PARTIAL)
        self._header = header
        self._redact = redact
        self._join = join
        self._keep = keep
        self._summaries = Summaries()
        self._size = 0
        self._digest = hashlib.sha256()
        self._frames = 0
        self._lock = RecordingLock(path)
        try:
            self._file = self._open()
        except OSError as error:
            self._lock.release()
            raise _not_written(path, error) from error
        self._thread = WriteThread(f"cassette {path.name}", self._write_all)

    def put(
        self, session: int, direction: Direction, at: float, message: str | bytes | Frame
    ) -> None:
        """Append a frame. Never blocks, never raises.

        Args:
            session: Number of the session.
            direction: Who sent it.
            at: When, by a monotonic clock, in seconds.
            message: The frame as it stood on the wire, or already parsed.
        """
        self._thread.put(TimedFrame(session, direction, at, message))

    def finish(
        self,
        redactions: Callable[[], dict[str, int]] = dict,
        *,
        complete: bool = True,
        harness: str = "",
    ) -> Header:
        """Write what is left and put the cassette in its place. Blocks; not for the event loop.

        Args:
            redactions: Gives the counts for the header, asked after the last line.
            complete: False where what was kept is known to be cut off.
            harness: What is known of the harness, if that was not known before.

        Returns:
            The header as written.

        Raises:
            CassetteNotWrittenError: The disk refused. The old cassette, if any, is as it was.
            CassetteError: What `keep` raised.
        """
        self._thread.close()
        failure = self._thread.failure
        try:
            if isinstance(failure, OSError):
                raise failure
            if isinstance(failure, CassetteError):  # what was to be kept is damaged
                shutil.rmtree(self.folder, ignore_errors=True)
                raise failure
            if failure is not None:
                raise CassetteNotWrittenError(
                    f"{self.path} could not be recorded: {failure!r}. Nothing that was not "
                    "redacted is on disk; if a rule of yours raised this, fix it and record again",
                    path=str(self.path),
                ) from failure
            header = replace(
                self._header,
                complete=complete,
                harness=harness or self._header.harness,
                frames=self._frames,
                size=self._size,
                digest=self._digest.hexdigest(),
                sessions=self._summaries.all(),
                redactions=redactions(),
                model=has_model(self.folder),
            )
            _write(self.folder / HEADER, header.encode())
            swap_in(self.folder, self.path)
        except OSError as error:
            raise _not_written(self.path, error) from error
        finally:
            self._lock.release()
        return header

    def abandon(self) -> None:
        """Throw the recording away. Blocks; not for the event loop."""
        self._thread.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()

    def leave_partial(self) -> None:
        """Write what is left, and leave the recording where a crash would. Blocks."""
        self._thread.close()
        self._lock.release()

    def not_written(self, error: OSError) -> CassetteNotWrittenError:
        """The error for a disk that refused."""
        return _not_written(self.path, error)

    @property
    def failure(self) -> Exception | None:
        """Why nothing is written any more, None while all is well."""
        return self._thread.failure

    def _open(self) -> BinaryIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.folder.exists():  # left by a crash; whoever wanted it would have taken it
            shutil.rmtree(self.folder)
        self.folder.mkdir()
        _write(self.folder / HEADER, self._header.encode())
        return (self.folder / WIRE).open("wb", buffering=0)

    def _write_all(self, said: Iterator[TimedFrame]) -> None:
        try:
            for line in self._keep:
                self._write(line)
            for line in self._join(timed(said)):
                self._write(self._redact(line))
            os.fsync(self._file.fileno())
        finally:
            with contextlib.suppress(OSError):
                self._file.close()

    def _write(self, line: WireRecord) -> None:
        raw = encode_line(line)
        if len(raw) > LONGEST_LINE:
            raise ValueError(
                f"a frame has {len(raw) >> 20} MB, and a cassette's have {LONGEST_LINE >> 20} at "
                "most; leave large media out of what is recorded"
            )
        write_all(self._file, raw)
        self._size += len(raw)
        self._digest.update(raw)
        self._frames += 1
        self._summaries.add(line)


def new_header() -> Header:
    """What is known of a recording before its first frame."""
    return Header(recorded_at=this_moment(), sdk=installed_sdk())


def this_moment() -> str:
    """The time, as headers tell it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def installed_sdk() -> str:
    """Version of the SDK that is installed, empty if none is."""
    try:
        return importlib.metadata.version("google-antigravity")
    except importlib.metadata.PackageNotFoundError:
        return ""


class RecordingLock:
    """Held by one recorder of a name at a time, in this process or another."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _not_written(path, error) from error
        try:
            _lock(self._fd)
            # The one before us may have removed the file between our two calls.
            ours = os.path.samestat(os.fstat(self._fd), self._path.stat())
        except OSError:
            ours = False
        if not ours:
            os.close(self._fd)
            raise CassetteBusyError(
                f"{path} is being recorded by somebody else; wait for it, or choose another name",
                path=str(path),
            )

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether somebody records this name now."""
        try:
            fd = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR)
        except OSError:
            return False
        try:
            _lock(fd)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def release(self) -> None:
        """Let the next one in."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._fd)


def _lock(fd: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write(path: Path, data: bytes) -> None:
    """Write a file in one step: on a full disk, what was there stays."""
    fresh = path.with_name(f".{path.name}")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _not_written(path: Path, error: OSError) -> CassetteNotWrittenError:
    partial = path.with_name(path.name + PARTIAL)
    kept = f" The partial recording is at {partial}." if partial.is_dir() else ""
    return CassetteNotWrittenError(
        f"{path} could not be recorded: {error.strerror or error}.{kept} "
        "What was there before is untouched; free some space or choose another folder",
        path=str(path),
    )
