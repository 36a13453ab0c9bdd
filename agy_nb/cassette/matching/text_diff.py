"""Show the difference of two values in a few lines.

Rule 1: short texts and values are shown as a unified diff, long ones word by word in their context.
Rule 2: a difference has at most `MOST_LINES` lines.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from agy_nb.cassette.matching.compare_frames import MISSING, Difference

MOST_LINES = 12
"""Lines of a difference that are shown."""
_LONG = 80
_CONTEXT_LINES = 3
_CONTEXT_WORDS = 6
_MOST_COMPARED = 1_000
"""Lines or words of a side that are compared; difflib takes quadratic time."""
_MOST_SHOWN = 300
"""Characters of one removed or added piece that are shown."""


def diff_of(difference: Difference) -> str:
    """Return one difference in a few lines."""
    old, new = _lines(difference.expected), _lines(difference.actual)
    texts = isinstance(difference.expected, str) and isinstance(difference.actual, str)
    if not texts or max(map(len, (*old, *new)), default=0) <= _LONG:
        near = _around_difference(old, new, _CONTEXT_LINES)
        diff = list(difflib.unified_diff(*near, "recorded", "now", lineterm="", n=_CONTEXT_LINES))
        if len(diff) <= MOST_LINES or not texts:
            return "\n".join(_cut(diff, MOST_LINES))
    words = list(_changed_lines(old, new))
    head = ["--- recorded [-removed-]", "+++ now {+added+}"]
    return "\n".join([*head, *_cut(words, MOST_LINES - len(head))])


def _cut(lines: list[str], most: int) -> list[str]:
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], f"... {len(lines) - most + 1} more lines differ"]


def _changed_lines(old: list[str], new: list[str]) -> Iterator[str]:
    """Yield a line for each line that differs, with its changed words marked."""
    several = max(len(old), len(new)) > 1
    old, new = _around_difference(old, new, _CONTEXT_LINES)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        pairs = zip_longest(old[start:end], new[new_start:new_end])
        for number, (before, after) in enumerate(pairs, start=start + 1):
            place = f"line {number}: " if several else ""
            yield place + _changed_words(before or "", after or "")


def _changed_words(old: str, new: str) -> str:
    one, other = _around_difference(_words(old), _words(new), _CONTEXT_WORDS)
    if one == other:  # only spaces differ
        return f"[-{_short([repr(old)])}-] {{+{_short([repr(new)])}+}}"
    pieces: list[str] = []
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    opcodes = matcher.get_opcodes()
    for number, (tag, start, end, new_start, new_end) in enumerate(opcodes):
        if tag == "equal":
            pieces.append(
                _context(one[start:end], begins=number == 0, ends=number == len(opcodes) - 1)
            )
            continue
        if end > start:
            pieces.append(f"[-{_short(one[start:end])}-]")
        if new_end > new_start:
            pieces.append(f"{{+{_short(other[new_start:new_end])}+}}")
    return " ".join(pieces)


def _context(words: list[str], *, begins: bool, ends: bool) -> str:
    """Return equal words, of which only those next to a change are shown."""
    if len(words) <= 2 * _CONTEXT_WORDS:
        return " ".join(words)
    before = [] if begins else words[:_CONTEXT_WORDS]
    after = [] if ends else words[-_CONTEXT_WORDS:]
    return " ".join([*before, "...", *after])


def _short(words: list[str]) -> str:
    text = " ".join(words)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _around_difference(old: list[str], new: list[str], context: int) -> tuple[list[str], list[str]]:
    """Cut long sides to what surrounds the first difference."""
    if max(len(old), len(new)) <= _MOST_COMPARED:
        return old, new
    pairs = enumerate(zip(old, new, strict=False))
    first = next((n for n, (one, other) in pairs if one != other), min(len(old), len(new)))
    start = max(0, first - context)
    return old[start : start + _MOST_COMPARED], new[start : start + _MOST_COMPARED]


def _lines(value: Any) -> list[str]:
    if value is MISSING:
        return []
    if isinstance(value, str):
        return value.splitlines() or [""]
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()


def _words(text: str) -> list[str]:
    return re.findall(r"\S+", text)
