"""Decide from the record mode whether to record or replay. The modes are those of vcrpy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias, get_args

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage.format import HEADER, LITTER, WIRE
from agy_nb.errors import InvalidInputError

RecordMode: TypeAlias = Literal["once", "none", "new_episodes", "all", "rewrite"]
Plan: TypeAlias = Literal["replay", "record", "extend"]


def plan(path: Path, mode: RecordMode) -> Plan:
    """Return the plan for a cassette. Reads the disk.

    Args:
        path: Folder of the cassette.
        mode: The record mode, as for `use_cassette`.

    Raises:
        CassetteInvalidError: `all` or `rewrite` would replace something that is not a cassette.
    """
    exists = path.exists()
    if mode == "none" and not exists:
        return "replay"  # loading the cassette raises CassetteNotFoundError
    if exists and mode in ("all", "rewrite"):
        refuse_to_replace(path)
    if mode in ("all", "rewrite") or not exists:
        return "record"
    return "extend" if mode == "new_episodes" else "replay"


def check_mode(mode: str) -> RecordMode:
    """Check the name of a record mode.

    Raises:
        InvalidInputError: The mode does not exist.
    """
    if mode not in get_args(RecordMode):
        raise InvalidInputError(
            f"record_mode must be one of {', '.join(get_args(RecordMode))}, got {mode!r}",
            field="record_mode",
        )
    return mode  # type: ignore[return-value]  # just checked


def refuse_to_replace(path: Path) -> None:
    """Check that a recording would replace a cassette and nothing else. Reads the disk.

    Raises:
        CassetteInvalidError: The path exists and is not a cassette.
    """
    try:
        names = {item.name for item in path.iterdir()} if path.is_dir() else {"a file"}
    except OSError as error:
        raise CassetteInvalidError(
            f"{path} cannot be read: {error.strerror}", path=str(path)
        ) from error
    names -= LITTER
    if names and not names & {HEADER, WIRE}:
        found = ", ".join(sorted(names)[:3])
        raise CassetteInvalidError(
            f"{path} is not a cassette ({found}), so it is not overwritten. Choose another name",
            path=str(path),
        )
