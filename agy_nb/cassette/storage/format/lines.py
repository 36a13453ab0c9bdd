"""The lines of `wire.jsonl`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import json
import os
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage.format.file_names import WIRE
from agy_nb.cassette.storage.format.header import Header
from agy_nb.cassette.storage.safe_files import LONGEST_LINE, bounded_lines, open_plain
from agy_nb.cassette.storage.safe_json import diagnosis, parse_json
from agy_nb.wire.construct import constructor_of
from agy_nb.wire.json_values import dump_json
from agy_nb.wire.parsing import as_frame, json_writer
from agy_nb.wire.stored.frame_changes import FrameCompactor, FrameRestorer, dumps
from agy_nb.wire.stored.literal_marks import has_literal, unmarked_value

Direction: TypeAlias = Literal["client", "harness", "host", "end"]
Frame: TypeAlias = dict[str, Any]

_MOST_SESSIONS = 10**6
_NUMBER = (int, float)
_LONGEST_WAIT = 1e9
"""Most seconds between two frames, more than 30 years."""
_LAYOUT = re.compile(r'\{"s":\d+,"d":"\w+","dt":[\d.e-]+,"f":')


@dataclass(frozen=True, slots=True)
class WireRecord:
    """One line of `wire.jsonl`.

    Attributes:
        session: Number of the session, from 0.
        direction: The sender; `host` marks a host note, `end` the end of the session.
        dt: Seconds since the session's previous line.
        frame: The frame; for `end` how the session ended.
        text: The frame's JSON text if it was read from disk, so that it need not be encoded again;
            None if the line has fields that no recorder writes.
    """

    session: int
    direction: Direction
    dt: float
    frame: Frame
    text: str | None = field(default=None, compare=False, repr=False)


_CHANGES = 5
"""Number of fields of a line with changes: `s`, `d`, `dt`, `t`, `c`."""

_line = constructor_of(WireRecord)
_write_json = json_writer()


def spoken_frame(line: WireRecord) -> Frame:
    """Return a line's frame with the texts that look like marks as they were."""
    if line.text is not None and not has_literal(line.text):
        return line.frame
    frame: Frame = unmarked_value(line.frame)
    return frame


def encode_line(line: WireRecord, compactor: FrameCompactor | None = None) -> bytes:
    """Encode a line of `wire.jsonl`, with its line end.

    Args:
        line: The line.
        compactor: Leaves out what the lines before repeat; None to store the frame in full.
    """
    data = {"s": line.session, "d": line.direction, "dt": round(line.dt, 6), "f": line.frame}
    text = dumps(data)
    try:
        raw = text.encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair; most lines have none
        raw = dump_json(data, separators=(",", ":")).encode() + b"\n"
    return raw if compactor is None else compactor.compact(data, raw)


def decode_line(
    raw: bytes,
    parse: Callable[[str], Any] = parse_json,
    restorer: FrameRestorer | None = None,
) -> WireRecord:
    """Decode a line of `wire.jsonl`.

    Args:
        raw: The line, with or without its line end.
        parse: Parses JSON.
        restorer: Has restored the lines before; None for a line with a full frame.

    Raises:
        ValueError: The line is not valid.
    """
    line = raw.removeprefix(BOM_UTF8).decode("utf-8", "surrogatepass")
    data = parse(line)
    if not isinstance(data, dict):
        raise ValueError("a line must be a JSON object")  # noqa: TRY004 - one type for all faults
    session, direction, found = data.get("s"), data.get("d"), data.get("f")
    dt = data.get("dt", 0)
    if not isinstance(session, int) or not 0 <= session < _MOST_SESSIONS:
        raise ValueError(f"`s` must be the number of a session, got {session!r:.60}")
    if direction not in ("client", "harness", "host", "end"):
        raise ValueError(f"`d` must be client, harness, host or end, got {direction!r:.60}")
    is_changed = "c" in data and "f" not in data
    if not isinstance(found, dict) and not is_changed:
        raise ValueError(f"`f` must be a JSON object, got {found!r:.60}")
    if not isinstance(dt, _NUMBER) or not 0 <= dt < _LONGEST_WAIT:
        raise ValueError(f"`dt` must be a number of seconds >= 0, got {dt!r:.60}")
    text = None
    frame: Frame = (restorer or FrameRestorer()).frame(data, len(raw))
    if is_changed:
        if len(data) == _CHANGES:
            text = _write_json(frame)
    # The text is cut out of the line, which is faster than encoding the frame again, and keeps the
    # spelling of numbers. Only a line that a recorder wrote is sure to have it there.
    elif (layout := _LAYOUT.match(line)) is not None and next(reversed(data)) == "f":
        text = line[layout.end() : line.rindex("}")]
    return _line(session=session, direction=direction, dt=float(dt), frame=frame, text=text)


def parse_frame(message: str | bytes) -> Frame:
    """Convert any message of the wire to the frame that a line stores."""
    try:
        data = parse_json(message)
    except ValueError:
        data = None
    return as_frame(data, message)


def frame_message(frame: Frame, text: str | None = None) -> str | bytes:
    """Convert a stored frame back to the message of the wire.

    Args:
        frame: The frame of a line.
        text: The frame's JSON text, if it is known.

    Raises:
        ValueError: The frame was edited and is not valid base64 any more.
    """
    if len(frame) == 1:
        if "$text" in frame:
            return str(frame["$text"])
        if "$base64" in frame:
            try:
                return base64.b64decode(frame["$base64"], validate=True)
            except (TypeError, binascii.Error) as error:
                raise ValueError(f"not base64: {error}") from error
    return json.dumps(frame) if text is None else text


def read_lines(
    folder: Path, *, strict: bool = True, parse: Callable[[str], Any] = parse_json
) -> Iterator[WireRecord]:
    """Read the lines of `wire.jsonl` one at a time.

    An incomplete last line is left out. Memory is that of the longest line.

    Args:
        folder: The cassette.
        strict: Whether a damaged line before the last raises; otherwise reading ends there.
        parse: Parses JSON.

    Raises:
        CassetteInvalidError: A line is damaged.
    """
    for _, _, line in numbered_lines(folder, strict=strict, parse=parse):
        yield line


def numbered_lines(
    folder: Path, *, strict: bool = True, parse: Callable[[str], Any] = parse_json
) -> Iterator[tuple[int, bytes, WireRecord]]:
    """Read lines like `read_lines`, with their numbers from 1 and their raw bytes."""
    path = folder / WIRE
    try:
        file = open_plain(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise CassetteInvalidError(
            f"{path} cannot be read: {error.strerror}", path=str(folder)
        ) from error
    with file:
        lines, restorer = bounded_lines(file), FrameRestorer()
        for number in itertools.count(1):
            raw = b""
            try:
                raw = next(lines, b"")
                if not raw.endswith(b"\n"):
                    return
                line = decode_line(raw, parse, restorer)
            except ValueError as error:
                if not strict:
                    return
                raise CassetteInvalidError(
                    f"{path}, line {number}: {diagnosis(raw, error)}", path=str(folder)
                ) from error
            yield number, raw, line


def read_torn_end(folder: Path) -> str:
    """Return the incomplete line at the end of `wire.jsonl`; empty unless the file was cut off."""
    try:
        with open_plain(folder / WIRE) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LONGEST_LINE))
            return file.read().rpartition(b"\n")[2].decode("utf-8", "replace")
    except OSError:
        return ""


def is_edited(folder: Path, header: Header) -> bool:
    """Return whether `wire.jsonl` was changed after the recording. Reads the whole file."""
    if not header.digest:
        return False
    try:
        with open_plain(folder / WIRE) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != header.digest
    except OSError:
        return False  # a missing file counts as partial, not as edited


def is_partial(folder: Path, header: Header) -> bool:
    """Return whether frames are missing because the recording or the file was cut off.

    A file that is smaller than recorded may have been edited, so its lines are counted.
    """
    path = folder / WIRE
    try:
        if not header.complete or path.stat().st_size >= header.size:
            return not header.complete
        with open_plain(path) as file:
            return sum(raw.endswith(b"\n") for raw in bounded_lines(file)) < header.frames
    except ValueError:
        return True
    except OSError:
        return header.frames > 0 or not header.complete
