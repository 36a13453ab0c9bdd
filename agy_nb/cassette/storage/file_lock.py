"""Lock a path for one holder on this machine, through an empty file beside it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

LOCK = ".agy-lock"
"""End of the name of a lock file."""


class FileLock:
    """Lock of a path, held through an empty file beside it, by one holder on this machine.

    The operating system holds the lock, so the end of the process releases it.

    Args:
        path: The path to lock; it need not exist.

    Raises:
        BlockingIOError: Another holder has the lock.
        OSError: The lock file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = lock_file_of(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(self._fd)
            # The last holder may have removed the file between our `open` and our lock. Then this
            # is the lock of a deleted file, which protects nothing.
            ours = os.path.samestat(os.fstat(self._fd), self._path.stat())
        except OSError:
            ours = False
        if not ours:
            os.close(self._fd)
            raise BlockingIOError(errno.EWOULDBLOCK, "the lock is held", str(path))

    def release(self) -> None:
        """Release the lock and remove its file."""
        # Removed before the lock goes: in the other order, the file of the next holder could be
        # removed.
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._fd)

    @staticmethod
    def is_held(path: Path) -> bool:
        """Return whether any process holds the lock of a path now."""
        try:
            fd = os.open(lock_file_of(path), os.O_RDWR)
        except OSError:
            return False
        try:
            _lock(fd)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False


def real_place(place: Path) -> Path:
    """Return where a cassette's folder is, if its path is a link. Reads the disk."""
    return Path(os.path.realpath(place)) if place.is_symlink() else place


def lock_file_of(path: Path) -> Path:
    """Return the path of a lock file. A link and its target have one."""
    path = real_place(path)
    return path.with_name(f".{path.name}{LOCK}")


def _lock(fd: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
