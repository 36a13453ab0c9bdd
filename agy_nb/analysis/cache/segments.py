"""A part of the cache as a folder of Parquet files, written whole or not at all.

A segment has a file per table, without `session_id`, and an index with a row per recording. It is
written into a folder of its own, which is then renamed. So two processes can write at the same
time, and a process that ends early leaves nothing that is read.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.builders.dataframes import dtype, empty
from agy_nb.analysis.cache.parts import Part
from agy_nb.analysis.schema import TABLES, Table

if TYPE_CHECKING:
    import pandas as pd

ROW_GROUP = 65_536
"""Rows of a group, which can be read without the others."""
_INDEX = "index.parquet"
_PREFIX = "seg-"
_UNFINISHED = ".new-"


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording of a segment.

    Attributes:
        key: Its path below the folder of the load.
        stamp: Sizes and times of its files; empty if it is not to be found again.
    """

    key: str
    stamp: str


def write_segment(folder: Path, part: Part, entries: Sequence[Entry]) -> Path:
    """Write a part.

    Args:
        folder: The folder of segments.
        part: The part.
        entries: The recordings of the part.

    Returns:
        The folder of the segment.

    Raises:
        OSError: It cannot be written.
    """
    import pyarrow as pa

    made = folder / f"{_UNFINISHED}{uuid.uuid4().hex}"
    made.mkdir(mode=0o700)
    try:
        for name in TABLES:
            if part.counts[name].sum():
                rows = part.frame(name).drop(columns="session_id", errors="ignore")
                _write(pa.Table.from_pandas(rows, preserve_index=False), made / f"{name}.parquet")
        index = {
            "key": pa.array([entry.key for entry in entries], pa.string()),
            "stamp": pa.array([entry.stamp for entry in entries], pa.string()),
            "id": pa.array(list(part.ids), pa.string()),
            "path": pa.array(list(part.paths), pa.string()),
            **{name: pa.array(part.counts[name], pa.int64()) for name in TABLES},
        }
        _write(pa.table(index), made / _INDEX)
        found = folder / f"{_PREFIX}{uuid.uuid4().hex}"
        made.rename(found)
    except (pa.ArrowException, UnicodeError) as error:
        shutil.rmtree(made, ignore_errors=True)
        raise OSError(f"cannot write {folder}: {error}") from error
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return found


def _write(table: Any, file: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(
        table, file, compression="lz4", row_group_size=ROW_GROUP, write_page_checksum=True
    )
    file.chmod(0o600)


def segments_of(folder: Path) -> list[Segment]:
    """Return the segments in a folder, in the order of their names."""
    names = sorted(each.name for each in os.scandir(folder) if each.name.startswith(_PREFIX))
    return [Segment(folder / name) for name in names]


@dataclass
class Segment:
    """A part that was written.

    Attributes:
        folder: Its folder.
    """

    folder: Path

    def checked(self) -> Segment:
        """Return this segment.

        Raises:
            OSError: Its index cannot be read.
        """
        _ = self.entries
        return self

    @cached_property
    def entries(self) -> list[Entry]:
        """The recordings, in order.

        Raises:
            OSError: The index cannot be read.
        """
        index = self._index
        return [
            Entry(key, stamp)
            for key, stamp in zip(index["key"].to_pylist(), index["stamp"].to_pylist(), strict=True)
        ]

    @cached_property
    def part(self) -> Part:
        """The part, whose tables are read when they are needed.

        Raises:
            OSError: The index cannot be read.
        """
        index = self._index
        counts = {name: index[name].to_numpy() for name in TABLES}
        return Part(
            index["id"].to_pylist(), index["path"].to_pylist(), counts, self.frame, self.folder
        )

    @cached_property
    def _index(self) -> Any:
        found = _read(self.folder / _INDEX, ["key", "stamp", "id", "path", *TABLES])
        if any(column.null_count for column in found.columns):
            raise OSError(f"{self.folder}: the index has unknown values")
        return found

    def frame(self, name: str) -> pd.DataFrame:
        """Return the rows of a table, without `session_id`.

        Raises:
            OSError: The file cannot be read, or has other rows than the index says.
        """
        table = TABLES[name]
        if not self.part.counts[name].sum():
            return empty(name).drop(columns="session_id")
        rows = _read(self.folder / f"{name}.parquet", _columns(table))
        if name == "tool_calls" and _shows_a_secret(rows["args_json"]):
            raise OSError(f"{self.folder}: arguments hold a secret that was unknown before")
        return to_frame(table, rows, int(self.part.counts[name].sum()))

    def group(self, name: str, number: int) -> pd.DataFrame:
        """Return a group of rows of a table, without `session_id`.

        Raises:
            OSError: The file cannot be read.
        """
        from pyarrow import parquet

        file = parquet.ParquetFile(self.folder / f"{name}.parquet", page_checksum_verification=True)
        with file:
            rows = file.read_row_group(number, columns=_columns(TABLES[name]))
        return to_frame(TABLES[name], rows, rows.num_rows)

    def remove(self) -> None:
        """Remove its files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _shows_a_secret(arguments: Any) -> bool:
    """Return whether arguments hold a secret of this process, which a load takes out of them."""
    import pyarrow as pa
    import pyarrow.compute

    from agy_nb.cassette.redaction.rules.field_names import secret_values

    compute: Any = pa.compute
    return any(
        compute.any(compute.match_substring(arguments, secret)).as_py()
        for secret in secret_values(os.environ)
        if secret.isprintable()
    )


def _columns(table: Table) -> list[str]:
    return [name for name in table.names if name != "session_id"]


def to_frame(table: Table, rows: Any, count: int) -> pd.DataFrame:
    """Return rows as a DataFrame with the types of the schema.

    Raises:
        OSError: There are other columns or another number of rows than expected.
    """
    try:
        found: pd.DataFrame = rows.to_pandas()[_columns(table)]
        kinds = {column.name: dtype(column) for column in table.columns}
        wrong = {
            name: kinds[name]
            for name in found.columns
            if str(found[name].dtype) != str(kinds[name])
        }
        if wrong:
            found = found.astype(wrong)
    except (KeyError, TypeError, ValueError) as error:
        raise OSError(f"{table.name}: {error}") from error
    if len(found) != count:
        raise OSError(f"{table.name}: {len(found)} rows instead of {count}")
    return found


def _read(file: Path, columns: list[str]) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(file, columns=columns, page_checksum_verification=True)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise OSError(f"{file}: {error}") from error
