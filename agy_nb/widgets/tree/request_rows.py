"""One row per approval and question: it waits for the user, and then shows the decision."""

from __future__ import annotations

from collections.abc import Callable

from agy_nb.protocol.events import Approval, ApprovalState, Question
from agy_nb.protocol.values import Trajectory
from agy_nb.widgets.markdown.streamed_text import StreamedTexts
from agy_nb.widgets.response import approval_text, cards
from agy_nb.widgets.tree.node_tree import NodeTree
from agy_nb.widgets.tree.nodes import Upsert
from agy_nb.widgets.tree.tool_rows import ToolRows


class RequestRows:
    """The approvals and questions of a turn.

    Args:
        tree: Receives the rows.
        node_of: Returns the parent of the rows of a trajectory.
        tools: The rows of the calls. A call that was allowed shows the decision in its own row.
        texts: The texts of the turn; a row ends the text before it.

    Attributes:
        pending: Those that wait for the user, by id.
    """

    def __init__(
        self,
        tree: NodeTree,
        node_of: Callable[[Trajectory], str],
        tools: ToolRows,
        texts: StreamedTexts,
    ) -> None:
        self._tree = tree
        self._node_of = node_of
        self._tools = tools
        self._texts = texts
        self.pending: dict[str, Approval | Question] = {}
        self._parents: dict[str, str] = {}

    def begin_turn(self) -> None:
        """Forget the rows of the previous turn, but not what waits for the user."""
        self._parents = {}

    def on_approval(self, event: Approval) -> None:
        """Show an approval or its decision."""
        pending = event.state is ApprovalState.PENDING
        self._note(event.approval_id, event, pending=pending)
        if not pending and event.call_id:
            if event.state is not ApprovalState.ALLOWED:
                self._tools.refuse(event.call_id)
            elif self._tools.allow(event):
                self._tree.remove(event.approval_id)
                return
        self._tree.upsert(
            Upsert(
                id=event.approval_id,
                parent=self._parent(event.approval_id, event.trajectory),
                kind="approval" if pending else "decided",
                head=approval_text.approval(event),
                body=approval_text.approval_body(event),
                fold=None if pending else "closed",
                label=f"Approval of {event.tool}",
            )
        )

    def on_question(self, event: Question) -> None:
        """Show a question or its answers."""
        pending = event.answers is None
        self._note(event.question_id, event, pending=pending)
        self._tree.upsert(
            Upsert(
                id=event.question_id,
                parent=self._parent(event.question_id, event.trajectory),
                kind="question" if pending else "answered",
                head="The agent asks" if pending else "Question",
                body=cards.question(event),
                label="Question",
            )
        )

    def _note(self, key: str, event: Approval | Question, *, pending: bool) -> None:
        if pending:
            self.pending[key] = event
        else:
            self.pending.pop(key, None)

    def _parent(self, key: str, where: Trajectory) -> str:
        parent = self._parents.get(key)
        if parent is None:
            parent = self._parents[key] = self._node_of(where)
            self._texts.close(parent)
        return parent
