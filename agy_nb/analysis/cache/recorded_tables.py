"""The tables of a load, read from the cache where it has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def cached(
    recordings: Sequence[RecordingPath], options: Mapping[str, Any], cache: Cache
) -> tuple[list[Piece], Callable[[], None]]:
    """Return parts with all recordings, and a function that removes damaged files."""
    if cache is False:
        return uncached(recordings, options), lambda: None
    store = Store(recordings, cache if isinstance(cache, Path) else None, options)
    return store.pieces(), store.drop


class RecordedTables:
    """The tables of recordings.

    Args:
        recordings: The recordings.
        problems: Places without a recording.
        read: Returns parts with all recordings, and a function that removes damaged files; it takes
            whether it may use the cache.
        drop_duplicates: Whether a turn that several recordings hold counts once.
    """

    def __init__(
        self,
        recordings: Sequence[RecordingPath],
        problems: Sequence[SearchProblem],
        read: Callable[[bool], tuple[list[Piece], Callable[[], None]]],
        *,
        drop_duplicates: bool,
    ) -> None:
        self._recordings = recordings
        self._problems = problems
        self._read = read
        self._drop = drop_duplicates
        self._begin(may_use_cache=True)

    def _begin(self, *, may_use_cache: bool) -> None:
        self._frames: dict[str, pd.DataFrame] = {}
        self.pieces: list[Piece]
        self.pieces, self._remove_damaged = self._read(may_use_cache)
        self.whole: Assembly = Assembly(self._recordings, self.pieces, self._problems)
        self._has_duplicates: bool | None = None if self._drop else False

    def frame(self, name: str) -> pd.DataFrame:
        """Return a table. It is kept, so change a copy only."""
        try:
            return self._frame(name)
        except OSError:
            self._remove_damaged()
        try:
            self._begin(may_use_cache=True)
            return self._frame(name)
        except OSError:  # another process, or a disk that fails
            self._begin(may_use_cache=False)
            return self._frame(name)

    @property
    def has_duplicates(self) -> bool:
        """Whether turns are left out, because another recording has them."""
        if self._has_duplicates is None:
            self._has_duplicates = duplicates.has_duplicates(self._plain)
            if self._has_duplicates:
                every = {each: self._plain(each) for each in TABLES}
                self._frames = duplicates.drop_duplicates(every)
        return self._has_duplicates

    def _frame(self, name: str) -> pd.DataFrame:
        _ = self.has_duplicates
        return self._plain(name)

    def _plain(self, name: str) -> pd.DataFrame:
        if name not in self._frames:
            self._frames[name] = self.whole.frame(name)
        return self._frames[name]
