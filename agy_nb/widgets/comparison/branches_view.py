"""The view of two branches: the turns in common above, then both side by side."""

from __future__ import annotations

from collections.abc import Sequence

from agy_nb.experiments.results import RunResult
from agy_nb.protocol.amounts import counted
from agy_nb.widgets.comparison import answer_cards as cards, comparison_text
from agy_nb.widgets.comparison.answers_view import MOST_ROWS, AnswerRow, AnswersView
from agy_nb.widgets.comparison.branch_turns import BranchPair
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.tree.nodes import Upsert, static


class BranchesView(AnswersView):
    """Show two branches; `Agent.compare_branches` creates it. The last line of a cell shows it.

    Args:
        pair: The branches.

    Attributes:
        pair: The branches.
    """

    def __init__(self, pair: BranchPair) -> None:
        super().__init__("Branches")
        self.pair = pair
        self.refresh()

    def to_markdown(self) -> str:
        """Return the branches as Markdown.

        Returns:
            The turns in common once, then the turns of both.
        """
        return self._texts(self.pair.rows)[1]

    def _rows(self) -> Sequence[AnswerRow]:
        return self.pair.rows

    def _above(self) -> list[Upsert]:
        return _above(self.pair)

    def _row_head(self, row: AnswerRow) -> str:
        return _row_head(row)

    def _more(self, rows: int) -> str:
        return f"of turns, up to turn {len(self.pair.common) + rows}."

    def _texts(self, rows: Sequence[AnswerRow]) -> tuple[str, str]:
        above = [(turn,) for turn in self.pair.common[-MOST_ROWS:]]
        lines = [words_of(self.pair), *comparison_text.text_rows([*above, *rows])]
        parts = [words_of(self.pair), *comparison_text.markdown_rows([*above, *rows])]
        return "\n".join(line.rstrip() for line in lines), "\n\n".join(parts)

    def _ipython_display_(self) -> None:
        self.view.display()


def words_of(pair: BranchPair) -> str:
    """Return where two branches part."""
    first, second = pair.names
    if not pair.rows:
        return f"{first} and {second} have the same turns."
    if not pair.common:
        return f"{first} and {second} have no turn in common."
    return f"{first} and {second} part after turn {len(pair.common)}."


def branches_html(pair: BranchPair) -> str:
    """Return the page without its controls, as static HTML."""
    rows = [
        Upsert(
            id=f"row{number}",
            kind="comparison",
            fold="open",
            head=_row_head(row),
            body=cards.answers(row, differences=True),
        )
        for number, row in enumerate(pair.rows[:MOST_ROWS])
    ]
    legend = Upsert(id="legend", kind="comparison", body=cards.legend(pair.names[0]))
    return static([*_above(pair), legend, *rows])


def _above(pair: BranchPair) -> list[Upsert]:
    common = pair.common
    words = f"<p>{escape(words_of(pair))}</p>"
    nodes = [Upsert(id="parts", kind="comparison", body=words)]
    if len(common) > MOST_ROWS:
        earlier = f"{counted(len(common) - MOST_ROWS, 'earlier turn')} in common."
        nodes.append(Upsert(id="earlier", kind="notice", head=earlier))
    return nodes + [_common(turn) for turn in common[-MOST_ROWS:]]


def _row_head(row: AnswerRow) -> str:
    if cards.same_prompt(row):
        return f"{_number(row[0])} {cards.prompt_head(row[0].prompt, None)}"
    return _number(row[0])


def _common(turn: RunResult) -> Upsert:
    return Upsert(
        id=f"common{turn.prompt_index}",
        kind="comparison",
        fold="closed",
        head=f"{_number(turn)} {cards.prompt_head(turn.prompt, None)}",
        body=cards.answers([turn], differences=False),
    )


def _number(turn: RunResult) -> str:
    return f'<span class="agy-dim">Turn {turn.prompt_index}</span>'
