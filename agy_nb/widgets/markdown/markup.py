"""Markdown to safe HTML: the one place where text of a model or a tool becomes markup.

Rule 1: what a model says is hostile. HTML in it is text; what Markdown makes of it goes through a
sanitiser that knows a list of tags and drops the rest; nothing is loaded from anywhere.
Rule 2: a piece of Markdown may end anywhere; half of a fence, a table or a link is shown as it is.
"""

from __future__ import annotations

import functools
import html
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agy_nb.terminal import revealed

if TYPE_CHECKING:
    import nh3
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from pygments.lexer import Lexer

LONGEST_HIGHLIGHT = 20_000
"""Characters of a code block that are coloured; a longer one is shown plain."""

LONGEST_HIGHLIGHT_S = 0.2
"""Seconds of work that colours may take: some lexers need the square of a hostile text's length."""

LONGEST_LINE = 1_000
"""Characters of a line in code that is coloured, unless it is JSON; for the same reason."""

LONGEST_BLOCK = 12_000
"""Characters of a block that is still looked at as Markdown; a longer one, but for a code block, is
shown as it is, since no block may hold up the event loop."""

LONGEST_CODE = 500_000
"""Characters of a code block that is still looked at as Markdown."""

_MOST_MARKS = 1_000
"""Brackets and emphasis marks in a block that is still looked at as Markdown: what pairs them needs
the square of their number."""

_FENCE = re.compile(r"(`{3,}+|~{3,}+)[^`\n]*+\n")
_TAGS = frozenset(
    [
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
CODE_PREFIX = "agyc-"
"""What the classes of coloured code begin with; no other class of ours does."""

_ALIGNED = {
    "text-align:left": "agy-left",
    "text-align:center": "agy-center",
    "text-align:right": "agy-right",
}
"""Classes in the place of the styles that Markdown gives the cells of a table: none is let in."""

_MARKUP = re.compile(r"<[^>]*>")
_ABSOLUTE = re.compile(r"https?://[^\s/\\?#@]+([/?#][^\s\\]*)?", re.IGNORECASE)
"""A link with a host of its own. A browser takes `/logout`, `//host` or `http:logout` for an
address of the notebook's own server or scheme."""


def escape(text: str) -> str:
    """Text as HTML that shows just this text.

    Characters that hide, or turn the direction of what follows, are named.

    Example:
        >>> escape("<b>")
        '&lt;b&gt;'
    """
    return html.escape(visible(text))


def visible(text: str) -> str:
    r"""Text in which no character hides, turns around what follows, or has no place in UTF-8.

    Example:
        >>> visible("a\0b")
        'a⟨U+0000⟩b'
    """
    return revealed(text)


def render(source: str, references: dict[str, Any] | None = None, *, colours: bool = True) -> str:
    r"""A block of Markdown as HTML that may stand in a page.

    Args:
        source: CommonMark with tables and strikethrough.
        references: Link definitions known so far; those found are added.
        colours: Whether code is coloured, which costs more than all the rest.

    Returns:
        HTML of the tags on our list only, code coloured by classes, links that open elsewhere.

    Example:
        >>> render("*Hi* <script>")
        '<p><em>Hi</em> &lt;script&gt;</p>\n'
    """
    source = visible(source)
    if not _is_code(source) and _is_too_much(source):
        return plain(source)
    if len(source) > LONGEST_CODE:
        return plain(source)
    if len(source) > LONGEST_HIGHLIGHT:
        return _long_code(source)
    env = {"references": {}} if references is None else references
    return sanitise(str(_markdown(colours=colours).render(source, env)))


def plain(source: str) -> str:
    r"""A block that is shown as it is.

    Example:
        >>> plain("*Hi*")
        '<pre>*Hi*</pre>\n'
    """
    return f"<pre>{escape(source)}</pre>\n"


def _long_code(source: str) -> str:
    """One fenced block that is too long for colours, as Markdown would have it but quicker."""
    code = source.partition("\n")[2]
    if closing := _closing(source):
        code = source[source.index("\n") + 1 : closing.start()]
    return f"<pre><code>{html.escape(code, quote=False)}</code></pre>\n"


def _is_too_much(source: str) -> bool:
    return len(source) > LONGEST_BLOCK or sum(map(source.count, "[*_")) > _MOST_MARKS


def _is_code(source: str) -> bool:
    """Whether it is one fenced block and nothing more, which is rendered in no time."""
    if not _FENCE.match(source):
        return False
    end = _closing(source)
    return end is None or not source[end.end() :].strip()


def _closing(source: str) -> re.Match[str] | None:
    """Where the fenced block ends that a text begins with, None where it does not end."""
    opening = _FENCE.match(source)
    if opening is None:
        return None
    marks = opening[1]
    closing = re.compile(rf"^ {{0,3}}{marks}{marks[0]}*+[ \t]*+$", re.MULTILINE)
    return closing.search(source, opening.end())


def sanitise(markup: str) -> str:
    """HTML without anything that is not on our list of tags, attributes, classes and schemes.

    Example:
        >>> sanitise('<p onclick="x()">Hi<script>x()</script></p>')
        '<p>Hi</p>'
    """
    return str(_cleaner().clean(markup))


@functools.cache
def _cleaner() -> nh3.Cleaner:
    import nh3

    return nh3.Cleaner(
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        allowed_classes={
            "span": _code_classes(),
            "td": set(_ALIGNED.values()),
            "th": set(_ALIGNED.values()),
        },
        url_schemes={"http", "https"},
        attribute_filter=_only_absolute_links,
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer nofollow",
    )


def _only_absolute_links(_tag: str, attribute: str, value: str) -> str | None:
    return None if attribute == "href" and not _ABSOLUTE.fullmatch(value) else value


@functools.cache
def _code_classes() -> set[str]:
    from pygments.token import STANDARD_TYPES

    return {f"{CODE_PREFIX}{short}" for short in STANDARD_TYPES.values() if short}


@functools.cache
def _markdown(*, colours: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt

    highlighter = {"highlight": _highlight} if colours else {}
    parser = MarkdownIt("commonmark", {"html": False, **highlighter})
    parser.enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image)
    for cell in ("td_open", "th_open"):
        parser.add_render_rule(cell, _cell)
    return parser


def _cell(
    renderer: Any,  # noqa: ANN401 - markdown-it's own signature
    tokens: Sequence[Token],
    index: int,
    options: Any,  # noqa: ANN401
    env: Any,  # noqa: ANN401
) -> str:
    """A cell of a table says by its class how it is aligned."""
    attributes = tokens[index].attrs
    style = str(attributes.pop("style", ""))
    if style in _ALIGNED:
        attributes["class"] = _ALIGNED[style]
    return str(renderer.renderToken(tokens, index, options, env))


def _image(
    _renderer: Any,  # noqa: ANN401 - markdown-it's own signature
    tokens: Sequence[Token],
    index: int,
    _options: Any,  # noqa: ANN401
    _env: Any,  # noqa: ANN401
) -> str:
    """An image is a link: to show it would be to load it."""
    token = tokens[index]
    url = str(token.attrGet("src") or "")
    words = token.content or url
    return f'<a href="{html.escape(url)}">[image: {html.escape(words)}]</a>'


def _highlight(code: str, language: str, _attributes: str) -> str:
    coloured = highlight(code, language) if language else ""
    return f"<pre><code>{coloured}</code></pre>\n" if coloured else ""


_used: set[str] = set()
"""Languages that something was coloured in."""


def _tokens(lexer: Lexer, code: str) -> list[tuple[Any, str]]:
    """What colours need, none where that takes too long."""
    tokens = []
    patience = time.thread_time() + LONGEST_HIGHLIGHT_S
    for token in lexer.get_tokens(code):
        tokens.append(token)
        if time.thread_time() > patience:
            return []
    return tokens


def highlight(code: str, language: str) -> str:
    """Code as HTML, coloured by classes; empty where that cannot be done.

    Example:
        >>> highlight("x = 1", "python")
        '<span class="agyc-n">x</span> <span class="agyc-o">=</span> <span class="agyc-mi">1</span>'
    """
    import pygments
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    code = visible(code)
    longest = LONGEST_HIGHLIGHT if language == "json" else LONGEST_LINE
    if len(code) > LONGEST_HIGHLIGHT or max(map(len, code.split("\n"))) > longest:
        return ""
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=True)
    except ClassNotFound:
        return ""
    tokens = _tokens(lexer, code)
    if not tokens and language not in _used:  # at first a lexer loads those of what it may embed
        tokens = _tokens(lexer, code)
    _used.add(language)
    if not tokens:
        return ""
    formatter = HtmlFormatter(nowrap=True, classprefix=CODE_PREFIX)
    coloured = str(pygments.format(tokens, formatter))
    if not code.endswith("\n"):
        coloured = coloured.removesuffix("\n")
    return coloured if html.unescape(_MARKUP.sub("", coloured)) == code else ""
