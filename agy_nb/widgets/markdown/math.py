"""Render LaTeX as MathML, which browsers show without scripts, fonts or a network.

The formulas are hostile input. So macros, which can grow without limit, are not expanded, formulas
have a maximum length and depth, and the sanitiser of `markup` reads the MathML as it reads all
HTML. A formula that cannot be rendered is shown as it was written.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST_FORMULA = 2_000
"""Maximum length of a formula that is rendered, in characters."""

DEEPEST_FORMULA = 40
"""Maximum depth of braces and environments in a formula."""

_ELEMENTS = (
    "math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover "
    "mtable mtr mtd mstyle mpadded mphantom menclose"
)
TAGS = frozenset(_ELEMENTS.split())
"""Elements of MathML that formulas consist of."""

ATTRIBUTES = {
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence", "separator", "form", "minsize", "maxsize", "movablelimits"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "mfrac": {"linethickness"},
    "mspace": {"width"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"displaystyle", "columnalign", "rowspacing", "columnspacing"},
    "mtd": {"columnalign"},
    "menclose": {"notation"},
}
"""Attributes of MathML that change neither colours nor links."""

_SIZE = re.compile(r"[-\d.a-z% ]{0,20}")
_LARGE = re.compile(r"(?<![.\d])\d{3}")
_REFUSED = re.compile(
    r"\\(?:def|let|gdef|edef|newcommand|renewcommand|providecommand|newenvironment"
    r"|DeclareMathOperator|require|href|url|style|class|cssId|html\w*|includegraphics)(?![a-zA-Z])"
)
_OPENS = re.compile(r"\\[{}]|\{|\}|\\begin\b|\\end\b|\\left\b|\\right\b|\\sqrt\b|\\frac\b")
_NUMBERED = re.compile(r"\\(begin|end)\{(align|equation|gather|multline|alignat|flalign)\}")
_COMMAND = re.compile(r"\\[a-zA-Z]")


def attribute(tag: str, name: str, value: str) -> str | None:
    """Return the value of an attribute of MathML if it is harmless, else None."""
    if tag in TAGS and name in ("width", "minsize", "maxsize", "rowspacing", "columnspacing"):
        fits = _SIZE.fullmatch(value) and not _LARGE.search(value)
        return value if fits else None
    return value


@functools.lru_cache(maxsize=256)
def mathml(formula: str, *, block: bool) -> str:
    r"""Convert a formula to MathML; empty if that is not possible.

    Args:
        formula: LaTeX without its delimiters.
        block: Whether the formula is a paragraph of its own.

    Example:
        >>> mathml("x^2", block=False)
        '<math display="inline"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>'
        >>> mathml(r"\unknown{x}", block=False)
        ''
    """
    if len(formula) > LONGEST_FORMULA or _REFUSED.search(formula) or _is_too_deep(formula):
        return ""
    from latex2mathml.converter import convert

    formula = _NUMBERED.sub(r"\\\1{\2*}", formula)  # each block would begin at (1)
    try:
        found = str(convert(formula, display="block" if block else "inline"))
    except Exception:  # a parser of hostile text: RecursionError, IndexError and its own errors
        return ""
    found = found.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "", 1)
    return found if _is_mathml(found) else ""


def _is_mathml(found: str) -> bool:
    """Return whether all of a formula was converted; text such as `<b>` is left as it is."""
    try:
        elements = list(ET.fromstring(found).iter())  # noqa: S314 - without a DTD
    except ET.ParseError:
        return False
    return all(
        each.tag in TAGS and not _COMMAND.match((each.text or "").strip()) for each in elements
    )


def _is_too_deep(formula: str) -> bool:
    depth = most = 0
    for mark in _OPENS.findall(formula):
        if mark in ("}", "\\end", "\\right"):
            depth -= 1
        elif mark not in ("\\{", "\\}"):
            depth += mark in ("{", "\\begin", "\\left")
            most = max(most, depth)
    return most > DEEPEST_FORMULA


def enable(parser: MarkdownIt) -> None:
    r"""Make a parser render `$…$`, `$$…$$`, `\(…\)`, `\[…\]` and the environments of amsmath."""
    from mdit_py_plugins.amsmath import amsmath_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.texmath import texmath_plugin

    parser.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False)
    parser.use(texmath_plugin, delimiters="brackets")
    parser.use(amsmath_plugin)
    for kind in ("math_inline", "math_inline_double", "math_block", "math_block_eqno", "amsmath"):
        parser.add_render_rule(kind, _render)


_DELIMITERS = {"$": ("$", "$"), "$$": ("$$", "$$"), "\\(": ("\\(", "\\)"), "\\[": ("\\[", "\\]")}


def _render(
    _renderer: Any,
    tokens: Sequence[Token],
    index: int,
    _options: Any,
    _env: Any,
) -> str:
    token = tokens[index]
    block = token.type != "math_inline"
    found = mathml(token.content.strip(), block=block)
    if not found:
        opening, closing = _DELIMITERS.get(_opening(token), ("", ""))
        found = f"<code>{html.escape(f'{opening}{token.content}{closing}', quote=False)}</code>"
    is_paragraph = token.type in ("math_block", "math_block_eqno", "amsmath")
    return f"<p>{found}</p>\n" if is_paragraph else found


def _opening(token: Token) -> str:
    """Return the delimiter with which a formula begins; dollarmath names none."""
    if token.type == "amsmath":
        return ""
    return token.markup or ("$" if token.type == "math_inline" else "$$")
