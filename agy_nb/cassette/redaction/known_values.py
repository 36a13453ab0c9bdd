"""Values that are known to be secret, found in every spelling.

Plain, and as base64 or hex, also as a part of `user:value`. URLs, escapes of JSON and wrapped lines
are undone before a text comes here; see `views`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

_SPACE = r"(?:\s{1,80}|\+)"
"""A space of a value may be a plus sign in a form, or the end of a wrapped line."""
_LEAST_CORE = 8
"""Characters of base64 that belong to a value alone; fewer would be found by chance."""
_RUN_BEFORE = re.compile(r"[A-Za-z0-9+/_-]{0,400}\Z")
_RUN_AFTER = re.compile(r"[A-Za-z0-9+/_-]{0,400}={0,2}")


class KnownValues:
    """Values that are looked for wherever they turn up."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._plain: re.Pattern[str] | None = None
        self._encoded: re.Pattern[str] | None = None

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, value: str) -> bool:
        return value in self._values

    def add(self, values: Iterable[str]) -> bool:
        """Look for these, too; says whether any is new."""
        fresh = set(values) - self._values - {""}
        if not fresh:
            return False
        self._values |= fresh
        self._plain = _any_of(self._values, space=_SPACE)
        self._encoded = _any_of({form for value in self._values for form in _spellings(value)})
        return True

    def find(self, text: str) -> list[tuple[int, int]]:
        """Find where they stand in a text."""
        if self._plain is None or self._encoded is None:
            return []
        found = [match.span() for match in self._plain.finditer(text)]
        if len(text) > _LEAST_CORE:
            found += [_whole_run(text, *match.span()) for match in self._encoded.finditer(text)]
        return found


def _any_of(forms: Iterable[str], *, space: str = r"\ ") -> re.Pattern[str]:
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    escaped = [re.escape(form).replace(r"\ ", space) for form in longest_first]
    return re.compile("|".join(escaped) or r"(?!)")


def _spellings(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogatepass")
    for digits in (raw.hex(), raw.hex(" "), raw.hex(":")):
        yield digits
        yield digits.upper()
    for before in range(3):
        # What stands before moves the letters; those that hold a bit of it are left out.
        text = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        core = text[first:last]
        if len(core) >= _LEAST_CORE:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _whole_run(text: str, start: int, end: int) -> tuple[int, int]:
    """All of an encoded text, of which a value is a part."""
    before = _RUN_BEFORE.search(text[max(0, start - 400) : start])
    after = _RUN_AFTER.match(text, end)
    length = len(before[0]) if before else 0
    return start - length, after.end() if after else end
