"""Exports to Arrow, Parquet and CSV.

Rule 1: Arrow and Parquet keep the types of the schema; they need the extra `arrow`.
Rule 2: a CSV is opened in a spreadsheet sooner or later: text that would be a formula there is made
harmless.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.errors import MissingExtraError
from agy_nb.analysis.metrics.groups import Source
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_OURS = re.compile(r"\w+/(utc_day=[\w-]+/)?part-\d+(-\d+)?\.parquet")


def to_arrow(table: pd.DataFrame) -> Any:
    """Convert a table to Arrow, with the same types.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    return _pyarrow().Table.from_pandas(table, preserve_index=False)


def to_parquet(source: Source, folder: Path) -> None:
    """Write every table as a data set below a folder, partitioned by the UTC day of its rows.

    `pandas.read_parquet`, DuckDB, Polars, Spark and Dask read a data set as one table, with the day
    as a column. Rows without a time are of day `unknown`. What an earlier call wrote is replaced.

    Raises:
        InvalidInputError: Something else is where a data set goes.
        MissingExtraError: pyarrow is not installed.
    """
    with finish_parquet(folder):
        for name in TABLES:
            write_parquet(name, to_arrow(source.frame(name)), folder / name)


@contextlib.contextmanager
def finish_parquet(folder: Path) -> Iterator[None]:
    """Replace every data set, and add an empty file to each without rows."""
    from agy_nb.analysis.builders.dataframes import empty

    parquet = _pyarrow().parquet
    for file in _written_before(folder):
        file.unlink()
    for name in TABLES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for day in (folder / name).iterdir():
            if day.is_dir() and not any(day.iterdir()):
                day.rmdir()
    yield
    for name in TABLES:
        if not any((folder / name).rglob("*.parquet")):
            parquet.write_table(to_arrow(empty(name)), folder / name / "part-0.parquet")


def _written_before(folder: Path) -> list[Path]:
    """Return the files that an earlier call wrote.

    Raises:
        InvalidInputError: Something else is where a data set goes.
    """
    found: list[Path] = []
    for name in TABLES:
        place = folder / name
        inside = [file for file in place.rglob("*") if not file.is_dir()]
        for file in inside if place.is_dir() else [place] * place.exists():
            path = file.relative_to(folder).as_posix()
            if _OURS.fullmatch(path):
                found.append(file)
            elif not file.name.startswith((".", "_")):  # these no reader takes for data
                msg = f"{str(file)!r} was not written by agy_nb; choose another folder or move it"
                raise InvalidInputError(msg, field="folder")
    return found


def write_parquet(name: str, table: Any, place: Path, *, part: int = 0) -> None:
    """Write a part of a data set; parts of other numbers stay.

    Args:
        name: Which table.
        table: Its rows, as a `pyarrow.Table`.
        place: The folder of the data set.
        part: Number of the part.
    """
    if not table.num_rows:
        return
    pa = _pyarrow()
    time = next((column.name for column in TABLES[name].columns if column.kind == "time"), None)
    if time is None:
        pa.parquet.write_table(table, place / f"part-{part}.parquet")
        return
    days = pa.compute.strftime(table[time], format="%Y-%m-%d").fill_null("unknown")
    table = table.append_column("utc_day", days)
    by_day = pa.dataset.partitioning(table.select(["utc_day"]).schema, flavor="hive")
    pa.dataset.write_dataset(
        table,
        place,
        format="parquet",
        partitioning=by_day,
        basename_template=f"part-{part}-{{i}}.parquet",
        existing_data_behavior="overwrite_or_ignore",
    )


def to_csv(source: Source, folder: Path) -> None:
    """Write each table as a file below a folder: `turns.csv` and so on."""
    if folder.suffix.lower() == ".csv" and not folder.is_dir():
        raise InvalidInputError(
            f"to_csv writes a folder with a file per table, and {str(folder)!r} looks like a file. "
            f"Name a folder; for one table, use .turns.to_csv({folder.name!r})",
            field="folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        with (folder / f"{name}.csv").open(
            "w", encoding="utf-8", errors="replace", newline=""
        ) as file:
            file.write(csv(source.frame(name)))


def csv(table: pd.DataFrame) -> str:
    """Convert a table to CSV: durations in seconds, unknown values empty, formulas escaped."""
    return plain(table, defuse=True).to_csv(index=False, lineterminator="\n")


def plain(table: pd.DataFrame, *, defuse: bool = False) -> pd.DataFrame:
    """Return a table with durations as seconds, for formats that have none.

    Args:
        table: Any table.
        defuse: Whether text that a spreadsheet would take for a formula gets an apostrophe.
    """
    table = table.copy()
    for name in table.columns:
        kind = str(table[name].dtype)
        if kind.startswith("timedelta"):
            table[name] = table[name].dt.total_seconds().astype("Float64")
            table = table.rename(columns={name: f"{name}_s"})
        elif defuse and (kind.startswith(("string", "str")) or kind == "object"):
            text = table[name].astype("string")
            risky = text.str.startswith(_FORMULA).fillna(value=False).astype(bool)
            table[name] = text.mask(risky, "'" + text)
    return table


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.dataset
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("Arrow and Parquet need pyarrow", "arrow") from None
    return pa
