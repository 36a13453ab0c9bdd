"""Make texts equal that differ only by values of one run: ids, times, ports, addresses in memory.

Rule 1: a value is replaced in the recorded text and in the client's, before the two are compared.
The recording itself keeps its values; `run_values` replaces them in what a replay says.
Rule 2: nothing else is replaced unless the user asks for it. A date may be the point of a prompt.
Only the random names that the SDK gives to the files of workflows never count.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from agy_nb.errors import InvalidInputError

_CLOCK = r"\d\d?:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
_WEEKDAY = r"(?:Mon|Tue(?:s)?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_IN_WORDS = (  # with a year: "May 3" may be something else
    rf"\b(?:{_WEEKDAY},? )?"
    rf"(?:\d\d?[ -]{_MONTH}[ -]|{_MONTH} {{1,2}}\d\d?(?:, | {_CLOCK} | ))\d{{4}}\b"
)
_IN_PYTHON = r"\bdatetime\.(?:datetime|date|time)\((?:[^()]|\([^()]*\))*\)"
NORMALIZERS: Final = {
    "uuid": re.compile(
        r"(?i)(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])"
        r"|(?<![0-9a-z])[0-9a-f]{32}(?![0-9a-z])"
    ),
    "datetime": re.compile(
        rf"\b\d{{4}}-\d\d-\d\d(?:[T ]{_CLOCK}(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)?(?!\d)"
        rf"|{_IN_WORDS}|{_IN_PYTHON}|(?<![\d/])\d\d?/\d\d?/\d{{4}}(?![\d/])"
        rf"|(?<![\d:.]){_CLOCK}(?: ?[AaPp][Mm])?(?![\d:])"
    ),
    "port": re.compile(
        r"(?:(?<=localhost:)|(?<=127\.0\.0\.1:)|(?<=0\.0\.0\.0:)|(?<=\[::1\]:))\d{1,5}\b"
    ),
    "hex_address": re.compile(r"\b0x[0-9a-fA-F]{6,16}\b"),
}
"""The ready rules, by the names that `normalize` takes."""

WORKFLOW_FILE: Final = re.compile(r"\.agy_workflow_[A-Za-z0-9_-]+_[a-z0-9_]{8}\.py")
"""The name of a file into which the SDK writes a workflow. Eight of its characters are random."""
_RANDOM = len("abcdefgh.py")


class Normalizer:
    """Replaces values of one run by fixed words.

    Args:
        rules: Names of `NORMALIZERS`, or compiled regular expressions of your own.

    Attributes:
        patterns: The rules as regular expressions.

    Raises:
        InvalidInputError: A name is unknown.

    Example:
        >>> Normalizer(["uuid", re.compile("build [0-9]+")])("build 7 of run 0x7f")
        '<normalized> of run 0x7f'
    """

    def __init__(self, rules: Iterable[str | re.Pattern[str]] = ()) -> None:
        self._rules = [_rule(rule) for rule in rules]
        self.patterns: tuple[re.Pattern[str], ...] = tuple(map(itemgetter(0), self._rules))

    def __call__(self, text: str) -> str:
        """Return a text with fixed words in the place of the values."""
        if ".agy_workflow_" in text:
            text = WORKFLOW_FILE.sub(lambda match: match[0][:-_RANDOM], text)
        for pattern, word in self._rules:
            text = pattern.sub(word, text)
        return text


_SET = re.compile(r"\{[^{}:]{3,10000}\}")


def with_sorted_sets(text: str) -> str:
    """Return a text in which the sets that Python wrote, such as `{'b', 'a'}`, are sorted.

    Their order differs in each process.
    """
    return _SET.sub(_sorted_set, text) if "{" in text else text


def _sorted_set(match: re.Match[str]) -> str:
    try:
        found = ast.literal_eval(match[0])
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return match[0]
    return "{" + ", ".join(sorted(map(repr, found))) + "}" if isinstance(found, set) else match[0]


def _rule(rule: str | re.Pattern[str]) -> tuple[re.Pattern[str], str]:
    if isinstance(rule, re.Pattern):
        return rule, "<normalized>"
    if rule not in NORMALIZERS:
        raise InvalidInputError(
            f"normalize takes {', '.join(NORMALIZERS)} and compiled regular expressions, "
            f"got {rule!r}",
            field="normalize",
        )
    return NORMALIZERS[rule], f"<{rule}>"
