"""Conversations that the harness keeps in a `save_dir`: one SQLite file each.

Steps are there by number and kind. All else (texts, times, tokens, tools, the model) is in blobs of
protocol buffers whose messages are not published; it is not guessed at.

Rule 1: files are opened as immutable, so that SQLite writes no file next to them.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from urllib.parse import quote

from agy_nb.analysis.builders.session_builder import SessionBuilder

_NAME = re.compile(r"[0-9a-f]{32}\.db")
_USER_INPUT, _RESPONSE, _HOST_TOOL = 14, 15, 103
_DONE = 3


def is_conversation(name: str) -> bool:
    """Return whether a file has the name of a conversation of the harness."""
    return _NAME.fullmatch(name) is not None


def read_database(path: Path, session: SessionBuilder) -> None:
    """Add the readable parts of a conversation's file to the tables. Never raises for its content.

    Args:
        path: The file.
        session: The builder of its session.
    """
    import sqlite3

    from agy_nb.cassette.storage.safe_files import open_plain

    where = f"file:{quote(str(path.absolute()))}?immutable=1"
    try:
        open_plain(path).close()
        with contextlib.closing(sqlite3.connect(where, uri=True)) as database:
            ids = database.execute(
                "select trajectory_id, cascade_id from trajectory_meta"
            ).fetchone()
            steps = database.execute(
                "select idx, step_type, status from steps order by idx"
            ).fetchall()
    except (sqlite3.Error, OSError) as error:
        session.problem("not_a_session", path=str(path), detail=f"no conversation: {error}")
        return
    thread_id, conversation = ids or (path.stem, path.stem)
    agent = session.agent(1)
    agent.about(conversation_id=conversation, state=None, resumed=None)
    thread = agent.thread(str(thread_id), None)
    for index, kind, status in steps:
        if kind == _USER_INPUT:
            agent.end_turn(None, None)
            agent.begin_turn(None)
        step = agent.step(thread, index, None)
        if step is not None:
            user = kind == _USER_INPUT
            step.kind = "text" if user else "tool_call" if kind == _HOST_TOOL else "unknown"
            step.source = (
                "user" if user else "model" if kind in (_RESPONSE, _HOST_TOOL) else "unknown"
            )
            step.state = "done" if status == _DONE else "unknown"
    agent.end_turn(None, None)
    if path.with_name(path.name + "-wal").exists():
        session.problem("partial", path=str(path), detail="open in a harness, or not closed")
    session.problem(
        "unreadable",
        path=str(path),
        detail=f"of its {len(steps)} steps only number and kind can be read; tokens and texts are "
        "in the transcript below the agent's app_data_dir, in brain/",
    )
