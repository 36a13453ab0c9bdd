"""Text and numbers that the wire can hold.

A Python string may hold half a surrogate pair, and a float may be infinite; UTF-8 and JSON hold
neither. A denial whose reason cannot be sent would leave the harness waiting for an answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel


def encodable_text(text: str) -> str:
    r"""Replace each half of a surrogate pair with U+FFFD.

    Args:
        text: Any string.

    Returns:
        The same string where UTF-8 can hold it.

    Example:
        >>> from agy_nb.protocol.encodable import encodable_text
        >>> encodable_text("caf\ud800") == "caf\ufffd"
        True
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def encodable(value: Any) -> Any:
    """Make a JSON value one that the wire can hold.

    Args:
        value: Nested mappings, sequences, data classes, pydantic models, strings, numbers, booleans
            and None. All else stays as it is.

    Returns:
        The value, as dicts and lists; numbers without a place in JSON are texts, as `"Infinity"`.
    """
    if isinstance(value, str):
        return encodable_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {encodable(key): encodable(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [encodable(item) for item in value]
    if isinstance(value, BaseModel):
        return encodable(value.model_dump())
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: encodable(getattr(value, each.name)) for each in fields(value)}
    return value
