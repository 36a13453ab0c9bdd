"""Render Markdown to safe HTML; all text of a model or a tool becomes markup here.

Text of a model is untrusted. HTML in it is escaped, the rendered Markdown goes through a sanitiser
with a list of allowed tags, and nothing is loaded from the network. A piece of Markdown may end
anywhere: an incomplete fence, table or link is shown as text.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agy_nb.terminal import revealed
from agy_nb.widgets.markdown import code, footnotes, math, syntax

if TYPE_CHECKING:
    import nh3
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

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
_BETWEEN_BLOCKS = re.compile(
    r"(?<=>)\n+(?=</?(?:blockquote|d[dlt]|h[1-6r]|li|ol|p|pre|table|tbody|t[dhr]|thead|ul)[ >]|\Z)"
)
"""Line ends that show nothing. There are none of these tags inside `<pre>`."""

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
        source: CommonMark with tables, strikethrough, formulas, footnotes, task lists and
            definition lists.
        references: The link definitions known so far; new ones are added.
        colours: Whether to highlight code, which takes most of the time.

    Returns:
        HTML with allowed tags only; links open in a new tab.

    Example:
        >>> render("*Hi* <script>")
        '<p><em>Hi</em> &lt;script&gt;</p>\n'
    """
    source = visible(source)
    if not is_code(source) and _is_too_much(source):
        return plain(source)
    if len(source) > LONGEST_CODE:
        return plain(source)
    if len(source) > code.LONGEST_HIGHLIGHT:
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
    text = source.partition("\n")[2]
    if closing := _closing(source):
        text = source[source.index("\n") + 1 : closing.start()]
    return f"<pre><code>{html.escape(text, quote=False)}</code></pre>\n"


def _is_too_much(source: str) -> bool:
    return len(source) > LONGEST_BLOCK or sum(map(source.count, _MARKS)) > _MOST_MARKS


def is_code(source: str) -> bool:
    r"""Return whether the text is exactly one fenced block, which is fast to render.

    Example:
        >>> is_code("```\nx\n```"), is_code("x")
        (True, False)
    """
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


def compact(markup: str) -> str:
    r"""Remove the line ends between blocks, which show nothing.

    Example:
        >>> compact("<ul>\n<li>a</li>\n</ul>\n")
        '<ul><li>a</li></ul>'
    """
    return _BETWEEN_BLOCKS.sub("", markup)


@functools.cache
def _cleaner() -> nh3.Cleaner:
    import nh3

    return nh3.Cleaner(
        tags=_TAGS | math.TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes={
            "span": {*code.CLASSES, syntax.LABEL},
            "table": {
                f"{name}{number}"
                for name in syntax.ALIGNED.values()
                for number in range(1, syntax.MOST_COLUMNS + 1)
            },
            "td": set(syntax.ALIGNED.values()),
            "th": set(syntax.ALIGNED.values()),
        },
        url_schemes={"http", "https"},
        attribute_filter=_only_absolute_links,
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noreferrer",
    )


def _only_absolute_links(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "href" and not _ABSOLUTE.fullmatch(value):
        return None
    return math.attribute(tag, attribute, value)


@functools.cache
def _markdown(*, colours: bool, links: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt

    highlighter = {"highlight": _highlight} if colours else {}
    parser = MarkdownIt("commonmark", {"html": False, "linkify": links, **highlighter})
    parser.enable(["table", "strikethrough"])
    math.enable(parser)
    syntax.enable(parser)
    footnotes.enable(parser)
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
    if style in syntax.ALIGNED:
        attributes["class"] = syntax.ALIGNED[style]
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


def _highlight(text: str, language: str, _attributes: str) -> str:
    coloured = code.highlight(text, language) if language else ""
    return f"<pre><code>{coloured}</code></pre>\n" if coloured else ""
