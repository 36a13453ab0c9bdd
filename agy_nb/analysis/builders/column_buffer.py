"""The columns of all tables while they grow: lists of plain values, unknown is None.

Rule 1: nothing of pandas here; appending to a list is what streaming can afford.
Rule 2: a moment is seconds since the Unix epoch, a duration seconds, both floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agy_nb.analysis.schema import TABLES, Table

_BLOCK = 256


class Rows:
    """One table's columns.

    Columns grow by blocks, so that a row costs what it says and not what the table has.

    Attributes:
        table: Which table.
        dropped: Rows that were taken off at the front.
    """

    __slots__ = ("_columns", "_length", "_room", "dropped", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.dropped = 0
        self._columns: dict[str, list[Any]] = {name: [] for name in table.names}
        self._length = self._room = 0

    def __len__(self) -> int:
        return self._length

    @property
    def data(self) -> dict[str, list[Any]]:
        """A list a column, all of one length."""
        if self._room != self._length:
            for values in self._columns.values():
                del values[self._length :]
            self._room = self._length
        return self._columns

    def add(self, row: Mapping[str, Any]) -> int:
        """Append a row; columns that it does not name are unknown.

        Returns:
            Its number, which stays when rows before it are dropped.
        """
        index = self._length
        columns = self._columns
        if index == self._room:
            block = [None] * _BLOCK
            for values in columns.values():
                values.extend(block)
            self._room += _BLOCK
        for name, value in row.items():
            columns[name][index] = value
        self._length = index + 1
        return self.dropped + index

    def put(self, row: int, values: Mapping[str, Any]) -> None:
        """Change some values of a row; of one that was dropped, nothing."""
        index = row - self.dropped
        if index >= 0:
            columns = self._columns
            for name, value in values.items():
                columns[name][index] = value

    def drop(self, count: int) -> None:
        """Take the oldest rows off."""
        for values in self._columns.values():
            del values[:count]
        self.dropped += count
        self._length -= count
        self._room -= count


class Columns:
    """The columns of every table."""

    __slots__ = ("tables",)

    def __init__(self) -> None:
        self.tables = {name: Rows(table) for name, table in TABLES.items()}

    def __getitem__(self, name: str) -> Rows:
        return self.tables[name]

    def __len__(self) -> int:
        """Rows of all tables."""
        return sum(map(len, self.tables.values()))
