"""Find secrets in a text: by their format, by their context, and in every spelling."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from agy_nb.cassette.redaction.engine import engine_spans
from agy_nb.cassette.redaction.rules.contexts import named
from agy_nb.cassette.redaction.rules.decoded_views import DecodedView, layers, unwrapped
from agy_nb.cassette.redaction.rules.encoded import encoded
from agy_nb.cassette.redaction.rules.formats import formatted
from agy_nb.cassette.redaction.rules.tokens import is_apart, tokens
from agy_nb.cassette.redaction.rules.value_shapes import is_placeholder
from agy_nb.cassette.redaction.split_text import SECRET, TextSpan, merged
from agy_nb.wire.path_map import marks_in

_DEPTH = 2
"""Levels of base64 within base64 that are looked into."""

_WORD_AND_BREAK = re.compile(r"[A-Za-z]{1,24}(?:\s|\\[nrt])+")

Known = Callable[[str], list[tuple[int, int]]]
"""Gives where known values stand in a text."""


def find_secrets(text: str, *, known: Known | None = None) -> list[TextSpan]:
    """Find the secrets in a text.

    Args:
        text: Any text: prose, code, JSON, the content of a file.
        known: Finds values that are known to be secret.

    Returns:
        Spans in order, which do not overlap. `text[span.start:span.end]` is the secret, and
        `span.mark` its replacement: a mark, or an encoded text without its secrets.

    Example:
        >>> [span] = find_secrets("export GH_TOKEN=" + "ghp_" + "x1Y2" * 9)
        >>> span.start
        16
    """
    return _find(text, known, _DEPTH)


def _find(text: str, known: Known | None, depth: int) -> list[TextSpan]:
    found: list[TextSpan] = []
    for view in layers(text):
        here = list(_in_view(view.text, known))
        found += [TextSpan(*view.place(start, end), SECRET, secret=True) for start, end in here]
        wrapped = _in_wrapped(view, known, {span.start for span in found})
        found += [_after_word(text, span, found) for span in wrapped]
        if depth:
            found += _in_encoded(view, known, depth)
    return merged(_beside_marks(text, found))


def _beside_marks(text: str, found: list[TextSpan]) -> Iterator[TextSpan]:
    """Leave out spans inside marks, and widen those that would cut a mark in two."""
    marks = marks_in(text)
    for span in found:
        touched = [mark for mark in marks if mark[0] < span.end and span.start < mark[1]]
        start = min([span.start, *(mark[0] for mark in touched)])
        end = max([span.end, *(mark[1] for mark in touched)])
        if (start, end) == span[:2] and (start, end) not in touched:
            yield span
        elif (start, end) not in touched:
            yield TextSpan(start, end, SECRET, secret=True)


def _in_view(text: str, known: Known | None) -> Iterator[tuple[int, int]]:
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters grow when lowered
        lowered = "".join(c.lower() if c.isascii() else c for c in text)
    yield from named(text, lowered)
    yield from formatted(text, lowered)
    yield from tokens(text)
    for start, end, _ in engine_spans(text):
        if is_apart(text, start) and not is_placeholder(text[start:end][:400]):
            yield start, end
    if known is not None:
        yield from known(text)


def _in_wrapped(view: DecodedView, known: Known | None, seen: set[int]) -> Iterator[TextSpan]:
    """Yield secrets that only appear when wrapped lines and quoted pieces are joined."""
    found: list[TextSpan] = []
    joined = unwrapped(view)
    if joined is not None:
        for start, end in tokens(joined.text):
            if any(map(str.isdigit, joined.text[start:end])):  # a package's name ends with its line
                found += _across(joined, start, end)
    if known is not None and (joined := unwrapped(view, anywhere=True)) is not None:
        for start, end in known(joined.text):
            found += _across(joined, start, end)
    yield from (span for span in found if span.start not in seen)


def _after_word(text: str, wrapped: TextSpan, found: list[TextSpan]) -> TextSpan:
    """Leave out the last word of a line if a secret begins the next one."""
    for span in found:
        inside = wrapped.start < span.start < wrapped.end
        if inside and _WORD_AND_BREAK.fullmatch(text, wrapped.start, span.start):
            return wrapped._replace(start=span.start)
    return wrapped


def _across(joined: DecodedView, start: int, end: int) -> Iterator[TextSpan]:
    """Yield the spans that are longer in the original text because lines were joined."""
    first, last = joined.place(start, end)
    if last - first > end - start:
        yield TextSpan(first, last, SECRET, secret=True)


def _in_encoded(view: DecodedView, known: Known | None, depth: int) -> Iterator[TextSpan]:
    for part in encoded(view.text):
        inner = _find(part.text, known, depth - 1)
        if not inner:
            continue
        start, end = view.place(part.start, part.end)
        mark = SECRET if part.encode is None else part.encode(replaced(part.text, inner))
        yield TextSpan(start, end, mark, secret=True)


def replaced(text: str, spans: list[TextSpan]) -> str:
    """Return a text with its spans replaced by their marks."""
    pieces: list[str] = []
    at = 0
    for span in spans:
        pieces += (text[at : span.start], span.mark)
        at = span.end
    return "".join((*pieces, text[at:]))
