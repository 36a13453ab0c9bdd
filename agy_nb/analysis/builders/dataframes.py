"""Turn columns into DataFrames, with the types of the schema.

Rule 1: a type comes from the schema, never from the data.
Rule 2: pandas is imported on first use.
Rule 3: what a column cannot hold is unknown; one cell never takes the table along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.schema import TABLES, Column, Kind, Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_MICROSECONDS = 1e6
_INT = 2**63
_FIRST, _LAST = -62_135_596_800, 253_402_300_800
"""The years that calendars have, 1 to 9999 (seconds); what else a damaged file says is unknown."""


def frame(table: Table, data: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return a DataFrame of one table's columns.

    Args:
        table: Which table.
        data: A sequence a column; unknown is None.
    """
    if table.name == "tool_calls":
        data = {**data, "args_json": _shown(data["args_json"])}
    return build(table.columns, data)


def _shown(arguments: Sequence[Any]) -> list[str | None]:
    """Return arguments as cells, without secrets."""
    if not any(arguments):
        return [None] * len(arguments)
    from agy_nb.analysis.builders.cell_values import shown
    from agy_nb.cassette.redaction import Redactor

    scrub = Redactor(places={}).text  # folders are not secrets; looking for them blocks
    known: dict[str, str | None] = {}  # the same few arguments come again and again

    def cell(value: Any) -> str | None:
        if not isinstance(value, str):
            return shown(value, scrub)
        if value not in known:
            known[value] = shown(value, scrub)
        return known[value]

    return list(map(cell, arguments))


def build(columns: Iterable[Column], data: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return a DataFrame of any columns."""
    import pandas as pd

    arrays: dict[str, Any] = {column.name: array(column, data[column.name]) for column in columns}
    return pd.DataFrame(arrays, copy=False)


def empty(name: str) -> pd.DataFrame:
    """Return a table without rows, with the types of a full one."""
    table = TABLES[name]
    return frame(table, dict.fromkeys(table.names, ()))


def dtype(column: Column) -> Any:
    """Return the pandas type of a column."""
    import pandas as pd

    from agy_nb.analysis.schema import DTYPES

    if column.kind == "category":
        return pd.CategoricalDtype(list(column.words))
    return DTYPES[column.kind]


def array(column: Column, values: Sequence[Any]) -> Any:
    """Return the values of a column as a pandas array."""
    return _BUILDERS[column.kind](column, values)


def _strings(_: Column, values: Sequence[Any]) -> Any:
    import pandas as pd

    try:
        found = pd.array(values, dtype="string")
        if found.dtype.storage == "python":  # Arrow has looked by itself
            "".join(filter(None, values)).encode()
        return found  # noqa: TRY300 - only then
    except UnicodeEncodeError:  # half a character, as names of files have it: no file takes it
        whole = [None if v is None else v.encode(errors="replace").decode() for v in values]
        return pd.array(whole, dtype="string")


def _masked(values: Sequence[Any], filler: Any, kind: str) -> tuple[Any, Any]:
    import numpy as np

    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    mask: np.ndarray[Any, Any] = np.equal(objects, np.array(None, dtype=object)).astype(bool)
    objects[mask] = filler
    return objects.astype(kind), mask


def _ints(_: Column, values: Sequence[Any]) -> Any:
    import pandas as pd

    try:
        return pd.arrays.IntegerArray(*_masked(values, 0, "int64"))
    except OverflowError:
        fitting = [None if v is None or abs(v) >= _INT else v for v in values]
        return pd.arrays.IntegerArray(*_masked(fitting, 0, "int64"))


def _floats(_: Column, values: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.arrays.FloatingArray(*_masked(values, 0.0, "float64"))


def _bools(_: Column, values: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.arrays.BooleanArray(*_masked(values, filler=False, kind="bool"))


def _ticks(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return microseconds; unknown ones are NaT."""
    import numpy as np

    seconds = np.array(values, dtype="float64")  # None becomes NaN
    known = (seconds > _FIRST) & (seconds < _LAST)  # not NaN
    ticks = np.full(len(seconds), np.iinfo("int64").min, dtype="int64")
    # Rounded: a float of seconds can be a little below its microsecond, which a cut would lower by
    # one.
    ticks[known] = np.round(seconds[known] * _MICROSECONDS).astype("int64")
    return ticks


def _times(_: Column, values: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.DatetimeIndex(_ticks(values).view("datetime64[us]")).tz_localize("UTC")


def _days(_: Column, values: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.DatetimeIndex(_ticks(values).view("datetime64[us]"))


def _durations(_: Column, values: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.TimedeltaIndex(_ticks(values).view("timedelta64[us]"))


def _categories(column: Column, values: Sequence[Any]) -> Any:
    import numpy as np
    import pandas as pd

    codes = {word: number for number, word in enumerate(column.words)}
    find = codes.get
    found = np.fromiter((find(value, -1) for value in values), dtype="int8", count=len(values))
    return pd.Categorical.from_codes(found, dtype=dtype(column))


_BUILDERS: Mapping[Kind, Callable[[Column, Sequence[Any]], Any]] = {
    "string": _strings,
    "int": _ints,
    "float": _floats,
    "bool": _bools,
    "time": _times,
    "duration": _durations,
    "category": _categories,
    "day": _days,
}
