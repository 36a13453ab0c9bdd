"""Read files of untrusted cassettes: regular files only, with limits on their size.

A cassette may come from an attacker. A symbolic link in it can point to `/dev/zero` or to a private
file, a named pipe can block a reader permanently, and a line of a gigabyte can exhaust the memory.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

_log = logging.getLogger("agy_nb.cassette")

LONGEST_LINE = 64 * 2**20
"""Most bytes of one line; a frame with a video of 45 MB fits."""
LARGEST_FILE = 512 * 2**20
"""Most bytes of a file that is read at once."""


class UnsafeFileError(OSError):
    """A file is a link, is not a regular file, or is too large."""

    def __init__(self, path: Path, words: str) -> None:
        super().__init__(errno.EINVAL, words, str(path))


def open_plain(path: Path) -> BufferedReader:
    """Open a regular file for reading.

    Args:
        path: The file; not a link, a folder, a pipe or a device.

    Raises:
        UnsafeFileError: The path is not a regular file.
        OSError: The file cannot be opened.
    """

    def opener(name: str, flags: int) -> int:
        # Non-blocking, because opening a named pipe would wait until another process writes to it.
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))

    if path.is_symlink():
        raise UnsafeFileError(path, "symbolic links in a cassette are not followed")
    file = open(path, "rb", opener=opener)  # noqa: SIM115 - `Path.open` takes no opener
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UnsafeFileError(path, "not a regular file")
    return file


def read_bytes(path: Path, most: int = LARGEST_FILE) -> bytes:
    """Read a whole regular file.

    Args:
        path: The file.
        most: Largest size in bytes.

    Raises:
        UnsafeFileError: The path is not a regular file, or the file is too large.
        OSError: The file cannot be read.
    """
    with open_plain(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise UnsafeFileError(path, f"larger than {most >> 20} MB")
        return file.read()


def bounded_lines(file: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """Iterate over the lines of a file, with their line ends.

    Args:
        file: A file open for reading.
        longest: Longest line in bytes.

    Raises:
        ValueError: A line is too long.
    """
    if os.fstat(file.fileno()).st_size <= longest:
        return iter(file)  # no line can be too long, and this is the fastest way
    return _bounded_lines(file, longest)


def _bounded_lines(file: BinaryIO, longest: int) -> Iterator[bytes]:
    while raw := file.readline(longest + 1):
        if len(raw) > longest:
            raise ValueError(f"the line is longer than {longest >> 20} MB")
        yield raw


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all bytes to an unbuffered file, whose `write` may write only a part at a time.

    Raises:
        OSError: The disk is full or cannot be written.
    """
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def files_of(folder: Path) -> list[Path]:
    """List the files in and below a folder, sorted, including links and special files."""
    found: list[Path] = []
    folders = [folder]
    while folders:
        for path in folders.pop().iterdir():
            (folders if path.is_dir() and not path.is_symlink() else found).append(path)
    return sorted(found)


def is_plain(file: Path) -> bool:
    """Return whether a path is a regular file, and not a link, a pipe, a socket or a device."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return False


def copy_any(file: str | Path, there: str | Path) -> None:
    """Copy a file of any kind: a link as a link, and a pipe, socket or device as the same one.

    If the file system cannot have such a file under two names, the log says that it was left out.

    Raises:
        OSError: A file or a link cannot be copied.
    """
    file = Path(file)
    if file.is_symlink():
        Path(there).symlink_to(file.readlink())
    elif is_plain(file):
        shutil.copy2(file, there)
    else:
        try:
            os.link(file, there, follow_symlinks=False)
        except OSError as error:
            _log.warning(
                "%s is a pipe, a socket or a device, and could not be carried over to %s: %s",
                file, there, error.strerror or error,
            )  # fmt: skip


def name_within(folder: Path, file: Path) -> str:
    """Return the path of a file relative to a folder, with slashes: `sub/name`."""
    return file.relative_to(folder).as_posix()
