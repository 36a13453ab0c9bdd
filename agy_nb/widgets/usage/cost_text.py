"""What a turn cost, in words: call by call, since sums are never priced."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

from agy_nb.protocol.events import Usage
from agy_nb.runtime.turns.response import Response


async def cost_of(response: Response) -> str:
    """The price of a turn's model calls in US dollars; empty where none is known.

    The price table takes half a second to read, so that this is done in a thread.

    Args:
        response: A turn that is over.
    """
    calls = [event for event in response.events if isinstance(event, Usage)]
    if not calls or response.model is None:
        return ""
    return await asyncio.to_thread(_in_words, response.model, calls)


def _in_words(model: str, calls: list[Usage]) -> str:
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
    """A price in words.

    Args:
        value: The price, in US dollars.
        digits: How many digits count below a dollar.

    Example:
        >>> dollars(0.0000123, digits=2), dollars(1234.5, digits=2)
        ('$0.000012', '$1,234.50')
    """
    return f"${Decimal(f'{value:.{digits}g}'):f}" if value < 1 else f"${value:,.2f}"
