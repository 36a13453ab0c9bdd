"""Markdown as people write it, beyond CommonMark: addresses, task lists, numbers in tables.

All HTML that is made here goes through the sanitiser of `markup`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

LABEL = "agy-label"
"""CSS class of the label above a code block."""

ALIGNED = {"text-align:center": "agy-m", "text-align:right": "agy-r"}
"""CSS classes of cells, which replace inline styles; with its number, the class of a column."""

MOST_COLUMNS = 20
"""Number of columns of a table that can be aligned by a class of the table."""

_DIAGRAMS = ("mermaid", "plantuml", "dot", "graphviz")
_SMALL_TAGS = re.compile(r"<(?:br */?|/?su[bp])>", re.IGNORECASE)
_NUMBER = re.compile(
    r"[-+\u2212±~≈<>≤≥]?\s?[$€£¥]?\s?\d[\d.,\s\u202f'\u2019]{0,40}\s?(?:%|[kKMGT]?B|ms|s|x|\u00d7)?"
    r"|[-\u2013\u2014]|n/a",
    re.IGNORECASE,
)


def enable(parser: MarkdownIt) -> None:
    """Make a parser read addresses as links, task lists, definition lists, `<br>` and `<sub>`."""
    from mdit_py_plugins.deflist import deflist_plugin
    from mdit_py_plugins.tasklists import tasklists_plugin

    parser.enable("linkify")
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    parser.use(deflist_plugin).use(tasklists_plugin)
    parser.inline.ruler.before("autolink", "small_tags", _small_tags)
    parser.core.ruler.push("align_numbers", _align_numbers)
    parser.core.ruler.push("name_columns", _name_columns)
    parser.add_render_rule("html_inline", _html_inline)
    parser.add_render_rule("fence", _fence)


def _small_tags(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - as it is called
    """Parse `<br>`, `<sub>` and `<sup>`; all other HTML is text."""
    match = _SMALL_TAGS.match(state.src, state.pos)
    if match is None:
        return False
    if not silent:
        state.push("html_inline", "", 0).content = match[0].lower()
    state.pos = match.end()
    return True


def _html_inline(
    _renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any
) -> str:
    """Render the few tags that are parsed, and the boxes of task lists as characters."""
    content = tokens[index].content
    if content.startswith("<input"):
        return "☑" if "checked" in content else "☐"
    return content


def _fence(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Render a code block; a diagram is shown as its source, with a label."""
    code = str(renderer.fence(tokens, index, options, env))
    language = tokens[index].info.strip().lower()
    label = f'<span class="{LABEL}">{language} diagram</span>' if language in _DIAGRAMS else ""
    return label + code


def _align_numbers(state: StateCore) -> None:
    """Align table columns that hold only numbers to the right, unless the table aligns them."""
    for table in _tables(state.tokens):
        for head, *cells in _columns(table):
            texts = [content.content.strip(" *_`") for _, content in cells]
            has_numbers = any(re.search(r"\d", text) for text in texts)
            are_numbers = all(not text or _NUMBER.fullmatch(text) for text in texts)
            if "style" not in head[0].attrs and has_numbers and are_numbers:
                for cell, _ in (head, *cells):
                    cell.attrs["style"] = "text-align:right"


def _name_columns(state: StateCore) -> None:
    """Name the aligned columns in a class of the table, which is shorter than one per cell."""
    for table in _tables(state.tokens):
        for number, column in enumerate(_columns(table), 1):
            name = ALIGNED.get(str(column[0][0].attrs.get("style")))
            if name is not None and number <= MOST_COLUMNS:
                table[0].attrJoin("class", f"{name}{number}")
                for cell, _ in column:
                    cell.attrs.pop("style", None)


def _tables(tokens: list[Token]) -> Iterator[list[Token]]:
    begin = 0
    for at, token in enumerate(tokens):
        if token.type == "table_open":
            begin = at
        elif token.type == "table_close":
            yield tokens[begin:at]


def _columns(table: list[Token]) -> Iterator[tuple[tuple[Token, Token], ...]]:
    """Iterate over the columns of a table: the opening and the content of each cell."""
    rows: list[list[tuple[Token, Token]]] = []
    for token, content in itertools.pairwise(table):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append((token, content))
    return zip(*rows, strict=False)
