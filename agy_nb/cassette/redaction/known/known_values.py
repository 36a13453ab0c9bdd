"""Find values that are known to be secret, in every spelling.

A value is found as it is, and as base64 or hex, also as a part of `user:value`. Escapes of URLs and
JSON and wrapped lines are undone before a text comes here; see `decoded_views`.
"""

from __future__ import annotations

import base64
import bisect
import re
import string
import unicodedata
from collections.abc import Iterable, Iterator

from agy_nb.cassette.redaction.known.known_texts import KnownTexts

_SPACE = re.compile(r"\s{1,80}|\+")
"""A space of a value may be a plus sign in a form, or the end of a wrapped line."""
_LEAST_CORE = 8
"""Characters of base64 that belong to a value alone; fewer would be found by chance."""
_LEAST_CASELESS = 12
"""Characters of a value from which it is also found in small letters and in capitals, if it has a
digit. A shorter value, or one without digits, may be a word that texts contain anyway."""
_RUN = f"{string.ascii_letters}{string.digits}+/_-"
_LONGEST_RUN = 400
_RUN_AFTER = re.compile(rf"[A-Za-z0-9+/_-]{{0,{_LONGEST_RUN}}}={{0,2}}")


class KnownValues:
    """A set of values, and where they occur in a text."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._plain = KnownTexts()
        self._spaced = KnownTexts()
        self._encoded = KnownTexts()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, value: str) -> bool:
        return value in self._values

    def add(self, values: Iterable[str]) -> bool:
        """Add values, and return whether any is new."""
        fresh = set(values) - self._values - {""}
        self._values |= fresh
        for value in fresh:
            for form in set(_written(value)):
                if " " in form:
                    self._spaced.add(_SPACE.sub(" ", form))
                else:
                    self._plain.add(form)
            for form in _spellings(value):
                self._encoded.add(form)
        return bool(fresh)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of each place in a text."""
        found = self._plain.find(text)
        if self._spaced:
            found += _in_one_space(self._spaced, text)
        if len(text) > _LEAST_CORE:
            found += [_whole_run(text, *place) for place in self._encoded.find(text)]
        return found


def _in_one_space(values: KnownTexts, text: str) -> Iterator[tuple[int, int]]:
    """Find values in a text in which each run of white space is one space."""
    pieces: list[str] = []
    starts, origins = [0], [0]
    at = length = 0
    for match in _SPACE.finditer(text):
        if match[0] == " ":
            continue
        pieces += (text[at : match.start()], " ")
        length += match.start() - at + 1
        at = match.end()
        starts.append(length)
        origins.append(at)
    pieces.append(text[at:])

    def place(position: int) -> int:
        number = bisect.bisect_right(starts, position) - 1
        return origins[number] + position - starts[number]

    for start, end in values.find("".join(pieces)):
        yield place(start), place(end - 1) + 1


def _written(value: str) -> Iterator[str]:
    """Yield a value as programs write it, apart from the escapes that `decoded_views` undoes."""
    yield value
    if len(value) >= _LEAST_CASELESS and any(map(str.isdigit, value)):
        yield from (value.lower(), value.upper())
    if not value.isascii():
        yield from (unicodedata.normalize(form, value) for form in ("NFC", "NFD"))
        yield value.encode("utf-8", "surrogatepass").decode("latin-1")  # the repr of bytes
    for quote in "'\"":
        yield value.replace(quote, quote * 2)  # SQL, CSV, PowerShell
    yield value.replace("'", "'\"'\"'")  # shells


def _spellings(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogatepass")
    for digits in (raw.hex(), raw.hex(" "), raw.hex(":")):
        yield digits
        yield digits.upper()
    for before in range(3):
        # The text before moves the letters; those that contain a bit of it are left out.
        text = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        core = text[first:last]
        if len(core) >= _LEAST_CORE:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _whole_run(text: str, start: int, end: int) -> tuple[int, int]:
    """Extend a place to the whole encoded text of which a value is a part."""
    before = text[max(0, start - _LONGEST_RUN) : start]
    after = _RUN_AFTER.match(text, end)
    return start - len(before) + len(before.rstrip(_RUN)), after.end() if after else end
