"""How a stand-in ends: its words on stderr, and its exit code."""

from __future__ import annotations

import sys

from agy_nb.terminal import printable

_SIGNALLED = 128


def tell(text: str) -> None:
    """Write a message to stderr, where SDKs look for it."""
    sys.stderr.write(f"agy-nb harness: {printable(text)}\n")
    sys.stderr.flush()


def exit_code(code: int) -> int:
    """Return the exit code for that of the real harness, which is negative after a signal."""
    return code if code >= 0 else _SIGNALLED - code
