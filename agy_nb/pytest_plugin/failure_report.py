"""How what a cassette has to say is shown: the test's own lines, and the words."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

from agy_nb.terminal import printable

if TYPE_CHECKING:
    import pytest

_NOT_THE_USERS = frozenset(
    {
        "agy_nb", "google", "asyncio", "contextlib", "unittest",
        "_pytest", "pluggy", "pytest_asyncio", "anyio",
    }
)  # fmt: skip
"""Packages whose lines say nothing of a divergence."""


def leave_us_out(found: pytest.ExceptionInfo[BaseException], config: pytest.Config) -> bool:
    """Take lines that are not the user's out of a traceback; with `--full-trace` they stay.

    Returns:
        Whether any are left. If none were the user's, all stay.
    """
    if config.getoption("fulltrace"):
        return True
    kept, cause = _the_users(found.tb), found.value.__cause__
    if kept is None and cause is not None:  # what the test's own lines raised
        kept = _the_users(cause.__traceback__)
        if str(found.value) in str(cause):  # an error of the SDK's with the same words
            found.value.__cause__ = None
    if kept is not None:
        found.traceback = type(found.traceback)(kept)
    return kept is not None


def _the_users(trace: TracebackType | None) -> TracebackType | None:
    kept: TracebackType | None = None
    for frame, line in reversed(list(traceback.walk_tb(trace))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _NOT_THE_USERS:
            kept = TracebackType(kept, frame, frame.f_lasti, line)
    return kept


def in_words(found: pytest.ExceptionInfo[BaseException]) -> Any:  # noqa: ANN401 - any representation
    """A replay's error without its traceback, which is ours."""
    words = found.getrepr(style="value")
    for note in getattr(found.value, "__notes__", ()):
        words.addsection("what to do", printable(note), "-")
    return words


def put_aside(item: pytest.Item) -> pytest.ExceptionInfo[BaseException] | None:
    """What a test of unittest failed with: it is not raised, but kept for the report."""
    kept: list[pytest.ExceptionInfo[BaseException]] = getattr(item, "_excinfo", None) or []
    return kept[0] if kept else None
