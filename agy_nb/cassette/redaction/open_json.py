"""Open the JSON that strings hold, so that one JSON path reaches into all of it.

A string may be JSON, as the arguments of a tool call. It may also hold JSON among other text: lines
of JSON, the `data:` lines of a stream of events, a "```json" block, or a prompt or a result with
the text that the harness writes around it. JSON in strings of such JSON is opened, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from agy_nb.wire.frames import LIST_VALUE, STRING_VALUE
from agy_nb.wire.json_values import dump_like

_BEGINS = re.compile(r"\{\s{0,100}\"|\[\s{0,100}[\"{\[0-9tfn-]")
_DECODER = json.JSONDecoder()
_FIRST_PART = 4096
_NEAR_END = 20
"""Characters before an end that cut a value in two, in which an error may be the cut's fault."""
_MOST_FAILED = 50
"""Times the length of a text that may be read in vain. Only brackets without an end need that."""


class _OpenObject(dict[str, Any]):
    """A JSON object that was a string."""

    text = ""


class _OpenList(list[Any]):
    """A JSON list that was a string."""

    text = ""


class _OpenText(list[Any]):
    """The JSON values in a text, and the text around them."""

    parts: tuple[str, ...] = ()
    """Text and JSON in turn, beginning and ending with text."""


class _OpenStruct(dict[str, Any]):
    """The data of a protobuf `Struct`, which frames hold as a list of fields."""

    fields: tuple[dict[str, Any], ...] = ()


def opened(value: Any, *, structs: bool = False) -> Any:
    """Return JSON data in which data takes the place of the strings that hold it.

    A string with other text around its JSON becomes the list of its JSON values.

    Args:
        value: The data.
        structs: Whether a protobuf `Struct`, as in `toolCall.arguments`, becomes an object, too.
    """
    if isinstance(value, dict):
        if structs and (found := _opened_struct(value)) is not None:
            return found
        return {key: opened(item, structs=structs) for key, item in value.items()}
    if isinstance(value, list):
        return [opened(item, structs=structs) for item in value]
    return _opened_text(value) if isinstance(value, str) else value


def closed(value: Any) -> Any:
    """Undo `opened`. A string whose data did not change is as it was."""
    if isinstance(value, _OpenText):
        parts = list(value.parts)
        for number, item in enumerate(value):
            text = closed(item)
            parts[2 * number + 1] = text if isinstance(text, str) else json.dumps(text)
        return "".join(parts)
    if isinstance(value, _OpenStruct):
        return {
            "fields": [
                field | {"value": _closed_value(field["value"], value.get(field["name"]))}
                for field in value.fields
            ]
        }
    if isinstance(value, dict):
        data: Any = {key: closed(item) for key, item in value.items()}
    elif isinstance(value, list):
        data = [closed(item) for item in value]
    else:
        return value
    if not isinstance(value, _OpenObject | _OpenList):
        return data
    before = json.loads(value.text)
    return value.text if data == before else dump_like(value.text, before, data)


def _opened_struct(value: dict[str, Any]) -> _OpenStruct | None:
    fields = value.get("fields")
    if value.keys() != {"fields"} or not isinstance(fields, list):
        return None
    found = _OpenStruct()
    for field in fields:
        sound = isinstance(field, dict) and isinstance(field.get("name"), str)
        if not sound or field["name"] in found or "value" not in field:
            return None
        found[field["name"]] = _opened_value(field["value"])
    found.fields = tuple(fields)
    return found


def _opened_value(value: Any) -> Any:
    """Return the data of a protobuf `Value`."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    if kind == LIST_VALUE and isinstance(values := _values(inner), list):
        return [_opened_value(item) for item in values]
    return opened(inner, structs=True)


def _closed_value(before: Any, data: Any) -> Any:
    if not isinstance(before, dict) or len(before) != 1:
        return closed(data)
    ((kind, inner),) = before.items()
    values = _values(inner)
    if kind == LIST_VALUE and isinstance(data, list) and isinstance(values, list):
        pairs = zip(values, data, strict=True)
        return {kind: inner | {"values": [_closed_value(*pair) for pair in pairs]}}
    after = closed(data)
    if after == inner:
        return before
    return {STRING_VALUE if isinstance(after, str) else kind: after}


def _values(inner: Any) -> Any:
    return inner.get("values") if isinstance(inner, dict) else None


def _opened_text(text: str) -> Any:
    parts: list[str] = []
    values: list[Any] = []
    done = 0
    for start, end, data in _documents(text):
        parts += (text[done:start], text[start:end])
        found = _OpenObject(opened(data)) if isinstance(data, dict) else _OpenList(opened(data))
        found.text = text[start:end]
        values.append(found)
        done = end
    if not values:
        return text
    parts.append(text[done:])
    if len(values) == 1 and not (parts[0] + parts[2]).strip():
        values[0].text = text
        return values[0]
    whole = _OpenText(values)
    whole.parts = tuple(parts)
    return whole


def _documents(text: str) -> list[tuple[int, int, Any]]:
    """Find the objects and lists in a text, with their start and end. Takes linear time."""
    found: list[tuple[int, int, Any]] = []
    left = _MOST_FAILED * len(text)
    begin = _BEGINS.search(text)
    while begin is not None and left > 0:
        start = begin.start()
        data, read = _document(text, start)
        if data:
            found.append((start, start + read, data))
        else:
            left -= read
        begin = _BEGINS.search(text, start + (read if data else 1))
    return found


def _document(text: str, start: int) -> tuple[Any, int]:
    """Return the value at a place, None for none, and the number of characters that were read.

    The text is read in growing parts: an error of the decoder counts the lines before it, which
    takes as long as reading them.
    """
    read, size = 0, _FIRST_PART
    while True:
        part = text[start : start + size]
        try:
            return _DECODER.raw_decode(part)
        except json.JSONDecodeError as error:
            is_cut = error.pos > len(part) - _NEAR_END or error.msg.startswith("Unterminated")
            if not is_cut or start + size >= len(text):
                return None, read + error.pos + 1
            read, size = read + size, size * 4
        except RecursionError:
            return None, read + len(part)


def documents_of(value: Any) -> list[Any]:
    """Return the JSON values of an opened text, or the one value that it is."""
    return list(value) if isinstance(value, _OpenText) else [value]


def with_documents(value: Any, documents: list[Any]) -> Any:
    """Return an opened value with other documents; see `documents_of`."""
    if not isinstance(value, _OpenText):
        return documents[0]
    changed = _OpenText(documents)
    changed.parts = value.parts
    return changed


def changed_objects(text: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """Change each JSON object of a text."""
    pieces: list[str] = []
    done = 0
    for start, end, data in _documents(text):
        changed = change(data) if isinstance(data, dict) else data
        if changed != data:
            pieces += (text[done:start], dump_like(text[start:end], data, changed))
            done = end
    return "".join((*pieces, text[done:]))
