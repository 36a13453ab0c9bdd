"""What data classes with long values show: one short line, and in notebooks a table.

Values come from models, tools and recordings. In HTML, each is escaped. The tables have no colours,
so they suit light and dark themes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from html import escape
from typing import Any

from agy_nb.protocol.amounts import counted

WIDTH = 100
"""The most characters of a `repr`."""
_SHORTEST = 12
_CUT = "..."
LONGEST = 2_000
"""The most characters of a value in HTML."""
_ONE_LINE = 60
"""The most characters of JSON that is not spread over several lines."""
_MOST_ROWS = 20
_NOT_READ = {"call_id", "step_index", "trajectory"}
"""Fields that say little to a reader of a table."""
_LEFT = "text-align:left;vertical-align:top"
_VALUE = f"{_LEFT};white-space:pre-wrap;overflow-wrap:anywhere"


def short_repr(value: Any) -> str:
    """Return a data class as one line of at most 100 characters.

    Fields with their default are left out, and so is the root agent's trajectory. Long values are
    cut, the longest first. A data class uses it as `__repr__ = short_repr`.

    Args:
        value: An instance of a data class.

    Example:
        >>> from agy_nb.protocol.events import Text
        >>> Text(text="word " * 100)
        Text(text='word word word word word word word word word word word word word word wor...')
    """
    parts = [
        (f"{field.name}=", _one_line(getattr(value, field.name))) for field in shown_fields(value)
    ]
    name = type(value).__name__
    frame = len(name) + 2 + sum(len(label) for label, _ in parts) + 2 * max(0, len(parts) - 1)
    limit = _limit([len(text) for _, text in parts], WIDTH - frame)
    whole = ", ".join(label + _cut(text, limit) for label, text in parts)
    return f"{name}({_cut(whole, WIDTH - len(name) - 2)})"


def shown_fields(value: Any) -> list[Field[Any]]:
    """Return the fields of a data class whose value is not their default."""
    return [field for field in fields(value) if field.repr and not _is_default(value, field)]


def _is_default(value: Any, field: Field[Any]) -> bool:
    if field.default is not MISSING:
        default = field.default
    elif field.default_factory is not MISSING:
        default = field.default_factory()
    else:
        return False
    found = getattr(value, field.name)
    if getattr(found, "is_root", False):
        return True
    return type(found) is type(default) and bool(found == default)


def _one_line(value: Any) -> str:
    """Return the repr of a value, without making that of a huge one."""
    if isinstance(value, bytes | bytearray):
        return counted(len(value), "byte")
    if isinstance(value, str):
        return _cut_string(value)
    if isinstance(value, Mapping):
        items = (f"{_one_line(key)}: {_one_line(each)}" for key, each in value.items())
        return "{" + _joined(items) + "}"
    if isinstance(value, tuple | list):
        first, last = "()" if isinstance(value, tuple) else "[]"
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return first + _joined(map(_one_line, value)) + comma + last
    return " ".join(repr(value).split())


def _cut_string(value: str) -> str:
    text = repr(value[:WIDTH])
    return text if len(value) <= WIDTH else text[:-1] + _CUT + text[-1]


def _joined(parts: Any) -> str:
    """Join parts, and stop when the text is longer than a line."""
    found: list[str] = []
    length = 0
    for part in parts:
        if length > WIDTH:
            return ", ".join([*found, _CUT])
        found.append(part)
        length += len(part) + 2
    return ", ".join(found)


def _limit(lengths: list[int], room: int) -> int:
    """Return the greatest length of a value with which all values fit into the room."""
    limit = max([_SHORTEST, *lengths])
    while limit > _SHORTEST and sum(min(length, limit) for length in lengths) > room:
        limit -= 1
    return limit


def _cut(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    end = text[-1] if text[-1] in "'\"}])" else ""
    return text[: length - len(_CUT) - len(end)] + _CUT + end


def html_fields(value: Any) -> str:
    """Return the fields of a data class as an HTML table, without those that have their default.

    A data class uses it as `_repr_html_ = html_fields`.

    Args:
        value: An instance of a data class.

    Example:
        >>> from agy_nb.protocol.events import ToolCall
        >>> html = ToolCall(call_id="1", name="look_up", args={"city": "<b>"})._repr_html_()
        >>> "&lt;b&gt;" in html, "<b>" in html
        (True, False)
    """
    rows = [[field.name, getattr(value, field.name)] for field in shown_fields(value)]
    name = f"<p><code>{escape(type(value).__name__)}</code></p>"
    return name + html_table((), rows) if rows else name


def html_items(values: Sequence[Any], head: str) -> str:
    """Return data classes as an HTML table with a row each; the latest 20.

    Args:
        values: Instances of one data class.
        head: The text above it.
    """
    shown = values[-_MOST_ROWS:]
    used = {field.name for value in shown for field in shown_fields(value)}
    used -= _NOT_READ
    names = [field.name for field in fields(shown[0]) if field.name in used] if shown else []
    more = f"; the latest {_MOST_ROWS}" if len(values) > len(shown) else ""
    rows = [[getattr(value, name) for name in names] for value in shown]
    return f"<p>{escape(head + more)}</p>" + (html_table(names, rows) if names else "")


def html_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return an HTML table of texts and JSON; without a head, the first column has the names."""
    top = "".join(f"<th style='{_LEFT}'>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_cells(row, named=not head))}</tr>" for row in rows)
    return (
        "<div style='overflow-x:auto'><table>"
        f"{f'<thead><tr>{top}</tr></thead>' if head else ''}<tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[Any], *, named: bool) -> Iterable[str]:
    for place, value in enumerate(row):
        if named and not place:
            yield f"<th style='{_LEFT}'>{escape(str(value))}</th>"
        else:
            yield f"<td style='{_VALUE}'>{escape(_text(value))}</td>"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bytes | bytearray):
        text = counted(len(value), "byte")
    elif isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False, default=repr)
        if len(text) > _ONE_LINE:
            text = json.dumps(value, ensure_ascii=False, indent=2, default=repr)
    elif isinstance(value, tuple) and all(isinstance(each, str) for each in value):
        text = ", ".join(value)
    else:
        text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
