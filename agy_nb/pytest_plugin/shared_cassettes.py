"""Which tests of a run recorded into which cassette, known to all workers of pytest-xdist.

Tests that share a cassette must not replace each other's sessions: the first one records, the
others add. Workers are processes, so they keep what they know in files, in pytest's folder of
temporary files for this run. They take turns at a cassette while they may record it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agy_nb.cassette.storage.ownership import RecordingLock

_LONGEST_TURN_S = 600.0
"""Seconds for which a worker waits for another one that records a shared cassette."""
_PAUSE_S = 0.05


class SharedCassettes:
    """The tests that recorded into each cassette in this run.

    Args:
        folder: Folder that all workers of the run share; None without pytest-xdist.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._recorders: dict[Path, set[str]] = {}

    def recorders(self, cassette: Path) -> set[str]:
        """Return the ids of the tests that recorded into a cassette. Reads the disk."""
        if self._folder is None:
            return self._recorders.get(cassette, set())
        try:
            return set(json.loads(self._file(cassette).read_bytes()))
        except (OSError, ValueError):
            return set()

    def add(self, cassette: Path, test: str) -> None:
        """Add a test that recorded. Writes the disk."""
        # Read and written without a lock of its own: the worker that records has the turn.
        known = self._recorders[cassette] = self.recorders(cassette) | {test}
        if self._folder is not None:
            from agy_nb.cassette.storage.atomic_replace import write_file

            self._folder.mkdir(parents=True, exist_ok=True)
            write_file(self._file(cassette), json.dumps(sorted(known)).encode())

    @contextlib.contextmanager
    def turn(self, cassette: Path) -> Generator[None, None, None]:
        """Keep other workers from a cassette while this one may record it. Blocks.

        Raises:
            CassetteBusyError: Another worker has used the cassette for ten minutes.
        """
        if self._folder is None:
            yield
            return
        lock = self._locked(cassette)
        try:
            yield
        finally:
            lock.release()

    def _locked(self, cassette: Path) -> RecordingLock:
        from agy_nb.cassette import CassetteBusyError
        from agy_nb.cassette.storage.ownership import RecordingLock

        deadline = time.monotonic() + _LONGEST_TURN_S
        while True:
            try:
                return RecordingLock(self._file(cassette))
            except CassetteBusyError as error:
                if time.monotonic() > deadline:
                    raise CassetteBusyError(
                        f"another worker of pytest-xdist has recorded {cassette} for "
                        f"{_LONGEST_TURN_S:g} seconds; run the tests that share it with -n 0",
                        path=str(cassette),
                    ) from error
                time.sleep(_PAUSE_S)

    def _file(self, cassette: Path) -> Path:
        assert self._folder is not None
        name = hashlib.sha256(str(cassette).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return self._folder / f"{name}.json"


_shared = pytest.StashKey[SharedCassettes]()


def shared_of(config: pytest.Config) -> SharedCassettes:
    """Return the knowledge of this run."""
    found = config.stash.get(_shared, None)
    if found is None:
        found = config.stash[_shared] = SharedCassettes(_folder_of_run(config))
    return found


def _folder_of_run(config: pytest.Config) -> Path | None:
    """Return a folder of this run that all workers share, as pytest-xdist's documentation does."""
    factory = getattr(config, "_tmp_path_factory", None)  # the fixture `tmp_path_factory`
    if not hasattr(config, "workerinput") or factory is None:
        return None
    return Path(factory.getbasetemp()).parent / "agy-cassettes"
