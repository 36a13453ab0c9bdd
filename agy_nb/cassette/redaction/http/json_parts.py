"""Split the JSON body of a request into parts that later requests of a conversation repeat.

Each request to a model holds the instructions, the tools and all earlier messages again. A redactor
that knows the parts of earlier requests only has to look at the new ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_NEAR = 400
"""Characters on each side of the place where two parts meet. A secret and its name are shorter; see
`rules.decoded_views`."""
_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode


class JsonPart(NamedTuple):
    """A part of an object in JSON.

    Attributes:
        name: Name of the object's member.
        text: The member, or one item of the list in it.
        value: An object with this member only, which holds the whole value or a list of one item.
    """

    name: str
    text: str
    value: dict[str, Any]


class JsonParts(NamedTuple):
    """An object in JSON, in parts.

    Attributes:
        names: Names of its members.
        parts: All members. A list of objects is one part per item.
        joints: The text around each place where two parts meet.
    """

    names: tuple[str, ...]
    parts: tuple[JsonPart, ...]
    joints: tuple[str, ...]


def parts_of(text: str) -> JsonParts | None:
    """Return the parts of an object in JSON, None if the text is something else.

    Example:
        >>> found = parts_of('{"a": [{"b": 1}, {"c": 2}], "d": 3}')
        >>> [part.text for part in found.parts]
        ['{"b": 1}', '{"c": 2}', '"d": 3']
    """
    try:
        found = list(_members(text))
    except (ValueError, IndexError, RecursionError):
        return None
    if not found:
        return None
    parts = tuple(
        JsonPart(name, text[start:end], {name: value}) for name, start, end, value in found
    )
    ends = [end for _, _, end, _ in found]
    starts = [0, *(max(0, end - _NEAR) for end in ends)]
    after = [*(start for _, start, _, _ in found), len(text)]
    joints = tuple(text[a : b + _NEAR] for a, b in zip(starts, after, strict=True))
    return JsonParts(tuple(dict.fromkeys(part.name for part in parts)), parts, joints)


def _members(text: str) -> Iterator[tuple[str, int, int, Any]]:
    """Yield the name of each part, its start and end, and its value."""
    at = _expect(text, _skip(text, 0), "{")
    while True:
        start = _skip(text, at)
        name, at = _decode(text, start)
        if not isinstance(name, str):
            raise ValueError("a name is not a text")  # noqa: TRY004 - of JSON that is damaged
        begin = _skip(text, _expect(text, _skip(text, at), ":"))
        value, end = _decode(text, begin)
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield from ((name, *item) for item in _items(text, begin))
        else:
            yield name, start, end, value
        at = _skip(text, end)
        if text[at] == "}":
            break
        at = _expect(text, at, ",")
    if _skip(text, at + 1) != len(text):
        raise ValueError("something follows the object")


def _items(text: str, start: int) -> Iterator[tuple[int, int, Any]]:
    at = start
    while text[at] != "]":
        begin = _skip(text, at + 1)  # after the bracket, or a comma
        value, end = _decode(text, begin)
        yield begin, end, [value]
        at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _expect(text: str, at: int, character: str) -> int:
    if text[at] != character:
        raise ValueError(f"expected {character} at {at}")
    return at + 1
