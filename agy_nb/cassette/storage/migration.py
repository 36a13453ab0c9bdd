"""Convert cassettes of older format versions to the current one, one version at a time.

Rule 1: `STEPS[n]` converts version n to n + 1, and depends on these two versions only.
Rule 2: a step works on the JSON of the header and of a line, because older data may not fit the
current classes.
Rule 3: a cassette is replaced completely or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage.format import (
    EPISODES,
    MODEL,
    TOOLS,
    WIRE,
    WireRecord,
    decode_line,
    header as header_format,
    header_of,
    read_header,
    read_header_data,
)
from agy_nb.cassette.storage.safe_files import bounded_lines, copy_any, open_plain
from agy_nb.cassette.storage.shared.model_yaml import read_model_yaml, write_model_yaml
from agy_nb.cassette.storage.writer import CassetteWriter
from agy_nb.wire.json_values import number_of
from agy_nb.wire.stored.frame_changes import FrameRestorer

Change: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def _as_it_is(data: dict[str, Any]) -> dict[str, Any]:
    return data


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """The conversion from one version of the format to the next.

    Attributes:
        header: Converts the data of `header.json`, except for its version.
        line: Converts the data of a line of `wire.jsonl`.
    """

    header: Change = _as_it_is
    line: Change = _as_it_is


STEPS: dict[int, MigrationStep] = {n: MigrationStep() for n in (1, 2, 3)}
"""Steps by the version that they convert. Version 2 adds host notes, so step 1 changes nothing.
Version 3 shares texts of `model.yaml`, and version 4 stores the changes of frames. `migrate` writes
both files again for any older version."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """The result of a migration.

    Attributes:
        before: Version of the format before.
        after: Version of the format now; the same if the cassette was current.
    """

    before: int
    after: int


def migrate(path: Path) -> Migrated:
    """Convert a cassette to the current version of the format. Reads and writes the disk.

    Args:
        path: The cassette's folder.

    Raises:
        CassetteNotFoundError: The cassette does not exist.
        CassetteInvalidError: The cassette is damaged, or its version is newer or cannot be
            converted.
        CassetteNotWrittenError: The new cassette cannot be written; the old one is unchanged.
    """
    data = read_header_data(path)
    before: int = data["version"]
    if before >= header_format.VERSION:
        read_header(path)  # raises for a newer version
        return Migrated(before, before)
    way = _way(path, before)
    size = number_of(data.get("size"))  # read first, because a step may remove it
    for step in way:
        data = step.header(data)
    header = replace(header_of(data, str(path)), version=header_format.VERSION)
    whole = header.complete and _size(path / WIRE) >= size
    writer = CassetteWriter(path, header, keep=_lines(path, way))
    with writer.adding_files():
        for name in (EPISODES, TOOLS):
            if (path / name).exists():
                copy_any(path / name, writer.folder / name)
        if (path / MODEL).exists():
            _share(path / MODEL, writer.folder / MODEL)
    writer.finish(lambda: header.redactions, complete=whole)
    return Migrated(before, header_format.VERSION)


def _share(old: Path, new: Path) -> None:
    """Write `model.yaml` with shared texts, or copy a damaged one, which `verify` reports."""
    try:
        found = read_model_yaml(old)
    except CassetteInvalidError:
        copy_any(old, new)
    else:
        write_model_yaml(new, found)


def _way(path: Path, before: int) -> list[MigrationStep]:
    missing = [n for n in range(before, header_format.VERSION) if n not in STEPS]
    if missing:
        raise CassetteInvalidError(
            f"{path} has format {before}, which cannot be converted; record it again",
            path=str(path),
        )
    return [STEPS[n] for n in range(before, header_format.VERSION)]


def _lines(path: Path, way: list[MigrationStep]) -> Iterator[WireRecord]:
    if not (path / WIRE).exists():
        return
    restorer = FrameRestorer()
    try:
        with open_plain(path / WIRE) as file:
            lines = bounded_lines(file)
            for number in count(1):
                try:
                    raw = next(lines, b"")
                    if not raw.endswith(b"\n"):
                        return
                    data = json.loads(raw)
                    for step in way:
                        data = step.line(data)
                    line = decode_line(json.dumps(data).encode(), restorer=restorer)
                except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
                    raise CassetteInvalidError(
                        f"{path / WIRE}, line {number}: {error}", path=str(path)
                    ) from error
                yield line
    except OSError as error:
        raise CassetteInvalidError(
            f"{path / WIRE} cannot be read: {error.strerror}", path=str(path)
        ) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
