"""The current nodes of a transcript, and the changes since they were last read.

The HTML of a conversation is needed after each turn. So it is cached per top-level node, and only
the top-level nodes that have changed are rendered again.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from agy_nb.widgets.tree.nodes import (
    AppendText,
    Change,
    Remove,
    TurnControls,
    Upsert,
    static,
)


class NodeTree:
    """Nodes by id, in the order in which they were added.

    Example:
        >>> tree = NodeTree()
        >>> tree.add(kind="notice", head="Hi")
        'n1'
        >>> tree.changes() == tree.snapshot()
        True
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._nodes: dict[str, Upsert] = {}
        self._tails: dict[str, list[str]] = {}
        self._changes: list[Change] = []
        self._children: dict[str, dict[str, None]] = {"": {}}
        self._html: dict[str, str] = {}

    def __contains__(self, node: str) -> bool:
        return node in self._nodes

    def new_id(self) -> str:
        """Return an id that no node has had."""
        return f"n{next(self._numbers)}"

    def upsert(self, node: Upsert) -> None:
        """Add a node, or replace its content and its appended text; it keeps its parent."""
        if node.id not in self._nodes:
            self._children.setdefault(node.parent, {})[node.id] = None
        else:
            node = replace(node, parent=self._nodes[node.id].parent)
        self._nodes[node.id] = node
        self._tails.pop(node.id, None)
        self._changes.append(node)
        self._html.pop(self._top(node.id), None)

    def set_turn(self, node: str, turn: TurnControls | None) -> None:
        """Change the controls of a turn; an unknown node is ignored."""
        known = self._nodes.get(node)
        if known is not None and known.turn != turn:
            self.upsert(replace(known, turn=turn))

    def add(self, *, parent: str = "", **parts: str | None) -> str:
        """Add a node with a new id, and return the id."""
        node = self.new_id()
        self.upsert(Upsert(id=node, parent=parent, **parts))  # type: ignore[arg-type]
        return node

    def append_text(self, node: str, text: str) -> None:
        """Append plain text to a node's body."""
        self._tails.setdefault(node, []).append(text)
        self._html.pop(self._top(node), None)
        self._changes.append(AppendText(id=node, text=text))

    def remove(self, node: str) -> None:
        """Remove a node and its children; an unknown node is ignored."""
        if node not in self._nodes:
            return
        for child in tuple(self._children.get(node, ())):
            self.remove(child)
        self._html.pop(self._top(node), None)
        self._children[self._nodes.pop(node).parent].pop(node, None)
        self._children.pop(node, None)
        self._tails.pop(node, None)
        self._changes.append(Remove(id=node))

    def resend(self, node: str) -> None:
        """Include a node in the next `changes` although it has not changed."""
        if node in self._nodes:
            self._changes.append(self._nodes[node])

    def changes(self) -> list[Change]:
        """Return the changes since the last call, in the order in which to apply them."""
        found, self._changes = self._changes, []
        return found

    def snapshot(self) -> list[Change]:
        """Return all nodes."""
        found: list[Change] = []
        for node in self._nodes.values():
            found.append(node)
            if tail := "".join(self._tails.get(node.id, ())):
                found.append(AppendText(id=node.id, text=tail))
        return found

    def html(self, overrides: Iterable[Upsert] = ()) -> str:
        """Render all nodes as HTML.

        Args:
            overrides: Nodes to render instead of, or in addition to, those of the tree.
        """
        extra: defaultdict[str, list[Change]] = defaultdict(list)
        for node in overrides:
            extra[self._top(node.id if node.id in self._nodes else node.parent)].append(node)
        return "".join(self._render(top, extra.get(top, ())) for top in self._children[""])

    def _render(self, top: str, extra: Iterable[Change]) -> str:
        if extra:
            return static([*self._subtree(top), *extra])
        if top not in self._html:
            self._html[top] = static(self._subtree(top))
        return self._html[top]

    def _top(self, node: str) -> str:
        """Return the top-level node that contains a node."""
        while (known := self._nodes.get(node)) is not None and known.parent:
            node = known.parent
        return node

    def _subtree(self, node: str) -> Iterator[Change]:
        yield self._nodes[node]
        if tail := "".join(self._tails.get(node, ())):
            yield AppendText(id=node, text=tail)
        for child in self._children.get(node, ()):
            yield from self._subtree(child)

    def clear(self) -> None:
        """Remove all nodes; ids are not used again."""
        for known in (self._nodes, self._tails, self._changes, self._html):
            known.clear()
        self._children = {"": {}}
