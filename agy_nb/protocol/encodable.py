"""Text and numbers that the wire can hold.

A Python string may hold half a surrogate pair, and a float may be infinite; UTF-8 and JSON hold
neither. A denial whose reason cannot be sent would leave the harness waiting for an answer.
"""

from __future__ import annotations

import math
from typing import Any


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


def encodable(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Make a JSON value one that the wire can hold.

    Args:
        value: Nested dicts, lists, strings, numbers, booleans and None. All else stays as it is.

    Returns:
        The value; numbers without a place in JSON are texts, as `"Infinity"`.
    """
    if isinstance(value, str):
        return encodable_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(item) for item in value]
    return value
