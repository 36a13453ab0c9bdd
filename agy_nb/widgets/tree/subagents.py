"""The nodes of subagents: each contains what its subagent writes and does."""

from __future__ import annotations

from collections import defaultdict, deque

from agy_nb.protocol.events import ToolCall
from agy_nb.protocol.values import Trajectory
from agy_nb.terminal import revealed
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.tree.node_tree import NodeTree
from agy_nb.widgets.tree.nodes import Upsert

_LONGEST_NAME = 60


class Subagents:
    """The subagents of a turn, titled by the role or the name that their parent gave them.

    The harness names a subagent only in the call that starts it, and starts them in that order.

    Args:
        tree: Receives their nodes.
    """

    def __init__(self, tree: NodeTree) -> None:
        self._tree = tree
        self.begin_turn()

    def begin_turn(self) -> None:
        """Forget the subagents of the previous turn."""
        self._nodes: dict[str, str] = {}
        self._names: defaultdict[str, deque[str]] = defaultdict(deque)
        self._unnamed: defaultdict[str, deque[Upsert]] = defaultdict(deque)
        self._calls: set[str] = set()

    def on_call(self, call: ToolCall) -> None:
        """Note the names in a call that starts subagents."""
        tasks = call.args.get("Subagents")
        if call.name != "invoke_subagent" or not isinstance(tasks, list):
            return
        if call.call_id in self._calls:
            return
        self._calls.add(call.call_id)
        where = call.trajectory.id
        for task in tasks:
            name = _name_of(task)
            if self._unnamed[where]:
                self._put(self._unnamed[where].popleft(), name)
            else:
                self._names[where].append(name)

    def node_of(self, where: Trajectory) -> str:
        """Return the node of a trajectory, empty for the root agent; create it for a new one."""
        if where.is_root or not where.id:
            return ""
        known = self._nodes.get(where.id)
        if known is None:
            above = where.parent_id or ""
            node = Upsert(
                id=self._tree.new_id(),
                parent=self._nodes.get(above, ""),
                kind="subagent",
                fold="open",
                label="Subagent",
            )
            known = self._nodes[where.id] = node.id
            names = self._names[above]
            self._put(node, names.popleft() if names else "", where.id)
            if not names:
                self._unnamed[above].append(node)
        return known

    def _put(self, node: Upsert, name: str, trajectory: str = "") -> None:
        shown = revealed(name, exact=True)[:_LONGEST_NAME]
        id_ = f" <span class='agy-dim'>{escape(trajectory[:8])}</span>" if trajectory else ""
        head = f"<strong>{escape(shown)}</strong>" if name else f"Subagent{id_}"
        label = f"Subagent {shown}" if name else "Subagent"
        self._tree.upsert(
            Upsert(
                id=node.id, parent=node.parent, kind="subagent", head=head, fold="open", label=label
            )
        )


def _name_of(task: object) -> str:
    found = task if isinstance(task, dict) else {}
    names = (found.get(key) for key in ("Role", "TypeName", "Name"))
    return next((each for each in names if isinstance(each, str) and each), "")
