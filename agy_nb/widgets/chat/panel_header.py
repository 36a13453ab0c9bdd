"""What the top of a chat panel shows: the agent, its context and its cost so far."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agy_nb.cassette import echo_model
from agy_nb.protocol.events import Usage
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.turns.response import Response
from agy_nb.terminal import revealed
from agy_nb.widgets.usage.cost_text import dollars

_LONGEST_NAME = 60
_MOST_TOOLS = 100


def about(agent: Agent) -> dict[str, Any]:
    """Return the name, the model, the tools and example prompts of an agent.

    Args:
        agent: The agent; one that was shut down has no tools.
    """
    model = agent.runtime.telemetry.pricing(agent.id).models.model or ""
    known = agent.available_tools() if agent.is_started else ()
    tools = sorted(known, key=lambda tool: tool.source == "builtin")[:_MOST_TOOLS]
    own = [_shown(tool.name) for tool in tools if tool.source != "builtin"]
    return {
        "name": f"Agent {agent.id}",
        "model": _shown(Path(model).name),
        "tools": [_shown(tool.name) for tool in tools],
        "examples": _examples(own, model),
    }


def _examples(tools: Sequence[str], model: str) -> list[str]:
    if model == echo_model.NAME:  # it would only repeat a question
        from agy_nb.testing.echo_prompts import EXAMPLES

        return [*(f"Call {tool} for Paris" for tool in tools[:1]), *EXAMPLES]
    if tools:
        return [f"Show me what {tools[0]} does.", "What can you do with your tools?"]
    return ["What can you help me with?", "Which files are in this folder?"]


def _shown(name: str) -> str:
    return revealed(name, exact=True)[:_LONGEST_NAME]


async def used(responses: Sequence[Response]) -> dict[str, Any]:
    """Return how full the context is and what the turns cost so far, as far as they are known.

    Reading the price table takes half a second, so it happens in a thread.

    Args:
        responses: The finished turns of one agent.
    """
    priced = [each for each in responses if each.pricing is not None]
    return await asyncio.to_thread(_used, priced) if priced else {}


def _used(responses: Sequence[Response]) -> dict[str, Any]:
    from agy_nb.analysis.metrics.turn_cost import turn_cost

    costs = [turn_cost(each, each.pricing) for each in responses if each.pricing is not None]
    found: dict[str, Any] = {}
    known = [cost.usd for cost in costs if cost.usd is not None]
    if known:
        is_low = len(known) < len(costs) or any(cost.is_lower_bound for cost in costs)
        found["cost"] = ("at least " if is_low else "") + dollars(sum(known), digits=2)
    return found | _context(responses[-1])


def _context(response: Response) -> dict[str, Any]:
    calls = [
        event.usage
        for event in response.event_log
        if isinstance(event, Usage) and event.trajectory.is_root
    ]
    pricing = response.pricing
    if not calls or pricing is None:
        return {}
    tokens = (calls[-1].input_tokens or 0) + (calls[-1].output_tokens or 0)
    limit = pricing.prices.context_window(pricing.models.model)
    if not limit or not tokens:
        return {}
    return {"share": tokens / limit, "context": f"{tokens:,} of {limit:,} tokens"}
