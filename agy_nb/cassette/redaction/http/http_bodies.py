"""Redact bodies of HTTP: text in any encoding, compressed, multipart, or binary.

A body is cleaned as the text that its bytes are: UTF-8 with odd bytes kept as they are, UTF-16,
Latin-1; a compressed one as the text inside. Pixels, sound and PDF stay as they are, or are left
out where the recording is to hold no media.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any

_MOST = 16_000_000
"""Bytes of a compressed body's content; one that is longer is left out."""
_MEDIA = re.compile(
    rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|RIFF....(?:WEBP|WAVE|AVI )|%PDF-|PK\x03\x04|OggS|ID3|fLaC"
    rb"|....ftyp|\x1aE\xdf\xa3|\xff[\xfb\xf3\xf2]|BM....\x00\x00\x00\x00|II\*\x00|MM\x00\*|wOF[F2]",
    re.DOTALL,
)
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_MEDIA_MARK = b"{{agy:media}}"
_SECRET_MARK = b"{{agy:secret}}"

Clean = Callable[[str], str]
"""Gives a text without secrets."""


def encoding_of(headers: Iterable[tuple[Any, Any]]) -> str:
    """Return the `Content-Encoding` among headers, empty if there is none."""
    for name, value in headers:
        if str(name).lower() == "content-encoding":
            return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return ""


def clean_body(body: bytes, clean: Clean, *, encoding: str = "", media: bool = True) -> bytes:
    """Return a body without secrets.

    Args:
        body: As it came.
        clean: Gives a text without secrets.
        encoding: Its `Content-Encoding`, if any.
        media: Whether media stay; a mark stands for them otherwise.

    Returns:
        The same bytes if there is nothing to take out. A body whose encoding cannot be read is
        replaced by a mark, because its content is unknown.
    """
    encoding = encoding.strip().lower() if body else ""  # an answer to HEAD names one, too
    if encoding in ("gzip", "x-gzip", "deflate"):
        cleaned_inside = _compressed(body, clean, media=media)
        return _SECRET_MARK if cleaned_inside is None else cleaned_inside
    if encoding not in ("", "identity", "utf-8"):
        return _SECRET_MARK
    if body.startswith(b"\x1f\x8b") and (inside := _compressed(body, clean, media=media)):
        return inside  # not declared, and compressed all the same
    if _MEDIA.match(body):
        return body if media else _MEDIA_MARK
    if body.startswith(b"--") and b"\r\n\r\n" in body:
        return _multipart(body, clean, media=media)
    for mark, name in _UTF16.items():
        if body.startswith(mark):  # bytes that only begin like UTF-16 are read below, too
            body = mark + _as(name, body[len(mark) :], clean)
    if name := _unmarked_utf16(body):
        return _as(name, body, clean)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        # An odd byte, or another encoding: a secret shows in one of the two readings.
        return _as("latin-1", _as("utf-8", body, clean), clean)
    cleaned = clean(text)
    return body if cleaned == text else cleaned.encode("utf-8", "replace")


def _unmarked_utf16(body: bytes) -> str:
    """Return the encoding of UTF-16 without a mark at its start, which has a zero in most pairs."""
    sample = body[:2000]
    pairs = len(sample) // 2
    if len(body) % 2 or pairs < 4:
        return ""
    for name, zeros, letters in (
        ("utf-16-le", sample[1::2], sample[::2]),
        ("utf-16-be", sample[::2], sample[1::2]),
    ):
        if zeros.count(0) > pairs * 0.7 and letters.count(0) < pairs * 0.1:
            return name
    return ""


def _as(encoding: str, body: bytes, clean: Clean) -> bytes:
    wide = encoding.startswith("utf-16")
    odd = "surrogatepass" if wide else "surrogateescape"
    whole = len(body) // 2 * 2 if wide else len(body)  # UTF-16 that was cut ends with half a pair
    text = body[:whole].decode(encoding, odd)
    cleaned = clean(text)
    if cleaned == text:
        return body
    try:
        return cleaned.encode(encoding, odd) + body[whole:]
    except UnicodeEncodeError:
        return cleaned.encode("utf-8", odd)


def _compressed(body: bytes, clean: Clean, *, media: bool) -> bytes | None:
    """Decompress a body; None if it cannot be read to its end."""
    zipped = body.startswith(b"\x1f\x8b")
    for bits in (31,) if zipped else (15, -15):
        reader = zlib.decompressobj(bits)
        try:
            content = reader.decompress(body, _MOST)
        except zlib.error:
            continue
        if reader.unconsumed_tail:
            return None
        cleaned = clean_body(content, clean, media=media)
        # Packing the part that could be read again would lose the rest, which may hold the same
        # secret; so a body with a secret in it goes as a whole.
        if not reader.eof or reader.unused_data:  # cut short, or followed by more
            return None if bits < 0 or cleaned == content else _SECRET_MARK
        if cleaned == content:
            return body
        # Without the time of now, so that two recordings of one body are equal.
        return gzip.compress(cleaned, mtime=0) if zipped else zlib.compress(cleaned)
    return None


def _multipart(body: bytes, clean: Clean, *, media: bool) -> bytes:
    boundary = body.split(b"\r\n", 1)[0]
    parts = body.split(boundary)
    for number, part in enumerate(parts):
        head, gap, content = part.partition(b"\r\n\r\n")
        if not gap:
            continue
        inner = content.removesuffix(b"\r\n")
        if inner.startswith(boundary):  # a part that holds parts with the same bound is damaged
            continue
        end = content[len(inner) :]
        # The head of a part names its field: a secret's name makes the value a secret.
        if b"name=" in head and not _MEDIA.match(inner) and _is_short_text(inner):
            named = _field(head, inner, clean)
            parts[number] = head + gap + named + end
            continue
        parts[number] = head + gap + clean_body(inner, clean, media=media) + end
    return boundary.join(parts)


_NAME = re.compile(rb"name=\"?([\w.\[\]-]{1,80})")


def _is_short_text(content: bytes) -> bool:
    return len(content) < 2000 and b"\n" not in content


def _field(head: bytes, content: bytes, clean: Clean) -> bytes:
    match = _NAME.search(head)
    name = match[1].decode("latin-1") if match else ""
    text = content.decode("utf-8", "surrogateescape")
    # As a setting in quotes, so that the rules for names apply: `password` alone says nothing about
    # a value in another line.
    as_setting = f"{name}: '{text}'"
    cleaned = clean(as_setting) if "'" not in text else as_setting
    kept = cleaned[len(name) + 3 : -1] if cleaned.startswith(f"{name}: '") else text
    return (clean(text) if kept == text else kept).encode("utf-8", "surrogateescape")
