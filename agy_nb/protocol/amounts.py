"""Amounts as text: "1 turn", "2 turns"."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Name a number of things.

    Args:
        count: How many.
        noun: What each is called; its plural ends in "s".

    Example:
        >>> counted(1, "recording"), counted(1_200, "row")
        ('1 recording', '1,200 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def tokens_text(count: int | None) -> str:
    """Return a number of tokens as text.

    Example:
        >>> tokens_text(1234), tokens_text(1), tokens_text(None)
        ('1,234 tokens', '1 token', 'tokens unknown')
    """
    return "tokens unknown" if count is None else counted(count, "token")
