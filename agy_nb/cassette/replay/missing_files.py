"""Explain an error about a file that the harness wrote in the recording, and not in a replay.

A replay at the wire runs no harness, so the harness's own tools write nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import PurePath

from agy_nb.cassette.storage.cassette_reader import RecordedSession
from agy_nb.wire import frames as f

_WRITERS = ("createFile", "editFile", "generateImage", "runCommand")


def explain(error: BaseException | None, sessions: Iterable[RecordedSession]) -> None:
    """Add a note to an error about a file that is missing because this is a replay.

    Args:
        error: The error of the block.
        sessions: The recorded sessions.
    """
    if not isinstance(error, FileNotFoundError) or not isinstance(error.filename, str | bytes):
        return
    name = PurePath(os.fsdecode(error.filename)).name
    note = (
        f"agy_nb: the harness wrote {name} while this session was recorded. A replay at the wire "
        "runs no harness and writes no files. Use restore_files=True, which writes text files of "
        'its file tools, or seam="model", which runs all its tools, or write the file in the test'
    )
    if name and note not in getattr(error, "__notes__", ()) and _was_written(name, sessions):
        error.add_note(note)


def _was_written(name: str, sessions: Iterable[RecordedSession]) -> bool:
    text = json.dumps(name)[1:-1]
    return any(
        text in json.dumps(step[kind])
        for session in sessions
        for line in session.lines
        if isinstance(step := line.frame.get(f.STEP), dict)
        for kind in _WRITERS
        if kind in step
    )
