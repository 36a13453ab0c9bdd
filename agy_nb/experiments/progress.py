"""How far a comparison is, as one line of text."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from agy_nb.analysis.metrics.turn_cost import Cost


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a comparison is.

    Attributes:
        n_runs: Planned runs.
        n_done: Runs that have a result.
        n_running: Runs under way.
        n_failed: Runs that did not end normally.
        cost: What the runs cost so far.
        limit: The limit in US dollars, None if there is none.
        stopped: Why no other run starts; empty otherwise.
    """

    n_runs: int
    n_done: int
    n_running: int
    n_failed: int
    cost: Cost
    limit: float | None
    stopped: str = ""

    @property
    def text(self) -> str:
        """One line, such as `5 of 12 runs, $0.02 of $1.00`."""
        parts = [f"{self.n_done} of {self.n_runs} runs", self._money()]
        if self.n_failed:
            parts.append(f"{self.n_failed} failed")
        if self.n_running:
            parts.append(f"{self.n_running} running")
        return ", ".join(part for part in parts if part)

    def _money(self) -> str:
        usd, limit = self.cost.usd, "" if self.limit is None else f" of ${self.limit:,.2f}"
        if usd is None:
            return "cost unknown" if self.cost.is_lower_bound else f"$0.00{limit}" if limit else ""
        return f"{self.cost}{limit}"


class TerminalLine:
    """The progress in a terminal: one line that is written again at each change."""

    def __init__(self) -> None:
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Write the line; not where the output is a file.

        Args:
            progress: How far the comparison is.
        """
        if sys.stderr.isatty():
            text = progress.text
            sys.stderr.write(f"\r{text.ljust(self._width)}")
            sys.stderr.flush()
            self._width = len(text)

    def end(self) -> None:
        """End the line."""
        if self._width:
            sys.stderr.write("\n")
            sys.stderr.flush()
            self._width = 0
