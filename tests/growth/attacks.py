"""All regular expressions of the package, and texts that make each of them work hard."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from re import _constants as c, _parser
from typing import Any

import agy_nb

_DEEPEST = 4
_SAMPLES = {
    c.CATEGORY_DIGIT: "7",
    c.CATEGORY_NOT_DIGIT: "x",
    c.CATEGORY_SPACE: " ",
    c.CATEGORY_NOT_SPACE: "x",
    c.CATEGORY_WORD: "x",
    c.CATEGORY_NOT_WORD: "-",
}


def patterns() -> dict[str, re.Pattern[Any]]:
    """Every expression that a module of the package holds, by the module and its name there."""
    found: dict[str, re.Pattern[Any]] = {}
    seen: set[tuple[Any, int]] = set()
    for info in pkgutil.walk_packages(agy_nb.__path__, "agy_nb."):
        if info.name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(info.name)
        except ImportError:  # needs an extra that is not installed
            continue
        for name, value in vars(module).items():
            for where, pattern in _within(value, name, 0):
                if (pattern.pattern, pattern.flags) not in seen:
                    seen.add((pattern.pattern, pattern.flags))
                    found[f"{info.name}.{where}"] = pattern
    return found


_METHODS = "search|finditer|findall|sub|subn|split|match|fullmatch"
_SEARCHES = frozenset(_METHODS.split("|")[:-2])


@functools.cache
def _sources() -> dict[str, str]:
    root = Path(agy_nb.__file__).parent
    return {
        ".".join(("agy_nb", *each.relative_to(root).with_suffix("").parts)): each.read_text("utf-8")
        for each in root.rglob("*.py")
    }


@functools.cache
def searches(name: str) -> bool:
    """Whether an expression is searched for, and not only matched from the start of a text.

    Args:
        name: As in `patterns`. An expression within a tuple or the like counts as searched for.
    """
    module, _, last = name.rpartition(".")
    used = {
        method
        for where, source in _sources().items()
        if where == module or re.search(rf"\b{module.rpartition('.')[2]}\b[^\n]*\b{last}\b", source)
        for method in re.findall(rf"\b{re.escape(last)}\.({_METHODS})\b", source)
    }
    return not used or bool(used & _SEARCHES)


def _within(value: Any, where: str, depth: int) -> Iterator[tuple[str, re.Pattern[Any]]]:
    if isinstance(value, re.Pattern):
        yield where, value
    elif depth < _DEEPEST:
        for key, item in _items(value):
            yield from _within(item, f"{where}.{key}", depth + 1)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from list(value.items())
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((each.name, getattr(value, each.name, None)) for each in fields(value))


def attacks(pattern: re.Pattern[Any]) -> list[Any]:
    """Pieces of text that the expression matches in part: repeated, they are its worst input."""
    text = (
        pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    )
    pieces: set[str] = {"a", "\n", " "}
    # Flags such as (?i) within the text are read by the parser.
    whole = _sample(_parser.parse(text, pattern.flags & ~re.DEBUG), pieces, 1)
    for times in (0, 1, 2):
        sample = _sample(_parser.parse(text, pattern.flags & ~re.DEBUG), set(), times)
        pieces |= {sample, sample[:-1], sample[1:], sample[: len(sample) // 2], sample + "\n"}
    pieces |= {whole[:number] for number in range(1, min(len(whole), 12))}
    found = sorted({piece[:200] for piece in pieces if piece})
    if isinstance(pattern.pattern, bytes):
        return [piece.encode("latin-1", "replace") for piece in found]
    return found


def _sample(parsed: Any, pieces: set[str], times: int) -> str:
    """A text that matches; what a repeat holds is added to `pieces`."""
    found = ""
    for operator, argument in parsed:
        found += _one(operator, argument, pieces, times)
    return found


def _one(operator: Any, argument: Any, pieces: set[str], times: int) -> str:
    if operator is c.LITERAL:
        return chr(argument)
    if operator is c.NOT_LITERAL:
        return "x" if argument != ord("x") else "y"
    if operator is c.ANY:
        return "x"
    if operator is c.IN:
        return _of_class(argument)
    if operator in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
        low, high, inner = argument
        inner_sample = _sample(inner, pieces, times)
        pieces.add(inner_sample)
        count = max(low, min(times, high if high is not c.MAXREPEAT else times))
        return inner_sample * min(count, 40)
    if operator is c.SUBPATTERN:
        return _sample(argument[-1], pieces, times)
    if operator is c.ATOMIC_GROUP:
        return _sample(argument, pieces, times)
    if operator is c.BRANCH:
        branches = [_sample(each, pieces, times) for each in argument[1]]
        pieces.update(branches[:6])
        return max(branches, key=len) if times else branches[0]
    if operator in (c.ASSERT, c.ASSERT_NOT):
        pieces.add(_sample(argument[1], pieces, times))
    return ""


def _of_class(items: Any) -> str:
    operator, argument = items[0]
    if operator is c.NEGATE:
        return next((each for each in "x7 -\n\"'" if not _in_class(each, items[1:])), "\u00e9")
    if operator is c.LITERAL:
        return chr(argument)
    if operator is c.RANGE:
        return chr(argument[0])
    return _SAMPLES.get(argument, "x")


def _in_class(character: str, items: Any) -> bool:
    for operator, argument in items:
        if operator is c.LITERAL and ord(character) == argument:
            return True
        if operator is c.RANGE and argument[0] <= ord(character) <= argument[1]:
            return True
        if operator is c.CATEGORY and _SAMPLES.get(argument) == character:
            return True
    return False
