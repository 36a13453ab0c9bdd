"""The limit on what a comparison may cost."""

from __future__ import annotations

import math
from collections.abc import Iterable

from agy_nb.errors import InvalidInputError
from agy_nb.experiments.results import RunResult, cost_of


def check_limit(usd: object) -> float | None:
    """Return a limit in US dollars.

    Raises:
        InvalidInputError: It is not a number, or it is negative.
    """
    if usd is None:
        return None
    is_number = isinstance(usd, int | float) and not isinstance(usd, bool)
    limit = float(str(usd)) if is_number else math.nan
    if math.isfinite(limit) and limit >= 0:
        return limit
    msg = f"max_cost_usd must be a number of US dollars >= 0, or None, got {usd!r}"
    raise InvalidInputError(msg, field="max_cost_usd")


def why_stopped(results: Iterable[RunResult], limit: float | None) -> str:
    """Return why no other run may start; empty if one may.

    Args:
        results: The results so far.
        limit: The limit in US dollars.
    """
    if limit is None:
        return ""
    results = list(results)
    unknown = next((result for result in results if result.cost_is_lower_bound), None)
    if unknown is not None:
        return (
            f"the cost of a run of {unknown.variant!r} is not known, so max_cost_usd=${limit:g} "
            "cannot be kept: set its price with RuntimeConfig(prices=...), or omit max_cost_usd"
        )
    spent = cost_of(results).usd or 0.0
    if spent >= limit:
        return f"the runs so far cost ${spent:.6g}, which reaches max_cost_usd=${limit:g}"
    return ""
