"""Format the cost of a turn; each model call is priced on its own."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from agy_nb.protocol.events import Usage
from agy_nb.runtime.turns.response import Response

if TYPE_CHECKING:
    from agy_nb.analysis.metrics.turn_cost import TurnPricing


async def cost_of(response: Response) -> str:
    """Return the cost of a turn's model calls in US dollars; empty if no price is known.

    Reading the price table takes half a second, so it happens in a thread.

    Args:
        response: The response of a finished turn.
    """
    pricing = response.pricing
    if pricing is None or not any(isinstance(event, Usage) for event in response.event_log):
        return ""
    return await asyncio.to_thread(_format_cost, response, pricing)


def _format_cost(response: Response, pricing: TurnPricing) -> str:
    from agy_nb.analysis.metrics.turn_cost import turn_cost

    cost = turn_cost(response, pricing)
    if cost.usd is None:
        return ""
    return f"{'at least ' if cost.is_lower_bound else ''}{dollars(cost.usd, digits=2)}"


def dollars(value: float, *, digits: int) -> str:
    """Format a price.

    Args:
        value: The price, in US dollars.
        digits: Number of significant digits for prices below a dollar.

    Example:
        >>> dollars(0.0000123, digits=2), dollars(1234.5, digits=2)
        ('$0.000012', '$1,234.50')
    """
    return f"${Decimal(f'{value:.{digits}g}'):f}" if value < 1 else f"${value:,.2f}"
