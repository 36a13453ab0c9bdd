"""Texts that are written as base64 or hex: secrets in them are secrets."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_RUN = re.compile(
    r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{20,}(?:(?:\r?\n|\\n)[ \t]{0,16}[A-Za-z0-9+/_-]{8,}){0,100000}={0,2}"
)
_LINE = re.compile(r"(?:\r?\n|\\n)[ \t]{0,16}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){10,}")
_SHORT = 256
"""Characters of an encoded text that is taken out whole; of longer ones only the secrets are."""


class Encoded(NamedTuple):
    """A text written in other letters.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        text: The decoded text.
        encode: Writes a text in its place in the same way; None if it is to be taken out whole.
    """

    start: int
    end: int
    text: str
    encode: Callable[[str], str] | None


def encoded(text: str) -> Iterator[Encoded]:
    """Find the texts in a text that are written as base64 or hex."""
    for match in _RUN.finditer(text):
        start, end = match.span()
        if found := _decoded(match[0]):
            plain, encode = found
            yield Encoded(start, end, plain, encode if end - start > _SHORT else None)
            continue
        if "\n" in match[0] or "\\n" in match[0]:  # lines that only look like one text
            at = start
            for line in _LINE.split(match[0]):
                at = text.index(line, at)
                if len(line) >= 20 and (found := _decoded(line)):
                    plain, encode = found
                    yield Encoded(at, at + len(line), plain, encode if len(line) > _SHORT else None)
                at += len(line)


def _decoded(run: str) -> tuple[str, Callable[[str], str]] | None:
    joined = _LINE.sub("", run)
    if _HEX.fullmatch(joined):
        text = _as_text(bytes.fromhex(joined))
        if text is not None:
            return text, lambda clean: clean.encode("utf-8", "surrogateescape").hex()
        return None
    if joined.isalpha() and len(joined) < 40:
        return None
    url = "-" in joined or "_" in joined
    body = joined.rstrip("=")
    if url and ("+" in body or "/" in body):
        return None
    body = body[: len(body) - 1] if len(body) % 4 == 1 else body
    head = body[:64]
    if _as_text(_b64(head[: len(head) // 4 * 4], url=url), loose=True) is None:
        return None  # most are pixels or digests: their first letters say so
    text = _as_text(_b64(body, url=url))
    if text is None:
        return None
    padded = joined.endswith("=") or len(body) % 4 == 0

    def encode(clean: str) -> str:
        raw = clean.encode("utf-8", "surrogateescape")
        new = (base64.urlsafe_b64encode if url else base64.b64encode)(raw).decode()
        return new if padded else new.rstrip("=")

    return text, encode


def _b64(body: str, *, url: bool) -> bytes:
    padded = body + "=" * (-len(body) % 4)
    try:
        return (base64.urlsafe_b64decode if url else base64.b64decode)(padded)
    except (binascii.Error, ValueError):
        return b""


def _as_text(raw: bytes, *, loose: bool = False) -> str | None:
    if len(raw) < 8:
        return None
    text = raw.decode("utf-8", "surrogateescape")
    strange = sum(1 for c in text[:4000] if not (c.isprintable() or c in "\r\n\t"))
    most = len(text[:4000]) // (4 if loose else 20)
    return text if strange <= most and (loose or "\x00" not in text) else None
