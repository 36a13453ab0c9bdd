"""A page with answers side by side, of the variants of a comparison or of two branches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from agy_nb.experiments.results import RunResult
from agy_nb.protocol.amounts import counted
from agy_nb.widgets.comparison import answer_cards as cards
from agy_nb.widgets.response.page_view import PageView
from agy_nb.widgets.response.static_html import Still
from agy_nb.widgets.tree.nodes import Upsert, static
from agy_nb.widgets.tree.page_tree import PageTree
from agy_nb.widgets.tree.view_widget import ViewWidget

MOST_ROWS = 50
"""Rows of answers that are shown."""

AnswerRow = tuple[RunResult, ...]
"""Answers that are shown side by side."""


class AnswersView(ViewWidget):
    """Show rows of answers; the user switches the marks of differences on and off.

    Args:
        title: The accessible name of the page.
    """

    def __init__(self, title: str) -> None:
        super().__init__("page", title)
        self._differences = True
        self._rendered: dict[int, tuple[AnswerRow, bool, Upsert]] = {}
        self._page = PageTree()
        self.view: PageView = PageView(self._page, self, self._static, self._on_act, self.refresh)

    @abstractmethod
    def _rows(self) -> Sequence[AnswerRow]:
        """Return the rows."""

    @abstractmethod
    def _above(self) -> list[Upsert]:
        """Return the nodes above the rows."""

    @abstractmethod
    def _row_head(self, row: AnswerRow) -> str:
        """Return the HTML of a row's head."""

    @abstractmethod
    def _more(self, rows: int) -> str:
        """Return where the rows are that are not shown."""

    @abstractmethod
    def _texts(self, rows: Sequence[AnswerRow]) -> tuple[str, str]:
        """Return the page as text and as Markdown."""

    def refresh(self) -> None:
        """Show the results so far."""
        for node in self._nodes():
            self._page.upsert(node)
        self.view.touch()

    def close(self) -> None:
        """Close the widget; the static HTML stays."""
        self.view.close()

    def _nodes(self) -> list[Upsert]:
        rows = self._rows()
        nodes = self._above()
        if rows and len(rows[0]) > 1:
            head = cards.controls(differences=self._differences)
            nodes.append(Upsert(id="controls", kind="row", head=head))
            legend = cards.legend(rows[0][0].variant) if self._differences else ""
            nodes.append(Upsert(id="legend", kind="comparison", body=legend))
        nodes += [self._row(number, runs) for number, runs in enumerate(rows[:MOST_ROWS])]
        if len(rows) > MOST_ROWS:
            more = f"{counted(len(rows) - MOST_ROWS, 'more row')} {self._more(len(rows))}"
            nodes.append(Upsert(id="more", kind="notice", head=more))
        return nodes

    def _row(self, number: int, row: AnswerRow) -> Upsert:
        known = self._rendered.get(number)
        if known is not None and known[:2] == (row, self._differences):
            return known[2]
        marks = self._differences and len(row) > 1
        node = Upsert(
            id=f"row{number}",
            kind="comparison",
            fold="open",
            head=self._row_head(row),
            body=cards.answers(row, differences=marks),
        )
        self._rendered[number] = (row, self._differences, node)
        return node

    def _static(self) -> Still:
        nodes = [node for node in self._nodes() if node.id != "controls"]
        return Still(static(nodes), *self._texts(self._rows()[:MOST_ROWS]))

    def _on_act(self, act: str, value: str) -> None:
        del value
        if act == "differences":
            self._differences = not self._differences
            self.refresh()
