"""The folder `_shared` beside cassettes: each file holds a content that their requests repeat.

The name of a file ends with the digest of its content. So two recordings that repeat a content name
the same file, and git merges new files without a conflict.

Rule 1: a content that a recording names is written before the recording, and is removed only when
no cassette beside the folder names it.
Rule 2: one process at a time writes or removes contents, or replaces a cassette that names some.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage.atomic_replace import write_file
from agy_nb.cassette.storage.file_lock import FileLock
from agy_nb.cassette.storage.format import HEADER, MODEL
from agy_nb.cassette.storage.ownership import cassette_of
from agy_nb.cassette.storage.safe_files import read_bytes

FOLDER = "_shared"
"""Name of the folder, beside the cassettes."""

_NAME = re.compile(r"[\w-]+-[0-9a-f]{16}\.(?:txt|json)")
_LONGEST_HINT = 40
_NAMES = re.compile(rb"[\w-]{1,%d}-[0-9a-f]{16}\.(?:txt|json)" % _LONGEST_HINT)
_LONGEST_TURN_S = 60.0
_PAUSE_S = 0.01


class SharedTexts:
    """The shared contents of the cassettes in one folder.

    Args:
        cassette: Folder of a cassette, or of a recording beside it.
    """

    def __init__(self, cassette: Path) -> None:
        self._cassette = cassette
        self.folder: Path = cassette.parent / FOLDER
        self._read: dict[str, str] = {}

    @property
    def usable(self) -> bool:
        """Whether the folder can hold shared contents; False if it is a cassette of that name."""
        place = cassette_of(self._cassette)
        return place.name != FOLDER and not (self.folder / HEADER).exists()

    def put(self, hint: str, content: str) -> str:
        """Store a content unless it is there.

        Args:
            hint: A word for people, with the ending of the file: `view_file.json`.
            content: The content.

        Returns:
            The name of its file.

        Raises:
            OSError: The file cannot be written.
        """
        word, _, ending = hint.rpartition(".")
        word = re.sub(r"[^A-Za-z0-9_]+", "-", word)[:_LONGEST_HINT].strip("-") or "text"
        raw = content.encode()
        name = f"{word}-{hashlib.sha256(raw).hexdigest()[:16]}.{ending}"
        if self._read.get(name) != content:
            file = self.folder / name
            if not _holds(file, raw):
                self.folder.mkdir(exist_ok=True)
                write_file(file, raw)
            self._read[name] = content
        return name

    def get(self, name: str) -> str:
        """Return a content.

        Raises:
            CassetteInvalidError: The content is missing, or the name is not one of a content.
        """
        if name not in self._read:
            self._read[name] = self._load(name)
        return self._read[name]

    def _load(self, name: str) -> str:
        where = str(self._cassette)
        if not _NAME.fullmatch(name):
            raise CassetteInvalidError(
                f"{self._cassette / MODEL} names the shared text {name!r:.80}, which is not the "
                "name of a file in a folder of shared texts. Restore the cassette, or record it "
                "again",
                path=where,
            )
        try:
            raw = read_bytes(self.folder / name)
            return raw.decode().replace("\r\n", "\n")  # git may change the line ends
        except FileNotFoundError:
            raise CassetteInvalidError(
                f"{self._cassette / MODEL} needs the shared text {name}, which is not in "
                f"{self.folder}. Copy or restore that folder together with its cassettes, or "
                "record the cassette again. `agy-nb cassette export` makes a copy that needs no "
                "shared texts",
                path=where,
            ) from None
        except (OSError, ValueError) as error:
            raise CassetteInvalidError(
                f"{self.folder / name} cannot be read: {error}", path=where
            ) from error

    def size_of(self, name: str) -> int:
        """Return the length of a content in characters."""
        return len(self.get(name))


def _holds(file: Path, raw: bytes) -> bool:
    try:
        return read_bytes(file).replace(b"\r\n", b"\n") == raw
    except OSError:
        return False


def names_in(cassette: Path) -> set[str]:
    """Return the names of shared contents in the `model.yaml` of a folder. Reads the disk."""
    try:
        raw = read_bytes(cassette / MODEL)
    except OSError:
        return set()
    return {name.decode() for name in _NAMES.findall(raw)}


@contextlib.contextmanager
def turn(cassette: Path) -> Generator[None, None, None]:
    """Keep other processes from the shared contents beside a cassette. Blocks shortly.

    Raises:
        TimeoutError: Another process has used the shared contents for a minute.
        OSError: The lock file cannot be created.
    """
    lock = _locked(cassette.parent / f"{FOLDER}.texts")  # no cassette has this lock
    try:
        yield
    finally:
        lock.release()


def _locked(store: Path) -> FileLock:
    deadline = time.monotonic() + _LONGEST_TURN_S
    while True:
        try:
            return FileLock(store)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    errno.ETIMEDOUT,
                    f"another process has used {store.with_name(FOLDER)} for "
                    f"{_LONGEST_TURN_S:g} seconds",
                ) from None
            time.sleep(_PAUSE_S)


@contextlib.contextmanager
def replacing(old: Path, new: Path) -> Generator[None, None, None]:
    """Replace a cassette in the block, and remove the contents that only the old one needed.

    Args:
        old: Folder of the cassette, which the block replaces.
        new: Folder of the finished recording, beside it.

    Raises:
        OSError: As `turn` does, before the block.
    """
    before, after = names_in(old), names_in(new)
    if not before and not after:
        yield
        return
    # Another process could write a cassette that names a content after we have looked for such
    # cassettes, and before we remove the content.
    with turn(old):
        yield
        if dropped := before - after:
            with contextlib.suppress(OSError):  # they do no harm, and `prune` removes them
                _remove(old.parent, dropped)


def _remove(folder: Path, names: set[str]) -> None:
    for name in names & set(unused_in(folder)):
        (folder / FOLDER / name).unlink(missing_ok=True)


def unused_in(folder: Path) -> list[str]:
    """List the shared contents of a folder that no cassette in it names. Reads the disk.

    Raises:
        OSError: A folder cannot be read.
    """
    store = folder / FOLDER
    if not store.is_dir() or (store / HEADER).exists():
        return []
    found = {file.name for file in store.iterdir() if _NAME.fullmatch(file.name)}
    for cassette in folder.iterdir():
        if not found:
            break
        if cassette.name != FOLDER and cassette.is_dir():
            found -= names_in(cassette)
    return sorted(found)


def stores(root: Path) -> Iterator[Path]:
    """Find the folders of shared contents in and below a folder, and beside a cassette."""
    if root.name == FOLDER and root.is_dir():
        yield root
    elif root.is_dir():
        yield from sorted(path for path in root.rglob(FOLDER) if path.is_dir())


def remove_unused(store: Path, names: list[str]) -> None:
    """Remove shared contents that no cassette names, also now. Blocks shortly.

    Raises:
        TimeoutError: Another process has used the shared contents for a minute.
        OSError: A file cannot be removed.
    """
    with turn(store):
        _remove(store.parent, set(names))
        with contextlib.suppress(OSError):  # not empty
            store.rmdir()
