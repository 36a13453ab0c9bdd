"""The part of JSON path that naming a place in a frame takes.

`$.config.models[*].name`, `userInput.parts[0].text`, `$..note`: names, indexes, `*` and `..`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from agy_nb.errors import InvalidInputError

_TOKEN = re.compile(r"(\.\.)?\.?(?:([\w$-]+|\*)|\[(\d+|\*)\]|\[(?:'([^']*)'|\"([^\"]*)\")\])")

_ANY = "*"
_DEEP = ".."


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A parsed path."""

    text: str
    steps: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Read a path.

        Raises:
            InvalidInputError: It is none.

        Example:
            >>> JsonPath.parse("$.a[0].b").steps
            ('a', 0, 'b')
        """
        rest = text.removeprefix("$")
        position = 0
        steps: list[str | int] = []
        while position < len(rest):
            match = _TOKEN.match(rest, position)
            if match is None or match.end() == position:
                raise InvalidInputError(
                    f"{text!r} is no path; write e.g. $.config.models[*].name or $..note",
                    field="path",
                )
            if match[1]:
                steps.append(_DEEP)
            steps.append(_step(match))
            position = match.end()
        if not steps:
            raise InvalidInputError(
                f"{text!r} names nothing; write e.g. $.config.models[*].name or $..note",
                field="path",
            )
        return cls(text, tuple(steps))

    def replace(self, value: Any, replacement: Any) -> tuple[Any, int]:  # noqa: ANN401 - JSON
        """A copy with every place that the path names replaced, and how many there were."""
        return _replace(value, self.steps, replacement)


def _step(match: re.Match[str]) -> str | int:
    if match[3] is not None:
        return _ANY if match[3] == _ANY else int(match[3])
    return next(group for group in (match[2], match[4], match[5]) if group is not None)


def _replace(value: Any, steps: tuple[str | int, ...], new: Any) -> tuple[Any, int]:  # noqa: ANN401 - JSON
    if not steps:
        return new, 1
    step, rest = steps[0], steps[1:]
    if step == _DEEP:
        here, found = _replace(value, rest, new)
        below, more = _children(here, lambda _: True, lambda item: _replace(item, steps, new))
        return below, found + more
    return _children(value, lambda key: step in (_ANY, key), lambda item: _replace(item, rest, new))


def _children(value: Any, wanted: Any, change: Any) -> tuple[Any, int]:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        pairs = [(k, change(v) if wanted(k) else (v, 0)) for k, v in value.items()]
        return {k: v for k, (v, _) in pairs}, sum(n for _, (_, n) in pairs)
    if isinstance(value, list):
        items = [change(v) if wanted(i) else (v, 0) for i, v in enumerate(value)]
        return [v for v, _ in items], sum(n for _, n in items)
    return value, 0
