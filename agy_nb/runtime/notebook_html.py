"""What a notebook shows of a runtime and of an agent: totals, and a table of agents or turns."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from agy_nb.protocol.amounts import counted

if TYPE_CHECKING:
    from agy_nb.analysis import Tables
    from agy_nb.runtime.agent import Agent
    from agy_nb.runtime.runtime import Runtime

_MOST = 20
"""Rows of a table."""


def runtime_html(runtime: Runtime) -> str:
    """Return the runtime's agents with their tokens and cost."""
    tables = runtime.tables.now()
    used = _used(tables, "agent")
    turns = tables.turns.groupby("agent_id")["n_tool_calls"].agg(["size", "sum"])
    turns = turns.reindex(runtime.agent_ids, fill_value=0)
    shown = runtime.agent_ids[-_MOST:]
    rows = [
        [
            f"Agent {agent_id}", runtime.telemetry.model(agent_id) or "unknown",
            *(f"{number:,}" for number in turns.loc[agent_id]),
            *_numbers(used.get(agent_id, {})),
        ]
        for agent_id in shown
    ]  # fmt: skip
    head = ["Agent", "Model", "Turns", "Tool calls", "Model calls", "Tokens", "Cost"]
    left = len(runtime.agent_ids) - len(shown)
    return _page(
        repr(runtime)[1:-1], head, rows, f"{counted(left, 'earlier agent')}" if left else ""
    )


def agent_html(agent: Agent) -> str:
    """Return the agent's tokens and cost by turn."""
    tables = agent.tables.now()
    used = _used(tables, "turn")
    turns = tables.turns
    rows = [
        [
            f"Turn {turn['turn_id']}", str(turn["status"]), f"{turn['n_tool_calls']:,}",
            *_numbers(used.get(turn["turn_id"], {})),
        ]
        for turn in turns.tail(_MOST).to_dict("records")
    ]  # fmt: skip
    head = ["Turn", "Status", "Tool calls", "Model calls", "Tokens", "Cost"]
    total = f"{repr(agent)[1:-1]} · {agent.usage!r}"
    left = len(turns) - len(rows)
    return _page(total, head, rows, counted(left, "earlier turn") if left else "")


def _used(tables: Tables, by: str) -> dict[int, dict[Any, Any]]:
    from agy_nb.analysis.metrics.usage import usage_table

    rows = usage_table(tables, by).to_dict("records")
    return {int(row[f"{by}_id"]): row for row in rows}


def _numbers(row: dict[Any, Any]) -> list[str]:
    from agy_nb.analysis.export.html_parts import at_least, count, money

    if not row.get("n_model_calls"):
        return ["0", "0", "$0"]
    low_tokens, low_cost = row.get("tokens_are_lower_bound"), row.get("cost_is_lower_bound")
    return [
        count(row.get("n_model_calls", 0)),
        at_least(count(row.get("total_tokens")), low_tokens),
        at_least(money(row.get("cost_usd")), low_cost),
    ]


def _page(title: str, head: list[str], rows: list[list[str]], below: str) -> str:
    from agy_nb.analysis.export.html_parts import notebook_table

    table = notebook_table(head, rows, texts=2) if rows else ""
    return f"<p>{escape(title)}</p>{table}{f'<p>{escape(below)}</p>' if below else ''}"
