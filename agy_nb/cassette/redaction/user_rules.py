"""Apply the user's own redaction rules: expressions, JSON paths and functions."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

from agy_nb.cassette.matching.jsonpath import JsonPath
from agy_nb.cassette.redaction.open_json import (
    changed_objects,
    closed,
    documents_of,
    opened,
    with_documents,
)
from agy_nb.cassette.redaction.split_text import TextSpan
from agy_nb.cassette.storage.format import Frame
from agy_nb.errors import InvalidInputError
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

    @property
    def has_patterns(self) -> bool:
        """Whether there are expressions, which may match a text of any length."""
        return bool(self._patterns)

    def unmatched(self) -> list[str]:
        """Return the rules that have matched nothing so far, as text."""
        names = [pattern.pattern for pattern in self._patterns]
        names += [path.text for path in self._paths]
        names += [_name(function) for function in self._functions]
        return [name for name in names if name not in self.matched]

    def document(self, data: Any, counts: Counter[str]) -> Any:
        """Apply functions and JSON paths to a frame, or to a text that is or holds JSON.

        A path leads into JSON inside strings, too: `$.toolCall.argumentsJson.city`. Of a text that
        holds JSON among other words, functions get each object.

        Args:
            data: The frame, or the text; it is not changed.
            counts: Gets the number of replaced places.

        Raises:
            InvalidInputError: A function does not return an object.
        """
        if not self._functions and not self._paths:
            return data
        for function in self._functions:
            if isinstance(data, dict):
                data = self._called(function, data)
            elif isinstance(data, str):
                data = changed_objects(data, partial(self._called, function))
        if not self._paths:
            return data
        for structs in (False, True):  # a path may name the fields of a `Struct`, or its data
            before = opened(data, structs=structs)
            if before is data:
                break
            # A path begins in an object; the values of a text are as many documents.
            after = [self._by_path(each, counts) for each in documents_of(before)]
            data = closed(with_documents(before, after))
        return data

    def _by_path(self, data: Any, counts: Counter[str]) -> Any:
        for path in self._paths:
            changed, found = path.replace(data, RULE)
            if found:
                self.matched.add(path.text)
                counts["rule"] += found if changed != data else 0
                data = changed
        return data

    def _called(self, function: Callable[[Frame], Frame], data: Frame) -> Frame:
        # A copy: the function may change its argument, which in a replay is also compared.
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
    """Return whether a span begins or ends inside a mark, or is one."""
    inside = mark_start < start < mark_end or mark_start < end < mark_end
    return inside or (mark_start <= start and end <= mark_end)
