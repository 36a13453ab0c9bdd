"""Cassettes on disk: which there are, and what unfinished recordings left.

Nothing here reads a whole cassette into memory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.storage.atomic_replace import OLD
from agy_nb.cassette.storage.format import (
    HEADER,
    Header,
    is_partial,
    read_header,
)
from agy_nb.cassette.storage.writer import PARTIAL, RecordingLock


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One cassette of a list.

    Attributes:
        path: Its folder.
        header: What is known of it, None if it cannot be read.
        partial: Whether frames are missing.
        size: Bytes of all its files.
        problem: Why it cannot be read, empty if it can.
    """

    path: Path
    header: Header | None = None
    partial: bool = False
    size: int = 0
    problem: str = ""


def find(roots: Iterable[Path]) -> Iterator[Path]:
    """The cassettes in some folders and below, sorted; a cassette itself counts too."""
    for root in roots:
        if os.path.lexists(root / HEADER) or not root.is_dir():
            yield root
        else:
            yield from sorted(path.parent for path in root.rglob(HEADER))


def entry(path: Path) -> CatalogEntry:
    """What a list shows of a cassette; never raises for a bad one."""
    try:
        header = read_header(path)
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    except CassetteError as error:
        return CatalogEntry(path, problem=str(error))
    except OSError as error:
        return CatalogEntry(path, problem=f"{path} cannot be read: {error.strerror}")
    return CatalogEntry(path, header, is_partial(path, header), size)


def leftovers(root: Path) -> Iterator[Path]:
    """What recordings that were not finished left behind."""
    for path in sorted(root.rglob("*")):
        unfinished = path.suffix in (PARTIAL, OLD) and (path / HEADER).exists()
        if unfinished or (path.name.startswith(".") and path.suffix == ".lock"):
            yield path


def is_in_use(leftover: Path) -> bool:
    """Whether what looks like a leftover is a recording that goes on."""
    return RecordingLock.is_held(_name_of(leftover))


def remove(leftover: Path) -> None:
    """Delete a leftover.

    Raises:
        CassetteBusyError: A recording of this name is under way.
        OSError: It cannot be removed.
    """
    lock = RecordingLock(_name_of(leftover))
    try:
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
    finally:
        lock.release()  # which removes the lock's file


def _name_of(leftover: Path) -> Path:
    """The cassette that a leftover is of."""
    if leftover.suffix == ".lock":
        return leftover.with_name(leftover.name.removeprefix(".").removesuffix(".lock"))
    return leftover.with_suffix("")
