"""Shows the failure of a replay: the lines of the test and the message, without agy_nb's frames."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

from agy_nb.terminal import printable

if TYPE_CHECKING:
    import pytest

_INTERNAL_PACKAGES = frozenset(
    {
        "agy_nb", "google", "asyncio", "contextlib", "unittest",
        "_pytest", "pluggy", "pytest_asyncio", "anyio",
    }
)  # fmt: skip
"""Packages whose frames do not help to find the difference."""


def hide_internal_frames(found: pytest.ExceptionInfo[BaseException], config: pytest.Config) -> bool:
    """Remove frames of libraries from a traceback, except with `--full-trace`.

    Returns:
        Whether frames of the user are left. Without any, the traceback does not change.
    """
    if config.getoption("fulltrace"):
        return True
    kept, cause = _user_frames(found.tb), found.value.__cause__
    if kept is None and cause is not None:  # the error that the test's own lines raised
        kept = _user_frames(cause.__traceback__)
        if str(found.value) in str(cause):  # an error of the SDK with the same message
            found.value.__cause__ = None
    if kept is not None:
        found.traceback = type(found.traceback)(kept)
    return kept is not None


def _user_frames(trace: TracebackType | None) -> TracebackType | None:
    kept: TracebackType | None = None
    for frame, line in reversed(list(traceback.walk_tb(trace))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _INTERNAL_PACKAGES:
            kept = TracebackType(kept, frame, frame.f_lasti, line)
    return kept


def message_only(found: pytest.ExceptionInfo[BaseException]) -> Any:
    """Return a replay's error without its traceback, which has frames of agy_nb only."""
    report = found.getrepr(style="value")
    for note in getattr(found.value, "__notes__", ()):
        report.addsection("what to do", printable(note), "-")
    return report


def unittest_error(item: pytest.Item) -> pytest.ExceptionInfo[BaseException] | None:
    """Return the failure of a unittest test, which pytest stores instead of raising it."""
    kept: list[pytest.ExceptionInfo[BaseException]] = getattr(item, "_excinfo", None) or []
    return kept[0] if kept else None
