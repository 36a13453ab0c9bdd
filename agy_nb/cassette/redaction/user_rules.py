"""Apply the user's own redaction rules: expressions, JSON paths and functions."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from agy_nb.cassette.matching.jsonpath import JsonPath
from agy_nb.cassette.redaction.split_text import TextSpan
from agy_nb.cassette.storage.format import Frame
from agy_nb.errors import InvalidInputError
from agy_nb.wire.json_values import dump_like, embedded_json
from agy_nb.wire.path_map import marks_in

Rule: TypeAlias = "re.Pattern[str] | str | Callable[[Frame], Frame]"
"""A compiled expression, a JSON path (`$.config.models[*].name`, `$..note`), or a function that
takes a frame, or a JSON object in an HTTP body, and returns it changed."""

RULE = "{{agy:rule}}"
"""What replaces a text that a rule of the user matches."""


class UserRules:
    """The user's rules, and which of them have matched anything.

    Args:
        rules: The rules.

    Raises:
        InvalidInputError: A rule is not an expression, a JSON path or a function.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._patterns: list[re.Pattern[str]] = []
        self._paths: list[JsonPath] = []
        self._functions: list[Callable[[Frame], Frame]] = []
        self.matched: set[str] = set()
        for rule in rules:
            if isinstance(rule, re.Pattern):
                self._patterns.append(rule)
            elif isinstance(rule, str):
                self._paths.append(JsonPath.parse(rule))
            elif callable(rule):
                self._functions.append(rule)
            else:
                raise InvalidInputError(
                    f"redact must be a list of re.compile(...), JSON paths or functions, got "
                    f"{rule!r}",
                    field="redact",
                )

    def unmatched(self) -> list[str]:
        """Return the rules that have matched nothing so far, as text."""
        names = [pattern.pattern for pattern in self._patterns]
        names += [path.text for path in self._paths]
        names += [_name(function) for function in self._functions]
        return [name for name in names if name not in self.matched]

    def document(self, data: Any, counts: Counter[str]) -> Any:
        """Apply functions and JSON paths to a frame or to JSON data of an HTTP body.

        A path leads into JSON inside strings, too: `$.toolCall.argumentsJson.city`.

        Args:
            data: The data; it is not changed.
            counts: Gets the number of replaced places.

        Raises:
            InvalidInputError: A function does not return an object.
        """
        for function in self._functions if isinstance(data, dict) else ():
            data = self._called(function, data)
        if not self._paths:
            return data
        opened = _opened(data)
        for path in self._paths:
            changed, found = path.replace(opened, RULE)
            if found:
                self.matched.add(path.text)
                counts["rule"] += found if changed != opened else 0
                opened = changed
        return _closed(opened)

    def _called(self, function: Callable[[Frame], Frame], data: Frame) -> Frame:
        changed = function(copy.deepcopy(data))
        if not isinstance(changed, dict):
            raise InvalidInputError(
                f"the redaction rule {_name(function)} must return an object, got {changed!r}",
                field="redact",
            )
        if changed != data:
            self.matched.add(_name(function))
        return changed

    def spans(self, text: str) -> list[TextSpan]:
        """Find the places that the expressions match, apart from those inside a mark.

        An expression with a group `s` replaces that group only.
        """
        found: list[TextSpan] = []
        if not self._patterns:
            return found
        marks = marks_in(text)
        for pattern in self._patterns:
            group = "s" if "s" in pattern.groupindex else 0
            for match in pattern.finditer(text):
                start, end = match.span(group)
                if start < end and not any(_cuts(start, end, *mark) for mark in marks):
                    self.matched.add(pattern.pattern)
                    found.append(TextSpan(start, end, RULE, secret=True))
        return found


def _name(function: Callable[[Frame], Frame]) -> str:
    return getattr(function, "__name__", repr(function))


def _cuts(start: int, end: int, mark_start: int, mark_end: int) -> bool:
    """Whether a span begins or ends inside a mark, or is one."""
    inside = mark_start < start < mark_end or mark_start < end < mark_end
    return inside or (mark_start <= start and end <= mark_end)


class _OpenObject(dict[str, Any]):
    """A JSON object that was a string."""

    text = ""


class _OpenList(list[Any]):
    """A JSON list that was a string."""

    text = ""


def _opened(value: Any) -> Any:
    """Replace strings that hold JSON by the data that they hold."""
    if isinstance(value, dict):
        return {key: _opened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_opened(item) for item in value]
    inner = embedded_json(value) if isinstance(value, str) else None
    if inner is None:
        return value
    found: _OpenObject | _OpenList
    found = _OpenObject(_opened(inner)) if isinstance(inner, dict) else _OpenList(_opened(inner))
    found.text = value
    return found


def _closed(value: Any) -> Any:
    """Undo `_opened`. A string whose data did not change is as it was."""
    if isinstance(value, dict):
        data: Any = {key: _closed(item) for key, item in value.items()}
    elif isinstance(value, list):
        data = [_closed(item) for item in value]
    else:
        return value
    if not isinstance(value, _OpenObject | _OpenList):
        return data
    before = json.loads(value.text)
    return value.text if data == before else dump_like(value.text, before, data)
