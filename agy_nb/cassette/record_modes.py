"""What a record mode means for a cassette that is there, or is not. As in vcrpy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias, get_args

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage.format import EPISODES, HEADER, MODEL, TOOLS, WIRE
from agy_nb.errors import InvalidInputError

RecordMode: TypeAlias = Literal["once", "none", "new_episodes", "all"]
Plan: TypeAlias = Literal["replay", "record", "extend"]

_OURS = frozenset({HEADER, WIRE, MODEL, EPISODES, TOOLS})


def plan(path: Path, mode: RecordMode) -> Plan:
    """What to do.

    Args:
        path: Folder of the cassette. Reads the disk.
        mode: `once` records what is not there and replays what is; `none` only replays;
            `new_episodes` replays, and records what was not recorded: agents at the wire, requests
            at the model; `all` records anew.

    Raises:
        CassetteNotFoundError: There is nothing to replay, and `none` forbids to record.
        CassetteInvalidError: Something else is in its place.
    """
    exists = path.exists()
    if mode == "none" and not exists:
        return "replay"  # loading it says what is missing
    if mode != "none" and exists and mode == "all":
        refuse_to_replace(path)
    if mode == "all" or not exists:
        return "record"
    return "extend" if mode == "new_episodes" else "replay"


def check_mode(mode: str) -> RecordMode:
    """A record mode, as a type.

    Raises:
        InvalidInputError: There is no such mode.
    """
    if mode not in get_args(RecordMode):
        raise InvalidInputError(
            f"record_mode is one of {', '.join(get_args(RecordMode))}; not {mode!r}",
            field="record_mode",
        )
    return mode  # type: ignore[return-value]  # just checked


def refuse_to_replace(path: Path) -> None:
    """See that nothing but a cassette is replaced by a recording. Reads the disk.

    Raises:
        CassetteInvalidError: Something else is there.
    """
    try:
        names = {item.name for item in path.iterdir()} if path.is_dir() else {"a file"}
    except OSError as error:
        raise CassetteInvalidError(
            f"{path} cannot be read: {error.strerror}", path=str(path)
        ) from error
    if (names and not names & {HEADER, WIRE}) or names - _OURS:
        found = ", ".join(sorted(names - _OURS)[:3]) or "no header.json"
        raise CassetteInvalidError(
            f"{path} is no cassette ({found}); it is not overwritten. Choose another name",
            path=str(path),
        )
