"""The files of a cassette.

A cassette is a folder with `header.json` and `wire.jsonl`. If requests to the model were recorded,
it also holds `model.yaml`, which is `model.jsonl` until the recording is finished. `tools.yaml`
holds the HTTP requests of host tools.

`wire.jsonl` holds one JSON object per line and is read line by line. If its last line is incomplete
after a crash, the lines before it are still valid. An example:

```json
{"s": 0, "d": "client", "dt": 0.0123, "f": {"userInput": {"parts": [{"text": "Hello"}]}}}
```

`s` is the number of the session (one connection of one agent). `d` is the sender of the frame
(`client` or `harness`), `host` for a note of an event that never crosses the wire, or `end` for the
end of the session. `dt` is the time since the session's previous line in seconds, `f` the frame or
the note. A frame that is not a JSON object is stored as `{"$text": ...}` or `{"$base64": ...}`.
"""

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
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from agy_nb.cassette.errors import CassetteInvalidError, CassetteNotFoundError
from agy_nb.cassette.storage.safe_files import LONGEST_LINE, bounded_lines, open_plain, read_bytes
from agy_nb.cassette.storage.safe_json import parse_json
from agy_nb.wire.construct import constructor_of
from agy_nb.wire.json_values import dump_json
from agy_nb.wire.literal_marks import has_literal, unmarked_value
from agy_nb.wire.parsing import as_frame

VERSION = 3
"""Current version of the format; `migration` converts older versions."""

READABLE = (1, 2, 3)
"""Versions that can be read without conversion: version 2 only adds host notes, and version 3
references in `model.yaml`."""

HEADER = "header.json"
WIRE = "wire.jsonl"
MODEL = "model.yaml"
EPISODES = "model.jsonl"
TOOLS = "tools.yaml"
OWNER_MARK = ".agy-recording"
"""Mark of the recorder in a folder that it created; see `ownership`."""
FILES = frozenset({HEADER, WIRE, MODEL, EPISODES, TOOLS, OWNER_MARK})
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that systems leave in folders; they are not kept."""
FORMAT = "agy-cassette"

Direction: TypeAlias = Literal["client", "harness", "host", "end"]
Frame: TypeAlias = dict[str, Any]

_LONGEST_NAME = 200
_LARGEST_HEADER = 64 * 2**20
_MOST_SESSIONS = 10**6
_LONGEST_WAIT = 1e9
"""Most seconds between two frames, more than 30 years."""
_LARGEST_NUMBER = 2**63
_LAYOUT = re.compile(r'\{"s":\d+,"d":"\w+","dt":[\d.e-]+,"f":')
_CONFLICT = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})", re.MULTILINE)
_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class WireRecord:
    """One line of `wire.jsonl`.

    Attributes:
        session: Number of the session, from 0.
        direction: The sender; `host` marks a host note, `end` the end of the session.
        dt: Seconds since the session's previous line.
        frame: The frame; for `end` how the session ended.
        text: The frame's JSON text if it was read from disk, so that it need not be encoded again.
    """

    session: int
    direction: Direction
    dt: float
    frame: Frame
    text: str | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """The summary of one session in the header.

    Attributes:
        config: Digest of the session's configuration.
        frames: Number of the session's lines in `wire.jsonl`.
        turns: Number of turns, including those of triggers and wake-ups.
        tokens: Total tokens that the harness last reported, None if it reported none.
        tools: Sorted names of the tools that were called, including built-in ones.
        models: Names of the models in the configuration.
        closed: Whether the end of the session was recorded.
    """

    config: str = ""
    frames: int = 0
    turns: int = 0
    tokens: int | None = None
    tools: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """The content of `header.json`: a summary of the cassette.

    Attributes:
        complete: Whether the recording was finished.
        recorded_at: Start of the recording, UTC, ISO 8601.
        sdk: Version of google-antigravity.
        harness: Name and size of the harness binary.
        frames: Number of lines in `wire.jsonl`.
        size: Size of `wire.jsonl` in bytes.
        sessions: One summary per session, in the order of their start.
        redactions: Number of redactions by kind.
        model: Whether requests to the model were recorded.
        digest: SHA-256 of `wire.jsonl` when it was recorded; empty if it is not known.
        version: Version of the format.
        id: Permanent id of the recording; empty in older cassettes.
        labels: The user's labels of the recording.
    """

    complete: bool = False
    recorded_at: str = ""
    sdk: str = ""
    harness: str = ""
    frames: int = 0
    size: int = 0
    sessions: tuple[SessionSummary, ...] = ()
    redactions: dict[str, int] = field(default_factory=dict)
    model: bool = False
    digest: str = ""
    version: int = VERSION
    id: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the bytes of `header.json`."""
        data = {"format": FORMAT, **asdict(self)}
        if not self.labels:
            del data["labels"]
        return (dump_json(data, indent=2) + "\n").encode()


_line = constructor_of(WireRecord)


def spoken_frame(line: WireRecord) -> Frame:
    """Return a line's frame with the texts that look like marks as they were."""
    if line.text is not None and not has_literal(line.text):
        return line.frame
    frame: Frame = unmarked_value(line.frame)
    return frame


def encode_line(line: WireRecord) -> bytes:
    """Encode a line of `wire.jsonl`, with its line end."""
    data = {"s": line.session, "d": line.direction, "dt": round(line.dt, 6), "f": line.frame}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair; most lines have none
        return dump_json(data, separators=(",", ":")).encode() + b"\n"


def decode_line(raw: bytes, parse: Callable[[str], Any] = parse_json) -> WireRecord:
    """Decode a line of `wire.jsonl`.

    Args:
        raw: The line, with or without its line end.
        parse: Parses JSON.

    Raises:
        ValueError: The line is not valid.
    """
    line = raw.removeprefix(BOM_UTF8).decode("utf-8", "surrogatepass")
    data = parse(line)
    if not isinstance(data, dict):
        raise ValueError("a line must be a JSON object")  # noqa: TRY004 - one type for all faults
    session, direction, frame = data.get("s"), data.get("d"), data.get("f")
    dt = data.get("dt", 0)
    if not isinstance(session, int) or not 0 <= session < _MOST_SESSIONS:
        raise ValueError(f"`s` must be the number of a session, got {session!r:.60}")
    if direction not in ("client", "harness", "host", "end"):
        raise ValueError(f"`d` must be client, harness, host or end, got {direction!r:.60}")
    if not isinstance(frame, dict):
        raise ValueError(f"`f` must be a JSON object, got {frame!r:.60}")  # noqa: TRY004
    if not isinstance(dt, int | float) or not 0 <= dt < _LONGEST_WAIT:
        raise ValueError(f"`dt` must be a number of seconds >= 0, got {dt!r:.60}")
    layout = _LAYOUT.match(line)
    text = None
    if layout is not None and next(reversed(data)) == "f":
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


def cassette_path(path: str | Path) -> Path:
    """Check and expand the path of a cassette.

    Raises:
        CassetteInvalidError: A folder cannot have this name.
    """
    text = str(path)
    found = Path(text).expanduser()
    if not text.strip() or "\0" in text or found.name in ("", ".", ".."):
        raise CassetteInvalidError(
            f"{text!r} cannot name a cassette; pass the path of a folder, e.g. 'cassettes/weather'",
            path=text,
        )
    try:
        os.fsencode(found)
    except UnicodeEncodeError as error:
        raise CassetteInvalidError(
            f"{text!r} cannot name a cassette: the file system cannot hold the character "
            f"{text[error.start]!r}; use another name",
            path=text,
        ) from error
    size = len(os.fsencode(found.name))
    if size > _LONGEST_NAME:
        raise CassetteInvalidError(
            f"the name {found.name[:40]!r}... is {size} bytes long; "
            f"use at most {_LONGEST_NAME} bytes",
            path=text,
        )
    return found


def safe_name(text: str, *, digest: bool = False) -> str:
    """Make a file name of any text, e.g. a test id. Different texts get different names.

    Args:
        text: Any text.
        digest: Whether the name has a digest in any case, so that names that differ only by upper
            and lower case stay apart on every file system.
    """
    name = re.sub(r"[^\w.\[\]-]+", "-", text).strip("-.") or "cassette"
    if digest or name != text or len(name.encode()) > _LONGEST_NAME:
        end = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = f"{name.encode()[: _LONGEST_NAME - 9].decode(errors='ignore')}-{end}"
    return name


def read_header(folder: Path) -> Header:
    """Read the header of a cassette.

    Raises:
        CassetteNotFoundError: The folder does not exist.
        CassetteInvalidError: The folder is not a cassette, or has another version of the format.
    """
    data = read_header_data(folder)
    if data["version"] not in READABLE:
        raise _other_version(data["version"], str(folder))
    return header_of(data, str(folder))


def read_header_data(folder: Path) -> dict[str, Any]:
    """Read `header.json` of any version of the format.

    Raises:
        CassetteNotFoundError: The folder does not exist.
        CassetteInvalidError: The folder is not a cassette.
    """
    where = str(folder)
    try:
        raw = read_bytes(folder / HEADER, _LARGEST_HEADER)
    except (FileNotFoundError, NotADirectoryError):
        if not folder.exists():
            raise CassetteNotFoundError(
                f"there is no cassette at {where}; check the path, or list the cassettes below a "
                "folder with `agy-nb cassette list FOLDER`",
                path=where,
            ) from None
        what = "has no header.json" if folder.is_dir() else "is a file, not a folder"
        raise CassetteInvalidError(
            f"{where} is not a cassette: it {what}. `agy-nb cassette list FOLDER` lists the "
            "cassettes below a folder",
            path=where,
        ) from None
    except OSError as error:
        raise CassetteInvalidError(
            f"{where} cannot be read: {error.strerror}", path=where
        ) from error
    try:
        return _checked_header(parse_json(raw))
    except ValueError as error:
        raise CassetteInvalidError(
            f"{where} is not a cassette: header.json: {_diagnosis(raw, error)}", path=where
        ) from error


def header_of(data: dict[str, Any], where: str) -> Header:
    """Convert the data of a `header.json` of a readable version.

    Raises:
        CassetteInvalidError: A field has a wrong type or value.
    """
    try:
        sessions = tuple(_fill(SessionSummary, item) for item in data.get("sessions", ()))
        return _fill(Header, data | {"sessions": sessions})
    except (TypeError, ValueError, AttributeError) as error:
        raise CassetteInvalidError(
            f"{where}: header.json is damaged: {error}. Restore the cassette, or record it again",
            path=where,
        ) from error


def _other_version(version: int, where: str) -> CassetteInvalidError:
    if version > VERSION:
        return CassetteInvalidError(
            f"{where} has format {version}; this agy_nb reads up to {VERSION}. "
            "Install a newer agy_nb, or record the cassette again",
            path=where,
        )
    return CassetteInvalidError(
        f"{where} has format {version}; this agy_nb reads {VERSION}. "
        f"Run `agy-nb cassette migrate {where}`",
        path=where,
    )


def _checked_header(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f'the field "format" must be {FORMAT!r}')
    version = data.get("version")
    if not isinstance(version, int) or version < 1:
        raise ValueError(f'the field "version" must be a number >= 1, got {version!r:.60}')
    return data


def _fill(kind: type[_Record], data: dict[str, Any]) -> _Record:
    """Create a record of the known fields, and check their types. Unknown fields are ignored."""
    kept: dict[str, Any] = {}
    blank = kind()
    for item in fields(blank):  # type: ignore[arg-type]  # both are dataclasses
        value = data.get(item.name, getattr(blank, item.name))
        value = tuple(value) if isinstance(value, list) else value
        expected = int if item.name == "tokens" else type(getattr(blank, item.name))
        unknown = value is None and item.name == "tokens"
        if not unknown and not (type(value) is expected and _fits(item.name, value)):
            raise TypeError(f"the value of {item.name} is not valid: {repr(value)[:100]}")
        kept[item.name] = value
    return kind(**kept)


def _fits(name: str, value: Any) -> bool:
    """Return whether the items of a header's value have the right types and a plausible size."""
    match value:
        case int():
            return -1 <= value < _LARGEST_NUMBER
        case dict() if name == "labels":
            return all(isinstance(text, str) for text in value.values())
        case dict():
            return all(
                type(count) is int and 0 <= count < _LARGEST_NUMBER for count in value.values()
            )
        case tuple() if name != "sessions":
            return all(isinstance(item, str) for item in value)
    return True


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
        lines = bounded_lines(file)
        for number in itertools.count(1):
            raw = b""
            try:
                raw = next(lines, b"")
                if not raw.endswith(b"\n"):
                    return
                line = decode_line(raw, parse)
            except ValueError as error:
                if not strict:
                    return
                raise CassetteInvalidError(
                    f"{path}, line {number}: {_diagnosis(raw, error)}", path=str(folder)
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


def _diagnosis(raw: bytes, error: Exception) -> str:
    if _CONFLICT.search(raw):
        return (
            "the file holds a git conflict. Take one side of the whole folder, with "
            "`git checkout --ours FOLDER` or `--theirs`, or record the cassette again"
        )
    return f"{error}. Restore the cassette, or record it again"


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
