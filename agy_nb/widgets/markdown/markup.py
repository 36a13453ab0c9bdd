"""Render Markdown to safe HTML; all text of a model or a tool becomes markup here.

Text of a model is untrusted. HTML in it is escaped, the rendered Markdown goes through a sanitiser
with a list of allowed tags, and nothing is loaded from the network. A piece of Markdown may end
anywhere: an incomplete fence, table or link is shown as text.
"""

from __future__ import annotations

import functools
import html
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agy_nb.terminal import revealed
from agy_nb.widgets.markdown import math, syntax

if TYPE_CHECKING:
    import nh3
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from pygments.lexer import Lexer

LONGEST_HIGHLIGHT = 20_000
"""Maximum length of highlighted code, in characters."""

LONGEST_HIGHLIGHT_S = 0.2
"""Maximum CPU time for highlighting, in seconds: some lexers are quadratic on hostile text."""

LONGEST_LINE = 1_000
"""Maximum length of a line in highlighted code other than JSON, for the same reason."""

LONGEST_BLOCK = 12_000
"""Maximum length of a block that is rendered as Markdown, other than a code block. A longer one is
shown as plain text, because rendering must not block the event loop."""

LONGEST_CODE = 500_000
"""Maximum length of a code block that is rendered as Markdown, in characters."""

_MOST_MARKS = 1_000
"""Maximum number of brackets and emphasis marks in a block: pairing them takes quadratic time."""

_MARKS = ("[", "*", "_", "\\(")

_MOST_ADDRESSES = 100
"""Maximum number of bare addresses in a block that become links; finding each takes 0.5 ms."""

_FENCE = re.compile(r"(`{3,}+|~{3,}+)[^`\n]*+\n")
_TAGS = frozenset(
    [
        "a",
        "blockquote",
        "br",
        "code",
        "dd",
        "del",
        "dl",
        "dt",
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
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, **math.ATTRIBUTES}
CODE_PREFIX = "agyc-"
"""Prefix of the CSS classes of highlighted code."""

_ALIGNED = {
    "text-align:left": "agy-left",
    "text-align:center": "agy-center",
    "text-align:right": "agy-right",
}
"""CSS classes that replace the inline styles of table cells, which the sanitiser removes."""

_MARKUP = re.compile(r"<[^<>]*>")
_ABSOLUTE = re.compile(r"https?://[^\s/\\?#@]+([/?#][^\s\\]*)?", re.IGNORECASE)
"""A link with a host. Browsers resolve `/logout`, `//host` and `http:logout` against the address of
the notebook server."""


def escape(text: str) -> str:
    """Escape text for HTML; hidden and direction-changing characters are shown by name.

    Example:
        >>> escape("<b>")
        '&lt;b&gt;'
    """
    return html.escape(visible(text))


def visible(text: str) -> str:
    r"""Show hidden, direction-changing and invalid characters by name.

    Example:
        >>> visible("a\0b")
        'a⟨U+0000⟩b'
    """
    return revealed(text)


def render(source: str, references: dict[str, Any] | None = None, *, colours: bool = True) -> str:
    r"""Render a block of Markdown as safe HTML.

    Args:
        source: CommonMark with tables, strikethrough, formulas, task lists and definition lists.
        references: The link definitions known so far; new ones are added.
        colours: Whether to highlight code, which takes most of the time.

    Returns:
        HTML with allowed tags only; links open in a new tab.

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
    links = source.count("://") <= _MOST_ADDRESSES
    return sanitise(str(_markdown(colours=colours, links=links).render(source, env)))


def plain(source: str) -> str:
    r"""Render a block as plain text.

    Example:
        >>> plain("*Hi*")
        '<pre>*Hi*</pre>\n'
    """
    return f"<pre>{escape(source)}</pre>\n"


def _long_code(source: str) -> str:
    """Render one fenced block without highlighting and without the Markdown parser."""
    code = source.partition("\n")[2]
    if closing := _closing(source):
        code = source[source.index("\n") + 1 : closing.start()]
    return f"<pre><code>{html.escape(code, quote=False)}</code></pre>\n"


def _is_too_much(source: str) -> bool:
    return len(source) > LONGEST_BLOCK or sum(map(source.count, _MARKS)) > _MOST_MARKS


def _is_code(source: str) -> bool:
    """Return whether the text is exactly one fenced block, which is fast to render."""
    if not _FENCE.match(source):
        return False
    end = _closing(source)
    return end is None or not source[end.end() :].strip()


def _closing(source: str) -> re.Match[str] | None:
    """Find the closing fence of the block at the start of a text; None if it is still open."""
    opening = _FENCE.match(source)
    if opening is None:
        return None
    marks = opening[1]
    closing = re.compile(rf"^ {{0,3}}{marks}{marks[0]}*+[ \t]*+$", re.MULTILINE)
    return closing.search(source, opening.end())


def sanitise(markup: str) -> str:
    """Remove all tags, attributes, classes and URL schemes that are not allowed.

    Example:
        >>> sanitise('<p onclick="x()">Hi<script>x()</script></p>')
        '<p>Hi</p>'
    """
    return str(_cleaner().clean(markup))


@functools.cache
def _cleaner() -> nh3.Cleaner:
    import nh3

    return nh3.Cleaner(
        tags=_TAGS | math.TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes={
            "span": {*_code_classes(), syntax.LABEL},
            "td": set(_ALIGNED.values()),
            "th": set(_ALIGNED.values()),
        },
        url_schemes={"http", "https"},
        attribute_filter=_only_absolute_links,
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer nofollow",
    )


def _only_absolute_links(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "href" and not _ABSOLUTE.fullmatch(value):
        return None
    return math.attribute(tag, attribute, value)


@functools.cache
def _code_classes() -> set[str]:
    from pygments.token import STANDARD_TYPES

    return {f"{CODE_PREFIX}{short}" for short in STANDARD_TYPES.values() if short}


@functools.cache
def _markdown(*, colours: bool, links: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt

    highlighter = {"highlight": _highlight} if colours else {}
    parser = MarkdownIt("commonmark", {"html": False, "linkify": links, **highlighter})
    parser.enable(["table", "strikethrough"])
    math.enable(parser)
    syntax.enable(parser)
    parser.add_render_rule("image", _image)
    for cell in ("td_open", "th_open"):
        parser.add_render_rule(cell, _cell)
    return parser


def _cell(
    renderer: Any,
    tokens: Sequence[Token],
    index: int,
    options: Any,
    env: Any,
) -> str:
    """Replace the alignment style of a table cell by a class."""
    attributes = tokens[index].attrs
    style = str(attributes.pop("style", ""))
    if style in _ALIGNED:
        attributes["class"] = _ALIGNED[style]
    return str(renderer.renderToken(tokens, index, options, env))


def _image(
    _renderer: Any,
    tokens: Sequence[Token],
    index: int,
    _options: Any,
    _env: Any,
) -> str:
    """Render an image as a link, because showing it would load it from the network."""
    token = tokens[index]
    url = str(token.attrGet("src") or "")
    words = token.content or url
    return f'<a href="{html.escape(url)}">[image: {html.escape(words)}]</a>'


def _highlight(code: str, language: str, _attributes: str) -> str:
    coloured = highlight(code, language) if language else ""
    return f"<pre><code>{coloured}</code></pre>\n" if coloured else ""


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


def highlight(code: str, language: str) -> str:
    """Highlight code as HTML with CSS classes; empty if that is not possible.

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
    if (
        not tokens and language not in _used
    ):  # the first use also loads the lexers of embedded languages
        tokens = _tokens(lexer, code)
    _used.add(language)
    if not tokens:
        return ""
    formatter = HtmlFormatter(nowrap=True, classprefix=CODE_PREFIX)
    coloured = str(pygments.format(tokens, formatter))
    if not code.endswith("\n"):
        coloured = coloured.removesuffix("\n")
    return coloured if html.unescape(_MARKUP.sub("", coloured)) == code else ""
