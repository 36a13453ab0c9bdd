"""Texts and thoughts that grow, as nodes of a sheet: each has one node, and in it one a block.

Rule 1: a text that is long is read in slices, one at each look, also when it is closed already and
other nodes stand below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agy_nb.widgets.markdown import markdown_stream as blocks
from agy_nb.widgets.markdown.markup import visible
from agy_nb.widgets.tree.node_tree import NodeTree
from agy_nb.widgets.tree.nodes import Upsert


@dataclass(slots=True)
class _Writing:
    """A text or a thought that grows.

    Attributes:
        whole: Nothing is added to it any more.
    """

    node: str
    step_index: int
    thought: bool
    blocks: blocks.MarkdownStream
    whole: bool = False


class StreamedTexts:
    """The texts of a transcript.

    Args:
        sheet: Where their nodes are.
    """

    def __init__(self, sheet: NodeTree) -> None:
        self._sheet = sheet
        self._open: dict[str, _Writing] = {}
        self._growing: dict[str, _Writing] = {}
        self._texts: dict[str, blocks.MarkdownStream] = {}
        self._references: dict[str, dict[str, Any]] = {}

    def begin_turn(self) -> None:
        """What comes from now on is not part of a text or a link definition of before."""
        self._open = {}
        self._references = {}

    # -- what comes in -----------------------------------------------------------------------

    def goes_on(self, parent: str, step_index: int, *, thought: bool) -> bool:
        """Whether what comes below a node is a part of the text that is open there."""
        writing = self._open.get(parent)
        return writing is not None and (writing.step_index, writing.thought) == (
            step_index,
            thought,
        )

    def begin(self, parent: str, node: str, step_index: int, *, thought: bool, told: bool) -> None:
        """A text begins below a node.

        Args:
            parent: The node below which it is.
            node: Its own.
            step_index: The step that writes it.
            thought: Whether it is a thought.
            told: Whether it is a part of what `text` gives.
        """
        # A link definition holds for one trajectory in one turn: the next numbers from [1] again.
        text = blocks.MarkdownStream(self._references.setdefault(parent, {"references": {}}))
        if told:
            self._texts[node] = text
        self._open[parent] = _Writing(node, step_index, thought, text)

    def feed(self, parent: str, text: str) -> None:
        """The text that is open below a node grows."""
        writing = self._open[parent]
        writing.blocks.feed(text)
        self._growing[writing.node] = writing

    def close(self, parent: str) -> None:
        """The text that is open below a node, if any, is whole."""
        writing = self._open.pop(parent, None)
        if writing is not None and writing.blocks.behind:
            writing.whole = True
        elif writing is not None:
            self._finish(writing)

    def close_all(self) -> None:
        """All texts that are open are whole."""
        for parent in tuple(self._open):
            self.close(parent)

    def whole(self, text: str) -> str:
        """The HTML of a text that is whole."""
        found = blocks.MarkdownStream()
        found.feed(text)
        found.finish()
        return found.html()

    def forget(self, node: str) -> None:
        """The node of a text is gone."""
        self._texts.pop(node, None)
        self._growing.pop(node, None)

    def clear(self) -> None:
        """Forget all texts."""
        for known in (self._open, self._growing, self._texts):
            known.clear()

    # -- what goes out -----------------------------------------------------------------------

    def grow(self) -> None:
        """Bring to the sheet what has come since the last time, of what is long a slice."""
        for writing in tuple(self._growing.values()):
            self._take(writing)
            if writing.whole and not writing.blocks.behind:
                self._finish(writing)

    @property
    def behind(self) -> bool:
        """Whether there is long text that was not read."""
        return any(writing.blocks.behind for writing in self._growing.values())

    def catch_up(self) -> None:
        """Read all that is behind, at once."""
        for writing in tuple(self._growing.values()):
            while writing.blocks.behind:
                writing.blocks.advance()

    def rest(self) -> list[Upsert]:
        """What still grows, rendered as far as it has come: nodes in the place of those there."""
        found = []
        for writing in self._growing.values():
            if body := writing.blocks.open_html():
                node = f"{writing.node}b{writing.blocks.open_block}"
                found.append(Upsert(id=node, parent=writing.node, kind="block", body=body))
        return found

    def text(self) -> str:
        """What was written, without thoughts; of what is very long, the beginning."""
        return visible("\n\n".join(map(_beginning, self._texts.values())))

    def _take(self, writing: _Writing) -> None:
        for change in writing.blocks.changes():
            block = f"{writing.node}b{change.block}"
            if isinstance(change, blocks.BlockUpdate) or block not in self._sheet:
                body = change.html if isinstance(change, blocks.BlockUpdate) else ""
                self._sheet.put(Upsert(id=block, parent=writing.node, kind="block", body=body))
            if isinstance(change, blocks.BlockTail):
                self._sheet.tail(block, change.text)

    def _finish(self, writing: _Writing) -> None:
        writing.blocks.finish()
        self._take(writing)
        self._growing.pop(writing.node, None)


def _beginning(text: blocks.MarkdownStream) -> str:
    source = text.source
    more = len(source) - blocks.LONGEST_SHOWN
    if more <= 0:
        return source
    return f"{source[: blocks.LONGEST_SHOWN]}\n… {more:,} more characters"
