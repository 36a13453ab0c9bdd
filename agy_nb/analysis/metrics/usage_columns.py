"""The columns of `usage`: keys of groups, sums of requests, and sums of tools."""

# ruff: noqa: E501 - one line per column reads as a table
from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from agy_nb.analysis.columns import (
    Column,
    boolean as _b,
    duration as _d,
    integer as _i,
    number as _f,
    string as _s,
)
from agy_nb.analysis.schema import AGENT, MODEL, REQUESTS, SESSION, TOKENS, TRAJECTORY, TURN

By: TypeAlias = Literal[
    "turn",
    "trajectory",
    "subagent",
    "agent",
    "session",
    "model",
    "hour",
    "day",
    "week",
    "month",
    "tool",
]

SESSION_NAME = _s("session_name", "Name of the recording")

USAGE_KEYS: Mapping[By, tuple[Column, ...]] = {
    "turn": (SESSION, SESSION_NAME, AGENT, TURN),
    "trajectory": (
        SESSION, SESSION_NAME, AGENT, TRAJECTORY, _s("parent_trajectory_id", "Trajectory that started it; NA for the agent itself"),
        _i("depth", "0 for the agent, 1 for its subagents"),
    ),
    "subagent": (_s("subagent", "Type of the subagent; NA for the agent itself"),),
    "agent": (SESSION, SESSION_NAME, AGENT),
    "session": (SESSION, SESSION_NAME),
    "model": (MODEL,),
    "hour": (Column("hour", "day", "Start of the hour in the requested time zone"),),
    "day": (Column("day", "day", "Day in the requested time zone"),),
    "week": (Column("week", "day", "Monday of the week in the requested time zone"),),
    "month": (Column("month", "day", "First day of the month in the requested time zone"),),
    "tool": (_s("tool", "Name of the tool"),),
}  # fmt: skip
"""Key columns of `usage(by=...)`."""

_FIRST = tuple(
    column for column in TOKENS if column.name in ("input_tokens", "output_tokens", "total_tokens")
)
"""Most questions are about these and the cost: a narrow display shows the first columns."""

USAGE: tuple[Column, ...] = (
    _i("n_model_calls", "Metered model calls"),
    *_FIRST,
    _f("cost_usd", "Price of the calls with a price; NA without any", "US dollars"),
    *(column for column in TOKENS if column not in _FIRST),
    _f("cache_hit_ratio", "`cache_read_tokens` / `input_tokens`", ""),
    _f(
        "input_cost_usd",
        "Part of `cost_usd` for prompts, with tokens of the model's own tools",
        "US dollars",
    ),
    _f("cache_read_cost_usd", "Part of `input_cost_usd` for tokens from the cache", "US dollars"),
    _f("output_cost_usd", "Part of `cost_usd` for answers", "US dollars"),
    _f("reasoning_cost_usd", "Part of `output_cost_usd` for thoughts", "US dollars"),
    _f("cache_saved_usd", "Difference to the price without a cache", "US dollars"),
    _f("failed_cost_usd", "Part of `cost_usd` in turns that failed or timed out", "US dollars"),
    _d("model_time", "Sum of the durations of the metered calls"),
    _f("tokens_per_second", "Output tokens per second of `model_time`", "tokens per second"),
    _i("n_unpriced_calls", "Metered calls without a price"),
    *REQUESTS,
    _b(
        "tokens_are_lower_bound",
        "Whether tokens were used that are not reported, or a turn is not over",
    ),
    _b("cost_is_lower_bound", "The same, or calls have no price"),
)
"""The columns of `usage(by=...)` after its key."""

TOOL_USAGE: tuple[Column, ...] = (
    _i("n_tool_calls", "Tool calls"),
    _i("n_errors", "Those that failed or were denied"),
    _d("duration", "Sum of the times that they ran"),
    _f(
        "attributed_tokens",
        "Tokens of the model calls that read their results, divided by tool; inferred from the order",
        "tokens",
    ),
    _f("attributed_cost_usd", "Their price, divided in the same way", "US dollars"),
)
"""The columns of `usage(by="tool")` after its key: an attribution, not a measurement."""
