"""The nodes of a page: its own, and below one of them at most one transcript.

A node that is set again without a change is not sent. The ids of a transcript's nodes get a prefix
here, so that two transcripts shown one after the other never mix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agy_nb.protocol.events import Approval, Event, Question
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.nodes import Change, Remove, Upsert, static

_CONTAINER = "player"
"""Id of the node that holds the transcript."""


class PageTree:
    """Nodes in the order in which they were first added; a view model for `LiveView`.

    Attributes:
        pending: Always empty: a page has no approvals or questions.
        status: Always empty: a page has no turn.
        transcript: The transcript that is shown, None if there is none.

    Example:
        >>> page = PageTree()
        >>> page.upsert(Upsert(id="a", kind="notice", head="Hi"))
        >>> page.html()
        '<div class="agy-node agy-notice"><div class="agy-head">Hi</div></div>'
    """

    def __init__(self) -> None:
        self.pending: dict[str, Approval | Question] = {}
        self.status = ""
        self.transcript: ConversationView | None = None
        self._number = 0
        self._nodes: dict[str, Upsert] = {}
        self._changes: list[Change] = []

    def upsert(self, node: Upsert) -> None:
        """Add or change a node; an unchanged node is not sent again."""
        if self._nodes.get(node.id) != node:
            self._nodes[node.id] = node
            self._changes.append(node)

    @property
    def has_backlog(self) -> bool:
        """Whether the transcript has long text that is not rendered yet."""
        return self.transcript is not None and self.transcript.has_backlog

    @property
    def is_sent(self) -> bool:
        """Whether there are no changes; False while a transcript is shown, which may have some."""
        return not self._changes and self.transcript is None

    def mark_sent(self, node: Upsert) -> None:
        """Record a node that the front end already shows because the user typed or chose it."""
        self._nodes[node.id] = node
        self._changes = [change for change in self._changes if change.id != node.id]

    def node(self, name: str) -> Upsert | None:
        """Return a node of the page itself, None if there is none."""
        return self._nodes.get(name)

    def show_transcript(self, transcript: ConversationView | None) -> None:
        """Replace the transcript; None shows none."""
        if self.transcript is not None:
            self._changes.append(Remove(id=self._transcript_id))
        self.transcript, self._number = transcript, self._number + 1
        if transcript is not None:
            transcript.changes()
            self._changes += self._transcript_nodes()

    @property
    def _transcript_id(self) -> str:
        return f"{_CONTAINER}-{self._number}"

    def _transcript_nodes(self) -> Iterator[Change]:
        if self.transcript is not None:
            yield Upsert(id=self._transcript_id, parent=_CONTAINER, kind="transcript")
            yield from map(self._with_prefix, self.transcript.snapshot())

    def _with_prefix(self, change: Change) -> Change:
        prefix = f"{self._transcript_id}-"
        if isinstance(change, Upsert):
            parent = prefix + change.parent if change.parent else self._transcript_id
            return replace(change, id=prefix + change.id, parent=parent)
        return replace(change, id=prefix + change.id)

    # -- the view model ----------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Pass an event to the transcript that is shown."""
        if self.transcript is not None:
            self.transcript.on_event(event)

    def changes(self) -> list[Change]:
        """Return the changes since the last call, in the order in which to apply them."""
        found, self._changes = self._changes, []
        if self.transcript is not None:
            found += map(self._with_prefix, self.transcript.changes())
        return found

    def snapshot(self) -> list[Change]:
        """Return all nodes, for a view that connects late."""
        return [*self._nodes.values(), *self._transcript_nodes()]

    def resend(self, node: str) -> None:
        """Include a node in the next `changes` although it has not changed."""
        if node in self._nodes:
            self._changes.append(self._nodes[node])

    def html(self) -> str:
        """Render all nodes as HTML."""
        return static(self.snapshot())
