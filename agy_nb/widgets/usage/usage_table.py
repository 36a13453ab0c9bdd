"""Read usage from tables, and render its table as HTML.

All sums come from `tables.usage`. An unknown value is shown as unknown, never as 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from agy_nb.analysis.metrics.groups import session_names, sorted_groups
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

UNKNOWN = "<span class='agy-dim'>unknown</span>"


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
_SESSION = TableColumn("session_name", "Session")
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
        session: The name of the agent's session, empty if there is only one.
    """

    agent_id: int
    model: str | None
    tokens: int
    limit: int | None
    session: str = ""


class UsageData(NamedTuple):
    """What there is to show.

    Attributes:
        sums: The sums by grouping, of those that were asked for; always by turn.
        total: The sums of all, None before the first agent.
        contexts: One per agent that has called its model.
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
        contexts=tuple(_contexts(tables, calls, prices)),
        unpriced=tuple(
            (str(status), "" if is_unknown(model) else str(model))
            for status, model in free.itertuples(index=False)
        ),
    )


def _contexts(tables: Tables, calls: pd.DataFrame, prices: Prices | None) -> Iterator[Context]:
    own = calls[calls["depth"].eq(0)].dropna(subset=["input_tokens"])
    agents = ["session_id", "agent_id"]
    latest = own.sort_values("call_index").drop_duplicates(agents, keep="last")
    names = session_names(tables)
    for row in sorted_groups(tables, latest, agents).itertuples():
        model = None if is_unknown(row.model) else str(row.model)
        limit = None if prices is None else prices.context_window(model)
        session = names[str(row.session_id)] if len(names) > 1 else ""
        yield Context(int(row.agent_id), model, int(row.input_tokens), limit, session)  # type: ignore[arg-type]  # pandas


def is_unknown(value: Any) -> bool:
    """Return whether a value of a table is not known."""
    import pandas as pd

    return bool(pd.isna(value))


# -- the table -------------------------------------------------------------------------------------


def columns(usage: UsageData, by: Grouping) -> tuple[TableColumn, ...]:
    """Return the columns of a grouping; a session's name only if there are several.

    Args:
        usage: The usage to show, with the sums of the grouping.
        by: The grouping.
    """
    return (*_keys(usage.sums[by], by), *COLUMNS)


def _keys(frame: pd.DataFrame, by: Grouping) -> tuple[TableColumn, ...]:
    return (_SESSION, *_KEYS[by]) if has_several_sessions(frame) else _KEYS[by]


def has_several_sessions(frame: pd.DataFrame) -> bool:
    """Return whether the rows belong to several sessions; their numbers may be equal."""
    return "session_id" in frame and len(frame["session_id"].unique()) > 1


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
    keys, shown = _keys(frame, by), columns(usage, by)
    head = "".join(_head(column, order) for column in shown)
    # Rows may be many: only those that are shown are looked at one by one.
    rows = "".join(_row(row, keys) for row in frame.head(LONGEST).to_dict("records"))
    total = "" if usage.total is None else _total(usage.total, len(keys))
    return (
        f"<table class='agy-usage-table' tabindex='0'><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody><tfoot>{total}</tfoot></table>{_hidden(frame, len(shown), by)}"
    )


def _hidden(frame: pd.DataFrame, n_columns: int, by: Grouping) -> str:
    """Describe where to find the rows and columns that are not shown."""
    more = {"row": len(frame) - LONGEST, "column": len(frame.columns) - n_columns}
    words = " and ".join(
        counted(count, f"more {noun}") for noun, count in more.items() if count > 0
    )
    return f"<p class='agy-dim'>{words} in <code>usage(by=\"{by}\")</code></p>" if words else ""


def _head(column: TableColumn, order: SortOrder | None) -> str:
    right = " class='agy-r'" if column in COLUMNS else ""
    if order is None:
        return f"<th scope='col'{right}>{column.title}</th>"
    return sort_head(column.name, column.title, order, right)


def _row(row: Mapping[Any, Any], keys: Iterable[TableColumn]) -> str:
    heads = (f"<th scope='row'>{_key(each.name, row[each.name])}</th>" for each in keys)
    cells = (f"<td>{_figure(each.name, row)}</td>" for each in COLUMNS)
    return f"<tr>{''.join(heads)}{''.join(cells)}</tr>"


def _key(name: str, value: Any) -> str:
    if is_unknown(value):
        return "between turns" if name == "turn_id" else UNKNOWN
    if name == "depth":
        return "agent" if not value else f"subagent, depth {value}"
    if name == "trajectory_id":
        return f"<code title='{escape(str(value))}'>{escape(str(value)[:8])}</code>"
    return escape(str(value))


def _total(total: Any, n_keys: int) -> str:
    cells = "".join(f"<td>{_figure(column.name, total)}</td>" for column in COLUMNS)
    return f"<tr><th scope='row' colspan='{n_keys}'>Total</th>{cells}</tr>"


def _figure(name: str, row: Any) -> str:
    value = row[name]
    if name != "n_model_calls" and not row["n_model_calls"] and not row["n_usage_unknown"]:
        return "-"
    if name == "cost_usd":
        return cost(value, at_least=bool(row["cost_is_lower_bound"]))
    if is_unknown(value):
        return UNKNOWN
    low = name != "n_model_calls" and bool(row["tokens_are_lower_bound"])
    return f"{'≥ ' if low else ''}{int(value):,}"


def cost(value: Any, *, at_least: bool) -> str:
    """Format a price.

    Example:
        >>> cost(0.0123456, at_least=True), cost(12.5, at_least=False)
        ('≥ $0.01235', '$12.50')
    """
    if value is None or is_unknown(value):
        return UNKNOWN
    return f"{'≥ ' if at_least else ''}{dollars(value, digits=4)}"
