"""Arguments and results of tools, made fit for a cell: short, as JSON, without secrets.

Arguments can be megabytes, so only the part that fits into a cell is serialised.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

ARGS_CHARS = 2_000
"""The longest text that a cell of `args_json` holds."""

_DEEPEST = 20


def json_length(value: Any) -> int | None:
    """Return the length of a value as JSON; None if it is too big to write out."""
    if _size(value, 100_000) > 100_000:  # noqa: PLR2004
        return None
    try:
        return len(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError):
        return None


def brief(value: Any) -> Any:
    """Shorten arguments to valid JSON for a cell."""
    if isinstance(value, str):
        return value[: 2 * ARGS_CHARS]
    return _Cutter().cut(value, 0)


def shown(value: Any, scrub: Callable[[str], str]) -> str | None:
    """Return a cell for arguments.

    Args:
        value: What `brief` gave: an object, or JSON text.
        scrub: Takes secrets out.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str)
    # First the secrets, then the cut: half a secret would not be known for one.
    return scrub(value)[:ARGS_CHARS]


class _Cutter:
    """Keeps the first so many characters of a value, and its shape."""

    def __init__(self) -> None:
        self._left = 2 * ARGS_CHARS

    def cut(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            kept = value[: max(0, self._left)]
            self._left -= len(kept) + 2
            return kept
        if isinstance(value, dict | list | tuple) and depth < _DEEPEST:
            if isinstance(value, dict):
                return {
                    self.cut(str(key), depth): self.cut(item, depth + 1)
                    for key, item in itertools.takewhile(self._more, value.items())
                }
            return [self.cut(item, depth + 1) for item in itertools.takewhile(self._more, value)]
        self._left -= 4
        return value if isinstance(value, int | float | bool | None) else "..."

    def _more(self, _: object) -> bool:
        return self._left > 0


def _size(value: Any, limit: int) -> int:
    """Estimate the characters of a value; stop counting at the limit."""
    total, todo = 0, [value]
    while todo and total <= limit:
        item = todo.pop()
        if isinstance(item, str):
            total += len(item) + 2
        elif isinstance(item, dict):
            total += 4 * len(item) + sum(len(str(key)) for key in list(item)[:limit])
            todo.extend(item.values())
        elif isinstance(item, list | tuple):
            total += 2 * len(item)
            todo.extend(item[:limit])
        else:
            total += 8
    return total
