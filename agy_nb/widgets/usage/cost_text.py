"""Format the cost of a turn; each model call is priced on its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

from agy_nb.protocol.events import Usage
from agy_nb.runtime.turns.response import Response


async def cost_of(response: Response) -> str:
    """Return the cost of a turn's model calls in US dollars; empty if no price is known.

    Reading the price table takes half a second, so it happens in a thread.

    Args:
        response: The response of a finished turn.
    """
    calls = [event for event in response.events if isinstance(event, Usage)]
    if not calls or response.model is None:
        return ""
    return await asyncio.to_thread(_format_cost, response.model, calls)


def _format_cost(model: str, calls: list[Usage]) -> str:
    from agy_nb.analysis.metrics.cost import Prices

    prices = Prices()
    known, unknown = 0.0, 0
    for call in calls:
        day = datetime.fromtimestamp(call.at, UTC).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        usage = call.usage
        price = prices.of(
            model,
            usage.service_tier,
            day,
            usage.input_tokens,
            usage.cache_read_tokens,
            usage.output_tokens,
        )
        if price.total is None:
            unknown += 1
        else:
            known += price.total
    if unknown == len(calls):
        return ""
    return f"{'at least ' if unknown else ''}{dollars(known, digits=2)}"


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
