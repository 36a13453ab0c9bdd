"""Find any of many texts in another one, in a time that does not depend on how many they are.

A regular expression of all texts would try each of them at each position, and would be compiled
again for each text that a session adds. Here a table tells by four characters which texts may be
at a position, and only every third position is looked up.
"""

from __future__ import annotations

import re

_LOOKED_UP = 4
_STEP = 3
_SHORTEST = _LOOKED_UP + _STEP - 1
"""Characters of a text that contains a looked-up position wherever it begins."""


class KnownTexts:
    """A growing set of texts.

    Example:
        >>> texts = KnownTexts()
        >>> texts.add("secret")
        >>> texts.find("a secret, two secrets")
        [(2, 8), (14, 20)]
    """

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._places: dict[str, set[tuple[int, int]]] = {}
        self._short: set[str] = set()
        self._short_pattern: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        return bool(self._texts or self._short)

    def add(self, text: str) -> None:
        """Add a text, of one character or more."""
        if len(text) < _SHORTEST:
            self._short.add(text)
            self._short_pattern = None
            return
        self._texts.add(text)
        for offset in range(_STEP):
            part = text[offset : offset + _LOOKED_UP]
            self._places.setdefault(part, set()).add((offset, len(text)))

    def find(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of each place, in order. Places that overlap are one."""
        found: list[tuple[int, int]] = []
        places = self._places
        if places:
            for position in range(0, len(text) - _LOOKED_UP + 1, _STEP):
                if (part := text[position : position + _LOOKED_UP]) in places:
                    found += self._around(text, position, places[part])
        if self._short:
            found += (match.span(1) for match in self._pattern().finditer(text))
        return _apart(found)

    def _around(
        self, text: str, position: int, places: set[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        return [
            (position - offset, position - offset + length)
            for offset, length in places
            if 0 <= position - offset <= len(text) - length
            and text[position - offset : position - offset + length] in self._texts
        ]

    def _pattern(self) -> re.Pattern[str]:
        if self._short_pattern is None:
            # A lookahead finds places that overlap. A plain match would hide the next one, and a
            # part of it would stay in the text.
            longest_first = sorted(self._short, key=lambda each: (-len(each), each))
            self._short_pattern = re.compile(f"(?=({'|'.join(map(re.escape, longest_first))}))")
        return self._short_pattern


def _apart(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join places that overlap, so that no part of a text is left."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found
