"""The HTML nodes of a view and their changes, as frozen data.

The live view sends changes to the front end, which maintains a tree of elements. The static view
builds the same tree here. Both have the same HTML and the same classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from agy_nb.widgets.markdown.markup import compact, escape


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
        turn: Whether the node is the prompt of a turn that the user can send again.
    """

    id: str
    parent: str = ""
    kind: str
    head: str = ""
    body: str = ""
    fold: str | None = None
    label: str = ""
    turn: bool = False


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
    opening = f'class="agy-node agy-{put.kind}"'
    if put.label:
        opening += f' role="group" aria-label="{escape(put.label)}"'
    if put.fold is None:
        head = f'<div class="agy-head">{put.head}</div>' if put.head else ""
        return f"<div {opening}>{head}{inside}</div>"
    is_open = " open" if put.fold == "open" else ""
    return f"<details {opening}{is_open}><summary>{put.head}</summary>{inside}</details>"
