"""A disk that fails at the n-th write, for the process that installs it.

It stands below Python's files and `os`, and above the real disk: all that was written before the
failure is there. A full disk takes half of the data of a write, as a real one does, and then none.
"""

import builtins
import errno
import io
import os
import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

KILLED = "killed"
FULL = "disk full"
_CHANGES = ("mkdir", "rename", "replace", "unlink", "remove", "rmdir", "symlink", "fsync")
_NEEDS_SPACE = frozenset({"mkdir", "symlink", "fsync", "create"})


class FailingDisk:
    """Counts the changes below a folder, and fails at one of them.

    Args:
        folder: The folder.
        fault: `KILLED` or `FULL`.
        at: Number of the change, from 1; 0 for none.
    """

    def __init__(self, folder: Path, fault: str, at: int) -> None:
        self._folder = str(folder)
        self._fault = fault
        self._at = at
        self._full = False
        self.count = 0

    def install(self) -> None:
        """Replace what changes the disk, for the rest of the process."""
        from agy_nb.cassette.storage import atomic_replace

        for name in _CHANGES:
            setattr(os, name, partial(self._change, name, getattr(os, name)))
        os.open = partial(self._os_open, os.open)
        builtins.open = io.open = partial(self._open, io.open)
        exchange = atomic_replace._exchange
        atomic_replace._exchange = lambda *paths: self._change("exchange", exchange, *paths)
        shutil._USE_CP_SENDFILE = False  # its copies are writes, too

    def write(self, real: Any, data: Any) -> int:
        """Write, as far as the disk allows."""
        self.count += 1
        if self._full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.count != self._at:
            return real(data)
        half = bytes(data)[: len(data) // 2]
        done = real(half) if half else 0
        if self._fault == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        self._full = True
        if not done:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return done

    def _change(self, name: str, real: Any, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        if self.count == self._at:
            if self._fault == KILLED:
                os.kill(os.getpid(), signal.SIGKILL)
            self._full = True
        if self._full and name in _NEEDS_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **kwargs)

    def _os_open(self, real: Any, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(self._folder):
            return self._change("create", real, path, flags, *args, **kwargs)
        return real(path, flags, *args, **kwargs)

    def _open(self, real: Any, file: Any, mode: str = "r", buffering: int = -1, *rest: Any,
              **named: Any) -> Any:  # fmt: skip
        writes = set("wax+") & set(mode)
        if not writes or not str(file).startswith(self._folder):
            return real(file, mode, buffering, *rest, **named)
        raw = self._change("create", _Raw, file, mode.replace("b", "").replace("t", ""))
        raw.disk = self
        if buffering == 0:
            return raw
        buffered = io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **named)


class _Raw(io.FileIO):
    """The lowest level of a file, whose writes the disk counts."""

    disk: FailingDisk

    def write(self, data: Any) -> int:
        return self.disk.write(super().write, data)
