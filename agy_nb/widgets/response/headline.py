"""Render a tool call in one line: the tool, and the argument that tells calls apart."""

from __future__ import annotations

from collections.abc import Collection

from agy_nb.protocol.values import JsonObject
from agy_nb.terminal import revealed
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.response.call_details import COMMANDS, PATHS, command_of
from agy_nb.widgets.response.html_values import LONGEST, dump

_SHORT = 80


def headline(
    name: str, args: JsonObject, server: str | None = None, differing: Collection[str] = ()
) -> str:
    """Render a call in one line: the tool, and the argument that tells calls apart.

    Args:
        name: The tool.
        args: The arguments.
        server: The MCP server of the tool.
        differing: Names of the arguments that differ from other calls of the tool.
    """
    full, short = _full_name(name, server), _short_words(args, differing)
    shown, said = (escape(revealed(each, exact=True)) for each in (full, short))
    return f"<code>{shown}</code> <span class='agy-dim agy-arg'>{said}</span>"


def call_text(name: str, args: JsonObject, server: str | None = None) -> str:
    """Format a call in one line of text.

    Example:
        >>> call_text("get_weather", {"city": "Paris"})
        'get_weather city="Paris"'
    """
    return f"{_full_name(name, server)} {_short_words(args)}".rstrip()


def _full_name(name: str, server: str | None) -> str:
    return f"{server} · {name}" if server else name


def _short_words(args: JsonObject, differing: Collection[str] = ()) -> str:
    main = command_of(args)
    if main is None and not any(key in args for key in COMMANDS):
        main = next((key for key in PATHS if isinstance(args.get(key), str)), None)
    first = {key: value for key, value in args.items() if key in differing}
    if main is not None and (not first or main in first):
        words = str(args[main]) if command_of(args) == main else _end_of_path(str(args[main]))
    else:
        words = _pairs(first | args)
    line = " ".join(words[: 2 * LONGEST].split())
    return line if len(line) <= _SHORT else f"{line[:_SHORT]}…"


def _pairs(args: JsonObject) -> str:
    """Render arguments as `name=value`, as many as fit a line."""
    pairs: list[str] = []
    for name, value in args.items():
        pairs.append(f"{name}={dump(value, _SHORT, '…')}")
        if len(pairs) > _SHORT // 2:
            break
    return ", ".join(pairs)


def _end_of_path(path: str) -> str:
    """Shorten a long path to its last parts, which tell files apart."""
    if len(path) <= _SHORT:
        return path
    return "…" + path[-_SHORT:]
