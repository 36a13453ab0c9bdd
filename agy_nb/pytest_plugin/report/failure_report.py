"""Shows the failure of a replay: the lines of the test and the message, without agy_nb's frames."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from agy_nb.terminal import printable

if TYPE_CHECKING:
    import pytest

Sections: TypeAlias = list[tuple[str, str]]
MOST_LINES = 20
"""Lines of a failure, above which it is shown more briefly."""
_RECORD = re.compile(r"(?m)^(?=[A-Z]{4,8} +\S+:\S+:\d+ )")
"""The beginning of a record in pytest's log."""

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
    if cause is not None and _repeats(cause, found.value):
        found.value.__cause__, found.value.__suppress_context__ = None, True
    if kept is not None:
        found.traceback = type(found.traceback)(kept)
    return kept is not None


def _repeats(cause: BaseException, error: BaseException) -> bool:
    """Return whether an error of the SDK was caused by the error or has its message."""
    seen: BaseException | None = cause
    for _ in range(10):
        if seen is None:
            return False
        if seen is error or str(error) in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def without_log_of(error: BaseException, sections: Iterable[tuple[str, str]]) -> Sections:
    """Return the sections of a report, without log records that show the same error again."""
    first = str(error).splitlines()[0]
    found = []
    for title, text in sections:
        records = _RECORD.split(text) if "log" in title else [text]
        kept = "".join(record for record in records if first not in record)
        if kept.strip() or not text.strip():
            found.append((title, kept))
    return found


def shortest(item: pytest.Item, found: pytest.ExceptionInfo[BaseException]) -> Any:
    """Return a report with the lines around each frame, or with one line each if that is long."""
    whole = item.repr_failure(found)
    if item.config.getoption("fulltrace") or str(whole).count("\n") <= MOST_LINES:
        return whole
    return found.getrepr(style="short", chain=False)


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
