"""Text from a model, a tool or a file, made safe to print and to read.

A terminal obeys control characters: an escape sequence can clear the screen, set the title or fill
the clipboard. Other characters cannot be seen at all, or turn the direction of the text around
them. Here each becomes visible. Everything that prints such text prints `printable(text)`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_ODD = re.compile(r"[^\x20-\x7e\n]")
"""Characters that may need another look: all but printable ASCII and the line feed."""

_UNSEEN = re.compile(
    # Python calls these printable, yet they are drawn as nothing or as a blank.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc"
    "\U0001d159\U000e0100-\U000e01ef]"
)
_NEEDED_IN_WORDS = frozenset(
    # Format characters that are drawn: signs before Arabic and Kaithi numbers.
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
_JOINERS = "\u200c\u200d"
_STYLES = "\ufe0e\ufe0f"
_VARIANTS = re.compile("[\u180b-\u180d\U000e0100-\U000e01ef]")
_JOINED = frozenset(("Lo", "Mn", "Mc", "So", "Sk"))
_STYLED = frozenset(("So", "Sm", "Sk", "Po", "Nd"))
_PRIVATE = frozenset(("Co", "Cn"))


def printable(text: str, *, exact: bool = False) -> str:
    r"""Return text that a terminal shows and does not obey.

    Every control character but the tab and the line end, every character that turns the direction
    of text, and every character that cannot be seen becomes an escape, as in a Python string.

    Args:
        text: Text from anywhere.
        exact: Whether to escape every invisible character, even one that a script or an emoji
            needs, and the tab; for text that somebody is asked to allow.

    Returns:
        The text with escapes.

    Example:
        >>> printable("\x1b]0;title\x07 \u202e")
        '\\x1b]0;title\\x07 \\u202e'
    """
    return _replaced(text, _escape, exact=exact)


def revealed(text: str, *, exact: bool = False) -> str:
    r"""Return text for a page with hidden characters by name: `⟨U+202E⟩` for U+202E.

    Args:
        text: Text from anywhere.
        exact: As for `printable`.

    Returns:
        The text with the names of what could not be seen.

    Example:
        >>> revealed("rm\u200b -rf")
        'rm⟨U+200B⟩ -rf'
    """
    return _replaced(text, _name, exact=exact)


def _is_hidden(text: str, at: int, *, exact: bool) -> bool:
    """Return whether the character at a place cannot be seen there, or changes the text around it.

    Args:
        text: A text.
        at: A place in it.
        exact: As for `printable`.
    """
    character = text[at]
    if character == "\n" or (not exact and (character == "\t" or text[at : at + 2] == "\r\n")):
        return False
    unseen = _UNSEEN.match(character) is not None
    if exact or (character.isprintable() and not unseen):
        return unseen or not character.isprintable()
    kind = unicodedata.category(character)
    if kind == "Zs" or character in _NEEDED_IN_WORDS:
        return False
    if kind in _PRIVATE:
        return "\U000e0000" <= character <= "\U000e0fff" or character == "\u2065"
    before = unicodedata.category(text[at - 1]) if at else ""
    after = unicodedata.category(text[at + 1]) if at + 1 < len(text) else ""
    if character in _STYLES:
        return before not in _STYLED
    if _VARIANTS.match(character):
        return before != "Lo"
    return not (character in _JOINERS and before in _JOINED and after in _JOINED)


def _replaced(text: str, replace: Callable[[str], str], *, exact: bool) -> str:
    if text.isascii() and text.isprintable():
        return text
    return _ODD.sub(
        lambda found: (
            replace(found[0]) if _is_hidden(text, found.start(), exact=exact) else found[0]
        ),
        text,
    )


def _escape(character: str) -> str:
    code = ord(character)
    if character == "\t":
        return "\\t"
    if character == "\r":
        return "\\r"
    if code < 0x100:  # noqa: PLR2004 - the escapes of Python have two, four or eight digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004


def _name(character: str) -> str:
    return "⇥\t" if character == "\t" else f"⟨U+{ord(character):04X}⟩"
