"""Read the result of a run from its turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.live.turn_fold import fold_turns
from agy_nb.analysis.metrics.turn_cost import Cost, turn_cost
from agy_nb.assertions.observe import cost_of, observe
from agy_nb.experiments.plan import PlannedRun
from agy_nb.experiments.results import RunResult

if TYPE_CHECKING:
    from agy_nb.analysis.tables import Tables
    from agy_nb.runtime.turns.response import Response


def not_run(run: PlannedRun, why: str) -> RunResult:
    """Return the row of a run that did not start.

    Args:
        run: The run.
        why: The reason.
    """
    return _row(run, error=why)


def not_started(run: PlannedRun, error: BaseException) -> RunResult:
    """Return the row of a run whose agent did not start, or did not take the prompt.

    Args:
        run: The run.
        error: The error.
    """
    return _row(run, status="error", error=_words(error))


def read_turn(run: PlannedRun, response: Response) -> RunResult:
    """Read a turn that is over. Reads the price table on first use, which takes 0.5 s.

    Args:
        run: The run.
        response: Its turn.
    """
    seen = observe(response)
    turns = fold_turns([response])["turns"].data
    pricing = response.pricing
    cost = Cost(None, is_lower_bound=True) if pricing is None else turn_cost(response, pricing)
    tokens = seen.tokens
    return _row(
        run,
        status=turns["status"][0] or "error",
        answer=response.partial_text,
        calls=seen.calls,
        tokens=None if tokens.amount is None or tokens.is_lower_bound else int(tokens.amount),
        cost_usd=cost.usd,
        cost_is_lower_bound=cost.is_lower_bound,
        duration=turns["duration"][0],
        ttft=turns["ttft"][0],
        error="" if response.error is None else _words(response.error),
        response=response,
    )


def with_facts(result: RunResult, tables: Tables, turn_id: int) -> RunResult:
    """Return a result with the status, the calls, the tokens and the times that tables have.

    Args:
        result: The result.
        tables: The tables, which may not have the turn.
        turn_id: Number of the turn.
    """
    turns = tables.frame("turns")
    found = turns[turns["turn_id"] == turn_id]
    if not turn_id or found.empty:
        return result
    row = found.iloc[-1]
    known = row.notna()
    seen, spent = observe(tables, turn=turn_id), cost_of(tables, turn=turn_id)
    tokens = seen.tokens
    return replace(
        result,
        status=row["status"] if known["status"] else "error",
        calls=tuple(call for call in seen.calls if not call.is_subagents),
        tokens=None if tokens.amount is None or tokens.is_lower_bound else int(tokens.amount),
        cost_usd=spent.amount,
        cost_is_lower_bound=spent.is_lower_bound,
        duration=row["duration"].total_seconds() if known["duration"] else None,
        ttft=row["ttft"].total_seconds() if known["ttft"] else None,
        error=row["error_type"] if known["error_type"] else "",
    )


def _row(run: PlannedRun, **more: Any) -> RunResult:
    return RunResult(run.variant, run.repeat, run.prompt_index, run.prompt.text, **more)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
