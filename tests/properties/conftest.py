"""How much is explored, and the count of it in pytest's summary.

AGY_SOAK=1 (`make soak`) explores a hundred times as much. AGY_MUTANT (`make mutants`) looks for a
failure and does not make it small; "quick" looks only where events land one at a time.
"""

import os
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, settings

SOAK = bool(os.environ.get("AGY_SOAK"))
MUTANT = os.environ.get("AGY_MUTANT", "")
CI = bool(os.environ.get("CI"))
COUNT = "schedules"


@dataclass(frozen=True)
class Effort:
    """How much to explore.

    `early` events may land while there is other work; `most` schedules of a scenario and mode;
    `examples` of hypothesis; `steps` of a state machine.
    """

    early: int
    most: int
    shuffled: int
    examples: int
    steps: int


EFFORT = Effort(early=1, most=5_000, shuffled=15, examples=60, steps=40)
if SOAK:
    EFFORT = Effort(early=3, most=20_000, shuffled=1_500, examples=2_000, steps=80)
elif MUTANT == "quick":
    EFFORT = Effort(early=0, most=5_000, shuffled=0, examples=25, steps=40)
elif MUTANT:
    EFFORT = Effort(early=1, most=5_000, shuffled=1, examples=100, steps=40)

settings.register_profile(
    "properties",
    max_examples=EFFORT.examples,
    stateful_step_count=EFFORT.steps,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    derandomize=bool(MUTANT),
    database=None,
    report_multiple_bugs=False,
    # To make a failing example small takes minutes: not where the report is waited for.
    phases=[Phase.generate] if MUTANT or CI else [Phase.generate, Phase.shrink],
)
PROFILE = settings.get_profile("properties")


@pytest.fixture
def counted(record_property):
    """Call it with a number of schedules: the summary adds them up."""

    def count(schedules: int) -> None:
        record_property(COUNT, schedules)

    return count


def pytest_terminal_summary(terminalreporter):
    counts = [
        number
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, number in report.user_properties
        if name == COUNT
    ]
    if counts:
        terminalreporter.write_line(f"{sum(counts):,} schedules explored in {len(counts)} tests")
