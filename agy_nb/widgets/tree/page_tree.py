"""A page of nodes: its own, put by name, and below one of them at most one transcript.

Rule 1: a node that is put again as it was costs nothing; only what has changed is told.
Rule 2: a transcript's nodes go by other names here, so that two that follow each other never mix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agy_nb.protocol.events import Approval, Event, Question
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.nodes import Change, Remove, Upsert, static


class PageTree:
    """Nodes that stay in the order in which they were put first; what `LiveView` shows.

    Args:
        stage: The node that a transcript goes into.

    Attributes:
        pending: Nothing: what is on a page waits for nobody.
        status: Nothing: no turn runs on a page.
        transcript: What is on the stage.

    Example:
        >>> page = PageTree()
        >>> page.put(Upsert(id="a", kind="notice", head="Hi"))
        >>> page.html()
        '<div class="agy-node agy-notice"><div class="agy-head">Hi</div></div>'
    """

    def __init__(self, stage: str = "stage") -> None:
        self.pending: dict[str, Approval | Question] = {}
        self.status = ""
        self.transcript: ConversationView | None = None
        self._stage = stage
        self._number = 0
        self._nodes: dict[str, Upsert] = {}
        self._changes: list[Change] = []

    def put(self, node: Upsert) -> None:
        """A node is there, or is changed; one that is as it was stays."""
        if self._nodes.get(node.id) != node:
            self._nodes[node.id] = node
            self._changes.append(node)

    @property
    def behind(self) -> bool:
        """Whether the transcript has more to tell than it does at once."""
        return self.transcript is not None and self.transcript.behind

    @property
    def is_told(self) -> bool:
        """Whether there is nothing new; a transcript on the stage may always have something."""
        return not self._changes and self.transcript is None

    def note(self, node: Upsert) -> None:
        """A node is like this on the page already, since somebody typed or chose it there."""
        self._nodes[node.id] = node
        self._changes = [change for change in self._changes if change.id != node.id]

    def node(self, name: str) -> Upsert | None:
        """A node of the page's own, None where there is none."""
        return self._nodes.get(name)

    def stage(self, transcript: ConversationView | None) -> None:
        """Show a transcript in the place of the one before; None shows none."""
        if self.transcript is not None:
            self._changes.append(Remove(id=self._scene))
        self.transcript, self._number = transcript, self._number + 1
        if transcript is not None:
            transcript.changes()
            self._changes += self._staged()

    @property
    def _scene(self) -> str:
        return f"{self._stage}-{self._number}"

    def _staged(self) -> Iterator[Change]:
        """The whole transcript, in a node of its own."""
        if self.transcript is not None:
            yield Upsert(id=self._scene, parent=self._stage, kind="scene")
            yield from map(self._moved, self.transcript.snapshot())

    def _moved(self, change: Change) -> Change:
        here = f"{self._scene}-"
        if isinstance(change, Upsert):
            parent = here + change.parent if change.parent else self._scene
            return replace(change, id=here + change.id, parent=parent)
        return replace(change, id=here + change.id)

    # -- what a view asks for ----------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take an event for the transcript that is on the stage."""
        if self.transcript is not None:
            self.transcript.on_event(event)

    def changes(self) -> list[Change]:
        """What is new since the last call, in the order in which to apply it."""
        found, self._changes = self._changes, []
        if self.transcript is not None:
            found += map(self._moved, self.transcript.changes())
        return found

    def snapshot(self) -> list[Change]:
        """All nodes as they stand: what a view needs that comes late."""
        return [*self._nodes.values(), *self._staged()]

    def renew(self, node: str) -> None:
        """Give a node again at the next `changes`, though it is the same."""
        if node in self._nodes:
            self._changes.append(self._nodes[node])

    def html(self) -> str:
        """The nodes as one piece of HTML."""
        return static(self.snapshot())
