"""Texts and thoughts that stream, as nodes: one node per text, with a child node per block.

A long text is rendered in slices, one per `flush`, also after it has ended and later nodes follow.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from agy_nb.widgets.markdown import markdown_stream as blocks
from agy_nb.widgets.markdown.markup import visible
from agy_nb.widgets.markdown.source import safe_source
from agy_nb.widgets.tree.node_tree import NodeTree
from agy_nb.widgets.tree.nodes import Upsert


@dataclass(slots=True)
class _StreamedText:
    """A text or a thought that streams.

    Attributes:
        complete: Whether the text has ended; a backlog may still have to be rendered.
    """

    node: str
    step_index: int
    thought: bool
    blocks: blocks.MarkdownStream
    complete: bool = False


class StreamedTexts:
    """The texts and thoughts of a transcript.

    Args:
        tree: Receives their nodes.
    """

    def __init__(self, tree: NodeTree) -> None:
        self._tree = tree
        self._open: dict[str, _StreamedText] = {}
        self._growing: dict[str, _StreamedText] = {}
        self._texts: dict[str, blocks.MarkdownStream] = {}
        self._written: dict[str, blocks.MarkdownStream | str] = {}
        self._references: dict[str, dict[str, Any]] = {}

    def begin_turn(self) -> None:
        """Start new texts and forget the link definitions of the previous turn."""
        self._open = {}
        self._references = {}

    # -- input -------------------------------------------------------------------------------

    def continues(self, parent: str, step_index: int, *, thought: bool) -> bool:
        """Return whether a step continues the text that is open below a node."""
        text = self._open.get(parent)
        return text is not None and (text.step_index, text.thought) == (
            step_index,
            thought,
        )

    def begin(
        self, parent: str, node: str, step_index: int, *, thought: bool, in_answer: bool
    ) -> None:
        """Begin a text below a node.

        Args:
            parent: The parent node.
            node: The node of the text.
            step_index: The step that writes the text.
            thought: Whether the text is a thought.
            in_answer: Whether `text` includes it.
        """
        # Link definitions apply to one trajectory in one turn: the next one starts at [1] again.
        stream = blocks.MarkdownStream(self._references.setdefault(parent, {"references": {}}))
        if in_answer:
            self._texts[node] = self._written[node] = stream
        self._open[parent] = _StreamedText(node, step_index, thought, stream)

    def write(self, node: str, markdown: str) -> None:
        """Include a node that is not streamed in `markdown`."""
        self._written[node] = markdown

    def append(self, parent: str, piece: str) -> None:
        """Append to the text that is open below a node."""
        text = self._open[parent]
        text.blocks.append(piece)
        self._growing[text.node] = text

    def close(self, parent: str) -> None:
        """End the text that is open below a node, if any."""
        text = self._open.pop(parent, None)
        if text is not None and text.blocks.has_backlog:
            text.complete = True
        elif text is not None:
            self._finish(text)

    def close_all(self) -> None:
        """End all open texts."""
        for parent in tuple(self._open):
            self.close(parent)

    def render(self, source: str) -> str:
        """Render a complete text as HTML."""
        found = blocks.MarkdownStream()
        found.append(source)
        found.finish()
        return found.html()

    def forget(self, node: str) -> None:
        """Forget the text of a removed node."""
        self._texts.pop(node, None)
        self._written.pop(node, None)
        self._growing.pop(node, None)

    def clear(self) -> None:
        """Forget all texts."""
        for known in (self._open, self._growing, self._texts, self._written):
            known.clear()

    # -- output ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Update the nodes with the text received since the last call; a long text by a slice."""
        for text in tuple(self._growing.values()):
            self._update(text)
            if text.complete and not text.blocks.has_backlog:
                self._finish(text)

    @property
    def has_backlog(self) -> bool:
        """Whether long text is not rendered yet."""
        return any(text.blocks.has_backlog for text in self._growing.values())

    def catch_up(self) -> None:
        """Render the whole backlog at once."""
        for text in tuple(self._growing.values()):
            while text.blocks.has_backlog:
                text.blocks.advance()

    def markdown(self) -> str:
        """Return the prompts and the answers as Markdown that is safe to render elsewhere."""
        pieces = (
            safe_source(each) if isinstance(each, str) else each.markdown()
            for each in self._written.values()
        )
        return visible("\n\n".join(filter(None, pieces)))

    def text_after(self, node: str) -> str:
        """Return the streamed texts between a node and the next one that is not streamed."""
        nodes = list(self._written)
        if node not in self._written:
            return ""
        following = (self._written[each] for each in nodes[nodes.index(node) + 1 :])
        texts = itertools.takewhile(lambda each: not isinstance(each, str), following)
        return "\n\n".join(each.source.strip() for each in texts if not isinstance(each, str))

    def open_blocks(self) -> list[Upsert]:
        """Render the open block of each text, as nodes that override those in the tree."""
        found = []
        for text in self._growing.values():
            if body := text.blocks.open_html():
                node = f"{text.node}b{text.blocks.open_block}"
                found.append(Upsert(id=node, parent=text.node, kind="block", body=body))
        return found

    def text(self) -> str:
        """Return the answers without thoughts; a very long text is cut."""
        return visible("\n\n".join(map(_beginning, self._texts.values())))

    def _update(self, text: _StreamedText) -> None:
        for change in text.blocks.changes():
            block = f"{text.node}b{change.block}"
            if isinstance(change, blocks.BlockUpdate) or block not in self._tree:
                body = change.html if isinstance(change, blocks.BlockUpdate) else ""
                self._tree.upsert(Upsert(id=block, parent=text.node, kind="block", body=body))
            if isinstance(change, blocks.BlockTail):
                self._tree.append_text(block, change.text)

    def _finish(self, text: _StreamedText) -> None:
        text.blocks.finish()
        self._update(text)
        self._growing.pop(text.node, None)


def _beginning(text: blocks.MarkdownStream) -> str:
    source = text.source
    more = len(source) - blocks.LONGEST_SHOWN
    if more <= 0:
        return source
    return f"{source[: blocks.LONGEST_SHOWN]}\n… {more:,} more characters"
