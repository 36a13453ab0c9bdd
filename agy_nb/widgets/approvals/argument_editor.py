"""The arguments of a tool call as text that a person may change, and back.

Rule 1: text that cannot be read is sent nowhere: the person who wrote it sees what is wrong.
Rule 2: an argument can be changed or added, but not taken away: the SDK keeps what is left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from agy_nb.protocol.values import JsonObject
from agy_nb.terminal import printable
from agy_nb.widgets.response.cards import LONGEST_CALL, command_of

LONGEST = LONGEST_CALL
"""Characters of arguments that a card offers to change."""

_EXACT = 2**53
"""The SDK sends numbers as floats, which hold whole numbers up to here."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Arguments to be changed.

    Attributes:
        form: `"command"` for the command line alone, `"json"` for all arguments.
        text: As they are.
        name: The argument that has the command line, empty for all.
    """

    form: Literal["command", "json"]
    text: str
    name: str = ""


def draft(args: JsonObject) -> Draft | None:
    """Arguments as text to be changed, None where that would be too long.

    Example:
        >>> draft({"CommandLine": "ls", "Cwd": "/tmp"}).text
        'ls'
    """
    name = command_of(args)
    if name is not None and _can_be_seen(str(args[name])):
        found = Draft("command", str(args[name]), name)
    else:
        text = json.dumps(args, indent=2, ensure_ascii=False, default=str)
        if not _can_be_seen(text):
            text = json.dumps(args, indent=2, default=str)
        found = Draft("json", text)
    return found if len(found.text) <= LONGEST else None


def _can_be_seen(text: str) -> bool:
    """Whether an editor shows every character of a text, and keeps it."""
    without_tabs = text.replace("\t", " ")
    return printable(without_tabs, exact=True) == without_tabs


def changed(args: JsonObject, text: str) -> JsonObject:
    """The arguments that a changed text stands for.

    Args:
        args: As they were; they say in which form the text is.
        text: The changed text.

    Returns:
        All arguments.

    Raises:
        ValueError: The text is no command or no JSON object, or leaves an argument out.

    Example:
        >>> changed({"CommandLine": "ls", "Cwd": "/tmp"}, "pwd")
        {'CommandLine': 'pwd', 'Cwd': '/tmp'}
    """
    if len(text) > LONGEST:
        msg = f"the text is longer than {LONGEST:,} characters"
        raise ValueError(msg)
    about = draft(args)
    if about is not None and about.form == "command":
        if not text.strip():
            raise ValueError("the command is empty; deny the call if nothing should run")
        return {**args, about.name: text}
    found = _read(text)
    if missing := sorted(set(args) - set(found)):
        msg = (
            f"{', '.join(missing)} is missing; the SDK would keep its old value, "
            "so enter the value that it should have"
        )
        raise ValueError(msg)
    return found


def _read(text: str) -> JsonObject:
    try:
        found = json.loads(
            text, parse_constant=_no_constant, object_pairs_hook=_once, parse_int=_exact
        )
    except json.JSONDecodeError as error:
        msg = f"invalid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise ValueError(msg) from None
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("the arguments must be a JSON object: {…}")  # noqa: TRY004 - of a text
    return found


def _no_constant(word: str) -> float:
    msg = f"{word} is not valid JSON"
    raise ValueError(msg)


def _exact(digits: str) -> int:
    if len(digits) > len(str(_EXACT)) + 1 or abs(int(digits)) > _EXACT:
        msg = f"{digits[:30]} is too large to send exactly; enter it as a string"
        raise ValueError(msg)
    return int(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"the key {twice!r} appears twice"
        raise ValueError(msg)
    return found


def objection(args: JsonObject, text: str) -> str:
    """What is wrong with a changed text; empty for one that can be run."""
    try:
        changed(args, text)
    except ValueError as error:
        return str(error)
    return ""
