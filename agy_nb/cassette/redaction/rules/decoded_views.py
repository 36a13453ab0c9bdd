"""A text as its reader sees it, where each character still knows where it came from.

Secrets hide behind escapes: a name after an escaped newline, a password in a URL, a key in the
colours of a terminal, a value wrapped over two lines. A view undoes these, so that the rules are
written once, for plain text, and their spans are brought back to the text as it came.
"""

from __future__ import annotations

import bisect
import html
import re
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_LAYERS = 3
"""JSON in JSON in JSON; deeper text is taken as it is."""

_NEAR = 400
"""Characters around a change that a view shows; a secret and its name are shorter."""
_BREAK = "\n\n"
_BACKSLASHED = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " ", "v": " ", "a": " "}
# Every repetition has a bound, as texts may be hostile: at each of a million escape characters, an
# expression without one could read to the end of the text.
_ESCAPE = re.compile(
    r"(?P<gone>(?:\x1b|\\u001[bB]|\\x1[bB]|\\033|\\e)\[[0-9;:?]{0,32}[A-Za-z]"
    r"|\\\r?\n[ \t]{0,64}|[\u200b-\u200d\u2060\ufeff\u00ad])"
    r"|\\u(?P<u>[0-9a-fA-F]{4})|\\x(?P<x>[0-9a-fA-F]{2})|\\(?P<b>[nrtbfva\"'/\\`=:])"
    r"|(?P<p>(?:%[0-9a-fA-F]{2}){1,64})"
    r"|(?P<h>&(?:amp|quot|apos|lt|gt|nbsp|#\d{1,6}|#[xX][0-9a-fA-F]{1,5});)"
    r"|(?P<q>=3[dD](?=[^\s=]))"
)
_MAY_BE_ESCAPED = re.compile("[\\\\\x1b%&\u200b-\u200d\u2060\ufeff\u00ad]|=3[dD]")
_JOINT = (
    r"(?:[\"']?[ \t]{0,8}(?:\\|\+|\.)?(?:\r?\n|\\n)[ \t]{0,64}(?:[>#|+*][ \t]{0,8})?[\"']?"
    r"|[\"'][ \t]{0,8}[+.]?[ \t]{0,8}[\"'])"
)
_WRAP = re.compile(rf"(?<=[\w+/=-]){_JOINT}(?=[\w+/=-])")
_WRAP_ANYWHERE = re.compile(rf"(?<=\S){_JOINT}(?=\S)")


@dataclass(frozen=True, slots=True)
class DecodedView:
    """A text made from another one.

    Attributes:
        text: The text.
    """

    text: str
    _starts: tuple[int, ...] = ()
    _origins: tuple[int, ...] = ()
    _kept: tuple[bool, ...] = ()
    _below: DecodedView | None = None

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return the place of a part of this text in the original text.

        Args:
            start: Where the part begins.
            end: Where it ends; after its start.
        """
        if self._below is None:
            return start, end
        first = bisect.bisect_right(self._starts, start) - 1
        last = bisect.bisect_right(self._starts, end - 1) - 1
        begin = self._origins[first] + (start - self._starts[first] if self._kept[first] else 0)
        if self._kept[last]:
            finish = self._origins[last] + end - self._starts[last]
        else:  # an escape ends where the text after it begins
            finish = self._origins[last + 1]
        return self._below.place(begin, finish)


def layers(text: str) -> Iterator[DecodedView]:
    """Yield the text itself, and the text with one, two and three layers of escapes undone."""
    view = DecodedView(text)
    yield view
    for _ in range(_LAYERS):
        if not _MAY_BE_ESCAPED.search(view.text):
            return
        deeper = _replaced(view, _ESCAPE, _unescaped)
        if deeper is None:
            return
        view = deeper
        yield view


def unwrapped(view: DecodedView, *, anywhere: bool = False) -> DecodedView | None:
    """Return a text with its wrapped lines joined.

    Args:
        view: The text.
        anywhere: Whether lines that end or begin with punctuation are joined, too.

    Returns:
        The joined text, None where there is nothing to join.
    """
    return _replaced(view, _WRAP_ANYWHERE if anywhere else _WRAP, lambda _: "")


def _unescaped(match: re.Match[str]) -> str:
    kind, found = match.lastgroup, match[0]
    if kind == "gone":
        return ""
    if kind in ("u", "x"):
        return chr(int(match[kind], 16))
    if kind == "b":
        return _BACKSLASHED.get(found[1], found[1])
    if kind == "p":
        return urllib.parse.unquote(found)
    if kind == "h":
        return html.unescape(found)
    return "="


def _replaced(
    view: DecodedView, what: re.Pattern[str], by: Callable[[re.Match[str]], str]
) -> DecodedView | None:
    pieces: list[str] = []
    starts: list[int] = []
    origins: list[int] = []
    kept: list[bool] = []
    at = length = 0

    def add(piece: str, origin: int, *, verbatim: bool) -> None:
        nonlocal length
        if piece:
            pieces.append(piece)
            starts.append(length)
            origins.append(origin)
            kept.append(verbatim)
            length += len(piece)

    for match in what.finditer(view.text):
        gap = match.start() - at
        if gap > 2 * _NEAR:  # parts far from every change were seen in the text below
            if at:
                add(view.text[at : at + _NEAR], at, verbatim=True)
            add(_BREAK, at + _NEAR if at else 0, verbatim=False)
            starts.append(length)
            origins.append(match.start() - _NEAR)
            kept.append(True)
            at = match.start() - _NEAR
        add(view.text[at : match.start()], at, verbatim=True)
        add(by(match), match.start(), verbatim=False)
        at = match.end()
        if not match[0]:  # pragma: no cover - no expression here matches nothing
            break
        # An escape that ends the text, or is followed by another, ends here.
        starts.append(length)
        origins.append(at)
        kept.append(True)
    if at == 0:
        return None
    add(view.text[at : at + 2 * _NEAR], at, verbatim=True)
    return DecodedView("".join(pieces), tuple(starts), tuple(origins), tuple(kept), view)
