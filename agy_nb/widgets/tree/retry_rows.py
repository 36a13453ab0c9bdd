"""One row for all tries of a model call that the harness repeats."""

from __future__ import annotations

from dataclasses import dataclass

from agy_nb.protocol.events import Error
from agy_nb.protocol.values import ErrorInfo
from agy_nb.widgets.response import cards
from agy_nb.widgets.tree.node_tree import NodeTree
from agy_nb.widgets.tree.nodes import Upsert


@dataclass(slots=True)
class _Tries:
    """The failed tries of a model call.

    Attributes:
        node: Their row.
        parent: The parent of the row.
        errors: The error of each try.
    """

    node: str
    parent: str
    errors: list[ErrorInfo]


class RetryRows:
    """The model calls of a turn that the harness repeats now, by trajectory.

    Args:
        tree: Receives their rows.
    """

    def __init__(self, tree: NodeTree) -> None:
        self._tree = tree
        self._tries: dict[str, _Tries] = {}

    def __bool__(self) -> bool:
        return bool(self._tries)

    def begin_turn(self) -> None:
        """Forget the rows of the previous turn."""
        self._tries = {}

    def add(self, event: Error, parent: str) -> None:
        """Add a failed try to the row of its trajectory."""
        known = self._tries.get(event.trajectory.id)
        if known is None:
            known = _Tries(self._tree.new_id(), parent, [])
            self._tries[event.trajectory.id] = known
        known.errors.append(event.error)
        count = str(event.retry or len(known.errors))
        if event.max_retries is not None:
            count += f" of {event.max_retries}"
        self._show(known, f"Retrying ({count})")

    def end(self, trajectory: str) -> None:
        """Show how often the model call of a trajectory was repeated."""
        known = self._tries.pop(trajectory, None)
        if known is not None:
            count = len(known.errors)
            self._show(known, "Retried once" if count == 1 else f"Retried {count} times")

    def end_all(self) -> None:
        """End all rows because the turn has ended."""
        for trajectory in tuple(self._tries):
            self.end(trajectory)

    def _show(self, known: _Tries, words: str) -> None:
        errors = "".join(
            f"<div>{cards.error(each.type, each.message)}</div>" for each in known.errors
        )
        self._tree.upsert(
            Upsert(
                id=known.node,
                parent=known.parent,
                kind="notice",
                head=cards.retries(words, known.errors[-1]),
                body=errors,
                fold="closed",
            )
        )
