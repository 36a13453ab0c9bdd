"""Recorded sessions on Dask: `agy.load(path, engine="dask")`.

Rule 1: one pure function reads some files to typed Arrow tables; Dask only says where it runs.
Rule 2: a session is whole in its part, so that sums of parts are sums of all.
Rule 3: results are small (sums, or one table); all other data stays with the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.errors import MissingExtraError
from agy_nb.analysis.export.files import finish_parquet, to_arrow, write_parquet
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.metrics.groups import Key
from agy_nb.analysis.metrics.usage import combined
from agy_nb.analysis.read.discovery import RecordingPath
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.selection import Moment, Where
from agy_nb.analysis.sessions import Sessions, own_copy
from agy_nb.analysis.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

PART_BYTES = 32_000_000
"""About how much a part reads: some seconds of work, far less than a worker's memory."""

_LARGE = ("steps", "messages", "chunks")
"""Tables that are not kept here once they were asked for."""

Options = Mapping[str, Any]


def read_arrow(
    recordings: Sequence[RecordingPath], options: Options | None = None
) -> dict[str, Any]:
    """Every table of some recordings as Arrow; the same files give the same tables.

    Args:
        recordings: What to read.
        options: Those of `agy.load`: `chunks`, `text`, `prices`.

    Returns:
        A `pyarrow.Table` by the name of the table, with the types of the schema.

    Raises:
        MissingExtraError: pyarrow is not installed.

    Example:
        >>> tables = read_arrow([RecordingPath(Path("cassettes/plain_chat"), "plain_chat")])
        >>> tables["turns"].num_rows
        2
    """
    sessions = Sessions(recordings, **(options or {}))
    # Without columns of labels, which differ from part to part; `labels` has them as JSON.
    return {name: to_arrow(sessions.frame(name)[[*TABLES[name].names]]) for name in TABLES}


def parts_of(
    recordings: Sequence[RecordingPath], part_bytes: int
) -> list[tuple[RecordingPath, ...]]:
    """Recordings in parts of about one size, in order; never none."""
    parts: list[list[RecordingPath]] = [[]]
    room = part_bytes
    for recording in recordings:
        size = _size(recording.path)
        if parts[-1] and size > room:
            parts.append([])
            room = part_bytes
        parts[-1].append(recording)
        room -= size
    return [tuple(part) for part in parts]


def _size(path: Path) -> int:
    wire = path / "wire.jsonl" if path.is_dir() else path
    try:
        return wire.stat().st_size
    except OSError:
        return 0


class DaskSessions(Tables):
    """Recorded sessions that Dask reads, on many cores or machines.

    `sessions.dask("turns")` is a Dask DataFrame. What gives a small answer (`usage`, `to_parquet`)
    is worked out where the files are read; a table by its name (`sessions.turns`), `summary`,
    `compare` and plots take the tables that they need to this process.

    Without a `dask.distributed.Client` Dask uses threads of one process, which are not faster.

    Args:
        recordings: The recordings.
        part_bytes: About how many bytes a part reads.
        **options: Those of `agy.load`.

    Attributes:
        parts: Recordings by the part that reads them.

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
        super().__init__(self._collect, prices=None)  # workers have priced the calls
        self.parts = parts_of(recordings, part_bytes)
        self._options = options
        self._here: dict[str, pd.DataFrame] | None = None

    def dask(self, name: str) -> Any:
        """A table as a Dask DataFrame, a partition a part.

        Args:
            name: Its name, e.g. `"turns"`.

        Returns:
            A `dask.dataframe.DataFrame`; nothing is read before it is computed.

        Raises:
            KeyError: The name is unknown.
        """
        if name not in TABLES:
            raise KeyError(f"unknown table {name!r}; the tables are: {', '.join(TABLES)}")
        dataframe: Any = _dask().dataframe
        meta = Sessions((), **self._options).frame(name)
        read = partial(_one_table, name=name, options=self._options)
        return dataframe.from_map(read, self.parts, meta=meta, label=f"agy-{name}")

    def usage(
        self,
        by: Key | Sequence[Key] = "turn",
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        where: Where | None = None,
        tz: str | None = None,
    ) -> pd.DataFrame:
        """Sum up tokens and cost; the workers do it. See `Tables.usage`.

        Args:
            by: As for `Tables.usage`.
            since: As for `Tables.usage`.
            until: As for `Tables.usage`.
            where: As for `Tables.usage`.
            tz: As for `Tables.usage`; when None, that of the machine that a worker is on.

        Returns:
            As `Tables.usage`.
        """
        limits = {"since": since, "until": until, "where": where, "tz": tz}
        work = partial(_usage, by=by, limits=limits, options=self._options)
        return combined(self._each(work), by)

    def with_prices(self, prices: Prices | None) -> DaskSessions:
        """The same sessions, priced in another way.

        Args:
            prices: How model calls are priced; None leaves cost unknown.

        Returns:
            Other sessions; these stay as they are.
        """
        every = [recording for part in self.parts for recording in part]
        found = DaskSessions(every, **(dict(self._options) | {"prices": prices}))
        found.parts = self.parts
        return found

    def to_parquet(self, folder: str | Path) -> None:
        """Every table into a folder, written by the workers, split by day where there is one.

        All workers must see the folder by the same name. What an earlier call wrote is replaced.

        Args:
            folder: Where to; it is made if it is not there.

        Raises:
            InvalidInputError: Something else is where a data set goes.
        """
        place = Path(folder).absolute()
        with finish_parquet(place):
            numbers = range(len(self.parts))
            self._each(partial(_write, folder=place, options=self._options), numbers)

    def _collect(self, name: str) -> pd.DataFrame:
        """A table, here; those that are small come at once, as they are asked for together."""
        if name in _LARGE:
            return self._all_of((name,))[name]
        if self._here is None:
            self._here = self._all_of([each for each in TABLES if each not in _LARGE])
        return own_copy(self._here[name])

    def _all_of(self, names: Sequence[str]) -> dict[str, pd.DataFrame]:
        import pandas as pd

        parts = self._each(partial(_some_tables, names=names, options=self._options))
        return {
            name: pd.concat([part[name] for part in parts], ignore_index=True)
            if len(parts) > 1
            else parts[0][name]
            for name in names
        }

    def _each(self, work: Callable[..., Any], *more: Sequence[Any]) -> list[Any]:
        """Apply a function to each part."""
        dask = _dask()
        every = zip(self.parts, *more, strict=True)
        return list(dask.compute(*(dask.delayed(work)(*values) for values in every)))

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __repr__(self) -> str:
        return f"<DaskSessions: {len(self)} recordings in {len(self.parts)} parts>"


# -- what workers do -----------------------------------------------------------------------------


def _one_table(part: Sequence[RecordingPath], name: str, options: Options) -> pd.DataFrame:
    return _some_tables(part, (name,), options)[name]


def _some_tables(
    part: Sequence[RecordingPath], names: Sequence[str], options: Options
) -> dict[str, pd.DataFrame]:
    tables = read_arrow(part, options)
    return {name: tables[name].to_pandas() for name in names}


def _usage(
    part: Sequence[RecordingPath], by: Any, limits: Mapping[str, Any], options: Options
) -> pd.DataFrame:
    return Sessions(part, **options).usage(by, **limits)


def _write(part: Sequence[RecordingPath], number: int, folder: Path, options: Options) -> None:
    for name, table in read_arrow(part, options).items():
        write_parquet(name, table, folder / name, part=number)


def _dask() -> Any:
    try:
        import dask
        import dask.dataframe
    except ImportError:
        raise MissingExtraError("engine='dask' needs Dask", "dask") from None
    return dask
