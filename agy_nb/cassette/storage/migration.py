"""Brings cassettes of older versions of the format up to this one, a version at a time.

Rule 1: a step knows two neighbouring versions and nothing else; `STEPS[n]` leads from n to n + 1.
Rule 2: a step works on the JSON of a header and of a line, and reads no file: what it leads from
may no longer fit today's classes.
Rule 3: a cassette is replaced whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage import format as form
from agy_nb.cassette.storage.format import (
    EPISODES,
    MODEL,
    TOOLS,
    WIRE,
    WireRecord,
    decode_line,
    header_of,
    read_header_data,
)
from agy_nb.cassette.storage.writer import CassetteWriter

Change: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def _as_it_is(data: dict[str, Any]) -> dict[str, Any]:
    return data


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """From one version of the format to the next.

    Attributes:
        header: Changes the data of `header.json`; its version is seen to.
        line: Changes the data of a line of the wire.
    """

    header: Change = _as_it_is
    line: Change = _as_it_is


STEPS: dict[int, MigrationStep] = {1: MigrationStep()}
"""By the version that each leads from. Version 2 adds host notes, which version 1 does not have."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of a cassette.

    Attributes:
        before: Version of the format that it had.
        after: Version that it has now; the same if there was nothing to do.
    """

    before: int
    after: int


def migrate(path: Path, steps: Mapping[int, MigrationStep] | None = None) -> Migrated:
    """Bring a cassette up to this version of the format. Reads and writes the disk.

    Args:
        path: Its folder.
        steps: By the version that each leads from; those of this module by default.

    Raises:
        CassetteNotFoundError: There is none.
        CassetteInvalidError: It is damaged, of a newer version, or of one that no step leads from.
        CassetteNotWrittenError: The disk refused. It is then as it was.
    """
    data = read_header_data(path)
    before: int = data["version"]
    if before >= form.VERSION:
        form.read_header(path)  # says what is wrong with a newer one
        return Migrated(before, before)
    way = _way(path, before, STEPS if steps is None else steps)
    size = int(data.get("size") or 0)  # before a step may take it away
    for step in way:
        data = step.header(data)
    header = replace(header_of(data, str(path)), version=form.VERSION)
    whole = header.complete and _size(path / WIRE) >= size
    journal = CassetteWriter(path, header, keep=_lines(path, way))
    try:
        for name in (MODEL, EPISODES, TOOLS):
            if (path / name).exists():
                shutil.copyfile(path / name, journal.folder / name)
    except BaseException:
        journal.abandon()
        raise
    journal.finish(lambda: header.redactions, complete=whole)
    return Migrated(before, form.VERSION)


def _way(path: Path, before: int, steps: Mapping[int, MigrationStep]) -> list[MigrationStep]:
    missing = [n for n in range(before, form.VERSION) if n not in steps]
    if missing:
        raise CassetteInvalidError(
            f"{path} has format {before}, and nothing leads from {missing[0]} to "
            f"{missing[0] + 1}: record it again",
            path=str(path),
        )
    return [steps[n] for n in range(before, form.VERSION)]


def _lines(path: Path, way: list[MigrationStep]) -> Iterator[WireRecord]:
    if not (path / WIRE).exists():
        return
    with (path / WIRE).open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                return
            try:
                data = json.loads(raw)
                for step in way:
                    data = step.line(data)
                yield decode_line(json.dumps(data).encode())
            except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
                raise CassetteInvalidError(
                    f"{path / WIRE}, line {number}: {error}", path=str(path)
                ) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
