"""Render the table, the chart and the context size of usage as HTML.

All sums come from `tables.usage`. An unknown value is shown as unknown, never as 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from agy_nb.protocol.amounts import counted
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.response.html_values import SortOrder, sort_head
from agy_nb.widgets.usage.cost_text import dollars

if TYPE_CHECKING:
    import pandas as pd

    from agy_nb.analysis.metrics.cost import Prices
    from agy_nb.analysis.tables import Tables

Grouping: TypeAlias = Literal["agent", "turn", "model", "trajectory"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)

READ = ("sessions", "agents", "trajectories", "turns", "model_calls")
"""The tables that the view needs."""

LONGEST = 200
"""Maximum number of rows that are shown; the DataFrame has all."""

_BARS = 60
_UNKNOWN = "<span class='agy-dim'>unknown</span>"


class TableColumn(NamedTuple):
    """A column of the view: its name in the table, and its title."""

    name: str
    title: str


COLUMNS = (
    TableColumn("n_model_calls", "Calls"),
    TableColumn("input_tokens", "Input"),
    TableColumn("cache_read_tokens", "Cached"),
    TableColumn("output_tokens", "Output"),
    TableColumn("reasoning_tokens", "Thinking"),
    TableColumn("total_tokens", "Tokens"),
    TableColumn("cost_usd", "Cost"),
)
_KEYS: Mapping[Grouping, tuple[TableColumn, ...]] = {
    "agent": (TableColumn("agent_id", "Agent"),),
    "turn": (TableColumn("turn_id", "Turn"), TableColumn("agent_id", "Agent")),
    "model": (TableColumn("model", "Model"),),
    "trajectory": (
        TableColumn("trajectory_id", "Trajectory"),
        TableColumn("agent_id", "Agent"),
        TableColumn("depth", "Depth"),
    ),
}


class Context(NamedTuple):
    """The size of an agent's context at its latest model call.

    Attributes:
        agent_id: The agent.
        model: The model, None if unknown.
        tokens: Input tokens of the call.
        limit: The model's context window in tokens, None if unknown.
    """

    agent_id: int
    model: str | None
    tokens: int
    limit: int | None


class UsageData(NamedTuple):
    """What there is to show.

    Attributes:
        frames: The sums by grouping, of those that were asked for; always by turn.
        total: The sums of all, None before the first agent.
        contexts: One an agent that has called its model.
        unpriced: Why calls have no price, in the words of `cost_status`, with their models.
    """

    sums: Mapping[Grouping, pd.DataFrame]
    total: Any
    contexts: tuple[Context, ...]
    unpriced: tuple[tuple[str, str], ...]


def materialize(tables: Tables) -> Tables:
    """Build and price the tables once, so that several sums take little longer than one."""
    from agy_nb.analysis.tables import Tables

    frames = {name: tables.frame(name) for name in READ}
    return Tables(frames.__getitem__)


def read_usage(
    tables: Tables, by: Iterable[Grouping] = GROUPINGS, prices: Prices | None = None
) -> UsageData:
    """Read usage from tables; takes some hundredths of a second.

    Args:
        tables: Tables with at least those named in `READ`.
        by: The groupings to sum up.
        prices: Looks up the context windows of models.
    """
    from agy_nb.analysis.metrics.usage import usage_table

    sums = {each: usage_table(tables, each) for each in {*by, "turn"}}
    totals = usage_table(tables, [])
    calls = tables.model_calls
    free = calls[calls["cost_usd"].isna() & calls["status"].eq("metered")][
        ["cost_status", "model"]
    ].drop_duplicates()
    return UsageData(
        sums=sums,
        total=None if tables.agents.empty or totals.empty else totals.iloc[0],
        contexts=tuple(_contexts(calls, prices)),
        unpriced=tuple(
            (str(status), "" if _na(model) else str(model))
            for status, model in free.itertuples(index=False)
        ),
    )


def _contexts(calls: pd.DataFrame, prices: Prices | None) -> Iterable[Context]:
    own = calls[calls["depth"].eq(0)].dropna(subset=["input_tokens"])
    latest = own.sort_values("call_index").drop_duplicates("agent_id", keep="last")
    for row in latest.sort_values("agent_id").itertuples():
        model = None if _na(row.model) else str(row.model)
        limit = None if prices is None else prices.context_window(model)
        yield Context(int(row.agent_id), model, int(row.input_tokens), limit)  # type: ignore[arg-type]  # pandas


def _na(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


# -- the table -------------------------------------------------------------------------------------


def columns(by: Grouping) -> tuple[TableColumn, ...]:
    """Return the columns of a grouping."""
    return (*_KEYS[by], *COLUMNS)


def table(usage: UsageData, by: Grouping, order: SortOrder | None = None) -> str:
    """Render the sums as a table.

    Args:
        usage: The usage to show.
        by: The grouping.
        order: The sort order, with column heads to click; None for a static table.
    """
    frame = usage.sums[by]
    if order is not None and order.column in frame:
        frame = frame.sort_values(
            order.column, ascending=not order.descending, na_position="last", kind="stable"
        )
    shown = columns(by)
    head = "".join(_head(column, order) for column in shown)
    # Rows may be many: only those that are shown are looked at one by one.
    rows = "".join(_row(row, by, shown) for row in frame.head(LONGEST).to_dict("records"))
    total = "" if usage.total is None else _total(usage.total, by)
    more = len(frame) - LONGEST
    words = f"{counted(more, 'more row')} in the DataFrame"
    tail = f"<p class='agy-dim'>{words}.</p>" if more > 0 else ""
    return (
        f"<table class='agy-usage-table' tabindex='0'><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody><tfoot>{total}</tfoot></table>{tail}"
    )


def _head(column: TableColumn, order: SortOrder | None) -> str:
    right = " class='agy-r'" if column in COLUMNS else ""
    if order is None:
        return f"<th scope='col'{right}>{column.title}</th>"
    return sort_head(column.name, column.title, order, right)


def _row(row: Mapping[Any, Any], by: Grouping, shown: Iterable[TableColumn]) -> str:
    cells = []
    for column in shown:
        if column in _KEYS[by]:
            cells.append(f"<th scope='row'>{_key(column.name, row[column.name])}</th>")
        else:
            cells.append(f"<td>{_figure(column.name, row)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _key(name: str, value: Any) -> str:
    if _na(value):
        return "between turns" if name == "turn_id" else _UNKNOWN
    if name == "depth":
        return "agent" if not value else f"subagent, depth {value}"
    if name == "trajectory_id":
        return f"<code title='{escape(str(value))}'>{escape(str(value)[:8])}</code>"
    return escape(str(value))


def _total(total: Any, by: Grouping) -> str:
    cells = "".join(f"<td>{_figure(column.name, total)}</td>" for column in COLUMNS)
    return f"<tr><th scope='row' colspan='{len(_KEYS[by])}'>Total</th>{cells}</tr>"


def _figure(name: str, row: Any) -> str:
    value = row[name]
    if name != "n_model_calls" and not row["n_model_calls"] and not row["n_usage_unknown"]:
        return "-"
    if name == "cost_usd":
        return cost(value, at_least=bool(row["cost_is_lower_bound"]))
    if _na(value):
        return _UNKNOWN
    low = name != "n_model_calls" and bool(row["tokens_are_lower_bound"])
    return f"{'≥ ' if low else ''}{int(value):,}"


def cost(value: Any, *, at_least: bool) -> str:
    """Format a price.

    Example:
        >>> cost(0.0123456, at_least=True), cost(12.5, at_least=False)
        ('≥ $0.01235', '$12.50')
    """
    if value is None or _na(value):
        return _UNKNOWN
    return f"{'≥ ' if at_least else ''}{dollars(value, digits=4)}"


# -- notes, contexts and chart -------------------------------------------------------------------

_WHY = {
    "unknown_model": "no price for {model}",
    "unknown_tier": "no price for the service tier of {model}",
    "invalid_usage": "{model} reported usage that cannot be priced",
    "no_price_table": "no price table for {model}; install agy_nb[cost]",
}


def notes(usage: UsageData) -> str:
    """Render notes on missing tokens and prices; empty if there are none."""
    total, said = usage.total, []
    if total is None:
        return "<p>No usage yet.</p>"
    if total["n_usage_unknown"]:
        calls = counted(int(total["n_usage_unknown"]), "request")
        said.append(f"Tokens unknown for {calls} that did not report them.")
    for status, model in usage.unpriced:
        why = _WHY.get(status, f"{status} ({{model}})")
        named = escape(model) or "a model without a name"
        said.append(f"Cost incomplete: {why.format(model=named)}.")
    return "".join(f"<p class='agy-dim'>{line}</p>" for line in said)


def contexts(usage: UsageData) -> str:
    """Render the context sizes at the latest model calls."""
    return "".join(map(_context, usage.contexts[-_MOST_CONTEXTS:]))


_MOST_CONTEXTS = 12


def _context(context: Context) -> str:
    model = escape(context.model or "unknown model")
    who = f"Agent {context.agent_id} context: {context.tokens:,}"
    if context.limit is None:
        return f"<p class='agy-context'>{who} tokens (limit of {model} unknown)</p>"
    share = context.tokens / context.limit
    words = f"{who} of {context.limit:,} tokens ({share:.1%}, {model})"
    return (
        f"<p class='agy-context'>{words} "
        f"<meter min='0' max='1' high='0.8' value='{min(share, 1):.4f}' aria-label='{words}'>"
        "</meter></p>"
    )


_PARTS = (
    ("uncached_input_tokens", "input", "in"),
    ("cache_read_tokens", "cached input", "cached"),
    ("output_tokens", "output", "out"),
)
_HEIGHT, _ROOM, _AXIS, _BELOW = 90, 8, 44, 18
_WIDTH, _WIDEST = 520, 32


def _compact(count: int) -> str:
    """Format a number of tokens for an axis.

    Example:
        >>> _compact(950), _compact(12_400), _compact(3_000_000)
        ('950', '12.4k', '3M')
    """
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + unit
    return str(count)


def chart(usage: UsageData) -> str:
    """Render the tokens of the latest turns as an SVG bar chart; empty before the first turn."""
    turns = usage.sums["turn"].dropna(subset=["turn_id", "total_tokens"]).tail(_BARS)
    if turns.empty:
        return ""
    top = max(1, int(turns["total_tokens"].max()))
    step = min(_WIDEST, _WIDTH // len(turns))
    rows = turns.to_dict("records")
    bars = "".join(_bar(_AXIS + place * step, step, row, top) for place, row in enumerate(rows))
    width = _AXIS + len(turns) * step + _ROOM
    floor = _HEIGHT + _ROOM
    named = {0: rows[0], len(rows) - 1: rows[-1]}
    axis = "".join(
        f"<text x='{_AXIS + place * step + step / 2:.0f}' y='{floor + 14}' text-anchor='middle'>"
        f"{escape(str(row['turn_id']))}</text>"
        for place, row in named.items()
    )
    axis += "".join(
        f"<line x1='{_AXIS - 4}' x2='{width}' y1='{y}' y2='{y}'/>"
        f"<text x='{_AXIS - 8}' y='{y + 4}' text-anchor='end'>{label}</text>"
        for y, label in ((_ROOM, _compact(top)), (floor, "0"))
    )
    latest = f", last {len(turns)} turns" if len(turns) == _BARS else ""
    words = f"Tokens per turn{latest} (max {top:,})"
    legend = "".join(
        f"<span class='agy-fact'><span class='agy-swatch agy-bar-{kind}'></span> "
        f"{word.capitalize()}</span>"
        for _, word, kind in _PARTS
    )
    return (
        f"<svg class='agy-chart' role='img' aria-label='{words}' width='{width}' "
        f"height='{floor + _BELOW}' viewBox='0 0 {width} {floor + _BELOW}'>{axis}{bars}</svg>"
        f"<div class='agy-dim'>{words} {legend}</div>"
    )


def _bar(x: int, step: int, row: Mapping[Any, Any], top: int) -> str:
    parts, at = [], float(_HEIGHT + _ROOM)
    said = [f"turn {row['turn_id']}"]
    for name, word, kind in _PARTS:
        value = row[name]
        if kind == "in" and _na(value):  # what of it was cached is not known
            value = row["input_tokens"]
        if _na(value):
            continue
        height = _HEIGHT * int(value) / top
        at -= height
        said.append(f"{int(value):,} {word}")
        parts.append(
            f"<rect class='agy-bar-{kind}' x='{x + step // 8}' y='{at:.1f}' "
            f"width='{max(step - step // 4, 2)}' height='{height:.1f}'/>"
        )
    return f"<g><title>{', '.join(said)}</title>{''.join(parts)}</g>"
