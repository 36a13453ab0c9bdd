"""Faults on the real thing: whatever breaks, the user is told in time, and everything goes on.

`AGY_SOAK=1` runs every cell, otherwise the most telling ones run.
"""

import os
from dataclasses import astuple

import pytest

from tests.faults.cells import ENDED, Phase
from tests.faults.faults import FAULTS
from tests.faults.page import PAGE, Line, page
from tests.faults.runner import run

ALL = bool(os.environ.get("AGY_SOAK"))
CELLS = [
    pytest.param(fault, phase, id=f"{fault.name}-{phase.value}")
    for fault in FAULTS
    for phase in fault.seen
    if ALL or phase in fault.telling
]


@pytest.mark.real
@pytest.mark.timeout(300)  # a busy machine stretches every limit
@pytest.mark.blocking_allowed  # the SDK's configuration looks at the working folder
@pytest.mark.parametrize(("fault", "phase"), CELLS)
async def test_fault_is_seen_in_time_and_harms_nothing_else(
    fault, phase, tmp_path, quick_quota, record_property
):
    row = await run(phase, fault, tmp_path)
    record_property("line", astuple(Line.of(fault, phase, row)))
    assert row.seen in fault.seen[phase].what
    assert row.seconds < fault.seen[phase].within * row.pace
    assert (row.next_turn or "", row.next_agent) == ("", "")
    assert row.left == ""
    assert row.logged == ()
    assert row.stall < fault.stall * row.pace


def test_page_has_every_cell():
    lines = {
        (fault.name, phase.value): Line.expected(fault, phase)
        for fault in FAULTS
        for phase in fault.seen
    }
    assert PAGE.read_text(encoding="utf-8") == page(lines)


def test_every_fault_has_a_cell_that_each_run_of_the_tests_tries_or_one_like_it():
    assert all(fault.telling <= set(fault.seen) for fault in FAULTS)
    tried = {phase for fault in FAULTS for phase in fault.telling}
    assert tried == set(Phase)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_shutdown_ends_whatever_is_broken(fault):
    assert fault.seen.get(Phase.SHUTDOWN, None) in (None, *_ends(fault))


def _ends(fault):
    return [seen for seen in fault.seen.values() if seen.what == (ENDED,)]
