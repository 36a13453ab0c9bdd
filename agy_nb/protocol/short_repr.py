"""A `repr` of one short line, for data classes with long values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from agy_nb.protocol.amounts import counted

WIDTH = 100
"""The most characters of a `repr`."""
_SHORTEST = 12
_CUT = "..."


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
    shown = [field for field in fields(value) if field.repr and not _is_default(value, field)]
    parts = [(f"{field.name}=", _one_line(getattr(value, field.name))) for field in shown]
    name = type(value).__name__
    frame = len(name) + 2 + sum(len(label) for label, _ in parts) + 2 * max(0, len(parts) - 1)
    limit = _limit([len(text) for _, text in parts], WIDTH - frame)
    whole = ", ".join(label + _cut(text, limit) for label, text in parts)
    return f"{name}({_cut(whole, WIDTH - len(name) - 2)})"


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
