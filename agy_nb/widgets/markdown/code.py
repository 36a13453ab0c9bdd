"""Highlight code with CSS classes; only the kinds of tokens that have a colour get an element."""

from __future__ import annotations

import functools
import html
import re
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any

from agy_nb.terminal import revealed

if TYPE_CHECKING:
    from pygments.lexer import Lexer

LONGEST_HIGHLIGHT = 20_000
"""Maximum length of highlighted code, in characters."""

LONGEST_HIGHLIGHT_S = 0.2
"""Maximum CPU time for highlighting, in seconds: some lexers are quadratic on hostile text."""

LONGEST_LINE = 1_000
"""Maximum length of a line in highlighted code other than JSON, for the same reason."""

CODE_PREFIX = "agyc-"
"""Prefix of the CSS classes of highlighted code."""

_COLOURED = {
    "Keyword": "k",
    "Operator.Word": "k",
    "Name.Tag": "k",
    "Literal.String": "s",
    "Comment": "c",
    "Literal.Number": "m",
    "Name.Function": "f",
    "Name.Class": "f",
    "Name.Decorator": "f",
    "Generic.Prompt": "f",
    "Generic.Deleted": "d",
    "Generic.Inserted": "i",
    "Generic.Subheading": "c",
}
"""The CSS class of each kind of token that has a colour; it includes the kinds below it."""

CLASSES = frozenset(f"{CODE_PREFIX}{short}" for short in _COLOURED.values())
"""All CSS classes of highlighted code."""

_MARKUP = re.compile(r"<[^<>]*>")

_used: set[str] = set()
"""Languages whose lexer has been used."""


def _tokens(lexer: Lexer, code: str) -> list[tuple[Any, str]]:
    """Split code into tokens; none if that takes too long."""
    tokens = []
    patience = time.thread_time() + LONGEST_HIGHLIGHT_S
    for token in lexer.get_tokens(code):
        tokens.append(token)
        if time.thread_time() > patience:
            return []
    return tokens


@functools.cache
def _class_of(kind: Any) -> str:
    """Return the CSS class of a kind of token without its prefix; empty if it has no colour."""
    names = str(kind).split(".")[1:]
    known = (_COLOURED.get(".".join(names[:depth])) for depth in range(len(names), 0, -1))
    return next(filter(None, known), "")


def _markup(tokens: list[tuple[Any, str]]) -> str:
    pieces = []
    for name, group in groupby(tokens, key=lambda token: _class_of(token[0])):
        text = html.escape("".join(value for _, value in group), quote=False)
        pieces.append(f'<span class="{CODE_PREFIX}{name}">{text}</span>' if name else text)
    return "".join(pieces)


def highlight(code: str, language: str) -> str:
    """Highlight code as HTML with CSS classes; empty if that is not possible.

    Example:
        >>> highlight("x = 1", "python")
        'x = <span class="agyc-m">1</span>'
    """
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    code = revealed(code)
    longest = LONGEST_HIGHLIGHT if language == "json" else LONGEST_LINE
    if len(code) > LONGEST_HIGHLIGHT or max(map(len, code.split("\n"))) > longest:
        return ""
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=True)
    except ClassNotFound:
        return ""
    tokens = _tokens(lexer, code)
    if (
        not tokens and language not in _used
    ):  # the first use also loads the lexers of embedded languages
        tokens = _tokens(lexer, code)
    _used.add(language)
    if not tokens:
        return ""
    coloured = _markup(tokens)
    if not code.endswith("\n"):
        trailing = re.compile(r"\n(?=(?:</span>)?\Z)")
        coloured = trailing.sub("", coloured)
    return coloured if html.unescape(_MARKUP.sub("", coloured)) == code else ""
