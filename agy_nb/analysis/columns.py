"""Kinds of columns and tables: names, types, meanings and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["string", "int", "float", "bool", "time", "duration", "category", "day"]

DTYPES: Mapping[Kind, str] = {
    "string": "string",
    "int": "Int64",
    "float": "Float64",
    "bool": "boolean",
    "time": "datetime64[us, UTC]",
    "duration": "timedelta64[us]",
    "category": "category",
    "day": "datetime64[us]",
}
"""The pandas type of each kind; a category has a fixed `CategoricalDtype` of its words."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its name.
        kind: Kind of its values.
        meaning: Meaning of a value, and its scope.
        unit: Unit of the values, or empty.
        words: The values of a category, in order.
        source: `events` if only live tables have it, `wire` if only recordings do, else empty.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    words: tuple[str, ...] = ()
    source: Literal["", "events", "wire"] = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: Its name; plural.
        grain: Meaning of one row.
        key: The columns that identify a row.
        columns: Its columns, in order.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return one of its columns."""
        return next(column for column in self.columns if column.name == name)


def string(name: str, meaning: str, **more: str) -> Column:
    """Return a column of text."""
    return Column(name, "string", meaning, **more)  # type: ignore[arg-type]


def integer(name: str, meaning: str, unit: str = "", **more: str) -> Column:
    """Return a column of whole numbers."""
    return Column(name, "int", meaning, unit, **more)  # type: ignore[arg-type]


def time(name: str, meaning: str) -> Column:
    """Return a column of times."""
    return Column(name, "time", meaning, "UTC")


def duration(name: str, meaning: str) -> Column:
    """Return a column of durations."""
    return Column(name, "duration", meaning, "microseconds")


def number(name: str, meaning: str, unit: str) -> Column:
    """Return a column of numbers."""
    return Column(name, "float", meaning, unit)


def boolean(name: str, meaning: str) -> Column:
    """Return a column of true and false."""
    return Column(name, "bool", meaning)


def category(name: str, meaning: str, *words: str) -> Column:
    """Return a column of fixed values."""
    return Column(name, "category", meaning, words=words)
