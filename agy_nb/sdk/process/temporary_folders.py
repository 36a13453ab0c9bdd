"""Folders for the conversations of agents that name no `save_dir`, removed when they are over.

The SDK would make a folder for each such agent and leave it, with 0.4 MB in it. Ours are below one
folder of this process, which holds a locked file. A crash lets the lock go, and the next process
that starts an agent removes the folder.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

PREFIX = "agy-nb-conversations-"
_LOCK = ".lock"
_SDKS = "antigravity_"
"""What the names of the SDK's own folders begin with."""

_mine: tuple[int, Path] | None = None
"""The process that made the folder, and the folder; a forked child makes its own."""


def new_folder() -> str:
    """Make a folder for one agent's conversation. Writes the disk."""
    return tempfile.mkdtemp(prefix="agent-", dir=_of_this_process())


def is_ours(folder: str | None) -> bool:
    """Return whether a folder is one of ours rather than the user's."""
    return folder is not None and Path(folder).parent.name.startswith(PREFIX)


def remove(folder: str) -> None:
    """Remove an agent's folder, if it is one of ours. Writes the disk."""
    if is_ours(folder):
        shutil.rmtree(folder, ignore_errors=True)


def remove_sdks_folder(folder: str | None) -> None:
    """Remove a folder that the SDK has made for an agent without a `save_dir`, if it is empty."""
    path = Path(folder or "")
    if path.name.startswith(_SDKS) and path.parent == Path(tempfile.gettempdir()):
        with contextlib.suppress(OSError):  # there is something in it
            path.rmdir()


def _of_this_process() -> Path:
    global _mine  # noqa: PLW0603 - one a process
    if _mine is None or _mine[0] != os.getpid() or not _mine[1].is_dir():
        _remove_leftovers()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        _lock(os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600))  # open until we end
        _mine = os.getpid(), folder
        atexit.register(_at_exit, *_mine)
    return _mine[1]


def _at_exit(pid: int, folder: Path) -> None:
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers() -> None:
    """Remove the folders of processes that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # of another user, or removed by another process
            fd = os.open(folder / _LOCK, os.O_RDWR)
            try:
                if _lock(fd):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(fd)


def _lock(fd: int) -> bool:
    """Lock an open file for as long as it is open; return whether that was possible."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
