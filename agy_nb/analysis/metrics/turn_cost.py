"""The cost of turns, from their events; the same rows and prices as in the tables."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from agy_nb.analysis.live.configured_models import ConfiguredModels
from agy_nb.analysis.live.turn_fold import UNKNOWN, EventTurn, fold_turns
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.schema import UNREPORTED
from agy_nb.protocol.short_repr import short_repr

_CENT = 0.01


@dataclass(frozen=True, slots=True)
class TurnPricing:
    """How the model calls of an agent's turns are priced.

    Attributes:
        prices: The prices.
        models: Models of the agent and of its subagents.
    """

    prices: Prices
    models: ConfiguredModels = UNKNOWN

    __repr__ = short_repr


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one or more turns.

    Attributes:
        usd: US dollars, None if no call has a price.
        is_lower_bound: Whether a call has no price, or used tokens that it did not report.

    Example:
        >>> from agy_nb.analysis.metrics.turn_cost import Cost
        >>> Cost(0.0021, is_lower_bound=False), Cost(1.5, is_lower_bound=True)
        ($0.0021, at least $1.50)
    """

    usd: float | None
    is_lower_bound: bool

    def __repr__(self) -> str:
        if self.usd is None:
            return "cost unknown" if self.is_lower_bound else "no cost"
        return f"{'at least ' if self.is_lower_bound else ''}{dollars(self.usd)}"


def dollars(usd: float) -> str:
    """Format US dollars: two digits after the point, or two that matter below a cent.

    Example:
        >>> from agy_nb.analysis.metrics.turn_cost import dollars
        >>> dollars(1.5), dollars(0.023), dollars(0.00123)
        ('$1.50', '$0.02', '$0.0012')
    """
    if usd and usd < _CENT:
        return f"${Decimal(f'{usd:.2g}'):f}"
    return f"${usd:,.2f}"


def turn_cost(turn: EventTurn, pricing: TurnPricing) -> Cost:
    """Price the model calls of a turn. Reads the price table on first use, which takes 0.5 s.

    Args:
        turn: A response.
        pricing: Prices and models.
    """
    data = fold_turns([turn], models=pricing.models)["model_calls"].data
    names = tuple(data)
    usd, is_low = None, False
    for values in zip(*data.values(), strict=True):
        row: dict[str, Any] = dict(zip(names, values, strict=True))
        row["at"] = _day(row["at"])
        price = pricing.prices.of_row(row)
        if price.total is not None:
            usd = (usd or 0.0) + price.total
        is_low |= row["status"] in UNREPORTED
        is_low |= row["status"] == "metered" and price.total is None
    return Cost(usd, is_low)


def total_cost(costs: Iterable[Cost]) -> Cost:
    """Add up costs. An unknown one never counts as zero: the sum is a lower bound."""
    costs = list(costs)
    known = [cost.usd for cost in costs if cost.usd is not None]
    low = any(cost.is_lower_bound for cost in costs)
    return Cost(math.fsum(known) if known else None, low)


def _day(at: float | None) -> datetime | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
