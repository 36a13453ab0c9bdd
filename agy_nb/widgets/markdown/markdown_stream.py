"""A Markdown text that grows: blocks that are closed, and the one that is open.

Rule 1: a closed block is rendered once and never again.
Rule 2: the open block is rendered again when it has grown enough, and only while such renderings
have cost few more characters than the text itself has; until then its growth is plain text. So the
work and the bytes to the front end stay linear: the text twice and the final HTML at the most.
Rule 3: where blocks end depends on the text alone, not on the pieces in which it came.
Rule 4: a piece that is long is read in slices, one at each look at the changes, so that it holds up
nobody; and of a text that is very long the beginning is drawn, and the rest is counted.
"""

from __future__ import annotations

import re
import time
from collections import ChainMap, deque
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from agy_nb.widgets.markdown.markup import LONGEST_BLOCK, plain, render, visible

LONGEST_FORMATTED = 300_000
"""Characters of a text that are Markdown; what follows them is shown as it is."""

LONGEST_SHOWN = 1_000_000
"""Characters of a text that are drawn at all."""

SLICE = 16_000
"""Characters that are read at once."""

SLICE_S = 0.008
"""Seconds that reading may take at once; a block is rendered to its end."""

_LONG_LIST = 4_000
"""Characters after which a list goes on as another one, so that no block grows too long."""

_LAG = 12
"""Characters of a line after which it is known whether it begins a block."""

_SPACE = " \t\r\n"
_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])(\s|$)")
_CONTAINER = re.compile(r" {0,3}(?:([-*+]|\d{1,9}[.)])(\s|$)|>)")
_FENCE = re.compile(r" {0,3}(`{3,}+|~{3,}+)(.*)")
_NESTED_FENCE = re.compile(r"\s*+(?:(?:[-*+]|\d{1,9}[.)]|>)\s*+)*+(`{3,}+|~{3,}+)(.*)")
_FIRST_RENDER = 8
_FREE = 4_000
"""Characters of early renderings that are not counted, so that short answers look well."""


@dataclass(frozen=True, slots=True)
class BlockUpdate:
    """A block is (again) this HTML; what was appended to it before is in it now."""

    block: int
    html: str


@dataclass(frozen=True, slots=True)
class BlockTail:
    """Plain text that follows a block's HTML."""

    block: int
    text: str


class MarkdownStream:
    r"""The blocks of one text.

    Args:
        references: Link definitions of the answer, shared by its texts.

    Attributes:
        source: The whole text so far.

    Example:
        >>> blocks = MarkdownStream()
        >>> blocks.feed("# Hi\n\nThere\n")
        >>> blocks.changes()
        [BlockUpdate(block=0, html='<h1>Hi</h1>\n'), BlockTail(block=1, text='There\n')]
    """

    def __init__(self, references: dict[str, Any] | None = None) -> None:
        self._references = {"references": {}} if references is None else references
        self._pieces: list[str] = []
        self._size = 0
        self._drawn = 0
        self._read_so_far = 0
        self._rest: deque[str] = deque()
        self._rest_at = 0
        self._closed: list[str] = []
        self._closed_size = 0
        self._told = 0
        self._open = _Open()
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
        """The whole text so far."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def feed(self, piece: str) -> None:
        """Add a piece, cut anywhere."""
        self._pieces.append(piece)
        self._size += len(piece)
        piece = piece[: LONGEST_SHOWN - self._drawn]
        self._drawn += len(piece)
        if self._rest or len(piece) > SLICE:
            self._rest.append(piece)
        else:
            self._read(piece)

    @property
    def behind(self) -> bool:
        """Whether some of the text was not read yet; each look at the changes reads a slice."""
        return bool(self._rest)

    def advance(self) -> None:
        """Read a slice of what is behind."""
        until = time.monotonic() + SLICE_S
        left = SLICE
        while self._rest and left > 0 and time.monotonic() < until:
            text, at = self._rest[0], self._rest_at
            end = text.find("\n", at, at + left) + 1 or min(at + left, len(text))
            self._read(text[at:end])
            left -= end - at
            self._rest_at = end
            if end == len(text):
                self._rest.popleft()
                self._rest_at = 0

    def _read(self, piece: str) -> None:
        self._read_so_far += len(piece)
        lines = piece.split("\n")
        for line in lines[:-1]:
            self._add(line + "\n")
            self._end_line()
        if lines[-1]:
            self._add(lines[-1])

    def _add(self, part: str) -> None:
        """Add a part of a line, which may be its end."""
        self._line.append(part)
        self._line_size += len(part)
        if self._placed:
            self._tail.append(part)
        elif part.endswith("\n") or self._line_size >= _LAG or self._placed_early(part):
            self._place()

    def _placed_early(self, part: str) -> bool:
        """Whether a line that begins so is known to go on with the open block, or to begin one."""
        return len(self._line) == 1 and part[0].isalpha()

    def _place(self) -> None:
        """Decide where the line that comes belongs to: the open block, or a new one."""
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
            self._tail.clear()  # a blank line between blocks is none
            return
        self._open_lines.append(line)
        self._open_size += len(line)
        self._open.take(line)

    def _close(self) -> None:
        source = "".join(self._open_lines)
        self._closed.append(plain(source) if self._is_plain else render(source, self._references))
        self._closed_size += self._open_size
        self._open = _Open()
        self._open_lines.clear()
        self._open_size = 0
        self._rendered_size = 0
        self._tail.clear()

    def finish(self) -> None:
        """Nothing comes any more: read all that is behind, and close the open block."""
        while self._rest:
            self.advance()
        if self._line and not self._placed:
            self._place()
        if self._line:
            self._end_line()
        if self._open_size:
            self._close()
        if more := self._not_drawn():
            self._closed.append(more)

    def _not_drawn(self) -> str:
        more = self._size - self._drawn
        return f"<p>… {more:,} more characters are not drawn here.</p>\n" if more else ""

    def changes(self) -> list[BlockUpdate | BlockTail]:
        """What is new since the last call, in the order in which to apply it."""
        self.advance()
        found: list[BlockUpdate | BlockTail] = [
            BlockUpdate(index, self._closed[index])
            for index in range(self._told, len(self._closed))
        ]
        self._told = len(self._closed)
        if (early := self._render_open()) is not None:
            found.append(BlockUpdate(self._told, early))
        elif self._tail:
            text = visible("".join(self._tail))
            self._tail.clear()
            found.append(BlockTail(self._told, text))
        return found

    def _render_open(self) -> str | None:
        size = self._open_size + (self._line_size if self._placed else 0)
        growth = 1.2 if self._spent < _FREE // 2 else 2
        if self._is_plain or size < max(_FIRST_RENDER, growth * self._rendered_size):
            return None
        allowed = self._read_so_far + _FREE
        if self._spent + size > allowed:
            return None
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
        """Render what may still grow: of its links' definitions, which may too, none is kept."""
        if self._is_plain:
            return plain(source)
        known: MutableMapping[str, Any] = ChainMap({}, self._references["references"])
        return render(source, {"references": known}, colours=colours)

    @property
    def open_block(self) -> int:
        """The number of the open block."""
        return len(self._closed)

    def open_html(self) -> str:
        """The open block, rendered as far as it has come; empty where there is none.

        What is behind follows it as it is.
        """
        pending = "".join((*self._open_lines, *self._line))
        html = self._early(pending, colours=True) if pending.strip(_SPACE) else ""
        if self._rest:
            html += plain("".join(self._rest)[self._rest_at :]) + self._not_drawn()
        return html

    def html(self) -> str:
        """All of it as it stands."""
        return "".join(self._closed) + self.open_html()


@dataclass(slots=True)
class _Open:
    """What the lines of the open block say of where it ends.

    Attributes:
        blank: Its last line is blank.
        inside: It is a list or a quote, or ends with one.
        fence: The marks of the fence that is open in it, or empty.
        nested: That fence is inside of a list or a quote, and ends with it.
        whole: A fence of its own has ended, and with it the block.
    """

    blank: bool = False
    inside: bool = False
    fence: str = ""
    nested: bool = False
    whole: bool = False

    def ends_before(self, line: str, size: int) -> bool:
        """Whether this line, or one that begins so, begins another block."""
        if self.fence and not (self.nested and self._leaves(line)):
            return False
        if self.whole or line.startswith(("```", "~~~")):
            return True
        if self.inside and size >= _LONG_LIST and (item := _ITEM.match(line)):
            return item[1] not in ("1.", "1)")  # a list of ones would count anew
        words = line.lstrip(_SPACE)
        if not self.blank or not words:
            return False
        indented = len(line) - len(words) > 1 or line[0] in "\t\r"
        return not indented and not (self.inside and _CONTAINER.match(line))

    def _leaves(self, line: str) -> bool:
        """Whether a line is outside of the list or the quote in which the fence is open."""
        return line[0] not in _SPACE and line[0] != ">"

    def take(self, line: str) -> None:
        """Take a line that belongs to the block."""
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
