"""Tables as an Excel workbook, with a sheet per table.

Excel has no time zones, no durations and no texts of more than 32,767 characters. Times become UTC
without a zone, in columns that end in `_utc`. Durations become seconds, in columns that end in
`_s`. A text that begins like a formula stays a text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.errors import MissingExtraError
from agy_nb.analysis.export.files import plain
from agy_nb.analysis.metrics.groups import Source
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

ROWS = 1_048_576
"""Rows of a sheet, with its header."""
CELL = 32_767
"""Characters of a cell."""
_CUT = "… (cut)"
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def to_excel(source: Source, file: Path) -> None:
    """Write each table with rows as a sheet of a workbook.

    Args:
        source: Tables.
        file: The workbook, ending in `.xlsx`; replaced if it exists.

    Raises:
        InvalidInputError: The name does not end in `.xlsx`, or a table has too many rows.
        MissingExtraError: xlsxwriter is not installed.
    """
    try:
        import xlsxwriter  # type: ignore[import-untyped] # it has no types
    except ImportError:
        raise MissingExtraError("to_excel needs xlsxwriter", "excel") from None
    if file.suffix.lower() != ".xlsx":
        raise InvalidInputError(f"a workbook ends in .xlsx, got {str(file)!r}", field="file")
    tables = {name: source.frame(name) for name in TABLES}
    for name, table in tables.items():
        if len(table) >= ROWS:
            msg = f"{name} has {len(table):,} rows, a sheet {ROWS:,}; filter them or use to_parquet"
            raise InvalidInputError(msg, field="file")
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(file), options | {"constant_memory": True}) as book:
        formats = {
            "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
            "head": book.add_format({"bold": True, "bottom": 1}),
        }
        for name, table in tables.items():
            if len(table) or name == "sessions":
                _write(book.add_worksheet(name), _fit(table), formats)


def _write(sheet: Any, table: pd.DataFrame, formats: dict[str, Any]) -> None:
    import datetime as dt

    sheet.freeze_panes(1, 0)
    for place, name in enumerate(table.columns):
        width = 24 if name.endswith("_utc") else max(10, min(40, len(name) + 2))
        sheet.set_column(place, place, width)
        sheet.write_string(0, place, _text(name), formats["head"])
    columns = [table[name].astype(object).where(table[name].notna(), None) for name in table]
    for number, row in enumerate(zip(*columns, strict=True), start=1):
        for place, value in enumerate(row):
            if value is None:
                continue
            if isinstance(value, bool):
                sheet.write_boolean(number, place, value)
            elif isinstance(value, int | float):
                sheet.write_number(number, place, value)
            elif isinstance(value, dt.datetime):
                sheet.write_datetime(number, place, value, formats["time"])
            else:
                sheet.write_string(number, place, _text(value))
    sheet.autofilter(0, 0, len(table), max(0, len(table.columns) - 1))


def _fit(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with naive times in UTC, and durations in seconds."""
    import pandas as pd

    table = plain(table)
    renamed = {}
    for name in table.columns:
        if isinstance(table[name].dtype, pd.DatetimeTZDtype):
            times = table[name].dt.tz_convert("UTC").dt.tz_localize(None)
            early = times < pd.Timestamp(1900, 1, 2)  # Excel's calendar begins there
            table[name] = times.mask(early)
            renamed[name] = f"{name}_utc"
    return table.rename(columns=renamed)


def _text(value: object) -> str:
    text = _NOT_IN_XML.sub("\ufffd", str(value))
    # Excel counts characters beyond the first 65,536 twice.
    units = len(text.encode("utf-16-le")) // 2
    if units <= CELL:
        return text
    room = (CELL - len(_CUT)) * 2
    return text.encode("utf-16-le")[:room].decode("utf-16-le", "ignore") + _CUT
