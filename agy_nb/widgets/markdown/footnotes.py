"""Parse footnotes: `[^1]` in the text, and `[^1]: the note` where the note is.

A text is rendered block by block, so a note stays where it was written, and a reference comes
before its note is known. A number is a reference in any case. Another label must be known:
`[^abc]` may be a part of a regular expression. The two are not linked, because two answers on one
page may use the same label.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_REFERENCE = re.compile(r"\[\^([^\s\[\]^]{1,40})\]")  # bounded: it is tried at each bracket
_NUMBER = re.compile(r"[0-9]{1,3}")
_KNOWN = "agy_notes"


def enable(parser: MarkdownIt) -> None:
    """Make a parser read footnotes."""
    from mdit_py_plugins.footnote.index import footnote_def

    # The plugin's own references are not used: they scan to the end of the text at each bracket.
    parser.block.ruler.before(
        "reference", "footnote_def", footnote_def, {"alt": ["paragraph", "reference"]}
    )
    parser.core.ruler.after("block", "footnote_labels", _find_labels)
    parser.core.ruler.after("inline", "footnote_marks", _mark_notes)
    parser.inline.ruler.before("link", "footnote_ref", _reference)
    for name in ("footnote_reference_open", "footnote_reference_close"):
        parser.add_render_rule(name, _nothing)


def _find_labels(state: StateCore) -> None:
    labels = [each.meta["label"] for each in state.tokens if each.type == "footnote_reference_open"]
    if labels:
        state.env.setdefault(_KNOWN, set()).update(labels)


def _mark_notes(state: StateCore) -> None:
    """Put the label before the first words of each note."""
    from markdown_it.token import Token

    label = None
    for token in state.tokens:
        if token.type == "footnote_reference_open":
            label = token.meta["label"]
        elif token.type == "inline" and label is not None and token.children is not None:
            mark = Token("html_inline", "", 0)
            mark.content = f"{_mark(label)} "
            token.children.insert(0, mark)
            label = None


def _reference(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - as it is called
    match = _REFERENCE.match(state.src, state.pos)
    if match is None:
        return False
    label = match[1]
    if not _NUMBER.fullmatch(label) and label not in state.env.get(_KNOWN, ()):
        return False
    if not silent:
        state.push("html_inline", "", 0).content = _mark(label)
    state.pos = match.end()
    return True


def _mark(label: str) -> str:
    return f"<sup>{html.escape(label)}</sup>"


def _nothing(_renderer: Any, _tokens: Sequence[Token], _at: int, _options: Any, _env: Any) -> str:
    return ""
