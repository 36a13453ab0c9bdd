"""Parse untrusted JSON and YAML with limits on depth and size, which protect all later code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from agy_nb.wire.parsing import json_parser

DEEPEST = 100
"""Most levels of nesting. Frames of the harness have about ten."""
LARGEST = 10**7
"""Most values in a YAML file; a value counts once per alias."""
_CONFLICT = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})", re.MULTILINE)


def parse_json(text: str | bytes, loads: Callable[[str | bytes], Any] = json.loads) -> Any:
    """Parse JSON that is not nested deeper than `DEEPEST`.

    Args:
        text: The JSON text.
        loads: The parser.

    Raises:
        ValueError: The text is not JSON, or is nested too deeply.
    """
    try:
        value = loads(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from None
    if len(text) <= DEEPEST:
        return value
    # Counting brackets is cheap, and most frames have fewer than `DEEPEST`.
    if isinstance(text, str):
        brackets = text.count("{") + text.count("[")
    else:
        brackets = text.count(b"{") + text.count(b"[")
    if brackets > DEEPEST and _is_deep(value):
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    return value


parse_to_read: partial[Any] = partial(parse_json, loads=json_parser())
"""Parse JSON only for reading: the faster parser rounds integers of more than 64 bits."""


def _is_deep(value: Any) -> bool:
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


def check_size(value: Any) -> None:
    """Reject YAML whose aliases expand to a huge value: a few lines can exceed any memory.

    Args:
        value: The parsed YAML; aliases of one object are the same object.

    Raises:
        ValueError: The value is too large, nested too deeply, or contains itself.
    """
    # Each object is counted once. Walking through the aliases would take the time that this check
    # is to prevent.
    sizes: dict[int, int] = {}

    def size(item: Any, depth: int) -> int:
        if not isinstance(item, dict | list):
            return 1
        if depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST} levels")
        if id(item) not in sizes:
            below = item.values() if isinstance(item, dict) else item
            sizes[id(item)] = 1 + sum(size(each, depth + 1) for each in below)
            if sizes[id(item)] > LARGEST:
                raise ValueError(f"its aliases expand to more than {LARGEST:,} values")
        return sizes[id(item)]

    size(value, 0)


def diagnosis(raw: bytes, error: Exception) -> str:
    """Describe the damage of a file, which may be a git conflict."""
    if _CONFLICT.search(raw):
        return (
            "the file holds a git conflict. Take one side of the whole folder, with "
            "`git checkout --ours FOLDER` or `--theirs`, or record the cassette again"
        )
    return f"{error}. Restore the cassette, or record it again"
