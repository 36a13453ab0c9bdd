"""JSON and YAML from anybody, within bounds, so that no later walk runs out of stack or memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from agy_nb.wire.parsing import json_parser

DEEPEST = 100
"""Levels of nesting. Frames of the harness have about ten."""
LARGEST = 10**7
"""Values in a file of YAML, each counted as often as an alias repeats it."""


def parse_json(text: str | bytes, loads: Callable[[str | bytes], Any] = json.loads) -> Any:  # noqa: ANN401 - JSON
    """Parse JSON that is not nested deeper than `DEEPEST`.

    Args:
        text: As it came.
        loads: The parser.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    try:
        value = loads(text)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels") from None
    # To count costs next to nothing; most frames have fewer brackets than levels are allowed.
    if isinstance(text, str):
        brackets = text.count("{") + text.count("[")
    else:
        brackets = text.count(b"{") + text.count(b"[")
    if brackets > DEEPEST and _is_deep(value):
        raise ValueError(f"it is nested deeper than {DEEPEST} levels")
    return value


parse_to_read = partial(parse_json, loads=json_parser())
"""Parse JSON that is not written again: a faster parser rounds integers of more than 64 bits."""


def _is_deep(value: Any) -> bool:  # noqa: ANN401 - JSON
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        level = below
    return any(isinstance(item, dict | list) for item in level)


def check_size(value: Any) -> None:  # noqa: ANN401 - YAML
    """Refuse what YAML's aliases blow up: a few lines can stand for more than any memory holds.

    Args:
        value: As a parser of YAML gives it; aliases are one object in several places.

    Raises:
        ValueError: It is too large, nested too deeply, or holds itself.
    """
    sizes: dict[int, int] = {}

    def size(item: Any, depth: int) -> int:  # noqa: ANN401 - YAML
        if not isinstance(item, dict | list):
            return 1
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        if id(item) not in sizes:
            below = item.values() if isinstance(item, dict) else item
            sizes[id(item)] = 1 + sum(size(each, depth + 1) for each in below)
            if sizes[id(item)] > LARGEST:
                raise ValueError(f"it stands for more than {LARGEST:,} values")
        return sizes[id(item)]

    size(value, 0)
