"""Render what a tool call does: its command, its change of a file, its other arguments."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from agy_nb.protocol.values import JsonObject
from agy_nb.terminal import revealed
from agy_nb.widgets.response.html_values import (
    ENCODER,
    LONGEST,
    block,
    clip,
    dump,
    json_result,
    section,
)
from agy_nb.wire.frames import LINE_SIGNS

LONGEST_CALL = 200_000
"""Maximum length of a call as JSON that an approval shows; a longer call can only be denied."""

_MOST_LINES = 1_000
"""Maximum number of lines of a diff, which takes quadratic time."""

COMMANDS = ("CommandLine", "command_line", "command", "cmd")
"""Names of arguments that hold a command line."""

PATHS = (
    "AbsolutePath",
    "absolute_path",
    "TargetFile",
    "target_file",
    "DirectoryPath",
    "SearchPath",
    "file_path",
    "path",
    "file",
)
"""Names of arguments that hold a path."""

_OLD_AND_NEW = (
    ("TargetContent", "ReplacementContent"),
    ("target_content", "replacement_content"),
    ("old_string", "new_string"),
)

_CONTENTS = ("CodeContent", "code_content", "content", "contents", "file_text", "new_content")
"""Names of arguments that hold the content of a file."""

_BLOCKS = "diff_block"
"""Name of the argument or the result with the lines of a change."""


def command_of(args: JsonObject) -> str | None:
    """Return the name of the argument that holds the command line; None unless exactly one does.

    Example:
        >>> command_of({"CommandLine": "ls", "Cwd": "/tmp"})
        'CommandLine'
        >>> command_of({"cmd": "rm -rf ~", "command": "ls"}) is None
        True
    """
    found = [key for key in COMMANDS if key in args]
    return found[0] if len(found) == 1 and isinstance(args[found[0]], str) else None


def is_shown(args: JsonObject) -> bool:
    """Return whether a card shows the whole call."""
    return dump(args, LONGEST_CALL, "…")[-1:] != "…"


def call_details(args: JsonObject) -> str:
    """Render a tool call for approval: the command or the diff, and every other argument.

    Hidden characters are shown by name, and nothing is left out of a call that `is_shown`.
    """
    if not args:
        return "<p>This call has no arguments.</p>"
    if not is_shown(args):
        return _beginning(args)
    command = command_of(args)
    if command is not None:
        return _command(str(args[command])) + _others(args, command)
    if (change := change_of(args)) and (diff := _diff(str(args[change[0]]), str(args[change[1]]))):
        return block(revealed(diff, exact=True), "diff") + _others(args, *change)
    content = _content_of(args)
    if content is not None:
        text = revealed(str(args[content]), exact=True)
        return block(text, language_of(args)) + _others(args, content)
    return _call_block(args)


def arguments(args: JsonObject) -> str:
    """Render the arguments of a call that needs no decision any more.

    A command is shown as a command, a file as its change or its content, and all other arguments
    as JSON.
    """
    if diff := diff_of_blocks(args):
        rest = {name: value for name, value in args.items() if name != _BLOCKS}
        return block(clip(diff), "diff") + (_others(rest) if rest.keys() - set(PATHS) else "")
    is_short = dump(args, LONGEST, "…")[-1:] != "…"
    if is_short and (command_of(args) or change_of(args) or _content_of(args)):
        return call_details(args)
    return json_result("Arguments", args)


def change_of(args: JsonObject) -> tuple[str, str] | None:
    """Return the names of the arguments with the old and the new text; None unless there is one."""
    found = [
        (old, new)
        for old, new in _OLD_AND_NEW
        if isinstance(args.get(old), str) and isinstance(args.get(new), str)
    ]
    return found[0] if len(found) == 1 else None


def path_of(args: JsonObject) -> str | None:
    """Return the path that a call is about, None if there is none."""
    return next((str(args[key]) for key in PATHS if isinstance(args.get(key), str)), None)


def _content_of(args: JsonObject) -> str | None:
    found = [key for key in _CONTENTS if isinstance(args.get(key), str)]
    return found[0] if len(found) == 1 and path_of(args) is not None else None


def language_of(args: JsonObject) -> str:
    """Return the language of the file that a call is about, for highlighting; empty if unknown."""
    from pygments.lexers import find_lexer_class_for_filename

    lexer = find_lexer_class_for_filename(PurePath(path_of(args) or "").name)
    return lexer.aliases[0] if lexer is not None and lexer.aliases else ""


def diff_of_blocks(value: object) -> str:
    """Return the diff in the arguments or the result of the harness's edit tool.

    Args:
        value: The arguments or the result.

    Returns:
        The lines with their signs; empty if the value is something else.

    Example:
        >>> line = {"text": "x = 1", "action": next(iter(LINE_SIGNS))}
        >>> diff_of_blocks({"diff_block": [{"start_line": 0, "lines": [line]}]})
        '+x = 1'
    """
    blocks = value.get(_BLOCKS) if isinstance(value, dict) else None
    if not isinstance(blocks, list) or not blocks:
        return ""
    try:
        return revealed("\n".join(_diff_lines(blocks)), exact=True)
    except (KeyError, TypeError, AttributeError):
        return ""  # a cassette may hold anything


def _diff_lines(blocks: list[Any]) -> Iterator[str]:
    for number, each in enumerate(blocks):
        if number or len(blocks) > 1:
            yield f"@@ line {int(each.get('start_line', 0)) + 1} @@"
        for line in each["lines"]:
            yield LINE_SIGNS[line["action"]] + str(line.get("text", ""))


def changed_lines(diff: str) -> str:
    r"""Count the added and removed lines of a diff.

    Example:
        >>> changed_lines("-a\n+b\n+c").split()[0]
        '+2'
    """
    lines = diff.split("\n")
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return f"+{added} \N{MINUS SIGN}{removed}"


def diff_of_args(args: JsonObject) -> str:
    """Return the diff that the arguments of an edit describe; empty if they are something else."""
    change = change_of(args)
    return _diff(str(args[change[0]]), str(args[change[1]])) if change else diff_of_blocks(args)


def _beginning(args: JsonObject) -> str:
    clipped = dump(args, LONGEST, "\n…")
    words = (
        f"This call is longer than {LONGEST_CALL:,} characters, too long to show in full. "
        "You can only deny it here. It begins:"
    )
    return f"<p><strong>{words}</strong></p>{block(revealed(clipped, exact=True))}"


def _command(command: str) -> str:
    prompt = '<span class="agyc-f">$ </span>'
    return block(revealed(command, exact=True), "bash", prompt)


def _call_block(args: JsonObject) -> str:
    return block(revealed(ENCODER.encode(args), exact=True), "json")


def _others(args: JsonObject, *shown: str) -> str:
    rest = {name: value for name, value in args.items() if name not in shown}
    return section("Other arguments", _call_block(rest)) if rest else ""


def _diff(old: str, new: str) -> str:
    """Compute a diff that contains every line; empty if the texts are equal or too long.

    Only a line feed ends a line here, so a change of other line ends is visible. Spaces at the end
    of a line are shown as dots.
    """
    before, after = old.split("\n"), new.split("\n")
    if old == new or max(len(before), len(after)) > _MOST_LINES:
        return ""
    count = len(before) + len(after)
    lines = difflib.unified_diff(_dotted(before), _dotted(after), n=count, lineterm="")
    return "\n".join(list(lines)[3:])


def _dotted(lines: list[str]) -> list[str]:
    return [line.rstrip(" ") + "·" * (len(line) - len(line.rstrip(" "))) for line in lines]
