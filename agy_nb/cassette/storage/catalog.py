"""Find cassettes on disk, and the leftovers of unfinished recordings.

No function here reads a whole cassette into memory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.storage.file_lock import LOCK
from agy_nb.cassette.storage.format import (
    HEADER,
    Header,
    is_partial,
    read_header,
)
from agy_nb.cassette.storage.ownership import RecordingLock, cassette_of, leftovers, recover

__all__ = ["CatalogEntry", "entry", "find", "is_in_use", "leftovers", "remove"]


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One cassette in a list.

    Attributes:
        path: The cassette's folder.
        header: The header, None if it cannot be read.
        partial: Whether frames are missing.
        size: Size of all files in bytes.
        problem: Why the cassette cannot be read; empty if it can.
    """

    path: Path
    header: Header | None = None
    partial: bool = False
    size: int = 0
    problem: str = ""


def default_roots() -> list[Path]:
    """Return the folders named `cassettes` in the working folder, and in its tests at any depth.

    The result is `cassettes` if there are none.
    """
    here = Path("cassettes")
    found = [here] if here.is_dir() else []
    for tests in ("tests", "test"):
        for place, folders, _ in os.walk(tests):
            if "cassettes" in folders:
                found.append(Path(place) / "cassettes")
            folders[:] = sorted(name for name in folders if name != "cassettes" and name[0] != ".")
    return found or [here]


def find(roots: Iterable[Path]) -> Iterator[Path]:
    """Find the cassettes in and below some folders, sorted. A root may itself be a cassette."""
    for root in roots:
        if os.path.lexists(root / HEADER) or not root.is_dir():
            yield root
        else:
            yield from sorted(path.parent for path in root.rglob(HEADER))


def entry(path: Path) -> CatalogEntry:
    """Return the list entry of a cassette; an unreadable cassette does not raise."""
    try:
        header = read_header(path)
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    except CassetteError as error:
        return CatalogEntry(path, problem=str(error))
    except OSError as error:
        return CatalogEntry(path, problem=f"{path} cannot be read: {error.strerror}")
    return CatalogEntry(path, header, is_partial(path, header), size)


def is_in_use(leftover: Path) -> bool:
    """Return whether a leftover belongs to a recording that still runs."""
    return RecordingLock.is_held(cassette_of(leftover))


def remove(leftover: Path) -> str:
    """Delete a leftover, or rename it back if it is the only copy of a cassette.

    Returns:
        The outcome: `removed` or `restored`.

    Raises:
        CassetteBusyError: A recording of this name still runs.
        OSError: The leftover cannot be removed.
    """
    place = cassette_of(leftover)
    lock = RecordingLock(place)
    try:
        missing = not os.path.lexists(place)
        recover(place)
        if leftover.name.endswith(LOCK):
            return "removed"
        if not os.path.lexists(leftover):
            return "restored" if missing and os.path.lexists(place) else "removed"
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        return "removed"
    finally:
        lock.release()  # also removes the lock file
