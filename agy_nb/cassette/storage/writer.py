"""Write a recording: append lines while it runs, replace the old cassette at its end.

Rule 1: `put` only adds to a queue, so it never blocks the event loop. A thread parses, redacts and
writes the frames.
Rule 2: the old cassette is unchanged until the replacement. A crash leaves the folder of the
recording, in which all complete lines are valid; `ownership` names it.
Rule 3: one writer per name. The operating system holds the lock, so a crash releases it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from agy_nb.cassette.errors import CassetteError, CassetteNotWrittenError
from agy_nb.cassette.inspect.session_summary import Summaries
from agy_nb.cassette.storage.atomic_replace import swap_in, write_file
from agy_nb.cassette.storage.file_lock import real_place
from agy_nb.cassette.storage.format import (
    FILES,
    HEADER,
    LITTER,
    OWNER_MARK,
    WIRE,
    Direction,
    Frame,
    Header,
    WireRecord,
    encode_line,
    header as header_format,
    parse_frame,
)
from agy_nb.cassette.storage.model_log import has_model
from agy_nb.cassette.storage.ownership import (
    RecordingLock,
    is_unfinished,
    mark_as_ours,
    new_folder,
    not_written,
    place_of_old,
    recover,
    where_kept,
    where_unfinished,
)
from agy_nb.cassette.storage.safe_files import LONGEST_LINE, copy_any, files_of, write_all
from agy_nb.cassette.storage.shared.shared_texts import replacing
from agy_nb.cassette.storage.write_thread import WriteThread
from agy_nb.wire.stored.frame_changes import FrameCompactor

_log = logging.getLogger("agy_nb.cassette")

Redact: TypeAlias = Callable[[WireRecord], WireRecord]
RevisedLines: TypeAlias = tuple[Iterable[WireRecord], Callable[[Header], Header]]
Revise: TypeAlias = Callable[[Path], RevisedLines | None]
Join: TypeAlias = Callable[[Iterable[WireRecord]], Iterable[WireRecord]]


class TimedFrame(NamedTuple):
    """A frame with its time; see `CassetteWriter.put`."""

    session: int
    direction: Direction
    at: float
    message: str | bytes | Frame


def timed(said: Iterable[TimedFrame]) -> Iterator[WireRecord]:
    """Convert frames to lines, with the time since the session's previous line."""
    last: dict[int, float] = {}
    for item in said:
        since = item.at - last.get(item.session, item.at)
        last[item.session] = item.at
        message = item.message
        frame = message if isinstance(message, dict) else parse_frame(message)
        yield WireRecord(item.session, item.direction, max(since, 0.0), frame)


class CassetteWriter:
    """Write the frames of a running recording.

    Args:
        path: Folder of the cassette.
        header: The header, as far as it is known before the first frame.
        redact: Removes secrets from a line; called in the writer's thread.
        join: Removes secrets that are split over several lines, before `redact`. It may delay
            lines.
        keep: First lines of the recording, e.g. those of a cassette that is extended.

    Raises:
        CassetteBusyError: Another recording writes to the cassette.
        CassetteNotWrittenError: The folder cannot be created.
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
        path = real_place(path)  # a link stays, and its target is written
        self.path = path
        self._header = replace(header, version=header_format.VERSION)  # also of the lines in `keep`
        self._redact = redact
        self._join = join
        self._keep = keep
        self._summaries, self._compactor = Summaries(), FrameCompactor()
        self._size = 0
        self._digest = hashlib.sha256()
        self._frames = 0
        RecordingLock.check_not_written(path)
        self._lock = RecordingLock(path)
        self._stays_unfinished = is_unfinished(path)
        try:
            recover(path)
            if left := where_unfinished(path):
                _log.warning("%s is recorded again. %s", path, left)
            self.folder: Path = new_folder(path)
            self._file = self._open()
        except OSError as error:
            self._lock.release()
            raise not_written(path, error) from error
        except BaseException:
            self._lock.release()
            raise
        self._thread = WriteThread(f"cassette {path.name}", self._write_all)

    def put(
        self, session: int, direction: Direction, at: float, message: str | bytes | Frame
    ) -> None:
        """Append a frame. Never blocks, never raises.

        Args:
            session: Number of the session.
            direction: The sender.
            at: Monotonic time in seconds.
            message: The message of the wire, or the parsed frame.
        """
        self._thread.put(TimedFrame(session, direction, at, message))

    def finish(
        self,
        redactions: Callable[[], dict[str, int]] = dict,
        *,
        complete: bool = True,
        harness: str = "",
        revise: Revise = lambda _: None,
    ) -> Header:
        """Write all frames and replace the old cassette. Blocks, so never call it on the loop.

        Args:
            redactions: Returns the counts for the header; called after the last line.
            complete: False if the lines of `keep` are known to be incomplete.
            harness: Description of the harness, if it was not known before.
            revise: Called with the folder of the written recording. Returns lines that replace
                those of the recording, and a function that completes the header; None to keep
                the recording as it is.

        Returns:
            The header.

        Raises:
            CassetteNotWrittenError: The recording cannot be written. An old cassette is unchanged.
            CassetteError: The lines of `keep` cannot be read.
        """
        try:
            self._thread.close()
            failure = self._thread.failure
            if isinstance(failure, OSError):
                raise failure
            if isinstance(failure, CassetteError):  # the lines to keep are damaged
                shutil.rmtree(self.folder, ignore_errors=True)
                raise failure
            if failure is not None:
                raise CassetteNotWrittenError(
                    f"{self.path} could not be recorded: {failure!r}.{where_kept(self.folder)} "
                    "No unredacted text was written. If a rule in redact= raised this error, fix "
                    "it and record again",
                    path=str(self.path),
                ) from failure
            # The replacement comes last, after everything that can fail. Up to there, an error
            # leaves the old cassette as it was, and the new lines beside it.
            found = revise(self.folder)
            if found is not None:
                self._write_again(found[0])
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
            if found is not None:
                header = found[1](header)
            # Some file systems report a full disk late, or not at all.
            self._check_written()
            _carry_over(self.path, self.folder)
            write_file(self.folder / HEADER, header.encode())
            with replacing(self.path, self.folder):
                swap_in(self.folder, self.path, place_of_old(self.folder))
            with contextlib.suppress(OSError):  # the mark does no harm in a finished cassette
                if self._stays_unfinished:  # the rest of a crash, which was redacted
                    mark_as_ours(self.path, self.path.name)
                else:
                    (self.path / OWNER_MARK).unlink()
        except OSError as error:
            raise not_written(self.path, error, self.folder) from error
        finally:
            self._lock.release()
        return header

    def write_rest(self) -> None:
        """Write all frames that were recorded; later ones are left out. Blocks."""
        self._thread.close()

    def abandon(self) -> None:
        """Discard the recording. Blocks; not for the event loop."""
        try:
            self._thread.close()
            shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def adding_files(self) -> Iterator[None]:
        """Throw the recording away if the block fails, which adds files to its folder. Blocks.

        Raises:
            CassetteNotWrittenError: The disk refused a file.
        """
        try:
            yield
        except BaseException as error:
            self.abandon()
            if isinstance(error, OSError):
                raise not_written(self.path, error) from error
            raise

    def leave_partial(self) -> None:
        """Write the remaining lines, and leave the recording as a crash would. Blocks."""
        try:
            self._thread.close()
        finally:
            self._lock.release()

    def not_written(self, error: OSError) -> CassetteNotWrittenError:
        """Return the error for a failed write."""
        return not_written(self.path, error, self.folder)

    @property
    def failure(self) -> Exception | None:
        """Why nothing is written any more, None while all is well."""
        return self._thread.failure

    def _open(self) -> BinaryIO:
        try:
            write_file(self.folder / HEADER, self._header.encode())
            return (self.folder / WIRE).open("wb", buffering=0)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _write_all(self, said: Iterator[TimedFrame]) -> None:
        try:
            for line in self._keep:
                self._write(line)
            for line in self._join(timed(said)):
                self._write(self._redact(line))
            # Before the rename of `finish`: after a power failure, a file system may know the new
            # name and not yet the content.
            os.fsync(self._file.fileno())
        finally:
            with contextlib.suppress(OSError):
                self._file.close()

    def _write_again(self, lines: Iterable[WireRecord]) -> None:
        """Replace the written lines."""
        self._summaries, self._digest = Summaries(), hashlib.sha256()
        self._compactor = FrameCompactor()
        self._size = self._frames = 0
        fresh = self.folder / f".{WIRE}"
        with fresh.open("wb", buffering=0) as self._file:
            for line in lines:
                self._write(line)
            os.fsync(self._file.fileno())
        fresh.replace(self.folder / WIRE)

    def _check_written(self) -> None:
        """Check the files on the disk before the old cassette is removed."""
        with (self.folder / WIRE).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if file.tell() != self._size or found != self._digest.hexdigest():
                raise OSError(errno.EIO, f"{WIRE} differs from the bytes that were written")

    def _write(self, line: WireRecord) -> None:
        raw = encode_line(line, self._compactor)
        if len(raw) > LONGEST_LINE:
            raise ValueError(
                f"a frame of {len(raw) >> 20} MB is too large for a cassette; the limit is "
                f"{LONGEST_LINE >> 20} MB. Use smaller media, or record_media=False"
            )
        write_all(self._file, raw)
        self._size += len(raw)
        self._digest.update(raw)
        self._frames += 1
        self._summaries.add(line)


def _carry_over(old: Path, new: Path) -> None:
    """Copy the files of a cassette that no recorder wrote: a README, notes, fixtures."""
    for file in files_of(old) if old.is_dir() else ():
        there = new / file.relative_to(old)
        of_recorder = file.parent == old and file.name.removeprefix(".") in FILES
        if of_recorder or file.name in LITTER or os.path.lexists(there):
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        copy_any(file, there)


def new_header(sdk: str | None = None) -> Header:
    """Create the header of a recording that starts now.

    Args:
        sdk: Version of the client's SDK; the one that is installed here when None.
    """
    return Header(
        recorded_at=this_moment(), sdk=installed_sdk() if sdk is None else sdk, id=new_id()
    )


def new_id() -> str:
    """Create the permanent id of a recording."""
    return uuid.uuid4().hex[:16]


def this_moment() -> str:
    """Return the current time as in headers: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def installed_sdk() -> str:
    """Return the version of the installed SDK, empty if it is not installed."""
    from importlib import metadata  # takes 10 ms, which a stand-in does not need

    try:
        return metadata.version("google-antigravity")
    except metadata.PackageNotFoundError:
        return ""
