"""Markdown source that is safe to save in a notebook, where another program may render it.

A model's Markdown may contain HTML, and images that are loaded from the network as soon as it is
shown. Both are escaped, except in code, where they are text.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_IMAGE = re.compile(r"(?<!\\)((?:\\\\)*+)!(?=\[)")
"""An image. After an odd number of backslashes, `![` is text already."""
_SPAN = re.compile(r"(?<!`)(`+)(?!`)[^`\n]+(?<!`)\1(?!`)")
_UNCLEAR = re.compile(r"[`|]|\\`")


def safe_source(source: str) -> str:
    r"""Escape HTML and images in a block of Markdown that is not a code block.

    Code spans stay as they are if each begins and ends on one line and the block has no table:
    then every renderer finds the same spans.

    Example:
        >>> safe_source("<b>Hi</b> `<b>` ![x](https://example.org)")
        '&lt;b>Hi&lt;/b> `<b>` \\![x](https://example.org)'
    """
    if _UNCLEAR.search(_SPAN.sub("", source)):
        return _escaped(source)
    pieces, at = [], 0
    for span in _SPAN.finditer(source):
        pieces += [_escaped(source[at : span.start()]), span[0]]
        at = span.end()
    return "".join((*pieces, _escaped(source[at:])))


def _escaped(text: str) -> str:
    return _IMAGE.sub(r"\1\\!", _TAG.sub("&lt;", text))


def quoted(text: str) -> str:
    """Format a prompt as a block quote.

    Example:
        >>> quoted("Hello")
        '> Hello'
    """
    return "\n".join(f"> {line}" for line in text.splitlines())


def fenced(text: str) -> str:
    r"""Format text as a code block; it may contain fences itself.

    Example:
        >>> fenced("a  b")
        '```\na  b\n```'
    """
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
