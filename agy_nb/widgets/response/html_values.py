"""Render values as HTML: texts, code, JSON, numbers and states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from agy_nb.protocol.amounts import counted
from agy_nb.terminal import revealed
from agy_nb.widgets.markdown.code import highlight
from agy_nb.widgets.markdown.markup import escape

LONGEST = 10_000
"""Maximum length of an argument, a result or an error in a card, in characters."""

_LONGEST_OPEN = 2_000
"""Maximum length in characters of a result that is not folded."""

_MOST_OPEN_LINES = 20
"""Maximum number of lines of a result that is not folded."""

_MOST_VALUES = 400
"""Maximum number of values of a JSON tree."""

_LONGEST_LEAF = 60
"""Maximum length of a list or an object that is shown in one line, in characters."""


def clip(text: str) -> str:
    """Cut text that is too long for a card, and append the number of missing characters."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} more characters"


ENCODER = json.JSONEncoder(indent=2, ensure_ascii=False, default=str)


def as_json(value: object) -> str:
    """Dump a value as JSON; stop when a card is full."""
    if isinstance(value, str):
        return clip(value)
    return dump(value, LONGEST, "\n… more not shown")


def dump(value: object, longest: int, more: str) -> str:
    """Dump a value as JSON; cut it after a number of characters, and append `more` then."""
    pieces, size = [], 0
    for piece in ENCODER.iterencode(value):
        pieces.append(piece)
        size += len(piece)
        if size > longest:
            return "".join(pieces)[:longest] + more
    return "".join(pieces)


def block(text: str, language: str = "", before: str = "") -> str:
    """Render text as a code block; `before` is HTML at its start."""
    coloured = highlight(text, language) if language else ""
    return f'<pre tabindex="0"><code>{before}{coloured or escape(text)}</code></pre>'


def badge(kind: str, words: str) -> str:
    """Render a state as a coloured label; `kind` is ok, bad, wait or off."""
    return f'<span class="agy-badge agy-badge-{kind}">{escape(words)}</span>'


def seconds(value: float | None) -> str:
    """Format a duration; empty if unknown.

    Example:
        >>> seconds(0.25), seconds(75)
        ('0.25 s', '1 min 15 s')
    """
    if value is None:
        return ""
    if value < 10:  # noqa: PLR2004 - no digits are needed from ten seconds on
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    if value < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{value:.0f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def plain(text: str) -> str:
    """Render plain text with its line breaks."""
    return f'<div class="agy-plain">{escape(clip(text))}</div>'


def dot(kind: str, words: str) -> str:
    """Render a state as a coloured dot, with words for those who do not see it."""
    unseen = f'<span class="agy-unseen">{escape(words)}</span>'
    return f'<span class="agy-dot agy-dot-{kind}">{unseen}</span>'


def section(title: str, inside: str) -> str:
    """Render HTML below a title."""
    return f'<div class="agy-label">{title}</div>{inside}'


def result_block(title: str, text: str, language: str = "") -> str:
    """Render a result; a long one is folded, with its size.

    Args:
        title: The title of the result.
        text: The result.
        language: The language to highlight, or empty.
    """
    shown = block(clip(text), language)
    lines = text.count("\n") + 1
    if len(text) <= _LONGEST_OPEN and lines <= _MOST_OPEN_LINES:
        return section(title, shown)
    return folded(title, f"{counted(lines, 'line')}, {counted(len(text), 'character')}", shown)


def folded(title: str, size: str, inside: str) -> str:
    """Render something long that the user unfolds.

    Args:
        title: The title.
        size: The size, for users who decide whether to unfold it.
        inside: HTML.
    """
    return (
        f'<details class="agy-fold"><summary>{escape(title)} '
        f'<span class="agy-dim">{escape(size)}</span></summary>{inside}</details>'
    )


def json_result(title: str, value: object) -> str:
    """Render a JSON value: a short one as code, a long one as a tree that the user unfolds."""
    text = dump(value, _LONGEST_OPEN, "")
    is_short = len(text) < _LONGEST_OPEN and text.count("\n") < _MOST_OPEN_LINES
    if is_short or not isinstance(value, dict | list):
        return section(title, block(as_json(value), "json"))
    return section(title, f'<div class="agy-json">{json_tree(value)}</div>')


def json_tree(value: dict[str, object] | list[object]) -> str:
    """Render an object or a list as a tree; its parts are folded."""
    return "".join(_tree(value, [_MOST_VALUES]))


def _tree(value: dict[str, object] | list[object], left: list[int]) -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in items:
        left[0] -= 1
        if left[0] < 0:
            yield '<div class="agy-dim">… more not shown</div>'
            return
        key = f'<span class="agy-key">{escape(revealed(str(name), exact=True)[:200])}</span>'
        line = dump(part, LONGEST, "…")
        if isinstance(part, dict | list) and part and len(line) > _LONGEST_LEAF:
            size = counted(len(part), "item")
            yield (
                f'<details class="agy-fold"><summary>{key} <span class="agy-dim">{size}</span>'
                f"</summary>{''.join(_tree(part, left))}</details>"
            )
        else:
            short = " ".join(line.split()) if isinstance(part, dict | list) else line
            yield f"<div>{key}: <code>{escape(revealed(short, exact=True))}</code></div>"


# -- sorted tables ---------------------------------------------------------------------------------

_SORTED = {True: ("descending", " ▼"), False: ("ascending", " ▲")}


class SortOrder(NamedTuple):
    """The sort order of a table's rows."""

    column: str = ""
    descending: bool = True


def sort_head(name: str, title: str, order: SortOrder, kind: str = "") -> str:
    """Render the head of a column that sorts the table by a click.

    Args:
        name: The column.
        title: Its title.
        order: The sort order of the table.
        kind: HTML attributes of the cell.
    """
    aria, arrow = _SORTED[order.descending] if order.column == name else ("none", "")
    return (
        f"<th scope='col'{kind} aria-sort='{aria}'><button type='button' class='agy-sort' "
        f"data-agy-act='sort' data-agy-value='{name}'>{title}{arrow}</button></th>"
    )
