"""Which recordings are in the cache, and which have to be read.

A recording is found by its path, and by the size and time of each of its files. Other recordings
are read, and added as another segment if that saves time later.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from agy_nb.analysis.cache.folder import cache_folder
from agy_nb.analysis.cache.parts import Assembly, Part, Piece, read_part
from agy_nb.analysis.cache.segments import (
    Entry,
    Segment,
    segments_of,
    write_segment,
)
from agy_nb.analysis.read.discovery import RecordingPath
from agy_nb.analysis.schema import TABLES

WORTH_RECORDINGS = 50
WORTH_BYTES = 4_000_000
"""Fewer recordings than this with fewer bytes are read as fast without a cache."""

_SETTLED = 2.0
"""Seconds in which a file that was written may change again without another time."""
_MOST_SEGMENTS = 8
"""From so many segments on, they are written as one."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    text: str
    size: int


def stamp_of(recording: RecordingPath) -> _Stamp:
    """Return the sizes and times of a recording's files; an empty text if it is not kept."""
    if recording.url:
        return _Stamp(recording.stamp, 0)
    newest, size, found = 0, 0, []
    try:
        with os.scandir(recording.path) as files:
            for file in files:
                about = file.stat()
                newest = max(newest, about.st_mtime_ns)
                size += about.st_size
                found.append(f"{file.name}:{about.st_size}:{about.st_mtime_ns}")
    except OSError:  # a file, such as the harness's log: its rows may come from others, too
        return _Stamp("", _size(recording.path))
    if newest > (datetime.now(UTC).timestamp() - _SETTLED) * 1e9:
        return _Stamp("", size)
    text = "/".join(sorted(found)).encode(errors="replace")
    return _Stamp(blake2b(text, digest_size=12).hexdigest(), size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Store:
    """The cached parts of the recordings of one load.

    Args:
        recordings: The recordings.
        place: A folder for the cache; None for the user's cache folder.
        options: The options of `agy.load` on which rows depend.
        always: Whether to use the cache for a few short recordings, too.
    """

    def __init__(
        self,
        recordings: Sequence[RecordingPath],
        place: Path | None,
        options: Mapping[str, Any],
        *,
        always: bool = False,
    ) -> None:
        self.recordings = recordings
        self._options = options
        self._stamps = [stamp_of(each) for each in recordings]
        is_worth = always or self._is_worth(range(len(recordings)))
        self.folder: Path | None = self._group(place) if is_worth and recordings else None
        self._used: list[Segment] = []

    def _group(self, place: Path | None) -> Path | None:
        folder = cache_folder(place, self._options)
        if folder is None:
            return None
        root, self._keys = _keys(self.recordings)
        found = folder / blake2b(root.encode(errors="replace"), digest_size=12).hexdigest()
        try:
            found.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            return None
        return found

    def _is_worth(self, places: Sequence[int]) -> bool:
        sizes = sum(self._stamps[place].size for place in places)
        return len(places) >= WORTH_RECORDINGS or sizes >= WORTH_BYTES

    def pieces(self) -> list[Piece]:
        """Return parts with all recordings: from the cache, and read for those that it misses."""
        found, missing = self.known()
        if missing:
            part = read_part([self.recordings[place] for place in missing], self._options)
            found.append(piece_of(part, range(len(missing)), missing))
            if self.folder is not None and self._is_worth(missing):
                self._keep(part, missing)
        if len(self._used) > _MOST_SEGMENTS:
            self._merge(found)
        return found

    def known(self) -> tuple[list[Piece], list[int]]:
        """Return the parts in the cache, and the places of the recordings that are not there."""
        if self.folder is None:
            return [], list(range(len(self.recordings)))
        wanted = {
            (key, stamp.text): place
            for place, (key, stamp) in enumerate(zip(self._keys, self._stamps, strict=True))
            if stamp.text
        }
        pieces: list[Piece] = []
        self._used = []
        mine = set(self._keys)
        for segment in _readable(self.folder):
            inside, places = [], []
            for number, entry in enumerate(segment.entries):
                place = wanted.pop((entry.key, entry.stamp), None)
                if place is not None:
                    inside.append(number)
                    places.append(place)
            if places:
                pieces.append(piece_of(segment.part, inside, places))
                self._used.append(segment)
            elif all(entry.key in mine for entry in segment.entries):
                segment.remove()  # these recordings have changed since
        have = {place for piece in pieces for place in piece.places.tolist()}
        return pieces, [place for place in range(len(self.recordings)) if place not in have]

    def _keep(self, part: Part, places: Sequence[int]) -> None:
        """Write a part; without room for it, the next load reads these recordings again."""
        assert self.folder is not None
        entries = [self.entry(place) for place in places]
        with contextlib.suppress(OSError):
            write_segment(self.folder, part, entries)

    def entry(self, place: int) -> Entry:
        """Return the key and the stamp of a recording."""
        return Entry(self._keys[place], self._stamps[place].text)

    def _merge(self, pieces: list[Piece]) -> None:
        """Write everything that is in the cache as one segment."""
        import numpy as np

        mine = set(self._keys)
        old = [each for each in self._used if all(entry.key in mine for entry in each.entries)]
        if len(old) <= _MOST_SEGMENTS:
            return
        counts = {name: np.zeros(len(self.recordings), dtype=np.int64) for name in TABLES}
        for piece in pieces:
            for name, each in counts.items():
                each[piece.places] = piece.part.counts[name][piece.inside]
        whole = Assembly(self.recordings, pieces)
        paths = [each.place for each in self.recordings]
        self._keep(Part(whole.raw_ids, paths, counts, whole.frame), range(len(paths)))
        for segment in old:
            segment.remove()

    def drop(self) -> None:
        """Remove the files that were read: some of them are damaged."""
        for segment in self._used:
            segment.remove()


def _readable(folder: Path) -> list[Segment]:
    """Return the segments whose index can be read; the others are removed."""
    found = []
    for segment in segments_of(folder):
        try:
            found.append(segment.checked())
        except OSError:
            segment.remove()
    return found


def piece_of(part: Part, inside: Sequence[int], places: Sequence[int]) -> Piece:
    """Return the recordings of a part at their places in a load, in the order of the load."""
    import numpy as np

    order = np.argsort(places, kind="stable")
    kept, where = (np.asarray(values, dtype=np.int64)[order] for values in (inside, places))
    return Piece(part, kept, where)


def _keys(recordings: Sequence[RecordingPath]) -> tuple[str, list[str]]:
    """Return the folder that all recordings share, and the path of each below it."""
    places = [each.place for each in recordings]
    roots = [place.removesuffix(each.name) for place, each in zip(places, recordings, strict=True)]
    real = {root: root if "://" in root else os.path.realpath(root) for root in set(roots)}
    is_local = not any("://" in root for root in real)
    top = os.path.commonpath(real.values()) if is_local and real else ""
    return top, [
        f"{real[root][len(top) :]}/{each.name}|{each.name}"
        for root, each in zip(roots, recordings, strict=True)
    ]
