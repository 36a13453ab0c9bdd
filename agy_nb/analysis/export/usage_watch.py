"""Show usage again and again while agents run: `agy-nb usage --watch`.

On a terminal, the table is drawn in place. Elsewhere, a line is written for each row that has
changed, so that a log or another program can follow.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from agy_nb.analysis.export.text_table import aligned, changed_rows
from agy_nb.analysis.read.discovery import RecordingPath
from agy_nb.terminal import printable

TextRows = list[list[str]]
UsageRecord = dict[str, Any]


def watch(look: Callable[[], TextRows], seconds: float) -> int:
    """Show rows until the user interrupts with Ctrl-C.

    Args:
        look: Returns headings and rows, or nothing.
        seconds: Pause between two looks.

    Returns:
        The exit code, 0.
    """
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        if sys.stdout.isatty():
            _draw(look, seconds)
        else:
            _write(look, seconds)
    return 0


def watch_as_json(
    look: Callable[[], list[UsageRecord]], keys: Sequence[str], seconds: float
) -> int:
    """Write each record that has changed as a line of JSON, until Ctrl-C.

    Args:
        look: Returns records.
        keys: Names of the values that identify a record.
        seconds: Pause between two looks.

    Returns:
        The exit code, 0.
    """
    known: dict[tuple[str, ...], UsageRecord] = {}
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            for record in look():
                key = tuple(str(record.get(name)) for name in keys)
                if known.get(key) != record:
                    known[key] = record
                    _put(json.dumps({"time": _now()} | record, ensure_ascii=False))
            time.sleep(seconds)
    return 0


def _draw(look: Callable[[], TextRows], seconds: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            moment = time.strftime("%H:%M:%S")
            text = f"{printable(aligned(look()))}\n{moment}, every {seconds:g} s, Ctrl-C to end"
            live.update(Text(text, no_wrap=True, overflow="crop"), refresh=True)
            time.sleep(seconds)


def _write(look: Callable[[], TextRows], seconds: float) -> None:
    known: dict[tuple[str, ...], list[str]] = {}
    headings: list[str] = []
    while True:
        rows = look()
        if rows and rows[0] != headings:
            headings = rows[0]
            _put("\t".join(["time", *headings]))
        changed = changed_rows(rows, known)
        for row in changed.values():
            _put("\t".join([_now(), *row]))
        known |= changed
        time.sleep(seconds)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _put(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()


def state_of(recordings: Iterable[RecordingPath]) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and times of the files of recordings, to see changes."""
    found = []
    for recording in recordings:
        path = Path(recording.path)
        try:
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                about = file.stat()
                found.append((str(file), about.st_size, about.st_mtime_ns))
        except OSError:  # it has just been moved to its final name
            found.append((str(path), -1, -1))
    return tuple(found)
