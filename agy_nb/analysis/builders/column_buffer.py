"""The columns of all tables while they grow: lists of plain values, unknown is None.

Rule 1: nothing of pandas here; appending to a list is what streaming can afford.
Rule 2: a moment is seconds since the Unix epoch, a duration seconds, both floats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

from agy_nb.analysis.schema import TABLES, Table

_BLOCK = 256


@cache
def _writer_of(names: tuple[str, ...]) -> Callable[..., Callable[..., None]]:
    """Return a maker of writers of some columns; a loop would take three times as long."""
    values, columns = ", ".join(names), ", ".join(f"to_{name}" for name in names)
    lines = "".join(f"   to_{name}[index] = {name}\n" for name in names)
    made: dict[str, Any] = {}
    exec(  # noqa: S102 - names of columns, from our own code
        f"def bind(rows, {columns}):\n"
        f" def write(row, {values}):\n"
        f"  index = row - rows.dropped\n  if index >= 0:\n{lines} return write\n",
        made,
    )
    return cast("Callable[..., Callable[..., None]]", made["bind"])


class Rows:
    """One table's columns.

    Columns grow by blocks, so that the cost of a row does not depend on the size of the table.

    Attributes:
        table: Which table.
        dropped: Rows that were taken off at the front.
    """

    __slots__ = ("_columns", "_length", "_room", "dropped", "table")

    def __init__(self, table: Table) -> None:
        self.table: Table = table
        self.dropped: int = 0
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

    def begin(self) -> int:
        """Append a row of which nothing is known yet.

        Returns:
            Its number, which stays when rows before it are dropped.
        """
        index = self._length
        if index == self._room:
            block = [None] * _BLOCK
            for values in self._columns.values():
                # In place, here and below: writers hold these lists.
                values.extend(block)
            self._room += _BLOCK
        self._length = index + 1
        return self.dropped + index

    def add(self, row: Mapping[str, Any]) -> int:
        """Append a row; columns that it does not name are unknown. Return its number."""
        number = self.begin()
        self.put(number, row)
        return number

    def put(self, row: int, values: Mapping[str, Any]) -> None:
        """Change some values of a row; of one that was dropped, nothing."""
        index = row - self.dropped
        if index >= 0:
            columns = self._columns
            for name, value in values.items():
                columns[name][index] = value

    def writer(self, *names: str) -> Callable[..., None]:
        """Return a fast function that changes the same columns of one row after the other.

        It takes the number of the row and a value for each name. Of a row that was dropped, it
        changes nothing.
        """
        return _writer_of(names)(self, *(self._columns[name] for name in names))

    @property
    def end(self) -> int:
        """The number of the next row."""
        return self.dropped + self._length

    def tail(self, row: int) -> list[dict[str, Any]]:
        """Return copies of the rows from a number on."""
        places = range(max(0, row - self.dropped), self._length)
        columns = self._columns
        return [{name: values[place] for name, values in columns.items()} for place in places]

    def cut(self, row: int) -> None:
        """Take the rows from a number on off."""
        length = max(0, row - self.dropped)
        for values in self._columns.values():
            del values[length:]
        self._length = self._room = length

    def drop(self, count: int) -> None:
        """Drop the oldest rows."""
        for values in self._columns.values():
            del values[:count]
        self.dropped += count
        self._length -= count
        self._room -= count


class Columns:
    """The columns of every table."""

    __slots__ = ("tables",)

    def __init__(self) -> None:
        self.tables: dict[str, Rows] = {name: Rows(table) for name, table in TABLES.items()}

    def __getitem__(self, name: str) -> Rows:
        return self.tables[name]

    def __len__(self) -> int:
        """Return the number of rows of all tables."""
        return sum(map(len, self.tables.values()))
