"""Tell marks that a recording wrote from texts that only look like marks.

A recording writes marks such as `{{agy:secret}}` in the place of secrets and folders. A user, a
tool or a model may write such a text, too. A recording stores their text as `{{agy:^secret}}`. It
is compared exactly, and a replay never puts a folder in its place. Clients and views get the text
as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from agy_nb.wire.json_values import dump_like, embedded_json
from agy_nb.wire.path_map import MARK_START

ESCAPE = b"^"
"""Recorded lines without it hold no such text. One character is found ten times as fast as more."""
_START, _LITERAL_START = MARK_START, f"{MARK_START}^"
_START_BYTES: Final = _START.encode()
LITERAL_BYTES: Final = _LITERAL_START.encode()
"""How a text that looks like a mark begins in a recording."""


def literal(text: str) -> str:
    """Return a text as a recording stores it.

    Example:
        >>> literal("Write {{agy:home}}"), unmarked(literal("Write {{agy:home}}"))
        ('Write {{agy:^home}}', 'Write {{agy:home}}')
    """
    return text.replace(_START, _LITERAL_START)


def unmarked(text: str) -> str:
    """Undo `literal`."""
    return text.replace(_LITERAL_START, _START)


def has_literal(text: str) -> bool:
    """Return whether a recorded text holds a text that only looks like a mark."""
    return _LITERAL_START in text


def literal_bytes(text: bytes) -> bytes:
    """Return UTF-8 as a recording stores it."""
    return text.replace(_START_BYTES, LITERAL_BYTES)


def unmarked_line(line: bytes) -> bytes:
    """Undo `literal` in a line of a recording."""
    return line.replace(LITERAL_BYTES, _START_BYTES)


def literal_value(value: Any) -> Any:
    """Return JSON data as a recording stores it, also keys and JSON inside strings."""
    return _changed(value, literal, _START)


def unmarked_value(value: Any) -> Any:
    """Undo `literal_value`."""
    return _changed(value, unmarked, _LITERAL_START)


def literal_pieces(pieces: Sequence[str]) -> list[str]:
    """Return the pieces of one text as a recording stores them.

    The start of a mark that is cut goes to the piece that ends it, so that `unmarked` finds it.
    """
    whole = "".join(pieces)
    at = whole.find(_START)
    found: list[str] = []
    done = end = 0
    for piece in pieces:
        end += len(piece)
        while at >= 0 and at + len(_START) <= end:  # it ends in this piece
            at = whole.find(_START, at + len(_START))
        upto = at if 0 <= at < end else end  # the next mark begins in this piece
        found.append(literal(whole[done:upto]))
        done = upto
    return found


def _changed(value: Any, change: Callable[[str], str], start: str) -> Any:
    if isinstance(value, str):
        return _text(value, change, start)
    if isinstance(value, dict):
        return {change(key): _changed(item, change, start) for key, item in value.items()}
    return [_changed(item, change, start) for item in value] if isinstance(value, list) else value


def _text(text: str, change: Callable[[str], str], start: str) -> str:
    # Only an escape sequence in JSON can hide a brace or a letter of a mark.
    if "\\u00" in text and (inner := embedded_json(text)) is not None:
        changed = _changed(inner, change, start)
        if changed != inner:
            return dump_like(text, inner, changed)
    return change(text)
