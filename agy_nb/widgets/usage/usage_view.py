"""Live usage: a table by agent, turn, model or trajectory, a chart, and the context size.

The runtime's tables are frozen on the loop, which is fast, and summed up in a thread: at once for
the grouping that is shown, later for the others. The view updates at most twice a second, only
after a change, and spends at most a fifth of the time on updates.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from agy_nb.kernel import in_kernel, run
from agy_nb.kernel.environment import current_shell
from agy_nb.protocol.amounts import counted
from agy_nb.runtime.default_runtime import runtime
from agy_nb.widgets.response.html_values import SortOrder
from agy_nb.widgets.response.page_view import PageView
from agy_nb.widgets.response.static_html import Still
from agy_nb.widgets.tree.nodes import Upsert, static
from agy_nb.widgets.tree.page_tree import PageTree
from agy_nb.widgets.tree.view_widget import ViewWidget
from agy_nb.widgets.usage import usage_table as ut
from agy_nb.widgets.usage.usage_chart import chart
from agy_nb.widgets.usage.usage_notes import contexts, notes

if TYPE_CHECKING:
    from agy_nb.analysis.metrics.cost import Prices
    from agy_nb.analysis.tables import Tables

INTERVAL_S = 0.5
"""Minimum time between two updates, in seconds."""

LONGEST_PAUSE_S = 5.0
"""Maximum pause between two updates while there are changes, in seconds."""

_SHARE = 4
_log = logging.getLogger("agy_nb.widgets")


class UsageSource(Protocol):
    """An object with usage tables: an agent or a runtime."""

    @property
    def tables(self) -> Tables:
        """The tables so far."""
        ...


class Changes(Protocol):
    """The source of change notices."""

    def watch(self, watch: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each change; return a function that stops this."""
        ...


class UsageView(ViewWidget):
    """Show token usage; `Agent.usage_ui` and `agy.usage_ui` create it.

    The last line of a cell shows it. The notebook keeps it as static HTML. It is a widget, so it
    can also be a part of others, such as `ipywidgets.HBox`.

    Args:
        source: Whose usage.
        telemetry: The source of change notices.

    Attributes:
        by: The grouping of the rows.
        order: The sort order of the rows.
        name: The variable that holds the DataFrame; empty until the user asks for it.

    Example:
        >>> view = agent.usage_ui()
        >>> view.by
        'agent'
        >>> view.close()
    """

    def __init__(self, source: UsageSource, telemetry: Changes) -> None:
        super().__init__("page", "Usage")
        self.by: ut.Grouping = "agent"
        self.order: SortOrder = SortOrder()
        self.name: str = ""
        self._source = source
        self._usage: ut.UsageData | None = None
        self._exported: dict[str, Any] = {}
        self._page = PageTree()
        self.view: PageView = PageView(self._page, self, self._static, self._on_act, self._catch_up)
        self._timer: asyncio.TimerHandle | None = None
        self._updating: asyncio.Task[None] | None = None
        self._completing: set[asyncio.Task[None]] = set()
        self._pause = INTERVAL_S
        self._dirty = self._warm = False
        self._tables: Tables | None = None
        self._stop: Callable[[], None] = telemetry.watch(self._on_change)
        self._show()
        if self.view.live.loop.is_running():
            self._on_change()
        else:  # between the cells of a terminal
            self._dirty = True

    # -- updates -----------------------------------------------------------------------------

    def _on_change(self) -> None:
        """Update now, or note that another update is needed."""
        if self._updating is not None or self._timer is not None:
            self._dirty = True
            return
        self._dirty = False
        self._updating = self.view.live.loop.create_task(self._update())
        self._updating.add_done_callback(self._updated)

    async def _update(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        live = self._source.tables
        frozen = live.now(ut.READ)
        self._tables, self._usage = await asyncio.to_thread(_sum_up, frozen, self.by, live.prices)
        if self._warm:  # the first update also imports modules
            took = loop.time() - began
            self._pause = min(max(INTERVAL_S, _SHARE * took), LONGEST_PAUSE_S)
        self._warm = True
        self._show()

    async def _complete(self) -> None:
        """Sum up the groupings that are not shown."""
        tables, usage = self._tables, self._usage
        if tables is None or usage is None:
            return
        missing = [by for by in ut.GROUPINGS if by not in usage.sums]
        if missing:
            from agy_nb.analysis.metrics.usage import usage_table

            more = await asyncio.to_thread(lambda: {by: usage_table(tables, by) for by in missing})
            if self._usage is usage:
                self._usage = usage._replace(sums={**usage.sums, **more})
                self._show()

    def _updated(self, task: asyncio.Task[None]) -> None:
        self._updating = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("cannot show usage", exc_info=error)
            self._say(f"Cannot show usage: {type(error).__name__}: {error}")
        if not self.view.live.closed:
            self._timer = self.view.live.loop.call_later(self._pause, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._dirty:
            self._on_change()
        else:
            self._start_completing()

    def _start_completing(self) -> None:
        task = self.view.live.loop.create_task(self._complete())
        self._completing.add(task)
        task.add_done_callback(self._completing.discard)

    def _catch_up(self) -> None:
        """Show all changes so far now; in a terminal, also without an event loop."""
        if in_kernel():
            run(self._complete_now())
        else:
            live = self._source.tables
            self._tables, self._usage = _sum_up(live.now(ut.READ), self.by, live.prices)

    async def _complete_now(self) -> None:
        while self._dirty or self._updating is not None:
            if self._updating is None:
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                self._on_change()
            if self._updating is not None:
                await asyncio.wait([self._updating])
        await self._complete()

    async def settled(self) -> None:
        """Wait until all changes so far are shown."""
        while self._updating is not None or self._timer is not None or self._completing:
            running = [*self._completing, *([self._updating] if self._updating else [])]
            if running:
                await asyncio.wait(running)
            else:
                await asyncio.sleep(INTERVAL_S / 10)

    # -- the page ----------------------------------------------------------------------------

    def _show(self) -> None:
        usage = self._usage
        self._page.upsert(Upsert(id="controls", kind="row", head=self._controls()))
        self._page.upsert(Upsert(id="said", kind="notice"))
        body = "<p>Loading…</p>"
        if usage is not None and self.by in usage.sums:
            body = ut.table(usage, self.by, self.order)
        self._page.upsert(Upsert(id="table", kind="usage", body=body))
        parts = ("", "", "") if usage is None else _below(usage)
        for name, part in zip(("notes", "contexts", "chart"), parts, strict=True):
            self._page.upsert(Upsert(id=name, kind="usage", body=part))
        self.view.touch()

    def _controls(self) -> str:
        groups = "".join(
            f"<button type='button' class='agy-button' aria-pressed='{str(by == self.by).lower()}' "
            f"data-agy-act='by' data-agy-value='{by}'>{by.capitalize()}</button>"
            for by in ut.GROUPINGS
        )
        return (
            f"<div class='agy-row'><strong>Usage by</strong>{groups}"
            "<button type='button' class='agy-button' data-agy-act='frame'>DataFrame</button></div>"
        )

    def _say(self, text: str) -> None:
        from agy_nb.widgets.markdown.markup import escape

        self._page.upsert(Upsert(id="said", kind="notice", head=escape(text), label="Notice"))
        self.view.touch()

    def _static(self) -> Still:
        usage = self._usage
        if usage is None:
            return Still("<p>Not loaded yet.</p>", "Usage: not loaded yet")
        nodes = [
            Upsert(
                id=by,
                kind="usage",
                head=f"Usage by {by}",
                body=ut.table(usage, by),
                fold="open" if by == self.by else "closed",
            )
            for by in ut.GROUPINGS
            if by in usage.sums
        ]
        below = [
            Upsert(id=f"below{place}", kind="usage", body=part)
            for place, part in enumerate(_below(usage))
        ]
        return Still(static([*nodes, *below]), _as_text(usage, self.by))

    # -- controls ----------------------------------------------------------------------------

    def _on_act(self, act: str, value: str) -> None:
        if act == "by":
            self._group(value)
        elif act == "sort":
            self._sort(value)
        elif act == "frame":
            self._export_frame()

    def _group(self, value: str) -> None:
        for by in ut.GROUPINGS:
            if by == value:
                self.by, self.order = by, SortOrder()
                self._show()
                self._start_completing()

    def _sort(self, column: str) -> None:
        usage = self._usage
        if usage is None or self.by not in usage.sums:
            return
        if column in [known.name for known in ut.columns(usage, self.by)]:
            again = self.order.column == column
            self.order = SortOrder(column, descending=not (again and self.order.descending))
            self._show()

    def _export_frame(self) -> None:
        """Save the sums to a variable of the notebook; never overwrite one of the user's."""
        namespace = getattr(current_shell(), "user_ns", None)
        if self._usage is None or self.by not in self._usage.sums or namespace is None:
            self._say("Cannot create a variable here. Use `.tables.usage()` instead.")
            return
        name = wanted = f"usage_by_{self.by}"
        number = 1
        while name in namespace and namespace[name] is not self._exported.get(name):
            number += 1
            name = f"{wanted}_{number}"
        frame = self._usage.sums[self.by].copy()
        self._exported[name] = namespace[name] = frame
        self.name = name
        self._say(f"Saved to the variable {name} ({counted(len(frame), 'row')}).")

    # -- showing and the end -----------------------------------------------------------------

    def close(self) -> None:
        """Stop updating and close the widget; the static HTML stays."""
        self._stop()
        for waiting in (self._timer, self._updating, *self._completing):
            if waiting is not None:
                waiting.cancel()
        self._timer = None
        self.view.close()

    def _ipython_display_(self) -> None:
        self.view.display()


def _sum_up(frozen: Tables, by: ut.Grouping, prices: Prices | None) -> tuple[Tables, ut.UsageData]:
    """Build the tables and read usage from them."""
    tables = ut.materialize(frozen)
    return tables, ut.read_usage(tables, (by,), prices)


def _below(usage: ut.UsageData) -> tuple[str, str, str]:
    return notes(usage), contexts(usage), chart(usage)


def _as_text(usage: ut.UsageData, by: ut.Grouping) -> str:
    if by not in usage.sums:
        by = "turn"
    shown = [column.name for column in ut.columns(usage, by)]
    return f"Usage by {by}\n{usage.sums[by][shown].to_string(index=False, max_rows=30)}"


class _Recorded:
    """Recorded tables, which do not change, as a source of usage."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def watch(self, watch: Callable[[], None]) -> Callable[[], None]:
        """Never call the function: there are no changes."""
        del watch
        return lambda: None


def usage_ui(source: Any = None) -> UsageView:
    """Return a live table of the usage of this kernel's agents, or of recordings.

    By agent, turn, model or trajectory, with totals, cost where a price is known, a chart of tokens
    by turn and how full the contexts are. A click on a column's head sorts; "DataFrame" puts the
    sums into a variable. The notebook keeps it as HTML.

    Args:
        source: None for the agents of this kernel; sessions or tables, or what `agy.load` takes: a
            path, a pattern or a list of these.

    Returns:
        The view; the last line of a cell shows it.

    Raises:
        InvalidInputError: A path does not exist, or `source` has another type.
        WrongLoopError: No event loop has run in this process.

    Example:
        >>> view = agy.usage_ui()
        >>> await agent.chat_text("Hello")
        'You said: Hello...'
        >>> await view.settled()
        >>> view.close()
    """
    if source is None:
        rt = runtime()
        return UsageView(rt, rt.telemetry)
    from agy_nb.analysis.loading import load
    from agy_nb.analysis.tables import Tables

    recorded = _Recorded(source if isinstance(source, Tables) else load(source))
    return UsageView(recorded, recorded)
