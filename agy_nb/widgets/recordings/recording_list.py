"""Render the list of recordings, and the differences of two. Reading files blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from agy_nb.cassette.errors import CassetteError, CassetteInvalidError
from agy_nb.cassette.inspect.session_digests import differences
from agy_nb.cassette.storage import catalog
from agy_nb.cassette.storage.cassette_reader import RecordedSession, by_session, load
from agy_nb.cassette.storage.format import WIRE, read_header, read_lines
from agy_nb.cassette.storage.ownership import is_unfinished
from agy_nb.protocol.amounts import counted
from agy_nb.widgets.markdown.code import highlight
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.response.html_values import SortOrder, badge, sort_head

BY_NAME = SortOrder("Name", descending=False)

LONGEST = 300
"""Maximum number of recordings that are shown; the filter finds the others."""

LARGEST = 200_000_000
"""Maximum size of a recording that is opened, in bytes."""

MOST_DIFFERENCES = 2_000
"""Maximum number of lines of a comparison."""

_COLUMNS = ("Name", "Recorded", "Sessions", "Turns", "Tokens", "Tools", "SDK", "Size", "State")

_FROM_THE_TOP = ("Recorded", "Sessions", "Turns", "Tokens", "Size")
"""Columns whose first click shows the largest values first."""


class Row(NamedTuple):
    """A row of the list.

    Attributes:
        name: The recording's path below the folder.
        entry: The catalog's entry of the recording.
    """

    name: str
    entry: catalog.CatalogEntry

    @property
    def unfinished(self) -> bool:
        """Whether it is still being recorded, or was cut off."""
        return is_unfinished(self.entry.path)

    def matches(self, words: Iterable[str]) -> bool:
        """Return whether the row contains all words, ignoring case."""
        header = self.entry.header
        said = [self.name, self.entry.problem]
        if header is not None:
            said += [header.sdk, *_names(self), *_models(self)]
        text = " ".join(said).lower()
        return all(word.lower() in text for word in words)


def rows(folder: Path, places: Sequence[Path] = ()) -> list[Row]:
    """List the recordings in a folder and its subfolders; blocks.

    Args:
        folder: The folder.
        places: Recordings and folders in the folder, to list only those.

    Raises:
        OSError: The folder cannot be read.
    """
    if not folder.is_dir():
        return []
    return [
        Row(_name(folder, path), catalog.entry(path))
        for path in catalog.find([*places] or [folder])
    ]


def _name(folder: Path, path: Path) -> str:
    return path.name if path == folder else path.relative_to(folder).as_posix()


def _names(row: Row) -> list[str]:
    header = row.entry.header
    found = {name for session in header.sessions for name in session.tools} if header else set()
    return sorted(map(str, found))


def _models(row: Row) -> list[str]:
    header = row.entry.header
    found = {name for session in header.sessions for name in session.models} if header else set()
    return sorted(map(str, found))


# -- the list --------------------------------------------------------------------------------------


def sort_order(column: str, before: SortOrder) -> SortOrder:
    """Return the sort order after a click on the head of a column."""
    if column not in _COLUMNS:
        return before
    again = before.column == column
    return SortOrder(column, not before.descending if again else column in _FROM_THE_TOP)


def in_order(shown: list[Row], order: SortOrder) -> list[Row]:
    """Sort rows; unreadable recordings come last."""
    if order.column == "Name":
        return sorted(shown, key=lambda row: row.name, reverse=order.descending)
    readable = [row for row in shown if row.entry.header is not None]
    readable.sort(key=lambda row: _sort_key(row, order.column), reverse=order.descending)
    return [*readable, *(row for row in shown if row.entry.header is None)]


def _sort_key(row: Row, column: str) -> tuple[Any, ...]:
    header = row.entry.header
    assert header is not None
    match column:
        case "Recorded":
            return (header.recorded_at,)
        case "Sessions":
            return (len(header.sessions),)
        case "Turns":
            return (sum(session.turns for session in header.sessions),)
        case "Tokens":
            return (sum(session.tokens or 0 for session in header.sessions),)
        case "Tools":
            return tuple(_names(row))
        case "SDK":
            return tuple((len(part), part) for part in header.sdk.split("."))
        case "Size":
            return (row.entry.size,)
    return (row.unfinished, row.entry.partial)


def table(shown: list[Row], *, links: bool, opened: str = "", order: SortOrder = BY_NAME) -> str:
    """Render the list as HTML.

    Args:
        shown: The rows to show.
        links: Whether names and heads of columns can be clicked.
        opened: The name of the open recording.
        order: The sort order.
    """
    shown = in_order(shown, order)
    if links:
        head = "".join(sort_head(title, title, order, _right(title)) for title in _COLUMNS)
    else:
        head = "".join(f"<th scope='col'{_right(title)}>{title}</th>" for title in _COLUMNS)
    body = "".join(_row(row, links=links, opened=row.name == opened) for row in shown[:LONGEST])
    more = len(shown) - LONGEST
    tail = f"<p class='agy-dim'>{more:,} more not shown. Narrow the filter.</p>" if more > 0 else ""
    return (
        f"<table class='agy-usage-table agy-list' tabindex='0'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{tail}"
    )


def _right(title: str) -> str:
    return " class='agy-r'" if title in ("Sessions", "Turns", "Tokens", "Size") else ""


def _row(row: Row, *, links: bool, opened: bool) -> str:
    name = escape(row.name)
    if links:
        name = (
            f"<button type='button' class='agy-link' data-agy-act='open' "
            f"data-agy-value='{name}'>{name}</button>"
        )
    current = " aria-current='true'" if opened else ""
    cells = f"<th scope='row'>{name}</th>"
    if row.entry.header is None:
        why = f"{badge('bad', 'Unreadable')} {escape(row.entry.problem)}"
        cells += f"<td class='agy-words' colspan='{len(_COLUMNS) - 1}'>{why}</td>"
        return f"<tr{current}>{cells}</tr>"
    cells += "".join(f"<td{kind}>{cell}</td>" for kind, cell in _figures(row))
    return f"<tr{current}>{cells}<td class='agy-words'>{_state(row)}</td></tr>"


def _figures(row: Row) -> list[tuple[str, str]]:
    header = row.entry.header
    assert header is not None
    known = [session.tokens for session in header.sessions if session.tokens is not None]
    known_counts = header.complete or header.sessions
    tools = _names(row)
    return [
        (" class='agy-words agy-when'", when(header.recorded_at)),
        ("", f"{len(header.sessions):,}" if known_counts else "?"),
        ("", f"{sum(session.turns for session in header.sessions):,}" if known_counts else "?"),
        ("", f"{sum(known):,}" if known else "?"),
        (" class='agy-words'", escape(", ".join(tools)) if known_counts else "?"),
        ("", escape(header.sdk) or "?"),
        ("", size(row.entry.size)),
    ]


def _state(row: Row) -> str:
    if row.unfinished:
        return badge("wait", "Unfinished")
    return badge("wait", "Partial") if row.entry.partial else badge("ok", "Complete")


def when(recorded_at: str) -> str:
    """Render a time as a local date; empty if it is not one."""
    try:
        moment = datetime.fromisoformat(recorded_at).astimezone()
    except (ValueError, OverflowError, OSError):
        return ""
    return f"<time title='{moment:%Y-%m-%d %H:%M:%S %z}'>{moment:%Y-%m-%d}</time>"


def size(count: int) -> str:
    """Format a number of bytes.

    Example:
        >>> size(512), size(20_480), size(5_300_000)
        ('512 B', '20 kB', '5.3 MB')
    """
    if count < 1_000:  # noqa: PLR2004 - a kilobyte
        return f"{count} B"
    if count < 1_000_000:  # noqa: PLR2004 - a megabyte
        return f"{count / 1_000:.0f} kB"
    return f"{count / 1_000_000:.1f} MB"


def text(shown: list[Row]) -> list[str]:
    """Format the list as lines of text."""
    lines = []
    for row in shown[:LONGEST]:
        header = row.entry.header
        if header is None:
            said = f"unreadable: {row.entry.problem}"
        elif not (header.complete or header.sessions):
            said = "unfinished"
        else:
            turns = sum(session.turns for session in header.sessions)
            said = f"{counted(len(header.sessions), 'session')}, {counted(turns, 'turn')}"
        lines.append(f"  {row.name}: {said}")
    more = len(shown) - LONGEST
    return [*lines, *([f"  … {more:,} more"] if more > 0 else [])]


# -- one of them -----------------------------------------------------------------------------------


class OpenedRecording(NamedTuple):
    """A recording that was read.

    Attributes:
        path: Its folder.
        sessions: The sessions, as far as they can be read.
        problem: The problem of a damaged recording, else empty.
    """

    path: Path
    sessions: tuple[RecordedSession, ...]
    problem: str = ""


def read(path: Path) -> OpenedRecording:
    """Read a recording, or the part before the damage; `problem` has the error. Blocks."""
    try:
        weight = (path / WIRE).stat().st_size if (path / WIRE).exists() else 0
        if weight > LARGEST:
            words = f"{size(weight)} is too large to show here. Use `agy-nb cassette show` instead."
            return OpenedRecording(path, (), words)
        return _read(path)
    except (CassetteError, OSError) as error:
        return OpenedRecording(path, (), str(error))


def _read(path: Path) -> OpenedRecording:
    try:
        recording = load(path)
    except CassetteInvalidError as error:
        read_header(path)
        return OpenedRecording(path, by_session(read_lines(path, strict=False)), str(error))
    partial = "Frames are missing: the recording or its file was cut off."
    return OpenedRecording(path, recording.sessions, partial if recording.partial else "")


# -- two of them -----------------------------------------------------------------------------------


def compare(one: Path, other: Path) -> str:
    """Render the differences of two recordings, or why they cannot be read, as HTML. Blocks."""
    try:
        lines = []
        for line in differences(one, other, names=(one.name, other.name)):
            lines.append(line)
            if len(lines) > MOST_DIFFERENCES:
                lines[-1] = "… more not shown"
                break
    except (CassetteError, OSError) as error:
        return f"<p>Cannot compare: {escape(str(error))}</p>"
    if not lines:
        return "<p>No differences in configuration, prompts, answers, tools or usage.</p>"
    text = "\n".join(line.removeprefix("  ") for line in lines)
    return f"<pre tabindex='0'><code>{highlight(text, 'diff') or escape(text)}</code></pre>"
