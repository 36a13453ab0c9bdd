"""The tables of a load, read from the cache where it has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.cache.parts import Assembly, Piece, read_part
from agy_nb.analysis.cache.store import Store, piece_of
from agy_nb.analysis.read import duplicates
from agy_nb.analysis.read.discovery import RecordingPath, SearchProblem
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

Cache = bool | Path
"""Whether there is a cache, or the folder for it."""


def cache_of(value: object) -> Cache:
    """Check the option `cache` of `agy.load`.

    Raises:
        InvalidInputError: It is neither true, false nor a path.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    raise InvalidInputError(f"cache must be True, False or a folder, got {value!r}", field="cache")


def uncached(recordings: Sequence[RecordingPath], options: Mapping[str, Any]) -> list[Piece]:
    """Read all recordings."""
    every = range(len(recordings))
    return [piece_of(read_part(recordings, options), every, every)]


class CachedTables:
    """The tables of recordings.

    Args:
        recordings: The recordings.
        problems: Places without a recording.
        options: `chunks`, `text` and `model_requests` of `agy.load`.
        cache: Whether there is a cache, or the folder for it.
        drop_duplicates: Whether a turn that several recordings hold counts once.
    """

    def __init__(
        self,
        recordings: Sequence[RecordingPath],
        problems: Sequence[SearchProblem],
        options: Mapping[str, Any],
        *,
        cache: Cache,
        drop_duplicates: bool,
    ) -> None:
        self._recordings = recordings
        self._problems = problems
        self._options = options
        self._cache = cache
        self._drop = drop_duplicates
        self._begin(cache)

    def _begin(self, cache: Cache) -> None:
        self._frames: dict[str, pd.DataFrame] = {}
        self._store = None
        if cache is False:
            pieces = uncached(self._recordings, self._options)
        else:
            place = cache if isinstance(cache, Path) else None
            self._store = Store(self._recordings, place, self._options)
            pieces = self._store.pieces()
        self._whole = Assembly(self._recordings, pieces, self._problems)
        self._checked = not self._drop

    def frame(self, name: str) -> pd.DataFrame:
        """Return a table. It is kept, so change a copy only."""
        try:
            return self._frame(name)
        except OSError:
            if self._store is not None:
                self._store.drop()
        try:
            self._begin(self._cache)
            return self._frame(name)
        except OSError:  # another process, or a disk that fails
            self._begin(cache=False)
            return self._frame(name)

    def _frame(self, name: str) -> pd.DataFrame:
        if not self._checked:
            if duplicates.has_duplicates(self._plain):
                every = {each: self._plain(each) for each in TABLES}
                self._frames = duplicates.drop_duplicates(every)
            self._checked = True
        return self._plain(name)

    def _plain(self, name: str) -> pd.DataFrame:
        if name not in self._frames:
            self._frames[name] = self._whole.frame(name)
        return self._frames[name]
