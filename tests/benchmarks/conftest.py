"""Benchmarks are ratios: the two sides take turns in one run, and a table says what came of it."""

import asyncio
import gc
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

RESULTS: list[tuple[str, str, str]] = []


@dataclass(frozen=True)
class SideBySide:
    """Seconds of two sides, run by turns."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float:
        """Our time over theirs, the median over the pairs."""
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs, strict=True))


def pytest_addoption(parser):
    parser.addoption(
        "--write-table", type=Path, metavar="FILE", help="write what was measured as a page"
    )


def pytest_collection_modifyitems(items):
    """The guards cost more than what is measured, and the bare SDK blocks the loop."""
    for item in items:
        item.add_marker("blocking_allowed")


def timed(work: Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@pytest.fixture
def loop():
    """An event loop without debug mode, which costs more than what is measured."""
    with asyncio.Runner(debug=False) as runner:
        yield runner


@pytest.fixture
def side_by_side(benchmark):
    """Run two sides by turns; the benchmark's own figure is our side's."""

    def run(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> SideBySide:
        ours(), theirs()
        pairs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
        result = SideBySide([a for a, _ in pairs], [b for _, b in pairs])
        benchmark.pedantic(ours, rounds=1)
        benchmark.extra_info["ratio"] = result.ratio
        return result

    return run


@pytest.fixture
def record():
    """Put a line into the table at the end."""

    def line(what: str, value: str, target: str) -> None:
        RESULTS.append((what, value, target))

    return line


PAGE = """# Performance

See how fast agy_nb is compared with the SDK alone or with another tool. Each ratio compares two
sides that take turns in one run of `make bench`. The last column is the project's target. Measured
on {machine}, Python {python}, google-antigravity {sdk},
ipykernel {ipykernel}, pandas {pandas}.

| measurement | result | target |
| --- | --- | --- |
{rows}
"""


def page() -> str:
    """What was measured, as a page of the documentation."""
    return PAGE.format(
        machine=f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()})",
        python=platform.python_version(),
        sdk=version("google-antigravity"),
        ipykernel=version("ipykernel"),
        pandas=version("pandas"),
        rows="\n".join(f"| {' | '.join(row)} |" for row in RESULTS),
    )


def pytest_terminal_summary(terminalreporter):
    if not RESULTS:
        return
    if path := terminalreporter.config.getoption("--write-table"):
        path.write_text(page(), encoding="utf-8")
    terminalreporter.section("measured")
    width = max(len(what) for what, _, _ in RESULTS)
    for what, value, target in RESULTS:
        terminalreporter.write_line(f"{what:<{width}}  {value:<28} (wanted: {target})")
