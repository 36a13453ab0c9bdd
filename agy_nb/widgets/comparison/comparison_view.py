"""The view of a comparison: live while it runs, static HTML and Markdown afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agy_nb.kernel.environment import current_kernel
from agy_nb.widgets.comparison import answer_cards as cards, comparison_text
from agy_nb.widgets.response.html_values import counted
from agy_nb.widgets.response.page_view import PageView
from agy_nb.widgets.response.static_html import Still
from agy_nb.widgets.tree.live_view import ViewWidget
from agy_nb.widgets.tree.nodes import Upsert, static
from agy_nb.widgets.tree.page_tree import PageTree

if TYPE_CHECKING:
    from agy_nb.experiments.comparison import Comparison
    from agy_nb.experiments.results import RunResult

INTERVAL_S = 0.2
"""Minimum time between two updates while the comparison runs, in seconds."""

MOST_ROWS = 50
"""Prompts and repetitions that are shown; the table has all."""


class ComparisonView(ViewWidget):
    """Show a comparison; the last line of a cell or a running comparison shows it.

    Args:
        comparison: What to show.
    """

    def __init__(self, comparison: Comparison) -> None:
        super().__init__("page", "Comparison")
        self._comparison = comparison
        self._differences = True
        self._shown_in = ""
        self._timer: asyncio.TimerHandle | None = None
        self._rendered: dict[int, tuple[tuple[RunResult, ...], bool, Upsert]] = {}
        self._page = PageTree()
        self.view = PageView(self._page, self, self._static, self._on_act, self.refresh)

    def show(self) -> None:
        """Show the view in the running cell, unless this cell shows it already."""
        cell = _running_cell()
        if cell and cell == self._shown_in:
            self.refresh()
            return
        self._shown_in = cell
        self.view.display()

    def refresh_later(self) -> None:
        """Show the results so far, a few times per second at most."""
        if self._timer is None:
            self._timer = self.view.live.loop.call_later(INTERVAL_S, self.refresh)

    def refresh(self) -> None:
        """Show the results so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for node in self._nodes():
            self._page.upsert(node)
        self.view.touch()

    def close(self) -> None:
        """Close the widget; the static HTML stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.view.close()

    def _rows(self) -> list[tuple[RunResult, ...]]:
        runs, n = self._comparison.runs, len(self._comparison.variants)
        return [runs[at : at + n] for at in range(0, len(runs), n)]

    def _nodes(self) -> list[Upsert]:
        comparison = self._comparison
        bar = cards.progress_bar(comparison.progress, comparison.problems)
        nodes = [
            Upsert(id="progress", kind="comparison", body=bar),
            Upsert(id="sums", kind="comparison", body=cards.sums(comparison.summary())),
        ]
        if len(comparison.variants) > 1:
            head = cards.controls(differences=self._differences)
            nodes.append(Upsert(id="controls", kind="row", head=head))
            legend = cards.LEGEND if self._differences else ""
            nodes.append(Upsert(id="legend", kind="comparison", body=legend))
        rows = self._rows()
        nodes += [self._row(number, runs) for number, runs in enumerate(rows[:MOST_ROWS])]
        if len(rows) > MOST_ROWS:
            more = f"{counted(len(rows) - MOST_ROWS, 'more row')} of answers in `.table`."
            nodes.append(Upsert(id="more", kind="notice", head=more))
        return nodes

    def _row(self, number: int, runs: tuple[RunResult, ...]) -> Upsert:
        known = self._rendered.get(number)
        if known is not None and known[:2] == (runs, self._differences):
            return known[2]
        first = runs[0]
        repeated = self._comparison.runs[-1].repeat > 1
        several = len(runs) > 1
        node = Upsert(
            id=f"row{number}",
            kind="comparison",
            fold="open",
            head=cards.prompt_head(first.prompt, first.repeat if repeated else None),
            body=cards.answers(
                runs, prompt=first.prompt, differences=self._differences and several
            ),
        )
        self._rendered[number] = (runs, self._differences, node)
        return node

    def _static(self) -> Still:
        rows, progress = self._rows()[:MOST_ROWS], self._comparison.progress
        nodes = [node for node in self._nodes() if node.id != "controls"]
        return Still(
            static(nodes),
            comparison_text.text(progress, rows),
            comparison_text.markdown(progress, rows),
        )

    def _on_act(self, act: str, value: str) -> None:
        del value
        if act == "differences":
            self._differences = not self._differences
            self.refresh()

    def _ipython_display_(self) -> None:
        self.show()


def _running_cell() -> str:
    kernel = current_kernel()
    parent = (kernel.get_parent() if kernel is not None else None) or {}
    return str(parent.get("header", {}).get("msg_id", ""))
