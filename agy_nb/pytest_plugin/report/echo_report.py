"""The report of tests that the echo model answered.

Without a key, the echo model answers instead of Gemini and repeats the prompt. The end of the run
names a cassette that contains it and, with `CI` set, a test without a cassette that used it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from agy_nb.pytest_plugin.plugin_options import in_ci
from agy_nb.terminal import printable

_CASSETTE = "agy_echo_cassette"
_LIVE = "agy_echo_live"
"""Attributes of a report; workers of pytest-xdist send them with the report."""
_NAMED = 3
"""Cassettes and tests that the summary names."""
_cassette = pytest.StashKey[str]()
_before = pytest.StashKey[int]()


def note_cassette(item: pytest.Item, path: object) -> None:
    """Note that a test's cassette contains the echo model."""
    item.stash[_cassette] = str(path)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Count the agents on the echo model before the test and its fixtures."""
    item.stash[_before] = _agents()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Add the notes to the last report of the test."""
    report = yield
    if call.when == "teardown":
        if (path := item.stash.get(_cassette, None)) is not None:
            setattr(report, _CASSETTE, path)
        elif in_ci() and _agents() > item.stash.get(_before, 0):
            setattr(report, _LIVE, True)
    return report


class EchoReport:
    """Collects the tests that the echo model answered, and writes the summary.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._folder = config.invocation_params.dir
        self._cassettes: set[str] = set()
        self._live: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add a test."""
        if path := getattr(report, _CASSETTE, ""):
            self._cassettes.add(str(path))
        if getattr(report, _LIVE, False):
            self._live.append(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Count cassettes and tests, and name the first ones; all of them with `-v`."""
        if not self._cassettes and not self._live:
            return
        line = terminalreporter.write_line
        every = terminalreporter.config.get_verbosity() > 0
        terminalreporter.section("the echo model", yellow=True)
        if self._cassettes:
            paths = [os.path.relpath(path, self._folder) for path in sorted(self._cassettes)]
            line(
                f"{_count(paths, 'cassette')} recorded with the echo model, which repeats the "
                "prompt. Record with a real model or a ScriptedModel instead: "
                f"{_named(paths, every=every)}"
            )
        if self._live:
            line(
                f"{_count(self._live, 'test')} answered live by the echo model: CI is set, "
                "GEMINI_API_KEY is not, and there is no cassette. Mark tests with agy_cassette, or "
                f"use a ScriptedModel: {_named(sorted(self._live), every=every)}"
            )


def _named(names: Sequence[str], *, every: bool) -> str:
    """Return the names in one line, only the first ones unless `every` is true."""
    shown = names if every else names[:_NAMED]
    words = ", ".join(printable(name).replace("\n", "\\n") for name in shown)
    more = len(names) - len(shown)
    return f"{words} and {more} more (-v names all)" if more else words


def _count(things: Sequence[str], noun: str) -> str:
    return f"1 {noun} was" if len(things) == 1 else f"{len(things)} {noun}s were"


def _agents() -> int:
    """Return how many agents the echo model has answered in this process."""
    backend = sys.modules.get("agy_nb.sdk.backend")
    return 0 if backend is None else backend.echo_agents()
