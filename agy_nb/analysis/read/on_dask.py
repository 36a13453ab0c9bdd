"""Recorded sessions on Dask: `agy.load(path, engine="dask")`.

Rule 1: workers read recordings once, and write their rows as Parquet files of the cache.
Rule 2: a session is whole in its part.
Rule 3: questions are answered from these files, here or by the workers.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.builders.dataframes import empty
from agy_nb.analysis.cache.parts import Piece, read_part, repeated
from agy_nb.analysis.cache.segments import ROW_GROUP, Entry, Segment, write_segment
from agy_nb.analysis.cache.store import Store, piece_of
from agy_nb.analysis.errors import MissingExtraError
from agy_nb.analysis.export.files import finish_parquet, to_arrow, write_parquet
from agy_nb.analysis.label_columns import with_recorded_labels
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.read.discovery import RecordingPath
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.selection import Selection, select
from agy_nb.analysis.sessions import Sessions
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

PART_BYTES = 32_000_000
"""About how much a part reads: some seconds of work, far less than a worker's memory."""
_FILE_BYTES = 20_000
"""A recording takes as long as so many bytes before its first frame is read."""
_SMALL = ("sessions", "agents", "trajectories", "problems")
"""Tables with few rows, of which each may depend on rows of others."""


def parts_of(
    recordings: Sequence[RecordingPath], part_bytes: int, least: int = 1
) -> list[tuple[RecordingPath, ...]]:
    """Recordings in parts of about one size, in order; never none.

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
            work.append(dask.delayed(_write_part)(part, entries, self._options, str(store.folder)))
        for part, folder in zip(parts, dask.compute(*work), strict=True):
            there = [places[each] for each in part]
            pieces.append(piece_of(_segment(folder).part, range(len(there)), there))
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
        read = _ReadRows(name, prices if name == "model_calls" else None, selection)
        known = {each: self.frame(each) for each in ("sessions", "agents")}
        has_labels = any(table["labels"].notna().any() for table in known.values())
        if selection.where is None and not has_labels:
            known = {}
        meta = read.finished(empty(name), known)
        groups = [
            each for piece in source.pieces for each in _groups(name, piece, source.whole.ids)
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
                dask.delayed(_write_rows)(name, rows, place / name, number)
                for name in TABLES
                for number, rows in enumerate(self.dask(name).to_delayed())
            ))  # fmt: skip

    def __repr__(self) -> str:
        return f"<DaskSessions: {len(self)} recordings in {len(self.parts)} parts>"


class _OwnFolder:
    """A folder that is removed with the last sessions that use it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="agy-tables-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows of one group of a file.

    Attributes:
        folder: The folder of the segment.
        number: Number of the group.
        ids: The id of each session in it; empty for one that is not in the load.
        counts: Number of rows of each session.
    """

    folder: str
    number: int
    ids: tuple[str, ...]
    counts: tuple[int, ...]


def _groups(name: str, piece: Piece, ids: Sequence[str]) -> list[_Group]:
    """Return the groups of rows of a part."""
    import numpy as np

    counts = piece.part.counts[name]
    of_part = [""] * len(counts)
    for inside, place in zip(piece.inside.tolist(), piece.places.tolist(), strict=True):
        of_part[inside] = ids[place]
    ends = np.cumsum(counts)
    found = []
    for number, first in enumerate(range(0, int(ends[-1]) if len(ends) else 0, ROW_GROUP)):
        last = min(first + ROW_GROUP, int(ends[-1]))
        begin, end = np.searchsorted(ends, [first, last - 1], side="right")
        inside = slice(int(begin), int(end) + 1)
        here = np.minimum(ends[inside], last) - np.maximum(ends[inside] - counts[inside], first)
        folder = str(piece.part.folder)
        found.append(_Group(folder, number, tuple(of_part[inside]), tuple(here.tolist())))
    return found


# -- what workers do -----------------------------------------------------------------------------


def _write_part(
    recordings: Sequence[RecordingPath],
    entries: Sequence[Entry],
    options: Mapping[str, Any],
    folder: str,
) -> str:
    Path(folder).mkdir(parents=True, exist_ok=True)
    return str(write_segment(Path(folder), read_part(recordings, options), entries))


@dataclass(frozen=True)
class _ReadRows:
    """Reads groups of rows of a table."""

    name: str
    prices: Prices | None
    selection: Selection

    def __call__(self, group: _Group, known: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        import numpy as np

        rows = Segment(Path(group.folder)).group(self.name, group.number)
        owners = np.repeat(np.arange(len(group.counts)), group.counts)
        table = rows.assign(session_id=repeated(group.ids, owners))
        if "" in group.ids:
            table = table[table["session_id"].ne("").to_numpy()]
        return self.finished(table[list(TABLES[self.name].names)], known)

    def finished(self, table: pd.DataFrame, known: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Add prices and labels, and select rows.

        Args:
            table: Rows of the table.
            known: The tables `sessions` and `agents`, if a selection or labels need them.
        """
        if self.prices is not None:
            table = self.prices.add_to(table)
        tables = {**known, self.name: table}
        if known:
            table = tables[self.name] = with_recorded_labels(tables.__getitem__, self.name, table)
        if self.selection.where is None and not self.selection.has_limits:
            return table
        return select(tables.__getitem__, self.selection)(self.name)


def _write_rows(name: str, rows: pd.DataFrame, place: Path, number: int) -> None:
    write_parquet(name, to_arrow(rows), place, part=number)


def _segment(folder: str) -> Segment:
    """Return what a worker wrote.

    Raises:
        InvalidInputError: It is on another machine.
    """
    try:
        return Segment(Path(folder)).checked()
    except OSError as error:
        raise InvalidInputError(
            f"a worker wrote {folder!r}, which this machine cannot read; "
            "pass cache= a folder that all machines share",
            field="cache",
        ) from error


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
