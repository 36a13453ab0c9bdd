"""Texts that come in pieces: a secret of the whole text is removed from each piece.

A span of the whole leaves its mark in the piece that it begins in, and nothing in those it goes on
in, so that the pieces still add up to the text without its secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol


def mark(kind: str) -> str:
    """Return the mark that replaces something removed."""
    return "{{agy:" + kind + "}}"


SECRET = mark("secret")


class TextSpan(NamedTuple):
    """A part of a text that is not written.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        mark: Its replacement.
        secret: Whether it is a secret, and no folder of this machine.
    """

    start: int
    end: int
    mark: str
    secret: bool


class PieceRedactor(Protocol):
    """Removes secrets from texts that come in pieces; see `redaction.Redactor`."""

    def spans(self, text: str) -> list[TextSpan]:
        """Return the parts to remove from a text, in order; spans do not overlap."""
        ...

    def body(self, body: bytes, *, encoding: str = "") -> bytes:
        """Return a body of HTTP that may be written."""
        ...

    def text(self, text: str) -> str:
        """Return a text that may be written."""
        ...


def merged(spans: Iterable[TextSpan]) -> list[TextSpan]:
    """Return spans in order; merge those that overlap, and prefer a secret's mark."""
    found: list[TextSpan] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if found and span.start < found[-1].end:
            last = found[-1]
            strong = span if span.secret and not last.secret else last
            found[-1] = TextSpan(last.start, max(last.end, span.end), strong.mark, strong.secret)
        else:
            found.append(span)
    return found


def without(piece: str, start: int, spans: Iterable[TextSpan]) -> str:
    """Return a piece of a text without the spans of the whole.

    Args:
        piece: The piece.
        start: Where in the whole it begins.
        spans: Of the whole, in order.
    """
    kept, at, end = [], start, start + len(piece)
    for span in spans:
        if span.end <= at or span.start >= end:
            continue
        kept.append(piece[at - start : max(span.start - start, at - start)])
        if span.start >= start:
            kept.append(span.mark)
        at = min(span.end, end)
    return "".join(kept) + piece[at - start :] if kept else piece


def clean_pieces(pieces: Sequence[str], redactor: PieceRedactor) -> list[str]:
    """Return the pieces of one text without the secrets of the whole."""
    # Spans keep the bounds of the pieces, and `text` does not. So spans are removed first, and a
    # text in one piece is the last resort.
    spans = redactor.spans("".join(pieces))
    if spans:
        at, clean = 0, []
        for piece in pieces:
            clean.append(without(piece, at, spans))
            at += len(piece)
        pieces = clean
    joined = "".join(pieces)
    whole = redactor.text(joined)
    # What only the whole shows, as a value under a secret's name in JSON, has no place of its own.
    return list(pieces) if whole == joined else [whole, *[""] * (len(pieces) - 1)]
