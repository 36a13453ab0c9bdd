"""Replace a folder or a file by a finished new one, atomically if the operating system can.

Linux exchanges two folders in one call. On other systems the old folder is renamed first, and the
next recording undoes the rename if a crash came before the second step; see `ownership.recover`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

_AT_CWD = -100
_EXCHANGE = 2


def swap_in(new: Path, place: Path, old: Path) -> None:
    """Move a folder to its final path and remove the old one.

    Args:
        new: The finished folder.
        place: The final path.
        old: Where the old folder can stay for a moment; nothing is there.

    Raises:
        OSError: The new folder cannot be moved; the old one is unchanged.
    """
    if not place.exists():
        new.rename(place)
    elif _exchange(new, place):
        shutil.rmtree(new, ignore_errors=True)
    else:
        place.rename(old)
        try:
            new.rename(place)
        except OSError:
            old.rename(place)
            raise
        shutil.rmtree(old, ignore_errors=True)
    # A rename is on the disk only once the folder that holds the names is.
    _sync_folder(place.parent)


def write_file(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write a file atomically: if the disk is full, the old file stays.

    Args:
        path: The file to create or replace.
        data: Its content.
        mode: Its permissions; those of any new file when None.

    Raises:
        OSError: The file cannot be written; an older one is unchanged.
    """
    fresh = path.with_name(f".{path.name}")
    try:
        with fresh.open("wb") as file:
            if mode is not None:
                fresh.chmod(mode)
            file.write(data)
            file.flush()
            # Without it, a crash of the system may leave an empty file under the final name.
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _exchange(one: Path, other: Path) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done: int = renameat2(_AT_CWD, os.fsencode(one), _AT_CWD, os.fsencode(other), _EXCHANGE)
    return done == 0


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
