"""The harness's files of a conversation."""

from __future__ import annotations

import shutil
from pathlib import Path

from agy_nb.errors import HarnessError

_FILE_ENDINGS = (".db", ".db-wal", ".db-shm", ".db-journal")
"""Endings of a conversation's SQLite file and of SQLite's additional files."""


def files_of(folder: Path, conversation_id: str) -> list[Path]:
    """List the files of one conversation in a `save_dir`, without those of ids with this prefix."""
    paths = [folder / f"{conversation_id}{ending}" for ending in _FILE_ENDINGS]
    return [path for path in paths if path.is_file()]


def must_have_content(database: Path) -> None:
    """Check the file of a conversation: without it, the harness would begin an empty one.

    Raises:
        HarnessError: The file is missing or empty.
    """
    try:
        if database.stat().st_size:
            return
        why = "is empty"
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    raise HarnessError(
        f"the conversation cannot go on: the harness's file {database} {why}. Create another agent"
    )


def remove_conversation(save_dir: str | None, app_data: str | None, conversation_id: str) -> None:
    """Remove the files of a conversation from its two folders.

    Args:
        save_dir: Folder of the conversation, None to keep the files there.
        app_data: The harness's own folder, None to keep the files there.
        conversation_id: The conversation.
    """
    if save_dir:
        for path in files_of(Path(save_dir), conversation_id):
            path.unlink(missing_ok=True)
    if app_data is None:
        return
    brain = Path(app_data).expanduser() / "brain"
    shutil.rmtree(brain / conversation_id, ignore_errors=True)
