"""Shorten the report of a run in which many tests differ from their recordings in the same way.

One changed system prompt makes every recorded test fail. The first failure shows the difference,
the others name the first one, and the end of the run says how to record all of them again.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from agy_nb.terminal import printable

if TYPE_CHECKING:
    from agy_nb.cassette import CassetteMismatchError

_FIELD = "agy_differs_at"
"""Attribute of a report; workers of pytest-xdist send it with the report."""
_first = pytest.StashKey["dict[tuple[str, str], str]"]()


def shorten(report: pytest.TestReport, item: pytest.Item, error: CassetteMismatchError) -> None:
    """Note where a test differs. Replace the report of a difference that was shown before.

    Args:
        report: The report of the failed test.
        item: The test.
        error: What failed it.
    """
    if not error.differs_at:
        return
    setattr(report, _FIELD, error.differs_at)
    shown = item.config.stash.setdefault(_first, {})
    first = shown.setdefault((error.differs_at, error.diff), item.nodeid)
    if first != item.nodeid:
        where = printable(f"{error.differs_at} differs as it does in {first}")
        report.longrepr = f"{type(error).__name__}: {where}\n{str(error).splitlines()[0]}"


class SameDifferences:
    """Collects the tests that differ in the same field, and writes the summary.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._tests: defaultdict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add a failed test."""
        if report.failed and (field := getattr(report, _FIELD, "")):
            self._tests[str(field)].append(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the fields in which several tests differ, and the command that records them."""
        several = {field: tests for field, tests in self._tests.items() if len(tests) > 1}
        if not several:
            return
        terminalreporter.section("differences from recordings")
        for field, tests in several.items():
            terminalreporter.line(
                f"{len(tests)} tests differ in the same field: {printable(field)}", red=True
            )
        words = ["pytest", "--lf", "--agy-record-mode=all"]
        if folder := self._config.getoption("--agy-cassette-dir"):
            words.append(f"--agy-cassette-dir={folder}")
        terminalreporter.line("To record the failed tests again, with a model at hand:")
        terminalreporter.line(f"    {shlex.join(words)}")
