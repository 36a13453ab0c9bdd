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
_LEAST = 2000
"""Characters of a part, unless it is the last one or the next member is as long. Many small parts
would have many joints. A long member, such as the instructions, is a part that later requests
repeat; the last messages before it are not repeated together with it."""
_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode


class JsonPart(NamedTuple):
    """A part of an object in JSON.

    Attributes:
        text: Some of its members, or some items of a list of objects in a member.
        values: The same as objects of one member each. A list in them has one item.
    """

    text: str
    values: tuple[dict[str, Any], ...]

    @property
    def key(self) -> str:
        """A text that only equal parts have."""
        return f"{[name for value in self.values for name in value]} {self.text}"


class JsonParts(NamedTuple):
    """An object in JSON, in parts.

    Attributes:
        names: Names of its members.
        parts: All members, in their order.
        joints: The text around each place where two parts meet.
    """

    names: tuple[str, ...]
    parts: tuple[JsonPart, ...]
    joints: tuple[str, ...]


def parts_of(text: str) -> JsonParts | None:
    """Return the parts of an object in JSON, None if the text is something else.

    Example:
        >>> long = "x" * 2000
        >>> found = parts_of('{"a": [{"b": "%s"}, {"c": 2}], "d": 3}' % long)
        >>> found.parts[1].text, found.parts[1].values
        ('{"c": 2}], "d": 3', ({'a': [{'c': 2}]}, {'d': 3}))
    """
    try:
        found = list(_members(text))
    except (ValueError, IndexError, RecursionError):
        return None
    if not found:
        return None
    groups: list[list[_Found]] = [[]]
    for each in found:
        if groups[-1] and (_is_long(*groups[-1]) or _is_long(each)):
            groups.append([])
        groups[-1].append(each)
    parts = tuple(
        JsonPart(text[group[0].start : group[-1].end], tuple({f.name: f.value} for f in group))
        for group in groups
    )
    starts = [0, *(max(0, group[-1].end - _NEAR) for group in groups)]
    after = [*(group[0].start for group in groups), len(text)]
    joints = tuple(text[a : b + _NEAR] for a, b in zip(starts, after, strict=True))
    return JsonParts(tuple(dict.fromkeys(each.name for each in found)), parts, joints)


class _Found(NamedTuple):
    name: str
    start: int
    end: int
    value: Any


def _is_long(*members: _Found) -> bool:
    return members[-1].end - members[0].start >= _LEAST


def _members(text: str) -> Iterator[_Found]:
    """Yield each member, or each item of a list of objects."""
    at = _expect(text, _skip(text, 0), "{")
    while True:
        start = _skip(text, at)
        name, at = _decode(text, start)
        if not isinstance(name, str):
            raise ValueError("a name is not a text")  # noqa: TRY004 - of JSON that is damaged
        begin = _skip(text, _expect(text, _skip(text, at), ":"))
        value, end = _decode(text, begin)
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield from (_Found(name, *item) for item in _items(text, begin))
        else:
            yield _Found(name, start, end, value)
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
