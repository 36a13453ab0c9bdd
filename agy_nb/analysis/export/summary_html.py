"""What a notebook shows of tables: totals, and the sessions with the highest cost."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.export.html_parts import UNKNOWN, at_least, count, money, notebook_table
from agy_nb.analysis.metrics.groups import Source
from agy_nb.analysis.metrics.usage import usage_table
from agy_nb.protocol.amounts import counted

if TYPE_CHECKING:
    import pandas as pd

_MOST = 5
"""Sessions in the table."""


def summary_html(source: Source) -> str:
    """Return totals and the sessions with the highest cost as HTML, without a style of its own."""
    sessions, turns = source.frame("sessions"), source.frame("turns")
    problems = len(source.frame("problems"))
    whole = usage_table(source, ()).to_dict("records")
    total: dict[Any, Any] = whole[0] if whole else {}
    failed = int(turns["status"].isin(["error", "timeout"]).sum())
    low_tokens, low_cost = total.get("tokens_are_lower_bound"), total.get("cost_is_lower_bound")
    parts = [
        counted(len(sessions), "session"),
        counted(len(turns), "turn") + (f" ({failed:,} failed)" if failed else ""),
        counted(total.get("n_model_calls", 0), "model call"),
        f"{at_least(count(total.get('total_tokens')), low_tokens)} tokens",
        f"cost {at_least(money(total.get('cost_usd')), low_cost)}",
        _days(turns),
        counted(problems, "problem") if problems else "",
    ]
    head = " · ".join(escape(part) for part in parts if part)
    return f"<p><b>{head}</b></p>{_sessions(source) if len(sessions) else ''}"


def _sessions(source: Source) -> str:
    started = source.frame("sessions").set_index("session_id")["started_at"]
    counts = source.frame("turns").groupby("session_id").size()
    usage = usage_table(source, "session")
    order = usage.sort_values(["cost_usd", "total_tokens"], ascending=False, kind="stable")
    rows = [
        [
            str(row["session_name"]), _moment(started.get(row["session_id"])),
            count(counts.get(row["session_id"], 0)), count(row["n_model_calls"]),
            at_least(count(row["total_tokens"]), row["tokens_are_lower_bound"]),
            at_least(money(row["cost_usd"]), row["cost_is_lower_bound"]),
        ]
        for row in order.head(_MOST).to_dict("records")
    ]  # fmt: skip
    head = ["Session", "Started (UTC)", "Turns", "Model calls", "Tokens", "Cost"]
    more = len(usage) - len(rows)
    below = f"<p>{counted(more, 'more session')}; see <code>.sessions</code></p>" if more else ""
    return notebook_table(head, rows, texts=2) + below


def _days(turns: pd.DataFrame) -> str:
    times = turns["started_at"].dropna()
    if not len(times):
        return ""
    first, last = (f"{at:%Y-%m-%d}" for at in (times.min(), times.max()))
    return first if first == last else f"{first} to {last}"


def _moment(at: Any) -> str:
    return UNKNOWN if at is None or str(at) == "NaT" else f"{at:%Y-%m-%d %H:%M}"
