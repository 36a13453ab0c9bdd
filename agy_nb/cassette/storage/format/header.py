"""The header of a cassette: `header.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from agy_nb.cassette.errors import CassetteInvalidError, CassetteNotFoundError
from agy_nb.cassette.storage.format.file_names import HEADER
from agy_nb.cassette.storage.safe_files import read_bytes
from agy_nb.cassette.storage.safe_json import diagnosis, parse_json
from agy_nb.wire.json_values import dump_json

VERSION = 4
"""Current version of the format; `migration` converts older versions."""

READABLE = (1, 2, 3, 4)
"""Versions that can be read without conversion: version 2 only adds host notes, version 3
references in `model.yaml`, and version 4 changes in the place of frames."""

FORMAT = "agy-cassette"

_LARGEST_HEADER = 64 * 2**20
_LARGEST_NUMBER = 2**63
_Record = TypeVar("_Record")


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
            f"{where} is not a cassette: header.json: {diagnosis(raw, error)}", path=where
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
