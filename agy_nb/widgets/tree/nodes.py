"""The HTML nodes of a view and their changes, as frozen data.

The live view sends changes to the front end, which maintains a tree of elements. The static view
builds the same tree here. Both have the same HTML and the same classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from agy_nb.widgets.markdown.markup import compact, escape


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnControls:
    """What the user can do with a turn.

    Attributes:
        at: Number of the branch that is shown, among those that part at this turn; 0 if none is.
        of: How many there are.
        why_not: Why the turn can be neither edited nor sent again; empty if it can.
        closed: For each branch why the agent cannot continue it, empty if it can.
    """

    at: int = 1
    of: int = 1
    why_not: str = ""
    closed: tuple[str, ...] = ()

    def disabled(self, why: str) -> TurnControls:
        """Return controls that do nothing, unless the reason is empty."""
        return replace(self, why_not=why, closed=(why,) * self.of) if why else self

    @property
    def words(self) -> str:
        """What a saved view says about the other branches; empty if there are none."""
        if self.at and self.of > 1:
            return f"Branch {self.at} of {self.of}. Only this one is shown here."
        return "Later turns are on another branch." if not self.at else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """Add a node or replace its content; its children stay.

    Attributes:
        id: The node's id within the view.
        parent: The id of the parent node, empty at the top level.
        kind: The kind of the node; also its CSS class.
        head: HTML that is always visible.
        body: HTML below the head; hidden while the node is folded.
        fold: `"open"` or `"closed"` for a node that can be folded, else None.
        label: The accessible name, or empty.
        turn: What the user can do with the turn that begins here; None for other nodes.
    """

    id: str
    parent: str = ""
    kind: str
    head: str = ""
    body: str = ""
    fold: str | None = None
    label: str = ""
    turn: TurnControls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendText:
    """Append plain text to a node's body."""

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Remove a node and its children."""

    id: str


Change: TypeAlias = Upsert | AppendText | Remove


@dataclass(slots=True)
class _Branch:
    put: Upsert
    tail: str = ""
    children: dict[str, _Branch] = field(default_factory=dict)


def static(changes: Iterable[Change]) -> str:
    """Render the nodes after a list of changes as HTML.

    Example:
        >>> static([Upsert(id="a", kind="text", body="<p>Hi</p>")])
        '<div class="agy-node agy-text"><p>Hi</p></div>'
    """
    root = _Branch(Upsert(id="", kind=""))
    branches = {"": root}
    for change in changes:
        if isinstance(change, Upsert):
            known = branches.get(change.id)
            if known is None:
                branches[change.id] = branches[change.parent].children[change.id] = _Branch(change)
            else:
                known.put, known.tail = change, ""
        elif isinstance(change, AppendText):
            branches[change.id].tail += change.text
        else:
            gone = branches.pop(change.id)
            branches[gone.put.parent].children.pop(change.id)
    return "".join(map(_branch, root.children.values()))


def _branch(branch: _Branch) -> str:
    put = branch.put
    body = put.body + escape(branch.tail)
    if put.kind == "block":
        return compact(body)
    inside = compact(body) + "".join(map(_branch, branch.children.values()))
    if put.turn is not None and put.turn.words:
        inside += f'<div class="agy-dim">{escape(put.turn.words)}</div>'
    opening = f'class="agy-node agy-{put.kind}"'
    if put.label:
        opening += f' role="group" aria-label="{escape(put.label)}"'
    if put.fold is None:
        head = f'<div class="agy-head">{put.head}</div>' if put.head else ""
        return f"<div {opening}>{head}{inside}</div>"
    is_open = " open" if put.fold == "open" else ""
    return f"<details {opening}{is_open}><summary>{put.head}</summary>{inside}</details>"
