"""A digest of settings, which is the same in every process and has no secrets in it.

It decides which runs of an earlier session can be used again. So it must change with each setting
that changes an answer, and must not change with addresses in memory.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import functools
import hashlib
import inspect
import json
import os
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from agy_nb.cassette.redaction.rules.field_names import Strength, strength

_DEEPEST = 12
_LENGTH = 16


def settings_digest(value: object) -> str:
    """Return a short digest of settings.

    Secrets, by the names of their fields, do not count. A function counts with its name, its source
    and the values that it closes over.

    Args:
        value: Any value: plain data, models of pydantic, data classes, functions.

    Example:
        >>> settings_digest({"model": "a", "api_key": "x"}) == settings_digest(
        ...     {"api_key": "y", "model": "a"}
        ... )
        True
        >>> settings_digest({"model": "a"}) == settings_digest({"model": "b"})
        False
    """
    text = json.dumps(_without_secrets(_plain(value, _DEEPEST)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def plain_settings(value: object) -> Any:
    """Return settings as plain data for JSON, with their secrets.

    Args:
        value: As for `settings_digest`.
    """
    return _plain(value, _DEEPEST)


def _plain(value: Any, room: int) -> Any:
    """Return a value as plain data for JSON."""
    if isinstance(value, enum.Enum):
        return [type(value).__qualname__, value.name]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return _plain_parts(value, room - 1) if room else type(value).__qualname__


def _plain_parts(value: Any, room: int) -> Any:
    if isinstance(value, Mapping):
        return _fields({str(name): item for name, item in value.items()}, room)
    if isinstance(value, list | tuple):
        return [_plain(item, room) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(_plain(item, room), sort_keys=True) for item in value)
    if isinstance(value, type):
        return _of_class(value, room)
    if callable(value) and hasattr(value, "__qualname__"):
        return _of_function(value, room)
    return [type(value).__qualname__, _fields(_attributes(value), room)]


def _fields(fields: Mapping[str, Any], room: int) -> dict[str, Any]:
    return {name: _plain(item, room) for name, item in fields.items()}


def _without_secrets(data: Any) -> Any:
    if isinstance(data, list):
        return [_without_secrets(item) for item in data]
    if not isinstance(data, dict):
        return data
    return {
        name: _without_secrets(item)
        for name, item in data.items()
        if strength(name) not in (Strength.STRONG, Strength.PASSWORD)
    }


def _attributes(value: Any) -> dict[str, Any]:
    if hasattr(type(value), "model_fields"):  # pydantic: without defaults, which a version may add
        return {name: getattr(value, name) for name in sorted(value.model_fields_set)}
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, functools.partial):
        return {"func": value.func, "args": value.args, "keywords": value.keywords}
    return dict(vars(value)) if hasattr(value, "__dict__") else {}


def _of_class(value: type[Any], room: int) -> Any:
    schema = getattr(value, "model_json_schema", None)
    return [value.__qualname__, _plain(schema(), room) if schema else _source(value)]


def _of_function(function: Callable[..., Any], room: int) -> Any:
    owner = getattr(function, "__self__", None)
    if inspect.ismodule(owner):
        owner = None
    closed = getattr(function, "__closure__", None) or ()
    values = []
    for cell in closed:
        try:
            values.append(_plain(cell.cell_contents, min(room, 2)))
        except ValueError:  # not assigned yet
            values.append(None)
    return [
        function.__qualname__,
        _source(function),
        values,
        _plain(getattr(function, "__defaults__", None), room),
        None if owner is None else _plain(owner, min(room, 2)),
    ]


def _source(thing: Any) -> str:
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):  # typed at a prompt, or not written in Python
        code = getattr(thing, "__code__", None)
        return "" if code is None else code.co_code.hex()
