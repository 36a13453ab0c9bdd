"""Secrets that stand beside a name: in code, files, JSON, XML, options and sentences.

Each name in a text is looked at once, and what follows it with expressions of bounded length, so
that the time grows with the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from agy_nb.cassette.redaction.rules.acceptance import (
    accepts,
    accepts_alone,
    accepts_in_environment,
    accepts_in_query,
    accepts_in_sentence,
    accepts_option,
    is_expression,
)
from agy_nb.cassette.redaction.rules.field_names import Strength, strength
from agy_nb.cassette.redaction.rules.value_shapes import is_mixed

_KEYWORD = re.compile(
    r"pass|pwd|secret|token|key|cred|auth|cookie|jwt|sig|salt|pepper|sess|sid|csrf|xsrf|psk|pw|pat|dsn"
    r"|otp|mnemonic|bearer|hmac|hook|connection|recovery|_ur[il]|phrase|contrase|motdepasse|(?a:\bid\b)"
)
_IN_NAMES = frozenset("_-.$")
_LONGEST_NAME = 80
_LONGEST = 2000
_REST = re.compile(r"[A-Za-z0-9_\u00aa-\u1fff-]{0,80}")  # not scripts without spaces

_GAP = r"[ \t]{0,24}"
_SEPARATOR = re.compile(
    r"[\"'`]?[\])]?"
    + _GAP
    + r"(?:\?"
    + _GAP
    + r")?(?P<s>:[ \t]{0,4}[&*]{0,2}[A-Za-z][\w<>?.\[\]| ]{0,40}?[ \t]{0,4}=(?=[ \t]{0,4}[rb]?[\"'`])|=>|:=|===?|=|::?|->|<<<?|[\uff1a\uff1d])"
    + _GAP
    + r"(?:(?:[A-Za-z]\w{0,20}\()?[rbuRBUfF]{0,2}(?=[\"'`]))?"
)
_PAIR = re.compile(
    r"[\"']?\s{0,40}(?:[,;}/>-]\s{0,40})?[\"']?(?:value|val|content|string|data|secret|default)[\"']?\s{0,8}[:=]\s{0,8}",
    re.IGNORECASE,
)
_COMMA = re.compile(r"[\"'`]\s{0,16}[,)]\s{0,24}(?=[\"'`])")
_CALL = re.compile(r"(?:\(|[ \t]{1,4}\(?)[ \t]{0,4}(?:[A-Za-z.]{1,30}\()?[ \t]{0,4}(?=[\"'`])")
_IS = re.compile(
    r"[\"'*`]{0,3}[ \t]{1,4}(?:(?:is|was|are|to|are now|is now|has been set to|for [\w@.-]{1,60}(?=:| is)(?: is)?)\b:?[ \t]{0,4}|\d[ \t]{1,4}|)(?=\S)"
)
_ELEMENT = re.compile(
    r"(?:\s[^<>]{0,200})?>(?:\s{0,40}<(?:string|value|plainText)>)?(?:<!\[CDATA\[)?(?P<v>[^<>\]]{3,2000})(?:\]\]>)?</",
    re.IGNORECASE,
)
_CLOSED = re.compile(
    r"[\"']?(?:>|</(?:key|name|th|td|dt)>\s{0,40}<(?:string|value|td|dd)>)(?P<v>[^<>]{3,2000})</",
    re.IGNORECASE,
)
_BLOCK = re.compile(
    r"(?:[|>][+-]?[ \t]{0,8}\r?\n[ \t]{1,40}|\[\[|q\{)(?P<v>[^\s\]}]{3,400})(?=\r?\n|\]\]|\}|\Z)"
)
_OPTION = re.compile(r"[ \t]{1,8}(?!-)")
_BARE = re.compile(r"[^\s\"'`<>]{1,2000}")
_ASKS = re.compile(
    r"_*(?:get|find|is|has|check|validate|load|read|parse|generate|verify|hash|test|ask|mask)(?=[_A-Z]|$)"
)
_LINE = re.compile(
    r"[ \t]{0,40}(?:[-+>|*] {0,4})?(?:(?:export|set|setx|env|ENV|ARG|declare -x|readonly|local|SetEnv|\$env:|-e|--env)[ \t]{0,4})?[\"']?"
    r"(?:[\w./-]{1,80}:\d{1,6}:)?"
)
_ENDS = re.compile(r"[,;)\]}|]|&(?=(?:amp;)?[\w.-]{1,40}=|&|\Z)")
_TRAILING = ".,;:!?)]}"
_UPPER = re.compile(r"[A-Z][A-Z0-9_]*")


class _Value(NamedTuple):
    start: int
    end: int
    quoted: bool


def named(text: str, lowered: str) -> Iterator[tuple[int, int]]:
    """Find secrets by the names beside them; gives where each begins and ends.

    Args:
        text: The text.
        lowered: The same in lower case, character by character.
    """
    at = 0
    for match in _KEYWORD.finditer(lowered):
        if match.start() < at:
            continue
        start = match.start()
        floor = max(at, start - _LONGEST_NAME)
        while start > floor and (text[start - 1].isalnum() or text[start - 1] in _IN_NAMES):
            start -= 1
        rest = _REST.match(text, match.end())
        end = rest.end() if rest else match.end()
        at = end
        name = text[start:end]
        power = strength(name)
        if power:
            yield from _beside(text, name, start, end, power)


def _beside(
    text: str, name: str, start: int, end: int, power: Strength
) -> Iterator[tuple[int, int]]:
    before = text[start - 1] if start else ""
    if before in "<:" and (match := _ELEMENT.match(text, end)):
        value = match["v"].strip()
        if accepts(value, power, quoted=True):
            begin = match.start("v") + match["v"].index(value)
            yield begin, begin + len(value)
        return
    found = _assigned(text, name, start, end, power)
    if found is None and before in "\"'>:= \t":
        found = _paired(text, end, power)
    if found is None and name.startswith("-") and (match := _OPTION.match(text, end)):
        value = _value(text, match.end(), line=False, query=False)
        if value and accepts_option(text[value.start : value.end], power, quoted=value.quoted):
            found = value.start, value.end
    if found is None:
        found = _said(text, name, end, power)
    if found is not None:
        yield found


def _assigned(
    text: str, name: str, start: int, end: int, power: Strength
) -> tuple[int, int] | None:
    """Find a value after a separator: `key = "..."`, `key: ...`, `?key=...`, `export KEY=...`."""
    match = _SEPARATOR.match(text, end)
    if match is None:
        return None
    separator = match["s"]
    query = separator == "=" and start > 0 and text[start - 1] in "?&#;"
    first = not query and _begins_line(text, start)
    spaced = match.end() - match.start() > len(separator)
    line = first and separator == "=" and (not spaced or not name.isidentifier())
    value = _value(text, match.end(), line=line or (first and separator == ":"), query=query)
    if value is None:
        return None
    found = text[value.start : value.end]
    if value.quoted:
        accepted = accepts(found, power, quoted=True)
    elif _is_compared(name, separator, found) or _is_code(text, value, line=line):
        accepted = False
    elif query:
        accepted = accepts_in_query(found, power)
    elif line and _UPPER.fullmatch(name) and power > Strength.WEAK:
        accepted = accepts_in_environment(found, power)
    else:
        alone = first and _ends_line(text, value.end)
        accepted = accepts(found, power, quoted=False) or (alone and accepts_alone(found, power))
    return (value.start, value.end) if accepted else None


def _begins_line(text: str, start: int) -> bool:
    """Return whether only words such as `export` or the place of a match precede a name."""
    line_start = text.rfind("\n", max(0, start - 120), start) + 1
    return _LINE.fullmatch(text, line_start, start) is not None


def _ends_line(text: str, end: int) -> bool:
    rest = text[end : end + 2]
    return not rest or rest[0] in "\r\n" or rest.isspace()


def _is_compared(name: str, separator: str, found: str) -> bool:
    """Return whether a name is compared with another one, or a cookie holds pairs of its own."""
    return separator.startswith("==") or ("=" in found and "cookie" in name.lower())


def _is_code(text: str, value: _Value, *, line: bool) -> bool:
    """Return whether a value without quotes is a call, an index or another piece of a program."""
    if text[value.end : value.end + 1] in ("(", "["):
        return True
    return is_expression(text[value.start : value.end], line=line)


def _paired(text: str, end: int, power: Strength) -> tuple[int, int] | None:
    """Find a name with its value in the next place: `{"key": "password", "value": ...}`."""
    if match := _CLOSED.match(text, end):
        value = match["v"].strip()
        if accepts(value, power, quoted=True):
            begin = match.start("v") + match["v"].index(value)
            return begin, begin + len(value)
    for expression in (_PAIR, _COMMA):
        if match := expression.match(text, end):
            value = _value(text, match.end(), line=False, query=False)
            if value is None:
                continue
            found = text[value.start : value.end]
            if expression is _COMMA and not (is_mixed(found) and len(found) >= 6):
                continue
            plain = value.quoted or not is_expression(found, line=False)
            if plain and accepts(found, power, quoted=value.quoted):
                return value.start, value.end
    return None


def _said(text: str, name: str, end: int, power: Strength) -> tuple[int, int] | None:
    """Find a value in a call, in SQL or in a sentence: `setPassword("...")`, `PASSWORD '...'`."""
    if (match := _CALL.match(text, end)) and not _ASKS.match(name):
        return _in_call(text, match.end(), power)
    if match := _IS.match(text, end):
        return _in_sentence(text, match.end(), power, has_verb=bool(match[0].strip()))
    return None


def _in_call(text: str, at: int, power: Strength) -> tuple[int, int] | None:
    """Find an argument of a call."""
    value = _value(text, at, line=False, query=False)
    if value is None or not value.quoted or power is Strength.WEAK:
        return None
    found = text[value.start : value.end]
    accepted = len(found) >= 6 and accepts(found, power, quoted=True) and not found.isalpha()
    return (value.start, value.end) if accepted else None


def _in_sentence(text: str, at: int, power: Strength, *, has_verb: bool) -> tuple[int, int] | None:
    """Find a value in a sentence, after `is` or another verb or right after the name."""
    value = _value(text, at, line=False, query=False)
    if value is None:
        return None
    stop = value.end
    while not value.quoted and stop > value.start and text[stop - 1] in _TRAILING:
        stop -= 1
    accepted = accepts_in_sentence(text[value.start : stop], power, has_verb=has_verb)
    return (value.start, stop) if accepted else None


def _value(text: str, at: int, *, line: bool, query: bool) -> _Value | None:
    if at >= len(text):
        return None
    quote = text[at]
    if quote in "\"'`":
        if text.startswith(quote * 3, at):
            at += 2
        end = _closing(text, quote, at + 1)
        return _Value(at + 1, end, quoted=True) if end > at + 1 else None
    if match := _BLOCK.match(text, at):
        return _Value(*match.span("v"), quoted=True)
    match = _BARE.match(text, at)
    if match is None:
        return None
    end = match.end()
    if query:
        cut = re.compile(r"[&;#]").search(text, at, end)
    elif line:
        cut = None
        if text[end - 1] in ",;" and end - at > 1:
            end -= 1
    else:
        cut = _ENDS.search(text, at, end)
    if cut:
        end = cut.start()
    return _Value(at, end, quoted=False) if end > at else None


def _closing(text: str, quote: str, at: int) -> int:
    """Return the end of a quoted text; 0 if it does not end in its line or within the limit."""
    limit = min(len(text), at + _LONGEST)
    newline = text.find("\n", at, limit)
    limit = newline if newline >= 0 else limit
    end = text.find(quote, at, limit)
    while end > at and text[end - 1] == "\\" and text[end - 2] != "\\":
        end = text.find(quote, end + 1, limit)
    return max(end, 0)
