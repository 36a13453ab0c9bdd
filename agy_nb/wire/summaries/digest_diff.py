"""Differences between the digests of two sessions, by turn."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator
from itertools import zip_longest
from typing import Any

from agy_nb.wire.summaries.digest import Digest

PARTS = ("config", "prompt", "agents", "calls", "answers", "state", "usage", "end")
"""The parts of a digest that can be compared. `agents` holds their texts and calls by step."""

_OF_TURN = ("prompt", "agents", "calls", "answers", "state")
_SINGULAR = ("prompt", "state")
_OF_SESSION = ("usage", "end")


def differences(
    number: int,
    left: Digest,
    right: Digest,
    names: tuple[str, str],
    parts: Collection[str] = PARTS,
) -> Iterator[str]:
    """Compare two digests of a session.

    Args:
        number: The session's number, for the lines.
        left: A digest.
        right: Another digest.
        names: Names of the two sessions in the diffs.
        parts: The parts to compare, of `PARTS`.

    Returns:
        A line for each part that differs, except for the configuration, and indented below it a
        unified diff of the part as JSON.
        Turns are numbered from 1, as `cassette show` and mismatch errors number them.
    """
    for turn, (a, b) in enumerate(zip_longest(left["turns"], right["turns"]), 1):
        where = f"session {number}, turn {turn}"
        if a is None or b is None:
            yield f"{where}: only in {names[0] if b is None else names[1]}"
            continue
        for part in _OF_TURN:
            if part in parts and a.get(part) != b.get(part):
                yield f"{where}: {part} {'differs' if part in _SINGULAR else 'differ'}"
                yield from _diff(a.get(part), b.get(part), names)
    for part in _OF_SESSION:
        if part in parts and left[part] != right[part]:
            yield f"session {number}: {part} differs"
            yield from _diff(left[part], right[part], names)


def _diff(a: Any, b: Any, names: tuple[str, str]) -> Iterator[str]:
    one, other = (
        json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
        for value in (a, b)
    )
    for line in difflib.unified_diff(one, other, *names, lineterm="", n=1):
        yield f"  {line}"
