"""Pages of database copies on disk, each compressed and kept once.

A turn adds a few pages to the harness's file and leaves the others as they are. So the copy after
each turn shares most pages with the copies before, and those of branches share them, too.

Rule 1: the folder is private to the user, belongs to this process and is removed at its end.
Rule 2: a page is known only after its file is complete; a failed write leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from agy_nb.errors import CheckpointError
from agy_nb.sdk.process import temporary_folders

_DIGEST_BYTES = 16
_LEVEL = 4
"""Of zlib: level 6 takes twice the time and saves one percent."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page is: its file, and the bytes within."""

    file: Path
    start: int
    length: int


class PageStore:
    """The pages of one conversation and its branches.

    All methods read or write the disk. They may be called from several threads.

    Attributes:
        size: Bytes on disk.
    """

    def __init__(self) -> None:
        self.size: int = 0
        self._folder: Path | None = None
        self._places: dict[bytes, _Place] = {}
        self._files = 0
        self._lock = threading.Lock()

    def add(self, pages: Iterable[bytes]) -> tuple[bytes, ...]:
        """Keep pages, and return their digests.

        Raises:
            OSError: The disk is full or cannot be written; nothing was kept.
        """
        with self._lock:
            digests, new = [], {}
            for page in pages:
                digest = _digest(page)
                digests.append(digest)
                if digest not in self._places and digest not in new:
                    new[digest] = zlib.compress(page, _LEVEL)
            if new:
                self._places.update(self._write(new))
                self._measure()
            return tuple(digests)

    def read(self, digests: Iterable[bytes]) -> list[bytes]:
        """Return pages.

        Raises:
            CheckpointError: A file is gone or damaged.
        """
        with self._lock:
            return [self._read(digest) for digest in digests]

    def keep_only(self, digests: Collection[bytes]) -> None:
        """Forget all other pages, and free their space."""
        with self._lock:
            if not self._places.keys() - digests:
                return
            by_file: dict[Path, dict[bytes, _Place]] = {}
            for digest, place in self._places.items():
                by_file.setdefault(place.file, {})[digest] = place
            for file, places in by_file.items():
                kept = {digest: place for digest, place in places.items() if digest in digests}
                if len(kept) == len(places):
                    continue
                with contextlib.suppress(OSError):  # the file stays as it is until the next time
                    moved = self._write({each: _bytes_at(place) for each, place in kept.items()})
                    file.unlink(missing_ok=True)
                    for digest in places:
                        del self._places[digest]
                    self._places.update(moved)
            self._measure()

    def _measure(self) -> None:
        self.size = sum(place.length for place in self._places.values())

    def remove(self) -> None:
        """Remove all files."""
        with self._lock:
            self._places.clear()
            if self._folder is not None:
                temporary_folders.remove(str(self._folder))

    def _write(self, pages: dict[bytes, bytes]) -> dict[bytes, _Place]:
        if not pages:
            return {}
        if self._folder is None:
            self._folder = Path(temporary_folders.new_folder())
        self._files += 1
        file = self._folder / f"{self._files:06}.pages"
        aside = file.with_suffix(".new")
        places, start = {}, 0
        for digest, data in pages.items():
            places[digest] = _Place(file, start, len(data))
            start += len(data)
        try:
            with aside.open("wb") as opened:
                aside.chmod(0o600)
                opened.writelines(pages.values())
            aside.replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        return places

    def _read(self, digest: bytes) -> bytes:
        place = self._places.get(digest)
        if place is None:
            raise CheckpointError("a part of the checkpoint is no longer kept")
        try:
            page = zlib.decompress(_bytes_at(place))
        except (OSError, zlib.error) as error:
            raise CheckpointError(f"the checkpoint's file is damaged or gone: {error}") from error
        if _digest(page) != digest:
            raise CheckpointError("the checkpoint's file is damaged: its content has changed")
        return page


def _bytes_at(place: _Place) -> bytes:
    with place.file.open("rb") as file:
        file.seek(place.start)
        return file.read(place.length)


def _digest(page: bytes) -> bytes:
    return blake2b(page, digest_size=_DIGEST_BYTES).digest()
