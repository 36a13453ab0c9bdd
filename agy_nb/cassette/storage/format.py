"""The cassette on disk.

Rule 1: a cassette is a folder: `header.json`, `wire.jsonl` and, where the model's side was recorded
too, `model.yaml`, which is `model.jsonl` until the recording is finished. No other module spells
these names.
Rule 2: `wire.jsonl` holds one JSON object a line and is read line by line, never whole.
Rule 3: a line that is not whole ends the cassette there; what stands before it counts.

A line of the wire:

```json
{"s": 0, "d": "client", "dt": 0.0123, "f": {"userInput": {"parts": [{"text": "Hello"}]}}}
```

`s` is the session (one connection of one agent), `d` who sent the frame (`client`, `harness`),
`host` for a note of something that never crosses the wire, or `end` for the session's end. `dt` is
the seconds since the session's line before, `f` the frame or the note. A frame that is not a JSON
object is kept as `{"$text": ...}` or `{"$base64": ...}`.
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
from agy_nb.wire.parsing import as_frame

VERSION = 2
"""Of the format. `migration` brings older ones up to it."""

READABLE = (1, 2)
"""Versions that can be read as they are: version 2 only adds host notes to version 1."""

HEADER = "header.json"
WIRE = "wire.jsonl"
MODEL = "model.yaml"
EPISODES = "model.jsonl"
TOOLS = "tools.yaml"
FILES = frozenset({HEADER, WIRE, MODEL, EPISODES, TOOLS})
FORMAT = "agy-cassette"

Direction: TypeAlias = Literal["client", "harness", "host", "end"]
Frame: TypeAlias = dict[str, Any]

_LONGEST_NAME = 200
_LARGEST_HEADER = 64 * 2**20
_MOST_SESSIONS = 10**6
_LONGEST_WAIT = 1e9
"""Seconds between two frames; more than 30 years."""
_LARGEST_NUMBER = 2**63
_LAYOUT = re.compile(r'\{"s":\d+,"d":"\w+","dt":[\d.e-]+,"f":')
_CONFLICT = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})", re.MULTILINE)
_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class WireRecord:
    """One line of the wire.

    Attributes:
        session: Number of the session, from 0.
        direction: Who sent it; `host` is a note beside the wire, `end` closes the session.
        dt: Seconds since the session's line before.
        frame: What was sent; for `end` how the session ended.
        text: The frame as JSON text where it was read from disk, which spares writing it again.
    """

    session: int
    direction: Direction
    dt: float
    frame: Frame
    text: str | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """What a list shows of one session.

    Attributes:
        config: Digest of its configuration.
        frames: Lines of the wire that belong to it.
        turns: Turns that were begun, by a prompt or otherwise.
        tokens: Total tokens as the harness last told them, None where it never did.
        tools: Names of the tools called, built-in ones too, sorted.
        models: Names of the models in its configuration.
        closed: Whether its end was recorded.
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
    """What is known of a cassette without reading its frames.

    Attributes:
        complete: Whether the recording was finished.
        recorded_at: When it was begun, UTC, ISO 8601.
        sdk: Version of google-antigravity.
        harness: What is known of the harness binary.
        frames: Lines in `wire.jsonl`.
        size: Bytes of `wire.jsonl`.
        sessions: One summary each, in the order of their start.
        redactions: How often each kind of thing was taken out.
        model: Whether the model's side was recorded too.
        digest: SHA-256 of `wire.jsonl` as it was recorded; empty if that is not known.
        version: Of the format.
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

    def encode(self) -> bytes:
        """The bytes of `header.json`."""
        data = {"format": FORMAT, **asdict(self)}
        return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


_line = constructor_of(WireRecord)


def encode_line(line: WireRecord) -> bytes:
    """A line as it stands on disk, with its end."""
    data = {"s": line.session, "d": line.direction, "dt": round(line.dt, 6), "f": line.frame}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair; escaped it survives
        return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def decode_line(raw: bytes, parse: Callable[[str], Any] = parse_json) -> WireRecord:
    """The opposite of `encode_line`.

    Args:
        raw: The line, with or without its end.
        parse: Parses JSON.

    Raises:
        ValueError: It is no line of a wire.
    """
    line = raw.removeprefix(BOM_UTF8).decode("utf-8", "surrogatepass")
    data = parse(line)
    if not isinstance(data, dict):
        raise ValueError("a line is a JSON object")  # noqa: TRY004 - one error for all that is wrong
    session, direction, frame = data.get("s"), data.get("d"), data.get("f")
    dt = data.get("dt", 0)
    if not isinstance(session, int) or not 0 <= session < _MOST_SESSIONS:
        raise ValueError("`s` is the number of a session")
    if direction not in ("client", "harness", "host", "end"):
        raise ValueError("`d` is client, harness, host or end")
    if not isinstance(frame, dict):
        raise ValueError("`f` is a frame, a JSON object")  # noqa: TRY004
    if not isinstance(dt, int | float) or not 0 <= dt < _LONGEST_WAIT:
        raise ValueError("`dt` is a number of seconds")
    layout = _LAYOUT.match(line)
    text = None
    if layout is not None and next(reversed(data)) == "f":
        text = line[layout.end() : line.rindex("}")]
    return _line(session=session, direction=direction, dt=float(dt), frame=frame, text=text)


def parse_frame(message: str | bytes) -> Frame:
    """A frame as it stands in a line, whatever it is."""
    try:
        data = parse_json(message)
    except ValueError:
        data = None
    return as_frame(data, message)


def frame_message(frame: Frame, text: str | None = None) -> str | bytes:
    """What to send for a frame.

    Args:
        frame: As it stands in a line.
        text: The same as JSON text, if that is at hand.

    Raises:
        ValueError: The frame was edited into something that is none.
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
    """The folder that a name stands for.

    Raises:
        CassetteInvalidError: No folder can have that name.
    """
    text = str(path)
    found = Path(text).expanduser()
    if not text.strip() or "\0" in text or found.name in ("", ".", ".."):
        raise CassetteInvalidError(
            f"{text!r} names no cassette; give it the path of a folder, e.g. 'cassettes/weather'",
            path=text,
        )
    if len(found.name.encode()) > _LONGEST_NAME:
        raise CassetteInvalidError(
            f"the name {found.name[:40]!r}... is {len(found.name.encode())} bytes long; "
            f"a cassette's name has at most {_LONGEST_NAME}",
            path=text,
        )
    return found


def safe_name(text: str) -> str:
    """A file name for any text, e.g. the id of a test; different for different texts."""
    name = re.sub(r"[^\w.\[\]-]+", "-", text).strip("-.") or "cassette"
    if name != text or len(name.encode()) > _LONGEST_NAME:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = f"{name.encode()[: _LONGEST_NAME - 9].decode(errors='ignore')}-{digest}"
    return name


def read_header(folder: Path) -> Header:
    """The header of a cassette.

    Raises:
        CassetteNotFoundError: There is no such folder.
        CassetteInvalidError: It is no cassette, or one of another version of the format.
    """
    data = read_header_data(folder)
    if data["version"] not in READABLE:
        raise _other_version(data["version"], str(folder))
    return header_of(data, str(folder))


def read_header_data(folder: Path) -> dict[str, Any]:
    """What stands in a cassette's header, of whatever version.

    Raises:
        CassetteNotFoundError: There is no such folder.
        CassetteInvalidError: It is no cassette.
    """
    where = str(folder)
    try:
        raw = read_bytes(folder / HEADER, _LARGEST_HEADER)
    except (FileNotFoundError, NotADirectoryError):
        if not folder.exists():
            raise CassetteNotFoundError(
                f"there is no cassette at {where}; correct the path, or record one with "
                'record_mode="once"',
                path=where,
            ) from None
        what = "has no header.json" if folder.is_dir() else "is a file, not a folder"
        raise CassetteInvalidError(
            f"{where} is no cassette: it {what}. `agy-nb cassette list FOLDER` finds those below a "
            "folder",
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
            f"{where} is no cassette: its header.json: {_what_is_wrong(raw, error)}", path=where
        ) from error


def header_of(data: dict[str, Any], where: str) -> Header:
    """The header that the data of a `header.json` of this version says.

    Raises:
        CassetteInvalidError: It is damaged.
    """
    try:
        sessions = tuple(_fill(SessionSummary, item) for item in data.get("sessions", ()))
        return _fill(Header, data | {"sessions": sessions})
    except (TypeError, ValueError, AttributeError) as error:
        raise CassetteInvalidError(
            f"{where}: its header.json is damaged: {error}. Take it from a copy, or record again",
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


def _checked_header(data: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError("it does not say so")
    version = data.get("version")
    if not isinstance(version, int) or version < 1:
        raise ValueError("it tells no version of the format")
    return data


def _fill(kind: type[_Record], data: dict[str, Any]) -> _Record:
    """Known fields of the right types; the format says nothing about others."""
    kept: dict[str, Any] = {}
    blank = kind()
    for item in fields(blank):  # type: ignore[arg-type]  # both are dataclasses
        value = data.get(item.name, getattr(blank, item.name))
        value = tuple(value) if isinstance(value, list) else value
        expected = int if item.name == "tokens" else type(getattr(blank, item.name))
        unknown = value is None and item.name == "tokens"
        if not unknown and not (type(value) is expected and _fits(item.name, value)):
            raise TypeError(f"{item.name} is {repr(value)[:100]}")
        kept[item.name] = value
    return kind(**kept)


def _fits(name: str, value: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a value of a header has parts of the right types, and a size that can be shown."""
    match value:
        case int():
            return -1 <= value < _LARGEST_NUMBER
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
    """The lines of the wire, one at a time, in constant memory.

    A last line that was cut off is left out. Memory is that of the longest line.

    Args:
        folder: The cassette.
        strict: Whether a damaged line before the last is an error; else the reading ends there.
        parse: Parses JSON.

    Raises:
        CassetteInvalidError: A line is damaged.
    """
    for _, _, line in numbered_lines(folder, strict=strict, parse=parse):
        yield line


def numbered_lines(
    folder: Path, *, strict: bool = True, parse: Callable[[str], Any] = parse_json
) -> Iterator[tuple[int, bytes, WireRecord]]:
    """The lines of the wire with their numbers, from 1, and as they stand in the file.

    See `read_lines`.
    """
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
                    f"{path}, line {number}: {_what_is_wrong(raw, error)}", path=str(folder)
                ) from error
            yield number, raw, line


def read_torn_end(folder: Path) -> str:
    """What follows the last whole line of the wire: nothing, unless the file was cut off."""
    try:
        with open_plain(folder / WIRE) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LONGEST_LINE))
            return file.read().rpartition(b"\n")[2].decode("utf-8", "replace")
    except OSError:
        return ""


def _what_is_wrong(raw: bytes, error: Exception) -> str:
    if _CONFLICT.search(raw):
        return (
            "git has left a conflict there. Take one side of the whole folder, with "
            "`git checkout --ours FOLDER` or `--theirs`, or record again"
        )
    return f"{error}. Take it from a copy, or record again"


def is_edited(folder: Path, header: Header) -> bool:
    """Whether the frames are not those that were recorded. Reads the disk, piece by piece."""
    if not header.digest:
        return False
    try:
        with open_plain(folder / WIRE) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != header.digest
    except OSError:
        return False  # missing, and no edit


def is_partial(folder: Path, header: Header) -> bool:
    """Whether frames are missing: the recording was cut off, or the file was.

    A file that has shrunk is read, since words in it may have been edited into shorter ones.
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
