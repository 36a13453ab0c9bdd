"""Render a Markdown text incrementally: blocks that have ended, and the open block.

A closed block is rendered once. The open block is rendered again when it has grown enough, as long
as those early renderings have cost few more characters than the text itself; its other growth is
sent as plain text. So work and traffic stay linear in the length of the text: at most the text
twice plus the final HTML. Where blocks end depends on the text alone, not on how it was split into
pieces. A long piece is rendered in slices, one per `changes`, so that it never blocks the loop; a
very long text is cut, and the number of missing characters is shown.
"""

from __future__ import annotations

import re
import time
from collections import ChainMap, deque
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from agy_nb.widgets.markdown.markup import LONGEST_BLOCK, is_code, plain, render, visible
from agy_nb.widgets.markdown.source import safe_source

LONGEST_FORMATTED = 300_000
"""Characters of a text that are rendered as Markdown; the rest is shown as plain text."""

LONGEST_SHOWN = 1_000_000
"""Characters of a text that are shown at all."""

SLICE = 16_000
"""Characters that are processed at once."""

SLICE_S = 0.008
"""Maximum duration of a slice in seconds; a block that was begun is completed."""

_LONG_LIST = 4_000
"""Characters after which a list is split into two blocks, to limit the length of a block."""

_LAG = 12
"""Characters of a line that are enough to know whether it begins a block."""

_SPACE = " \t\r\n"
_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])(\s|$)")
_CONTAINER = re.compile(r" {0,3}(?:([-*+]|\d{1,9}[.)])(\s|$)|>)")
_FENCE = re.compile(r" {0,3}(`{3,}+|~{3,}+)(.*)")
_NESTED_FENCE = re.compile(r"\s*+(?:(?:[-*+]|\d{1,9}[.)]|>)\s*+)*+(`{3,}+|~{3,}+)(.*)")
_FIRST_RENDER = 8
_FREE = 4_000
"""Characters of early renderings that are free, so that short answers are always formatted."""


@dataclass(frozen=True, slots=True)
class BlockUpdate:
    """Set the HTML of a block; it replaces text that was appended before."""

    block: int
    html: str


@dataclass(frozen=True, slots=True)
class BlockTail:
    """Append plain text to a block."""

    block: int
    text: str


class MarkdownStream:
    r"""The blocks of one text.

    Args:
        references: The link definitions of the answer, shared by its texts.

    Attributes:
        source: The text received so far.

    Example:
        >>> blocks = MarkdownStream()
        >>> blocks.append("# Hi\n\nThere\n")
        >>> blocks.changes()
        [BlockUpdate(block=0, html='<h1>Hi</h1>\n'), BlockTail(block=1, text='There\n')]
    """

    def __init__(self, references: dict[str, Any] | None = None) -> None:
        self._references = {"references": {}} if references is None else references
        self._pieces: list[str] = []
        self._size = 0
        self._shown = 0
        self._read_so_far = 0
        self._backlog: deque[str] = deque()
        self._backlog_at = 0
        self._closed: list[str] = []
        self._sources: list[str] = []
        self._closed_size = 0
        self._sent = 0
        self._open = _OpenBlock()
        self._open_lines: list[str] = []
        self._open_size = 0
        self._line: list[str] = []
        self._line_size = 0
        self._placed = False
        self._rendered_size = 0
        self._tail: list[str] = []
        self._spent = 0

    @property
    def source(self) -> str:
        """The text received so far."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def append(self, piece: str) -> None:
        """Append a piece, which may end anywhere."""
        self._pieces.append(piece)
        self._size += len(piece)
        piece = piece[: LONGEST_SHOWN - self._shown]
        self._shown += len(piece)
        # Also a short piece waits behind a backlog: pieces are read in their order.
        if self._backlog or len(piece) > SLICE:
            self._backlog.append(piece)
        else:
            self._read(piece)

    @property
    def has_backlog(self) -> bool:
        """Whether text is not processed yet; each `changes` processes a slice of it."""
        return bool(self._backlog)

    def advance(self) -> None:
        """Process a slice of the backlog."""
        until = time.monotonic() + SLICE_S
        left = SLICE
        while self._backlog and left > 0 and time.monotonic() < until:
            text, at = self._backlog[0], self._backlog_at
            end = text.find("\n", at, at + left) + 1 or min(at + left, len(text))
            self._read(text[at:end])
            left -= end - at
            self._backlog_at = end
            if end == len(text):
                self._backlog.popleft()
                self._backlog_at = 0

    def _read(self, piece: str) -> None:
        self._read_so_far += len(piece)
        lines = piece.split("\n")
        for line in lines[:-1]:
            self._add(line + "\n")
            self._end_line()
        if lines[-1]:
            self._add(lines[-1])

    def _add(self, part: str) -> None:
        """Append a part of a line; it may include the line end."""
        self._line.append(part)
        self._line_size += len(part)
        if self._placed:
            self._tail.append(part)
        elif part.endswith("\n") or self._line_size >= _LAG or self._placed_early(part):
            self._place()

    def _placed_early(self, part: str) -> bool:
        """Return whether the first part of a line is enough to place it."""
        return len(self._line) == 1 and part[0].isalpha()

    def _place(self) -> None:
        """Assign the current line to the open block or to a new one."""
        line = "".join(self._line)
        self._line = [line]
        if self._open_size and self._ends_before(line):
            self._close()
        self._placed = True
        self._tail.append(line)

    def _ends_before(self, line: str) -> bool:
        if self._is_plain:
            return self._open_size >= LONGEST_BLOCK
        return self._open.ends_before(line, self._open_size)

    @property
    def _is_plain(self) -> bool:
        return self._closed_size >= LONGEST_FORMATTED

    def _end_line(self) -> None:
        line = "".join(self._line)
        self._line.clear()
        self._line_size = 0
        self._placed = False
        if not self._open_size and not line.strip(_SPACE) and not self._is_plain:
            self._tail.clear()  # blank lines between blocks are not part of any
            return
        self._open_lines.append(line)
        self._open_size += len(line)
        self._open.add_line(line)

    def _close(self) -> None:
        source = "".join(self._open_lines)
        self._closed.append(plain(source) if self._is_plain else render(source, self._references))
        self._sources.append(self._safe(source))
        self._closed_size += self._open_size
        self._open = _OpenBlock()
        self._open_lines.clear()
        self._open_size = 0
        self._rendered_size = 0
        self._tail.clear()

    def _safe(self, source: str) -> str:
        return source if is_code(source) and not self._is_plain else safe_source(source)

    def finish(self) -> None:
        """End the text: process the backlog and close the open block."""
        while self._backlog:
            self.advance()
        if self._line and not self._placed:
            self._place()
        if self._line:
            self._end_line()
        if self._open_size:
            self._close()
        if more := self._not_shown():
            self._closed.append(more)

    def _not_shown(self) -> str:
        more = self._size - self._shown
        return f"<p>… {more:,} more characters not shown.</p>\n" if more else ""

    def changes(self) -> list[BlockUpdate | BlockTail]:
        """Return the changes since the last call, in the order in which to apply them."""
        self.advance()
        found: list[BlockUpdate | BlockTail] = [
            BlockUpdate(index, self._closed[index])
            for index in range(self._sent, len(self._closed))
        ]
        self._sent = len(self._closed)
        if (early := self._render_open()) is not None:
            found.append(BlockUpdate(self._sent, early))
        elif self._tail:
            text = visible("".join(self._tail))
            self._tail.clear()
            found.append(BlockTail(self._sent, text))
        return found

    def _render_open(self) -> str | None:
        size = self._open_size + (self._line_size if self._placed else 0)
        growth = 1.2 if self._spent < _FREE // 2 else 2
        if self._is_plain or size < max(_FIRST_RENDER, growth * self._rendered_size):
            return None
        allowed = self._read_so_far + _FREE
        if self._spent + size > allowed:
            return None
        # Noted before the length of the HTML is known: HTML that turns out too long is not made
        # again for each following piece.
        self._rendered_size = size
        line = self._line if self._placed else ()
        early = self._early("".join((*self._open_lines, *line)), colours=False)
        cost = max(size, len(early))
        if self._spent + cost > allowed:
            return None
        self._spent += cost
        self._tail.clear()
        return early

    def _early(self, source: str, *, colours: bool) -> str:
        """Render a block that may still grow; discard its link definitions, which may grow too."""
        if self._is_plain:
            return plain(source)
        known: MutableMapping[str, Any] = ChainMap({}, self._references["references"])
        return render(source, {"references": known}, colours=colours)

    @property
    def open_block(self) -> int:
        """The number of the open block."""
        return len(self._closed)

    def open_html(self) -> str:
        """Render the open block as received so far, followed by the backlog as plain text."""
        pending = "".join((*self._open_lines, *self._line))
        html = self._early(pending, colours=True) if pending.strip(_SPACE) else ""
        if self._backlog:
            html += plain("".join(self._backlog)[self._backlog_at :]) + self._not_shown()
        return html

    def markdown(self) -> str:
        """Return the Markdown received so far, without HTML and images that a model wrote."""
        pending = "".join((*self._open_lines, *self._line))
        rest = "".join(self._backlog)[self._backlog_at :]
        pieces = (*self._sources, self._safe(pending), safe_source(rest))
        return "\n\n".join(piece.strip("\n") for piece in pieces if piece.strip())

    def html(self) -> str:
        """Render the whole text as received so far."""
        return "".join(self._closed) + self.open_html()


@dataclass(slots=True)
class _OpenBlock:
    """Track the lines of the open block to find where it ends.

    Attributes:
        blank: Whether its last line is blank.
        inside: Whether it is, or ends with, a list or a quote.
        fence: The marks of the fence that is open in it, or empty.
        nested: Whether that fence is inside a list or a quote, and ends with it.
        whole: Whether the block was a code block that has ended.
    """

    blank: bool = False
    inside: bool = False
    fence: str = ""
    nested: bool = False
    whole: bool = False

    def ends_before(self, line: str, size: int) -> bool:
        """Return whether a line with this beginning starts another block."""
        if self.fence and not (self.nested and self._leaves(line)):
            return False
        if self.whole or line.startswith(("```", "~~~")):
            return True
        if self.inside and size >= _LONG_LIST and (item := _ITEM.match(line)):
            return item[1] not in ("1.", "1)")  # a list of ones would start at 1 again
        words = line.lstrip(_SPACE)
        if not self.blank or not words:
            return False
        indented = len(line) - len(words) > 1 or line[0] in "\t\r"
        return not indented and not (self.inside and _CONTAINER.match(line))

    def _leaves(self, line: str) -> bool:
        """Return whether a line is outside the list or quote that contains the open fence."""
        return line[0] not in _SPACE and line[0] != ">"

    def add_line(self, line: str) -> None:
        """Add a line to the block."""
        if self.fence and self.nested and self._leaves(line):
            self.fence = ""
        self.blank = not line.strip(_SPACE)
        self.inside = self.inside or (not self.fence and bool(_CONTAINER.match(line)))
        if self.fence:
            self._close_fence(line)
        else:
            self._open_fence(line)

    def _open_fence(self, line: str) -> None:
        match = (_NESTED_FENCE if self.inside else _FENCE).match(line)
        if match and (match[1][0] == "~" or "`" not in match[2]):
            self.fence = match[1]
            self.nested = self.inside and not line.startswith(match[1])

    def _close_fence(self, line: str) -> None:
        match = _FENCE.match(line.lstrip(" \t>") if self.nested else line)
        if match and match[1].startswith(self.fence) and not match[2].strip():
            self.fence = ""
            self.whole = not self.nested
