"""Recorded sessions as tables: `agy.load(...)`.

Rule 1: files are read on the first question, once, one after the other.
Rule 2: what is read becomes typed arrays every so many rows, so that memory is that of the tables.
"""

# ruff: noqa: ANN401 - what is read is a path, a pattern, or a list of these
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from agy_nb.analysis.builders.column_buffer import Columns
from agy_nb.analysis.builders.dataframes import frame
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.read.discovery import RecordingPath, find_recordings
from agy_nb.analysis.read.from_cassette import read_file
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.tables import Tables
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

    from agy_nb.analysis.read.on_dask import DaskSessions

SEAL_ROWS = 100_000
"""Rows after which columns become typed arrays."""


class Sessions(Tables):
    """The tables of recorded sessions; `agy.load` makes them.

    Args:
        recordings: What they are read from.
        chunks: Whether to have a row for each piece of text.
        text: Whether to have what was said.
        prices: How model calls are priced; None leaves cost unknown.

    Attributes:
        recordings: What they are read from.

    Example:
        >>> sessions = agy.load("cassettes/plain_chat")
        >>> len(sessions)
        1
        >>> sessions.turns[["turn_id", "n_model_calls"]].to_dict("records")
        [{'turn_id': 1, 'n_model_calls': 1}, {'turn_id': 2, 'n_model_calls': 1}]
    """

    def __init__(
        self,
        recordings: Sequence[RecordingPath],
        *,
        chunks: bool = False,
        text: bool = False,
        prices: Prices | None = None,
    ) -> None:
        super().__init__(self._table, prices=prices)
        self.recordings = tuple(recordings)
        self._options = {"chunks": chunks, "text": text}
        self._tables: dict[str, pd.DataFrame] | None = None

    def _table(self, name: str) -> pd.DataFrame:
        if self._tables is None:
            self._tables = read_frames(self.recordings, **self._options)
        return own_copy(self._tables[name])

    def __len__(self) -> int:
        return len(self.recordings)

    def __repr__(self) -> str:
        return f"<Sessions: {len(self.recordings)} recordings>"


@overload
def load(
    path: Any,
    *,
    chunks: bool = ...,
    text: bool = ...,
    prices: Prices | None = ...,
    engine: Literal["pandas"] = ...,
) -> Sessions: ...


@overload
def load(
    path: Any,
    *,
    chunks: bool = ...,
    text: bool = ...,
    prices: Prices | None = ...,
    engine: Literal["dask"],
) -> DaskSessions: ...


def load(
    path: Any,
    *,
    chunks: bool = False,
    text: bool = False,
    prices: Prices | None = Prices(),  # noqa: B008 - frozen
    engine: Literal["pandas", "dask"] = "pandas",
) -> Sessions | DaskSessions:
    """Recorded sessions, read on the first question.

    Args:
        path: A cassette, a folder with cassettes below it, a pattern (`"runs/*/c*"`), or a list of
            these; also an agent's `app_data_dir` or `save_dir`, as far as these can be read.
        chunks: Whether to have a row for each piece of text.
        text: Whether to have what was said; tables hold only its length otherwise.
        prices: How model calls are priced; None leaves cost unknown, which is faster.
        engine: `"pandas"` reads here, one file after the other; `"dask"` on many cores or machines,
            see `agy_nb.analysis.read.on_dask`.

    Returns:
        The sessions. Files that cannot be read are rows of `problems`.

    Raises:
        InvalidInputError: A path that has no pattern does not exist, or is none; or there is no
            such engine.

    Example:
        >>> sessions = agy.load("cassettes/")
        >>> sessions.usage(by="model")[["model", "total_tokens"]].to_dict("records")
        [{'model': 'gemini-2.5-flash', 'total_tokens': ...}]
    """
    recordings = tuple(find_recordings(_named(path)))
    if engine == "pandas":
        return Sessions(recordings, chunks=chunks, text=text, prices=prices)
    if engine != "dask":
        raise InvalidInputError(
            f"engine must be 'pandas' or 'dask', got {engine!r}", field="engine"
        )
    from agy_nb.analysis.read.on_dask import DaskSessions

    return DaskSessions(recordings, chunks=chunks, text=text, prices=prices)


def own_copy(table: pd.DataFrame) -> pd.DataFrame:
    """A table that may be changed without changing the one that is kept."""
    import pandas as pd

    # From pandas 3 on a copy is made when somebody writes; before, it has to be made here.
    lazy = int(pd.__version__.partition(".")[0]) >= 3  # noqa: PLR2004
    return table.copy(deep=not lazy)


def _named(path: Any) -> list[str | Path]:
    """Every path and pattern that was named; what is only read once, as a generator, is kept."""
    if isinstance(path, str | Path):
        text = str(path)
        pattern = any(mark in text for mark in "*?[")
        if not text or not (pattern or Path(text).expanduser().exists()):
            raise InvalidInputError(
                f"there is nothing at {text!r}; name a folder or a file", field="path"
            )
        return [path]
    if isinstance(path, Iterable) and not isinstance(path, bytes):
        return [each for item in path for each in _named(item)]
    raise InvalidInputError(
        f"a path, a pattern or a list of these is needed, got {path!r}", field="path"
    )


def read_frames(
    recordings: Iterable[RecordingPath], *, chunks: bool = False, text: bool = False
) -> dict[str, pd.DataFrame]:
    """Every table of some recordings."""
    import pandas as pd

    columns = Columns()
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    for recording in recordings:
        read_file(
            recording.path,
            session_id=recording.session_id,
            twin=recording.twin,
            chunks=chunks,
            text=text,
            columns=columns,
        )
        if len(columns) >= SEAL_ROWS:
            _seal(columns, parts)
    _seal(columns, parts)
    return {
        name: found[0] if len(found) == 1 else pd.concat(found, ignore_index=True)
        for name, found in parts.items()
    }


def _seal(columns: Columns, parts: dict[str, list[pd.DataFrame]]) -> None:
    for name, rows in columns.tables.items():
        if len(rows) or not parts[name]:
            parts[name].append(frame(TABLES[name], rows.data))
            rows.drop(len(rows))
