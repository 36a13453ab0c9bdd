"""Mark the words of an answer that differ from another one, as HTML.

New words are underlined and missing words are struck through, also for readers without colours.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Sequence

from agy_nb.widgets.markdown.markup import escape

_WORD = re.compile(r"\S+\s*|\s+")
_MOST_COMPARED = 400
"""Words of a side that are compared one by one; difflib takes quadratic time."""
_ALIKE = 0.25
"""Share of equal words below which marks would not help."""


@functools.lru_cache(maxsize=512)
def marked(first: str, answer: str) -> str | None:
    """Return an answer as HTML with its differences from the first answer.

    Args:
        first: The answer to compare with.
        answer: The answer.

    Returns:
        The HTML; None if the answers are equal, or too different to mark words.

    Example:
        >>> marked("Oslo is cold", "Oslo is warm")
        'Oslo is <del>cold</del> <ins>warm</ins>'
    """
    old, new = _WORD.findall(first), _WORD.findall(answer)
    a, b = [word.strip() for word in old], [word.strip() for word in new]
    if a == b:
        return None
    start = _common(a, b)
    end = _common(a[start:][::-1], b[start:][::-1])
    changes = [
        ("equal", 0, start, 0, start),
        *_changes(a, b, (start, len(a) - end), (start, len(b) - end)),
        ("equal", len(a) - end, len(a), len(b) - end, len(b)),
    ]
    same = sum(to - at for kind, _, _, at, to in changes if kind == "equal")
    if 2 * same < _ALIKE * (len(a) + len(b)):
        return None
    return "".join(_pieces(changes, old, new))


_Change = tuple[str, int, int, int, int]


def _changes(
    a: Sequence[str], b: Sequence[str], old: tuple[int, int], new: tuple[int, int]
) -> Iterator[_Change]:
    (old_at, old_to), (new_at, new_to) = old, new
    if max(old_to - old_at, new_to - new_at) > _MOST_COMPARED:
        yield "replace", old_at, old_to, new_at, new_to
        return
    matcher = difflib.SequenceMatcher(None, a[old_at:old_to], b[new_at:new_to], autojunk=False)
    for kind, start, end, other, there in matcher.get_opcodes():
        yield kind, old_at + start, old_at + end, new_at + other, new_at + there


def _pieces(changes: Sequence[_Change], old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for kind, start, end, at, to in changes:
        if kind == "equal":
            yield escape("".join(new[at:to]))
            continue
        yield _mark("del", "".join(old[start:end]))
        yield _mark("ins", "".join(new[at:to]))


def _mark(tag: str, text: str) -> str:
    words = text.rstrip()
    space = escape(text[len(words) :]) or (" " if tag == "del" and words else "")
    return f"<{tag}>{escape(words)}</{tag}>{space}" if words else ""


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Return how many words at the beginning are equal."""
    pairs = zip(a, b, strict=False)
    return next((n for n, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))
