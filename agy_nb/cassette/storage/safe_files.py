"""Files of a cassette, opened without trust: only plain files, and never more than a bound.

A cassette may come from anybody. A link in it can lead to `/dev/zero` or to a private file, a named
pipe makes a reader wait for ever, and a line of a gigabyte takes all memory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

LONGEST_LINE = 64 * 2**20
"""Bytes of one line of a cassette; a frame with a video of 45 MB in it fits."""
LARGEST_FILE = 512 * 2**20
"""Bytes of a file that is read whole."""


class UnsafeFileError(OSError):
    """A file that is not read: it is a link or no plain file, or it is too large."""

    def __init__(self, path: Path, words: str) -> None:
        super().__init__(errno.EINVAL, words, str(path))


def open_plain(path: Path) -> BufferedReader:
    """Open a plain file for reading.

    Args:
        path: The file; not a link, a folder, a pipe or a device.

    Raises:
        UnsafeFileError: It is not a plain file.
        OSError: It cannot be opened.
    """

    def opener(name: str, flags: int) -> int:
        # Not blocking: else the opening of a named pipe waits until somebody writes to it.
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))

    if path.is_symlink():
        raise UnsafeFileError(path, "it is a link, and links in a cassette are not followed")
    file = open(path, "rb", opener=opener)  # noqa: SIM115 - `Path.open` takes no opener
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UnsafeFileError(path, "it is not a plain file")
    return file


def read_bytes(path: Path, most: int = LARGEST_FILE) -> bytes:
    """The contents of a plain file.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        UnsafeFileError: It is not a plain file, or too large.
        OSError: It cannot be read.
    """
    with open_plain(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise UnsafeFileError(path, f"it is larger than {most >> 20} MB")
        return file.read()


def bounded_lines(file: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """The lines of a file, each with its end.

    Args:
        file: Open for reading.
        longest: Bytes that a line may have.

    Raises:
        ValueError: A line is longer.
    """
    if os.fstat(file.fileno()).st_size <= longest:
        return iter(file)  # no line can be longer, and this is the fastest way
    return _bounded_lines(file, longest)


def _bounded_lines(file: BinaryIO, longest: int) -> Iterator[bytes]:
    while raw := file.readline(longest + 1):
        if len(raw) > longest:
            raise ValueError(f"the line is longer than {longest >> 20} MB")
        yield raw


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of some bytes to an unbuffered file; on a disk that is nearly full, parts are.

    Raises:
        OSError: The disk refused.
    """
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def files_of(folder: Path) -> list[Path]:
    """The files in a folder and below it, sorted; links and special files count as such."""
    found: list[Path] = []
    folders = [folder]
    while folders:
        for path in folders.pop().iterdir():
            (folders if path.is_dir() and not path.is_symlink() else found).append(path)
    return sorted(found)


def name_within(folder: Path, file: Path) -> str:
    """The name of a file below a folder, as `sub/name`."""
    return file.relative_to(folder).as_posix()
