"""Recorded sessions as tables; `agy.load` makes them.

Rule 1: files are read on the first question, once, one after the other.
Rule 2: rows become typed arrays in batches, so that memory is that of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from agy_nb.analysis.builders.column_buffer import Columns
from agy_nb.analysis.builders.dataframes import frame
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.read.discovery import RecordingPath, SearchProblem
from agy_nb.analysis.read.duplicates import drop_duplicates
from agy_nb.analysis.read.from_cassette import read_file
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.selection import Selection, select
from agy_nb.analysis.tables import Tables
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd


_ALL = Selection()
SEAL_ROWS = 100_000
"""Number of rows after which columns become typed arrays."""


class Sessions(Tables):
    """The tables of recorded sessions, made by `agy.load`.

    Args:
        recordings: The recordings.
        problems: Places without a recording, for the table `problems`.
        chunks: Whether to add a table with one row per piece of text.
        text: Whether to add the texts.
        model_requests: Whether to read the recorded HTTP requests to the model.
        duplicates: `"drop"` counts a turn that several recordings hold once, `"keep"` each time.
        prices: Prices of model calls; None leaves cost unknown.
        selection: Rows to keep.

    Attributes:
        recordings: The recordings.

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
        problems: Sequence[SearchProblem] = (),
        chunks: bool = False,
        text: bool = False,
        model_requests: bool = True,
        duplicates: Literal["drop", "keep"] = "drop",
        prices: Prices | None = None,
        selection: Selection = _ALL,
    ) -> None:
        read = self._table if selection == _ALL else select(self._table, selection)
        super().__init__(read, prices=prices)
        if duplicates not in ("drop", "keep"):
            raise InvalidInputError(
                f"duplicates must be 'drop' or 'keep', got {duplicates!r}", field="duplicates"
            )
        self.recordings = tuple(recordings)
        self._problems = tuple(problems)
        self._options = {"chunks": chunks, "text": text, "model_requests": model_requests}
        self._duplicates = duplicates
        self._tables: dict[str, pd.DataFrame] | None = None

    def _table(self, name: str) -> pd.DataFrame:
        if self._tables is None:
            tables = read_frames(self.recordings, problems=self._problems, **self._options)
            self._tables = drop_duplicates(tables) if self._duplicates == "drop" else tables
        return own_copy(self._tables[name])

    def __len__(self) -> int:
        return len(self.recordings)

    def __repr__(self) -> str:
        return f"<Sessions: {len(self.recordings)} recordings>"


def own_copy(table: pd.DataFrame) -> pd.DataFrame:
    """Copy a table, so that a change does not affect the original."""
    import pandas as pd

    # From pandas 3 on, a copy is made on the first write. Before, copy here.
    lazy = int(pd.__version__.partition(".")[0]) >= 3  # noqa: PLR2004
    return table.copy(deep=not lazy)


def read_frames(
    recordings: Iterable[RecordingPath],
    *,
    problems: Iterable[SearchProblem] = (),
    chunks: bool = False,
    text: bool = False,
    model_requests: bool = True,
) -> dict[str, pd.DataFrame]:
    """Read every table of some recordings."""
    import pandas as pd

    columns = Columns()
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    taken: set[str] = set()
    for number, problem in enumerate(problems):
        columns["problems"].add({"problem_index": number, **asdict(problem)})
    for recording in recordings:
        read_file(
            recording.path,
            name=recording.name,
            taken=taken,
            chunks=chunks,
            text=text,
            model_requests=model_requests,
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
