"""The result of a run, and the tables of all results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, variance
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.builders.dataframes import build
from agy_nb.analysis.columns import (
    Column,
    boolean as _b,
    duration as _d,
    integer as _i,
    number as _f,
    string as _s,
)
from agy_nb.analysis.metrics.compare import margin
from agy_nb.analysis.metrics.turn_cost import Cost, total_cost
from agy_nb.assertions.expected_calls import call_text
from agy_nb.assertions.observation import ObservedCall

if TYPE_CHECKING:
    import pandas as pd

    from agy_nb.runtime.turns.response import (
        Response,  # noqa: TC004 - an annotation only
    )

NOT_RUN = "not run"
"""Status of a run that did not start, or that was interrupted."""

RUNNING, WAITING = "running", "waits for its turn"
"""Reasons of runs without a result while a comparison runs."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of one run.

    Attributes:
        variant: Name of the variant.
        repeat: Number of the repetition, from 1.
        prompt_index: Place of the prompt in the list, from 0.
        prompt: Text of the prompt.
        status: `"ok"`, `"error"`, `"timeout"`, `"cancelled"` or `"denied"` as in the table `turns`,
            or `"not run"`.
        answer: The answer, also an incomplete one; None if the agent did not start.
        calls: The tool calls.
        tokens: Tokens of all model calls, None if unknown.
        cost_usd: US dollars, None if no model call has a price.
        cost_is_lower_bound: Whether a model call has no price, or did not report its tokens.
        duration: From the prompt to the end, in seconds.
        ttft: From the prompt to the first piece of the answer, in seconds.
        error: The error, or why the run did not start; empty otherwise.
        from_folder: Whether an earlier session ran it.
        response: The turn, for `agy.expect`; None if the run has none, or comes from a folder.
    """

    variant: str
    repeat: int
    prompt_index: int
    prompt: str
    status: str = NOT_RUN
    answer: str | None = None
    calls: tuple[ObservedCall, ...] = ()
    tokens: int | None = None
    cost_usd: float | None = None
    cost_is_lower_bound: bool = False
    duration: float | None = None
    ttft: float | None = None
    error: str = ""
    from_folder: bool = False
    response: Response | None = field(default=None, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the turn ended normally."""
        return self.status == "ok"


def cost_of(results: Iterable[RunResult]) -> Cost:
    """Add up what runs cost."""
    return total_cost(Cost(result.cost_usd, result.cost_is_lower_bound) for result in results)


RUNS: tuple[Column, ...] = (
    _s("variant", "Name of the variant"),
    _i("repeat", "Number of the repetition, from 1"),
    _s("prompt", "Text of the prompt"),
    _s("answer", "The answer"),
    _s("tool_calls", "Tool calls with their arguments, one per line"),
    _i("n_tool_calls", "Tool calls"),
    _i("tokens", "Input and output of all model calls", "tokens"),
    _f("cost_usd", "Price of the model calls that have one", "US dollars"),
    _b("cost_is_lower_bound", "Whether a call has no price or reported no tokens"),
    _d("duration", "From the prompt to the end"),
    _d("ttft", "From the prompt to the first piece of the answer"),
    _s("status", "`ok`, `error`, `timeout`, `cancelled`, `denied` or `not run`"),
    _s("error", "The error, or why the run did not start"),
)
"""Columns of `Comparison.table`."""


def table(results: Sequence[RunResult]) -> pd.DataFrame:
    """Return one row per run."""
    data: dict[str, list[Any]] = {column.name: [] for column in RUNS}
    for result in results:
        ran = result.answer is not None
        row = {
            "tool_calls": calls_text(result.calls) if ran else None,
            "n_tool_calls": len(result.calls) if ran else None,
            "cost_is_lower_bound": result.cost_is_lower_bound if ran else None,
            "error": result.error or None,
        }
        for name, column in data.items():
            column.append(row[name] if name in row else getattr(result, name))
    return build(RUNS, data)


def calls_text(calls: Iterable[ObservedCall]) -> str:
    """Return tool calls as text, one per line."""
    return "\n".join(call_text(call.tool, call.args) for call in calls)


_FIGURES = (
    ("tokens", "Tokens per run", "tokens"),
    ("cost_usd", "Cost per run", "US dollars"),
    ("n_tool_calls", "Tool calls per run", "calls"),
    ("duration", "From the prompt to the end", "seconds"),
    ("ttft", "From the prompt to the first piece", "seconds"),
)
_PARTS = (("mean", "mean"), ("low", "lower end of a 95% interval"), ("high", "upper end of it"))

SUMMARY: tuple[Column, ...] = (
    _s("variant", "Name of the variant"),
    _i("n_runs", "Planned runs"),
    _i("n_ok", "Runs that ended normally"),
    _i("n_errors", "Runs that failed, timed out, or were cancelled or denied"),
    _i("n_not_run", "Runs that did not start, or were interrupted"),
    _f("cost_usd", "Sum of the known costs, also of failed runs", "US dollars"),
    _b("cost_is_lower_bound", "Whether a cost is unknown"),
    *(
        _f(f"{name}_{part}", f"{meaning}: {words}", unit)
        for name, meaning, unit in _FIGURES
        for part, words in _PARTS
    ),
)
"""Columns of `Comparison.summary`."""


def summary(results: Sequence[RunResult]) -> pd.DataFrame:
    """Return one row per variant. Means are of runs that ended normally."""
    by_variant: dict[str, list[RunResult]] = {}
    for result in results:
        by_variant.setdefault(result.variant, []).append(result)
    rows = [_summed_up(name, runs) for name, runs in by_variant.items()]
    return build(SUMMARY, {column.name: [row[column.name] for row in rows] for column in SUMMARY})


def _summed_up(name: str, runs: Sequence[RunResult]) -> dict[str, Any]:
    cost = cost_of(runs)
    n_ok = sum(run.ok for run in runs)
    n_not_run = sum(run.status == NOT_RUN for run in runs)
    row: dict[str, Any] = {
        "variant": name,
        "n_runs": len(runs),
        "n_ok": n_ok,
        "n_errors": len(runs) - n_ok - n_not_run,
        "n_not_run": n_not_run,
        "cost_usd": cost.usd,
        "cost_is_lower_bound": cost.is_lower_bound,
    }
    for figure, _, _ in _FIGURES:
        values = [_figure(run, figure) for run in runs if run.ok]
        known = [float(value) for value in values if value is not None]
        mean = fmean(known) if known else None
        row[f"{figure}_mean"] = mean
        enough = mean is not None and len(known) > 1
        side = margin((variance(known), len(known))) if enough else None
        row[f"{figure}_low"] = None if mean is None or side is None else mean - side
        row[f"{figure}_high"] = None if mean is None or side is None else mean + side
    return row


def _figure(run: RunResult, figure: str) -> float | None:
    if figure == "n_tool_calls":
        return len(run.calls)
    if figure == "cost_usd" and run.cost_is_lower_bound:
        return None
    value: float | None = getattr(run, figure)
    return value
