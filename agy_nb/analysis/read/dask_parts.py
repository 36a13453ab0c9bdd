"""The work of Dask's workers: they read recordings, write parts as Parquet files, and read rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.cache.parts import Piece, read_part, repeated
from agy_nb.analysis.cache.segments import ROW_GROUP, Entry, Segment, write_segment
from agy_nb.analysis.export.files import to_arrow, write_parquet
from agy_nb.analysis.label_columns import with_recorded_labels
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.read.discovery import RecordingPath
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.selection import Selection, select
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class RowGroup:
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


def row_groups(name: str, piece: Piece, ids: Sequence[str]) -> list[RowGroup]:
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
        found.append(RowGroup(folder, number, tuple(of_part[inside]), tuple(here.tolist())))
    return found


def write_part(
    recordings: Sequence[RecordingPath],
    entries: Sequence[Entry],
    options: Mapping[str, Any],
    folder: str,
) -> str:
    """Read recordings, and return the folder with the files that were written."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return str(write_segment(Path(folder), read_part(recordings, options), entries))


@dataclass(frozen=True)
class ReadRows:
    """Reads groups of rows of a table."""

    name: str
    prices: Prices | None
    selection: Selection

    def __call__(self, group: RowGroup, known: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Return the rows of a group; see `finished` for `known`."""
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


def write_rows(name: str, rows: pd.DataFrame, place: Path, number: int) -> None:
    """Write rows of a table as a part of a data set."""
    write_parquet(name, to_arrow(rows), place, part=number)


def written_segment(folder: str) -> Segment:
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
