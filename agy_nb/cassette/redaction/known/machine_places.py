"""Folders of this machine, and the marks that recordings have in their place."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agy_nb.cassette.redaction.split_text import mark
from agy_nb.wire.path_map import PathMap

HOME, TEMP, OS = mark("home"), mark("tmp"), mark("os")
TEST_RUN, TEST_FOLDER = mark("basetemp"), mark("tmppath")
OWN_MARKS = frozenset({HOME, TEMP, OS, TEST_RUN, TEST_FOLDER})
"""Marks that a replay replaces by folders of its own machine; it keeps all others."""

_test_folders: Mapping[str, str] = {}
"""The temporary folders of pytest in this process, by their marks: of the run, and of the test.

It is replaced and never changed, because the threads of recordings read it.
"""


def local_places() -> dict[str, str]:
    """Return the texts of this machine, by their marks: folders, the kernel's version."""
    import platform
    import tempfile

    own = {HOME: str(Path.home()), TEMP: tempfile.gettempdir(), OS: platform.release()}
    return {**own, **_test_folders}


def replay_places() -> dict[str, str]:
    """Return what a replay puts in the place of each mark; also of pytest's folders, outside it."""
    own = local_places()
    return {TEST_RUN: own[TEMP], TEST_FOLDER: own[TEMP]} | own


def use_test_folder(place: str, folder: Path | None) -> None:
    """Have recordings write a mark for a temporary folder of pytest, whose name differs each time.

    Args:
        place: `TEST_RUN` or `TEST_FOLDER`.
        folder: The folder; None if there is none any more.
    """
    global _test_folders  # noqa: PLW0603 - of the process, as the folders are
    others = {each: path for each, path in _test_folders.items() if each != place}
    _test_folders = others if folder is None else {**others, place: str(folder)}


@dataclass(slots=True)
class MachinePlaces:
    """The folders that a redactor replaces by marks.

    Attributes:
        given: Folders by their marks; None for those of this machine, also if they change.
        on_change: Called when the folders have changed.
    """

    given: Mapping[str, str] | None
    on_change: Callable[[], None]
    _made_for: Mapping[str, str] | None = None
    _path_map: PathMap | None = None

    def path_map(self) -> PathMap:
        """Return the map from folders to marks. The first call reads the disk."""
        known = self._path_map
        if known is None or (self.given is None and self._made_for is not _test_folders):
            self._made_for = _test_folders
            known = self._path_map = PathMap(self._marks())
            self.on_change()  # a text that was clean may hold one of the new folders
        return known

    def _marks(self) -> dict[str, str]:
        marks: dict[str, str] = {}
        for place, folder in (local_places() if self.given is None else self.given).items():
            marks.setdefault(folder, place)
            if Path(folder).is_absolute():
                marks.setdefault(os.path.realpath(folder), place)
        return marks
