"""The texts of HTTP headers as bytes, as h11 takes and gives them. Any bytes survive both ways."""

from __future__ import annotations


def encoded(text: str) -> bytes:
    """Return a text of a header as bytes, without spaces around it.

    Example:
        >>> encoded(" Fine ")
        b'Fine'
    """
    return text.strip().encode("utf-8", "surrogateescape")


def decoded(raw: bytes) -> str:
    r"""Return bytes of a header as text.

    Example:
        >>> encoded(decoded(b"\xff"))
        b'\xff'
    """
    return bytes(raw).decode("utf-8", "surrogateescape")
