"""The report of shared cassettes that lost sessions, because not all of their tests ran.

A run with `--agy-record-mode=all` replaces a cassette. If tests share it and only some of them run,
for example with `-k` or `--lf`, the sessions of the others are gone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agy_nb.protocol.amounts import counted
from agy_nb.terminal import printable

_FIELD = "agy_sessions_before"
"""Attribute of a report; workers of pytest-xdist send it with the report."""
_before = pytest.StashKey[tuple[str, int]]()


def note_replaced(item: pytest.Item, path: Path) -> None:
    """Note how many sessions a shared cassette has that a test is about to replace."""
    item.stash[_before] = str(path.resolve()), _sessions(path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add the note to the last report of the test."""
    report = yield
    if call.when == "teardown" and (found := item.stash.get(_before, None)) is not None:
        setattr(report, _FIELD, list(found))
    return report


class LostSessions:
    """Collects the shared cassettes that were recorded again, and writes the summary.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._folder = config.invocation_params.dir
        self._before: dict[str, int] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add a test."""
        if found := getattr(report, _FIELD, None):
            path, sessions = found
            self._before.setdefault(path, sessions)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the cassettes that have fewer sessions now, and the command that records all."""
        now = {path: _sessions(Path(path)) for path in self._before}
        fewer = {path: now[path] for path, before in self._before.items() if now[path] < before}
        if not fewer:
            return
        terminalreporter.section("shared cassettes with fewer sessions", yellow=True)
        for path, sessions in sorted(fewer.items()):
            where = printable(os.path.relpath(path, self._folder))
            had = counted(self._before[path], "session")
            terminalreporter.write_line(f"{where} had {had} and has {sessions} now.")
        terminalreporter.write_line(
            "The sessions of tests that did not run are gone. Run all tests that share the "
            "cassette with --agy-record-mode=all, or restore it, for example with git."
        )


def _sessions(path: Path) -> int:
    """Return the number of sessions that a header names, 0 if there is none. Reads the disk."""
    from agy_nb.cassette.storage.format.header import read_header
    from agy_nb.errors import CassetteError

    try:
        return len(read_header(path).sessions)
    except CassetteError:
        return 0
