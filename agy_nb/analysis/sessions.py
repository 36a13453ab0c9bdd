"""Recorded sessions as tables; `agy.load` makes them.

Rule 1: files are read on the first question, once, one after the other.
Rule 2: tables in the cache are read when they are needed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agy_nb.analysis.cache.parts import Piece
from agy_nb.analysis.cache.recorded_tables import RecordedTables, cache_of, cached
from agy_nb.analysis.label_columns import with_recorded_labels
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.read.discovery import RecordingPath, SearchProblem
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.selection import Selection, select
from agy_nb.analysis.tables import Tables
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.amounts import counted

if TYPE_CHECKING:
    import pandas as pd


_ALL = Selection()


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
        cache: Whether to keep tables in the user's cache folder, or the folder for them.

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
        cache: bool | str | Path = False,
    ) -> None:
        read = self._table if selection == _ALL else select(self._labelled_table, selection)
        super().__init__(read, prices=prices)
        if duplicates not in ("drop", "keep"):
            raise InvalidInputError(
                f"duplicates must be 'drop' or 'keep', got {duplicates!r}", field="duplicates"
            )
        self.recordings: tuple[RecordingPath, ...] = tuple(recordings)
        self._problems = tuple(problems)
        self._selection = selection
        self._options = {"chunks": chunks, "text": text, "model_requests": model_requests}
        self._duplicates = duplicates
        self._cache = cache_of(cache)
        self._source: RecordedTables | None = None
        self._lock = threading.RLock()

    def _recorded(self) -> RecordedTables:
        with self._lock:
            if self._source is None:
                self._source = RecordedTables(
                    self.recordings,
                    self._problems,
                    self._pieces,
                    drop_duplicates=self._duplicates == "drop",
                )
            return self._source

    def _pieces(self, may_use_cache: bool) -> tuple[list[Piece], Callable[[], None]]:  # noqa: FBT001
        """Read the recordings; return parts, and a function that removes damaged files."""
        return cached(self.recordings, self._options, self._cache if may_use_cache else False)

    def _table(self, name: str) -> pd.DataFrame:
        with self._lock:
            return own_copy(self._recorded().frame(name))

    def _labelled_table(self, name: str) -> pd.DataFrame:
        return with_recorded_labels(self._table, name, self._table(name))

    def now(self, names: Iterable[str] = tuple(TABLES)) -> Tables:
        """Return these tables: recorded ones do not change, and any thread can read them.

        Args:
            names: Not used.

        Returns:
            These sessions.
        """
        del names
        return self

    def __len__(self) -> int:
        return len(self.recordings)

    def __repr__(self) -> str:
        return f"<Sessions: {counted(len(self.recordings), 'recording')}>"


def own_copy(table: pd.DataFrame) -> pd.DataFrame:
    """Copy a table, so that a change does not affect the original."""
    import pandas as pd

    # From pandas 3 on, a copy is made on the first write. Before, copy here.
    lazy = int(pd.__version__.partition(".")[0]) >= 3  # noqa: PLR2004
    return table.copy(deep=not lazy)
