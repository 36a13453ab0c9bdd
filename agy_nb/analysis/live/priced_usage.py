"""Token usage together with its cost: `agent.usage` and `response.usage`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.schema import UNREPORTED
from agy_nb.protocol.amounts import tokens_text
from agy_nb.protocol.short_repr import html_table
from agy_nb.protocol.values import TokenUsage

if TYPE_CHECKING:
    import pandas as pd

    from agy_nb.analysis.metrics.turn_cost import Cost
    from agy_nb.analysis.tables import Tables


class PricedUsage(TokenUsage):
    """Token usage that also knows its cost. It equals the `TokenUsage` with the same tokens.

    Example:
        >>> from agy_nb.analysis.live.priced_usage import PricedUsage
        >>> from agy_nb.analysis.metrics.turn_cost import Cost
        >>> from agy_nb.protocol.values import TokenUsage
        >>> usage = TokenUsage(input_tokens=1200, output_tokens=34)
        >>> PricedUsage.of(usage, lambda: Cost(0.0021, is_lower_bound=False))
        1,234 tokens, $0.0021
    """

    __slots__ = ("_cost",)
    _cost: Callable[[], Cost]

    @classmethod
    def of(cls, usage: TokenUsage, cost: Callable[[], Cost]) -> PricedUsage:
        """Add a cost to token usage.

        Args:
            usage: The tokens.
            cost: Returns the cost; called when it is needed, because the price table is slow to
                read.
        """
        new = cls(**{field.name: getattr(usage, field.name) for field in fields(usage)})
        object.__setattr__(new, "_cost", cost)
        return new

    @property
    def cost(self) -> Cost:
        """The cost of these tokens."""
        from agy_nb.analysis.metrics.turn_cost import Cost

        known = getattr(self, "_cost", None)  # `dataclasses.replace` copies only the tokens
        return Cost(None, is_lower_bound=True) if known is None else known()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenUsage):
            return NotImplemented
        return astuple(self) == astuple(other)

    def __hash__(self) -> int:
        return hash(astuple(self))

    def _repr_html_(self) -> str:
        """Show the counts and the cost in a notebook."""
        return html_table((), [*self.counts(), ("Cost", repr(self.cost))])

    def __repr__(self) -> str:
        return f"{tokens_text(self.n_tokens)}, {self.cost}"


def usage_of_tables(tables: Tables) -> PricedUsage:
    """Add up the tokens and the cost of all model calls in some tables.

    Args:
        tables: The tables of an agent.
    """
    from agy_nb.analysis.metrics.turn_cost import Cost

    calls = tables.frame("model_calls")
    if calls.empty:
        none = TokenUsage(input_tokens=0, output_tokens=0, total_tokens=0)
        return PricedUsage.of(none, lambda: Cost(None, is_lower_bound=False))
    names = [field.name for field in fields(TokenUsage) if field.name.endswith("_tokens")]
    sums = calls[[*names, "cost_usd"]].sum(min_count=1).astype(object)
    known = {str(name): value for name, value in sums[sums.notna()].items()}
    usd: float | None = known.pop("cost_usd", None)
    is_low = bool((calls["status"].isin(UNREPORTED) | _has_no_price(calls)).any())
    counts: dict[str, Any] = {name: int(count) for name, count in known.items()}
    return PricedUsage.of(TokenUsage(**counts), lambda: Cost(usd, is_low))


def _has_no_price(calls: pd.DataFrame) -> pd.Series[bool]:
    return calls["status"].eq("metered") & calls["cost_usd"].isna()
