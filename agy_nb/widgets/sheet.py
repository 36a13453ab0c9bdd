"""The nodes of a transcript as they stand, and what of them has changed since somebody looked."""

from __future__ import annotations

import itertools

from agy_nb.widgets.nodes import Change, Drop, Put, Tail


class Sheet:
    """Nodes by name, in the order in which they came.

    Example:
        >>> sheet = Sheet()
        >>> sheet.new(kind="notice", head="Hi")
        'n1'
        >>> sheet.changes() == sheet.snapshot()
        True
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._nodes: dict[str, Put] = {}
        self._tails: dict[str, list[str]] = {}
        self._changes: list[Change] = []

    def __contains__(self, node: str) -> bool:
        return node in self._nodes

    def name(self) -> str:
        """A name that no node has had."""
        return f"n{next(self._numbers)}"

    def put(self, put: Put) -> None:
        """A node is there, or is another; what was added to its end is in it now."""
        self._nodes[put.id] = put
        self._tails.pop(put.id, None)
        self._changes.append(put)

    def new(self, *, parent: str = "", **parts: str | None) -> str:
        """A node is there; gives its name."""
        node = self.name()
        self.put(Put(id=node, parent=parent, **parts))  # type: ignore[arg-type]
        return node

    def tail(self, node: str, text: str) -> None:
        """Text is added to the end of a node."""
        self._tails.setdefault(node, []).append(text)
        self._changes.append(Tail(id=node, text=text))

    def drop(self, node: str) -> None:
        """A node goes, and all that is in it."""
        for put in [put for put in self._nodes.values() if put.parent == node]:
            self.drop(put.id)
        self._nodes.pop(node, None)
        self._tails.pop(node, None)
        self._changes.append(Drop(id=node))

    def renew(self, node: str) -> None:
        """Give a node again at the next `changes`, though it is the same."""
        if node in self._nodes:
            self._changes.append(self._nodes[node])

    def changes(self) -> list[Change]:
        """What is new since the last call, in the order in which to apply it."""
        found, self._changes = self._changes, []
        return found

    def snapshot(self) -> list[Change]:
        """All nodes as they stand."""
        found: list[Change] = []
        for put in self._nodes.values():
            found.append(put)
            if tail := "".join(self._tails.get(put.id, ())):
                found.append(Tail(id=put.id, text=tail))
        return found

    def clear(self) -> None:
        """Forget all nodes; no name is used again."""
        for known in (self._nodes, self._tails, self._changes):
            known.clear()
