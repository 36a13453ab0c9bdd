"""Which cells run, and the page that is written of them."""

import contextlib
from pathlib import Path

import pytest

from tests.faults.crashes import CRASHES
from tests.faults.failing_disk import FULL, KILLED
from tests.faults.faults import FAULTS
from tests.faults.page import Line, page

LINES: dict[tuple[str, str], Line] = {}
CRASHED: set[str] = set()


def pytest_addoption(parser):
    with contextlib.suppress(ValueError):  # the benchmarks have one, too
        parser.addoption(
            "--write-table", type=Path, metavar="FILE", help="write what was seen as a page"
        )


def pytest_runtest_logreport(report):
    """In the process that writes the page, wherever the cell ran."""
    if report.when == "call" and report.passed:
        for name, value in report.user_properties:
            if name == "line":
                line = Line(*value)
                LINES[line.fault, line.phase] = line
            elif name == "crash":
                CRASHED.add(value)


def pytest_terminal_summary(terminalreporter):
    path = terminalreporter.config.getoption("--write-table", None)
    if path is None or not LINES:
        return
    missing = [
        f"{fault.name}, {phase.value}"
        for fault in FAULTS
        for phase in fault.seen
        if (fault.name, phase.value) not in LINES
    ]
    missing += [
        name
        for crash in CRASHES
        for fault in (KILLED, FULL)
        if (name := f"{crash.name}, {fault}") not in CRASHED
    ]
    terminalreporter.section("faults")
    if missing:
        terminalreporter.write_line(f"not written, without these cells: {'; '.join(missing)}")
        return
    path.write_text(page(LINES), encoding="utf-8")
    terminalreporter.write_line(f"written: {path}, {len(LINES)} cells")


@pytest.fixture
def quick_quota(monkeypatch):
    """No back-off beyond what the model itself asks for."""
    monkeypatch.setattr("agy_nb.runtime.limits.quota.LONGEST_BACKOFF_S", 0.1)
    monkeypatch.setattr("agy_nb.runtime.limits.quota.DEADLINE_JITTER_S", 0.0)
    monkeypatch.setattr("agy_nb.runtime.limits.quota.WAITER_JITTER_S", (0.0, 0.0))
