"""Convert a tool call's arguments to editable text and back.

Text that cannot be parsed is not sent: the user sees the problem. An argument can be changed or
added, but not removed, because the SDK keeps the old value of an argument that is left out.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from agy_nb.protocol.values import JsonObject
from agy_nb.terminal import printable
from agy_nb.widgets.response.call_details import LONGEST_CALL, command_of

LONGEST = LONGEST_CALL
"""Maximum length of editable arguments, in characters."""

_EXACT = 2**53
"""The SDK sends numbers as floats, which are exact for whole numbers up to this one."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Arguments as editable text.

    Attributes:
        form: `"command"` for the command line alone, `"json"` for all arguments.
        text: The text before editing.
        name: The argument that holds the command line; empty if `form` is `"json"`.
    """

    form: Literal["command", "json"]
    text: str
    name: str = ""


def draft(args: JsonObject) -> Draft | None:
    """Convert arguments to editable text; None if the text would be too long.

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
    """Return whether a text box shows and preserves every character of a text."""
    without_tabs = text.replace("\t", " ")
    return printable(without_tabs, exact=True) == without_tabs


def apply_edit(args: JsonObject, text: str) -> JsonObject:
    """Apply the edited text to the arguments.

    Args:
        args: The original arguments; they determine the form of the text.
        text: The edited text.

    Returns:
        All arguments.

    Raises:
        ValueError: The command is empty, the text is not a JSON object, or an argument is missing.

    Example:
        >>> apply_edit({"CommandLine": "ls", "Cwd": "/tmp"}, "pwd")
        {'CommandLine': 'pwd', 'Cwd': '/tmp'}
    """
    if len(text) > LONGEST:
        msg = f"the text is longer than {LONGEST:,} characters"
        raise ValueError(msg)
    original = draft(args)
    if original is not None and original.form == "command":
        if not text.strip():
            raise ValueError("the command is empty; deny the call if nothing should run")
        return {**args, original.name: text}
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
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        msg = f"the key {twice!r} appears twice"
        raise ValueError(msg)
    return found


def problem(args: JsonObject, text: str) -> str:
    """Describe why the edited text cannot run; empty if it can."""
    try:
        apply_edit(args, text)
    except ValueError as error:
        return str(error)
    return ""
