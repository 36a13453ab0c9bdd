"""The view of a comparison: live while it runs, static HTML and Markdown afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agy_nb.kernel.environment import current_kernel
from agy_nb.widgets.comparison import answer_cards as cards, comparison_text
from agy_nb.widgets.comparison.answers_view import AnswerRow, AnswersView
from agy_nb.widgets.tree.nodes import Upsert

if TYPE_CHECKING:
    from agy_nb.experiments.comparison import Comparison

INTERVAL_S = 0.2
"""Minimum time between two updates while the comparison runs, in seconds."""


class ComparisonView(AnswersView):
    """Show a comparison; the last line of a cell or a running comparison shows it.

    Args:
        comparison: What to show.
    """

    def __init__(self, comparison: Comparison) -> None:
        super().__init__("Comparison")
        self._comparison = comparison
        self._shown_in = ""
        self._timer: asyncio.TimerHandle | None = None

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
        super().refresh()

    def close(self) -> None:
        """Close the widget; the static HTML stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().close()

    def _rows(self) -> list[AnswerRow]:
        runs, n = self._comparison.runs, len(self._comparison.variants)
        return [runs[at : at + n] for at in range(0, len(runs), n)]

    def _above(self) -> list[Upsert]:
        comparison = self._comparison
        bar = cards.progress_bar(comparison.progress, comparison.problems)
        return [
            Upsert(id="progress", kind="comparison", body=bar),
            Upsert(id="sums", kind="comparison", body=cards.sums(comparison.summary())),
        ]

    def _row_head(self, row: AnswerRow) -> str:
        repeated = self._comparison.runs[-1].repeat > 1
        return cards.prompt_head(row[0].prompt, row[0].repeat if repeated else None)

    def _more(self, rows: int) -> str:
        del rows
        return "of answers in `.table`."

    def _texts(self, rows: Sequence[AnswerRow]) -> tuple[str, str]:
        progress = self._comparison.progress
        return comparison_text.text(progress, rows), comparison_text.markdown(progress, rows)

    def _ipython_display_(self) -> None:
        self.show()


def _running_cell() -> str:
    kernel = current_kernel()
    parent = (kernel.get_parent() if kernel is not None else None) or {}
    return str(parent.get("header", {}).get("msg_id", ""))
