"""Copy the SQLite file in which the harness keeps a conversation, and put a copy back.

The file belongs to the harness, and its format is not published. So its tables and columns are
compared with the known ones before each use: a copy of an unknown format is refused, because a
harness that misreads it would continue with a wrong history.

Rule 1: the harness's file is opened read-only, except to put a copy back while no harness runs.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from agy_nb.errors import CheckpointError

_VERSION = 1
_TABLES = {
    "battle_mode_infos": ("idx", "data"),
    "executor_metadata": ("idx", "data"),
    "gen_metadata": ("idx", "data", "size"),
    "parent_references": ("idx", "data"),
    "steps": (
        "idx", "step_type", "status", "has_subtrajectory", "metadata", "error_details",
        "permissions", "task_details", "render_info", "step_payload", "step_format",
    ),
    "trajectory_meta": ("trajectory_id", "cascade_id", "trajectory_type", "source"),
    "trajectory_metadata_blob": ("id", "data"),
}  # fmt: skip
"""Tables and columns of the known format; the same in SDK 0.1.17, 0.1.20, 0.1.21 and 0.1.22."""

_BUSY_S = 5.0
"""Seconds to wait for a lock of the harness."""


def read_pages(path: Path) -> list[bytes]:
    """Copy a conversation's file with SQLite's online backup. Reads the disk.

    Args:
        path: The file; a harness may have it open.

    Returns:
        The pages of the copy, in order.

    Raises:
        CheckpointError: The file is missing or not a database, or its format is unknown.
    """
    if not path.is_file():
        raise CheckpointError(f"the harness keeps no file {path.name} for this conversation")
    where = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        with (
            contextlib.closing(sqlite3.connect(where, uri=True, timeout=_BUSY_S)) as source,
            contextlib.closing(sqlite3.connect(":memory:")) as copy,
        ):
            source.backup(copy)
            _check_format(copy, path)
            size = copy.execute("pragma page_size").fetchone()[0]
            data = copy.serialize()
    except sqlite3.Error as error:
        raise CheckpointError(f"{path.name} cannot be copied: {error}") from error
    return [data[start : start + size] for start in range(0, len(data), size)]


def replace_content(path: Path, pages: list[bytes]) -> None:
    """Put a copy back into the file that a harness has used and will use again.

    SQLite does it in one transaction. Replacing the file itself would leave a write-ahead log next
    to it, which SQLite would apply to the wrong file.

    Args:
        path: The conversation's file.
        pages: The pages, from `read_pages`.

    Raises:
        CheckpointError: The file cannot be written; it is unchanged.
    """
    try:
        with (
            contextlib.closing(sqlite3.connect(":memory:")) as copy,
            contextlib.closing(sqlite3.connect(path, timeout=_BUSY_S)) as target,
        ):
            copy.deserialize(_without_log(b"".join(pages)))
            copy.backup(target)
    except sqlite3.Error as error:
        raise CheckpointError(f"{path.name} cannot be restored: {error}") from error


_JOURNAL_MODES = slice(18, 20)
"""Bytes of SQLite's header that name the journal: 2 for a write-ahead log, 1 for a plain one."""


def _without_log(data: bytes) -> bytes:
    """Return a database that SQLite opens in memory, where there is no write-ahead log."""
    changed = bytearray(data)
    changed[_JOURNAL_MODES] = b"\1\1"
    return bytes(changed)


def _check_format(database: sqlite3.Connection, path: Path) -> None:
    version = database.execute("pragma user_version").fetchone()[0]
    names = database.execute("select name from sqlite_master where type = 'table'").fetchall()
    found = {
        name: tuple(row[1] for row in database.execute(f"pragma table_info({_quoted(name)})"))
        for (name,) in names
    }
    if version != _VERSION:
        _refuse(path, f"version {version} instead of {_VERSION}")
    for name in sorted(found.keys() ^ _TABLES.keys()):
        _refuse(path, f"table {name!r} is {'new' if name in found else 'missing'}")
    for name, columns in found.items():
        if columns != _TABLES[name]:
            _refuse(path, f"table {name!r} has the columns {', '.join(columns)}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _refuse(path: Path, difference: str) -> None:
    raise CheckpointError(
        f"the harness's file {path.name} has an unknown format: {difference}. This version of "
        "agy_nb cannot copy it. Install a version of google-antigravity that `agy-nb doctor` "
        "lists as tested"
    )
