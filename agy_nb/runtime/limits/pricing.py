"""Price model calls for a budget in US dollars. A call without a known price is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agy_nb.errors import InvalidConfigError
from agy_nb.protocol.events import Usage
from agy_nb.protocol.values import TokenUsage
from agy_nb.runtime.limits.budgets import CostOf, budget_in_dollars
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.sdk.process.executor import run_in_thread

if TYPE_CHECKING:
    from agy_nb.analysis.metrics.cost import Prices

_ONE_TOKEN = TokenUsage(input_tokens=1, output_tokens=1)


async def pricing(config: RuntimeConfig, model: str | None, agent_config: Any) -> CostOf:
    """Look up the prices of an agent's models.

    Args:
        config: The runtime's limits and its `prices`.
        model: Name of the agent's model, None if it is not known.
        agent_config: The agent's configuration, which may name other models for its subagents.

    Returns:
        A function that returns the cost of a call. The usage of a subagent does not name its
        model, so its call costs as much as with the most expensive model of the agent.

    Raises:
        InvalidConfigError: The price of a model is not known; `field` names the budget.
    """
    prices = await run_in_thread(_default_prices) if config.prices is None else config.prices
    every = [model, *(own for own in _models_of_subagents(agent_config) if own != model)]
    for each in every:
        found = await run_in_thread(prices.of, each, _ONE_TOKEN)  # loads the table, once
        if found.total is None:
            budget = budget_in_dollars(config) or ""
            raise InvalidConfigError(_why_unpriced(budget, each, found.status), field=budget)

    def cost_of(event: Usage) -> float | None:
        call = event.usage
        models = every[:1] if event.trajectory.is_root else every
        costs = [prices.of(each, call).total for each in models]
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
    table = "Install the price table with `pip install 'agy-nb[cost]'`, or set"
    return (
        f"RuntimeConfig({budget}=...) needs prices, and {what}. "
        f"{table if status == 'no_price_table' else 'Set'} the price with "
        "RuntimeConfig(prices=agy_nb.analysis.Prices(own={model: (input, cached, output)})), in "
        "US dollars per million tokens"
    )
