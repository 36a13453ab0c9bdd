"""Recorded sessions on Dask: `agy.load(path, engine="dask")`.

Rule 1: workers read recordings once, and write their rows as Parquet files of the cache.
Rule 2: a session is whole in its part.
Rule 3: questions are answered from these files, here or by the workers.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from agy_nb.analysis.builders.dataframes import empty
from agy_nb.analysis.cache.parts import Piece
from agy_nb.analysis.cache.store import Store, piece_of
from agy_nb.analysis.errors import MissingExtraError
from agy_nb.analysis.export.files import finish_parquet
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.read.dask_parts import (
    ReadRows,
    row_groups,
    write_part,
    write_rows,
    written_segment,
)
from agy_nb.analysis.read.discovery import RecordingPath
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.sessions import Sessions
from agy_nb.protocol.amounts import counted

PART_BYTES = 32_000_000
"""About how much a part reads: some seconds of work, far less than a worker's memory."""
_FILE_BYTES = 20_000
"""A recording takes as long as so many bytes before its first frame is read."""
_SMALL = ("sessions", "agents", "trajectories", "problems")
"""Tables with few rows, of which each may depend on rows of others."""


def parts_of(
    recordings: Sequence[RecordingPath], part_bytes: int, least: int = 1
) -> list[tuple[RecordingPath, ...]]:
    """Return recordings in parts of about one size, in order; at least one part.

    Args:
        recordings: The recordings.
        part_bytes: About how many bytes a part reads.
        least: How many parts there are at least, if there are so many recordings.
    """
    sizes = [_size(recording.path) for recording in recordings]
    parts = _split(recordings, sizes, part_bytes)
    if len(parts) < min(least, len(recordings)):
        work = [size + _FILE_BYTES for size in sizes]
        parts = _split(recordings, work, sum(work) // min(least, len(work)))
    return parts


def _split(
    recordings: Sequence[RecordingPath], sizes: Sequence[int], most: int
) -> list[tuple[RecordingPath, ...]]:
    parts: list[list[RecordingPath]] = [[]]
    room = most
    for recording, size in zip(recordings, sizes, strict=True):
        if parts[-1] and size > room:
            parts.append([])
            room = most
        parts[-1].append(recording)
        room -= size
    return [tuple(part) for part in parts]


def _size(path: Path) -> int:
    wire = path / "wire.jsonl" if path.is_dir() else path
    try:
        return wire.stat().st_size
    except OSError:
        return 0


class DaskSessions(Sessions):
    """Recorded sessions that Dask reads, on many cores or machines.

    Workers read each recording once and write Parquet files. Tables and sums come from these files.
    `sessions.dask("steps")` is a Dask DataFrame, for tables that are larger than the memory.

    Without a `dask.distributed.Client` Dask uses threads of one process, which are not faster.

    Args:
        recordings: The recordings.
        part_bytes: About how many bytes a part reads.
        **options: Those of `agy.load`. With `cache=False`, files are removed with the sessions.

    Raises:
        MissingExtraError: Dask is not installed.

    Example:
        >>> sessions = agy.load("cassettes/", engine="dask")
        >>> sessions.usage(by="model")["model"].tolist()
        ['gemini-2.5-flash']
        >>> len(sessions.dask("turns").groupby("status").size().compute()) > 1
        True
    """

    def __init__(
        self,
        recordings: Sequence[RecordingPath],
        *,
        part_bytes: int = PART_BYTES,
        **options: Any,
    ) -> None:
        _dask()
        super().__init__(recordings, **options)
        self._part_bytes = part_bytes
        self._all_options = options
        self._own: _OwnFolder | None = None

    @property
    def parts(self) -> list[tuple[RecordingPath, ...]]:
        """Recordings by the part that reads them, if none is in the cache."""
        return parts_of(self.recordings, self._part_bytes, _workers())

    def _pieces(self, may_use_cache: bool) -> tuple[list[Piece], Callable[[], None]]:  # noqa: FBT001
        place = self._cache if isinstance(self._cache, Path) else None
        if self._cache is False or not may_use_cache:
            place = self._own_folder()
        store = Store(self.recordings, place, self._options, always=True)
        if store.folder is None and self.recordings:
            store = Store(self.recordings, self._own_folder(), self._options, always=True)
        pieces, missing = store.known()
        places = {self.recordings[place]: place for place in missing}
        parts = parts_of(list(places), self._part_bytes, _workers()) if places else []
        dask = _dask()
        work = []
        for part in parts:
            entries = [store.entry(places[each]) for each in part]
            work.append(dask.delayed(write_part)(part, entries, self._options, str(store.folder)))
        for part, folder in zip(parts, dask.compute(*work), strict=True):
            there = [places[each] for each in part]
            pieces.append(piece_of(written_segment(folder).part, range(len(there)), there))
        pieces.sort(key=lambda piece: int(piece.places[0]))
        return pieces, store.drop

    def _own_folder(self) -> Path:
        if self._own is None:
            self._own = _OwnFolder()
        return self._own.path

    def dask(self, name: str) -> Any:
        """Return a table as a Dask DataFrame, with a partition for some ten thousand rows.

        Args:
            name: Its name, e.g. `"turns"`.

        Returns:
            A `dask.dataframe.DataFrame`. Recordings are read now, if none is in the cache; rows are
            read when you compute something.

        Raises:
            KeyError: The name is unknown.
        """
        if name not in TABLES:
            raise KeyError(f"unknown table {name!r}; the tables are: {', '.join(TABLES)}")
        dataframe: Any = _dask().dataframe
        source = self._recorded()
        if name in _SMALL or source.has_duplicates or not source.whole.count(name):
            return dataframe.from_pandas(self.frame(name), npartitions=max(1, len(self.parts)))
        selection, prices = self._selection, self._prices
        read = ReadRows(name, prices if name == "model_calls" else None, selection)
        known = {each: self.frame(each) for each in ("sessions", "agents")}
        has_labels = any(table["labels"].notna().any() for table in known.values())
        if selection.where is None and not has_labels:
            known = {}
        meta = read.finished(empty(name), known)
        groups = [
            each for piece in source.pieces for each in row_groups(name, piece, source.whole.ids)
        ]
        return dataframe.from_map(
            read, groups, known=known, meta=meta, label=f"agy-{name}", enforce_metadata=False
        )

    def with_prices(self, prices: Prices | None) -> DaskSessions:
        """Return the same sessions with other prices.

        Args:
            prices: Prices of model calls; None leaves cost unknown.

        Returns:
            New sessions. These do not change.
        """
        options = self._all_options | {"prices": prices}
        found = DaskSessions(self.recordings, part_bytes=self._part_bytes, **options)
        # Both read the same files. A folder of their own is removed with the last of the two.
        found._source, found._own = self._source, self._own
        return found

    def to_parquet(self, folder: str | Path) -> None:
        """Write each table as a data set, partitioned by day if it has times; workers write.

        Args:
            folder: The target, created if needed; all workers must see it under this name. Data
                sets of an earlier call are replaced.

        Raises:
            InvalidInputError: The folder has another file in the place of a data set.
        """
        place = Path(folder).absolute()
        dask = _dask()
        with finish_parquet(place):
            dask.compute(*(
                dask.delayed(write_rows)(name, rows, place / name, number)
                for name in TABLES
                for number, rows in enumerate(self.dask(name).to_delayed())
            ))  # fmt: skip

    def _repr_html_(self) -> str:
        """Show one line in a notebook: totals would read all recordings."""
        return f"<p>{escape(repr(self))}</p>"

    def __repr__(self) -> str:
        parts = counted(len(self.parts), "part")
        return f"<DaskSessions: {counted(len(self), 'recording')} in {parts}>"


class _OwnFolder:
    """A folder that is removed with the last sessions that use it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="agy-tables-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _workers() -> int:
    """Return the number of workers of the current cluster; 1 without a cluster."""
    try:
        from distributed import get_client

        return max(1, len(get_client().scheduler_info(n_workers=-1)["workers"]))
    except (ImportError, ValueError):
        return 1


def _dask() -> Any:
    try:
        import dask
        import dask.dataframe
    except ImportError:
        raise MissingExtraError("engine='dask' needs Dask", "dask") from None
    return dask
