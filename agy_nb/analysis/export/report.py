"""A report of sessions as one HTML page: totals, cost over time, outliers, tools and failures.

The page needs no network and no script, has light and dark colours, and prints well. Names, models
and messages are not trusted: each text is escaped.
"""

from __future__ import annotations

import datetime as dt
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.export.html_parts import UNKNOWN, count, money, seconds, table
from agy_nb.analysis.export.report_style import COLOURS, STYLE
from agy_nb.analysis.metrics.groups import Source, session_names
from agy_nb.analysis.metrics.usage import usage_table

if TYPE_CHECKING:
    import pandas as pd

_MOST = 10
"""Rows of a table of the page."""
_WIDTH, _HEIGHT = 860, 220
_DAYS_SHOWN = 60
"""More days than this are shown as weeks."""


def to_report(source: Source, file: Path, *, title: str, tz: str | None) -> None:
    """Write a report.

    Args:
        source: Tables.
        file: The page; replaced if it exists.
        title: Heading of the page.
        tz: Time zone of days; None for the local one.

    Raises:
        InvalidInputError: The time zone is unknown.
    """
    file.write_text(report(source, title=title, tz=tz), encoding="utf-8", errors="replace")


def report(source: Source, *, title: str, tz: str | None) -> str:
    """Return the page; see `to_report`."""
    sections = (
        ("Totals", _totals(source)),
        ("Cost over time by model", _cost(source, tz)),
        ("Most expensive turns", _outliers(source)),
        ("Slowest tools", _tools(source)),
        ("Failures", _failures(source)),
    )
    made = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    body = "".join(f"<section><h2>{name}</h2>{html}</section>" for name, html in sections)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p class='note'>{_span(source)} Made {made}.</p>"
        f"{body}</main></body></html>\n"
    )


def _span(source: Source) -> str:
    times = source.frame("turns")["started_at"].dropna()
    if not len(times):
        return ""
    return f"Turns from {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}."


def _totals(source: Source) -> str:
    usage = usage_table(source, ())
    turns = source.frame("turns")
    row = usage.iloc[0] if len(usage) else None
    failed = int(turns["status"].isin(["error", "timeout"]).sum())
    cost = money(None if row is None else row["cost_usd"])
    tokens = count(None if row is None else row["total_tokens"])
    if row is not None and row["cost_is_lower_bound"] and cost != UNKNOWN:
        cost = f"≥ {cost}"
    if row is not None and row["tokens_are_lower_bound"] and tokens != UNKNOWN:
        tokens = f"≥ {tokens}"
    cards = (
        ("Cost", cost),
        ("Tokens", tokens),
        ("Sessions", count(len(source.frame("sessions")))),
        ("Turns", count(len(turns))),
        ("Model calls", count(0 if row is None else row["n_model_calls"])),
        ("Failed turns", count(failed)),
    )
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in cards)
    note = "<p class='note'>≥: some requests reported no usage, or have no price.</p>"
    return f"<dl class='cards'>{shown}</dl>" + (note if "≥" in shown else "")


def _cost(source: Source, tz: str | None) -> str:
    usage = usage_table(source, ["day", "model"], tz).dropna(subset=["cost_usd", "day"])
    if not len(usage):
        return "<p>No model call has a price.</p>"
    period = "Day"
    days = (usage["day"].max() - usage["day"].min()).days + 1
    if days > _DAYS_SHOWN:
        usage = usage.assign(day=usage["day"] - _weekday(usage["day"]))
        period = "Week from"
    costs = usage.assign(model=usage["model"].fillna("unknown")).pivot_table(
        index="day", columns="model", values="cost_usd", aggfunc="sum", fill_value=0.0
    )
    costs = costs[costs.sum().sort_values(ascending=False).index]
    if len(costs.columns) > len(COLOURS):
        kept = costs.columns[: len(COLOURS) - 1]
        costs = costs[kept].assign(**{"other models": costs.drop(columns=kept).sum(axis=1)})
    rows = [
        [f"{day:%Y-%m-%d}", *(money(value) for value in row), money(sum(row))]
        for day, row in zip(costs.index, costs.to_numpy(dtype=float).tolist(), strict=True)
    ]
    numbers = table([period, *map(str, costs.columns), "All"], rows)
    shown = len(rows) > _MOST
    return _bars(costs) + (
        f"<details><summary>Numbers</summary>{numbers}</details>" if shown else numbers
    )


def _weekday(days: pd.Series[Any]) -> Any:
    import pandas as pd

    return pd.to_timedelta(days.dt.day_of_week, unit="D")


def _bars(costs: pd.DataFrame) -> str:
    """Return a stacked bar per period as SVG, with a legend."""
    import pandas as pd

    step = 7 if len(costs) > 1 and (costs.index.to_series().diff().min().days or 1) % 7 == 0 else 1
    every = pd.date_range(costs.index.min(), costs.index.max(), freq=f"{step}D")
    costs = costs.reindex(every, fill_value=0.0)
    top = float(costs.sum(axis=1).max()) or 1.0
    left, bottom = 70, 24
    wide = (_WIDTH - left) / len(costs)
    bar = min(48.0, wide * 0.8)
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = 10 + (_HEIGHT - bottom - 10) * (1 - share)
        parts.append(f"<line x1='{left}' x2='{_WIDTH}' y1='{y:.1f}' y2='{y:.1f}' class='grid'/>")
        parts.append(
            f"<text x='{left - 6}' y='{y + 4:.1f}' class='end'>{money(top * share)}</text>"
        )
    some = max(1, -(-len(costs) // 8))
    for number, (day, row) in enumerate(costs.iterrows()):
        x, base = left + wide * number + (wide - bar) / 2, float(_HEIGHT - bottom)
        for place, (model, value) in enumerate(row.items()):
            height = (_HEIGHT - bottom - 10) * float(value) / top
            if height <= 0:
                continue
            base -= height
            about = escape(f"{day:%Y-%m-%d}, {model}: {money(value)}")
            parts.append(
                f"<rect x='{x:.1f}' y='{base:.1f}' width='{bar:.1f}' height='{height:.1f}' "
                f"fill='{COLOURS[place]}'><title>{about}</title></rect>"
            )
        if number % some == 0:
            middle = left + wide * (number + 0.5)
            parts.append(f"<text x='{middle:.1f}' y='{_HEIGHT - 6}' class='mid'>{day:%m-%d}</text>")
    legend = "".join(
        f"<li><svg viewBox='0 0 12 12'><rect width='12' height='12' fill='{colour}'/></svg>"
        f"{escape(str(model))}</li>"
        for colour, model in zip(COLOURS, costs.columns, strict=False)
    )
    return (
        f"<svg class='chart' viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' "
        f"aria-label='Cost over time by model'>{''.join(parts)}</svg>"
        f"<ul class='legend'>{legend}</ul>"
    )


def _outliers(source: Source) -> str:
    usage = usage_table(source, "turn").dropna(subset=["cost_usd"])
    if not len(usage):
        return "<p>No turn has a price.</p>"
    names = session_names(source)
    middle = float(usage["cost_usd"].median())
    rows = [
        [
            names.get(row["session_id"], "?"), count(row["turn_id"]), money(row["cost_usd"]),
            f"{row['cost_usd'] / middle:,.1f} times" if middle else UNKNOWN,
            count(row["n_model_calls"]), count(row["total_tokens"]),
        ]
        for row in usage.nlargest(_MOST, "cost_usd").to_dict("records")
    ]  # fmt: skip
    note = f"<p class='note'>The median turn costs {money(middle)}.</p>"
    head = ["Session", "Turn", "Cost", "Of the median", "Model calls", "Tokens"]
    return note + table(head, rows, texts=1)


def _tools(source: Source) -> str:
    tools = source.frame("tool_calls")
    tools = tools.assign(
        seconds=tools["duration"].dt.total_seconds(),
        failed=tools["status"].isin(["error", "denied"]),
    )
    groups = tools.groupby("tool", observed=True)
    found = groups["seconds"].agg(["median", "max", "sum"])
    found = found.assign(calls=groups.size(), failed=groups["failed"].sum())
    found = found.sort_values("max", ascending=False).head(_MOST)
    if not len(found):
        return "<p>No tool was called.</p>"
    rows = [
        [str(tool), count(row["calls"]), count(row["failed"]),
         *(seconds(row[name]) for name in ("median", "max", "sum"))]
        for tool, row in found.iterrows()
    ]  # fmt: skip
    return table(["Tool", "Calls", "Failed", "Median", "Longest", "All"], rows, texts=1)


def _failures(source: Source) -> str:
    errors = source.frame("errors")
    problems = source.frame("problems")
    html = "<p>No errors.</p>"
    if len(errors):
        kinds = errors.assign(
            kind=errors["error_type"].fillna("without a type"), text=errors["message"].fillna("")
        )
        groups = kinds.groupby("kind")
        found = groups.agg(n=("kind", "size"), fatal=("fatal", "sum"), text=("text", "first"))
        found = found.sort_values("n", ascending=False).head(_MOST)
        rows = [
            [str(kind), str(row["text"])[:200], count(row["n"]), count(row["fatal"])]
            for kind, row in found.iterrows()
        ]
        html = table(["Error", "First message", "Times", "Ended a turn"], rows, texts=2)
    if len(problems):
        counts = problems["problem"].astype("string").value_counts().head(_MOST)
        words = [[str(word).replace("_", " "), count(n)] for word, n in counts.items()]
        html += "<h3>Problems of recordings</h3>" + table(["Problem", "Times"], words, texts=1)
    return html
