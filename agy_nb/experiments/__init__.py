"""Run the same prompts with several configurations: `agy.compare_runs`."""

from __future__ import annotations

from agy_nb.experiments.compare_runs import compare_runs
from agy_nb.experiments.comparison import Comparison
from agy_nb.experiments.results import RunResult

__all__ = ("Comparison", "RunResult", "compare_runs")
