"""How a budget in US dollars prices a model call; it fails closed where a price is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agy_nb.errors import InvalidConfigError
from agy_nb.protocol.events import Usage
from agy_nb.runtime.limits.budgets import CostOf, budget_in_dollars
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.sdk.process.executor import off_loop

if TYPE_CHECKING:
    from agy_nb.analysis.metrics.cost import Prices


async def pricing(config: RuntimeConfig, model: str | None, agent_config: Any) -> CostOf:
    """Find out what an agent's model calls cost.

    Args:
        config: The runtime's limits and its `prices`.
        model: Name of the agent's model, None where it is not known.
        agent_config: What the agent was made of: its subagents may have models of their own.

    Returns:
        What prices a call. The usage of a subagent does not name its model: its call costs what the
        dearest of the agent's and its subagents' models costs.

    Raises:
        InvalidConfigError: The price of a model is not known; `field` names the budget.
    """
    prices = await off_loop(_default_prices) if config.prices is None else config.prices
    every = [model, *(own for own in _models_of_subagents(agent_config) if own != model)]
    for each in every:
        found = await off_loop(prices.of, each, None, None, 1, 0, 1)  # loads the table, once
        if found.total is None:
            budget = budget_in_dollars(config) or ""
            raise InvalidConfigError(_why_unpriced(budget, each, found.status), field=budget)

    def cost_of(event: Usage) -> float | None:
        call = event.usage
        models = every[:1] if event.trajectory.is_root else every
        costs = [
            prices.of(
                each,
                call.service_tier,
                None,
                call.input_tokens,
                call.cache_read_tokens,
                call.output_tokens,
            ).total
            for each in models
        ]
        known = [cost for cost in costs if cost is not None]
        return max(known) if len(known) == len(costs) else None

    return cost_of


def _default_prices() -> Prices:
    from agy_nb.analysis.metrics.cost import Prices

    return Prices()


def _models_of_subagents(agent_config: Any) -> list[str]:
    named = (
        agent_config.get("subagents")
        if isinstance(agent_config, Mapping)
        else getattr(agent_config, "subagents", None)
    )
    models = [
        each.get("model") if isinstance(each, Mapping) else getattr(each, "model", None)
        for each in named or ()
    ]
    return [each for each in models if isinstance(each, str)]


def _why_unpriced(budget: str, model: str | None, status: str) -> str:
    what = f"the price of {model!r} is not known" if model else "the model's name is not known"
    table = (
        "install the table with `pip install 'agy-nb[cost]'`, or "
        if status == ("no_price_table")
        else ""
    )
    return (
        f"RuntimeConfig({budget}=...) cannot be kept: {what}; {table}name its price with "
        "RuntimeConfig(prices=agy_nb.analysis.Prices(own={model: (input, cached, output)})), in "
        "US dollars per million tokens"
    )
