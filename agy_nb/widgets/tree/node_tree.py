"""The nodes of a transcript as they stand, and what of them has changed since somebody looked.

The HTML of a long conversation is asked for after each turn. So it is kept in pieces, one for each
node at the top, and only those in which something has changed are made again.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from agy_nb.widgets.tree.nodes import AppendText, Change, Remove, Upsert, static


class NodeTree:
    """Nodes by name, in the order in which they came.

    Example:
        >>> sheet = NodeTree()
        >>> sheet.new(kind="notice", head="Hi")
        'n1'
        >>> sheet.changes() == sheet.snapshot()
        True
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._nodes: dict[str, Upsert] = {}
        self._tails: dict[str, list[str]] = {}
        self._changes: list[Change] = []
        self._kids: dict[str, dict[str, None]] = {"": {}}
        self._html: dict[str, str] = {}

    def __contains__(self, node: str) -> bool:
        return node in self._nodes

    def name(self) -> str:
        """A name that no node has had."""
        return f"n{next(self._numbers)}"

    def put(self, put: Upsert) -> None:
        """A node is there, or is another; what was added to its end is in it now."""
        if put.id not in self._nodes:
            self._kids.setdefault(put.parent, {})[put.id] = None
        else:
            put = replace(put, parent=self._nodes[put.id].parent)
        self._nodes[put.id] = put
        self._tails.pop(put.id, None)
        self._changes.append(put)
        self._html.pop(self._top(put.id), None)

    def new(self, *, parent: str = "", **parts: str | None) -> str:
        """A node is there; gives its name."""
        node = self.name()
        self.put(Upsert(id=node, parent=parent, **parts))  # type: ignore[arg-type]
        return node

    def tail(self, node: str, text: str) -> None:
        """Text is added to the end of a node."""
        self._tails.setdefault(node, []).append(text)
        self._html.pop(self._top(node), None)
        self._changes.append(AppendText(id=node, text=text))

    def drop(self, node: str) -> None:
        """A node goes, and all that is in it."""
        for kid in tuple(self._kids.get(node, ())):
            self.drop(kid)
        self._html.pop(self._top(node), None)
        if (put := self._nodes.pop(node, None)) is not None:
            self._kids[put.parent].pop(node, None)
        self._kids.pop(node, None)
        self._tails.pop(node, None)
        self._changes.append(Remove(id=node))

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
                found.append(AppendText(id=put.id, text=tail))
        return found

    def html(self, rest: Iterable[Upsert] = ()) -> str:
        """The HTML that a view has of these nodes.

        Args:
            rest: Nodes that stand in the place of some of these, or in some of these, only here.
        """
        extra: defaultdict[str, list[Change]] = defaultdict(list)
        for put in rest:
            extra[self._top(put.id if put.id in self._nodes else put.parent)].append(put)
        return "".join(self._piece(top, extra.get(top, ())) for top in self._kids[""])

    def _piece(self, top: str, extra: Iterable[Change]) -> str:
        if extra:
            return static([*self._below(top), *extra])
        if top not in self._html:
            self._html[top] = static(self._below(top))
        return self._html[top]

    def _top(self, node: str) -> str:
        """The node at the top that a node is in."""
        while (put := self._nodes.get(node)) is not None and put.parent:
            node = put.parent
        return node

    def _below(self, node: str) -> Iterator[Change]:
        yield self._nodes[node]
        if tail := "".join(self._tails.get(node, ())):
            yield AppendText(id=node, text=tail)
        for kid in self._kids.get(node, ()):
            yield from self._below(kid)

    def clear(self) -> None:
        """Forget all nodes; no name is used again."""
        for known in (self._nodes, self._tails, self._changes, self._html):
            known.clear()
        self._kids = {"": {}}
