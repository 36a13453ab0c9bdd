"""Give the sets in a tool's result an order.

Python orders a set of texts by hashes that differ in each process. The model, the recording and a
replay would see another order each time.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import BaseModel

_DEPTH = 50


def with_ordered_sets(value: Any) -> Any:
    """Return a value in which sorted lists replace sets, at any depth; the same if it has none.

    Args:
        value: What a tool returned. JSON has no sets, so the model gets lists in any case.

    Example:
        >>> with_ordered_sets({"tags": {"b", "a"}, "n": 1})
        {'tags': ['a', 'b'], 'n': 1}
    """
    return _ordered(value, _DEPTH) if _has_set(value, _DEPTH) else value


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, BaseModel):
        return [getattr(value, name) for name in type(value).model_fields]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return []


def _has_set(value: Any, depth: int) -> bool:
    if isinstance(value, set | frozenset):
        return True
    return depth > 0 and any(_has_set(part, depth - 1) for part in _parts(value))


def _ordered(value: Any, depth: int) -> Any:
    if depth <= 0:
        return value
    if isinstance(value, set | frozenset):
        items = [_ordered(item, depth - 1) for item in value]
        return sorted(items, key=lambda item: (type(item).__name__, _key(item)))
    if isinstance(value, BaseModel):
        value = value.model_dump()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _ordered(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_ordered(item, depth - 1) for item in value]
    return value


def _key(item: Any) -> Any:
    """Return what numbers and texts are sorted by: their value; everything else by its words."""
    return item if isinstance(item, int | float | str | bytes) else repr(item)
