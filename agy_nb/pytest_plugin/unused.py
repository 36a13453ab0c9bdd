"""The report of cassettes that no test uses.

Rule 1: a test uses its cassette by being there, also where it is skipped.
Rule 2: only where all tests were looked at is a cassette missed: beside a module none of whose
tests was deselected, and, where the whole folder was selected, beside modules that are gone.
Rule 3: with workers, each tells what it saw, and the controller reports.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agy_nb.pytest_plugin.errors import InvalidMarkerError
from agy_nb.pytest_plugin.marker import MARKER, root_of, wish_of
from agy_nb.pytest_plugin.plugin_options import settings_of
from agy_nb.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD = "agy_cassettes"
_FINISHED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


@dataclass(slots=True)
class UnusedReport:
    """What was seen of the tests. Paths as text, since workers send them.

    Attributes:
        used: Cassettes that a test asks for.
        modules: Files with tests that were collected.
        folders: Those of tests that have a cassette; in others, cassettes are not the plugin's.
        partly: Those of which some tests were not, or not looked at.
        unused: What is to be reported, once the run is over.
        complete: Whether every worker told what it saw.
    """

    used: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    partly: set[str] = field(default_factory=set)
    unused: list[Path] = field(default_factory=list)
    complete: bool = True

    def take(self, item: pytest.Item) -> None:
        """Take note of a test."""
        self.modules.add(str(item.path))
        if item.get_closest_marker(MARKER) is None:
            return
        self.folders.add(str(item.path.parent))
        try:
            wish = wish_of(item)
        except InvalidMarkerError:
            self.partly.add(str(item.path))  # nobody knows which one it means; the test says so
            return
        if wish is not None:
            self.used.add(str(wish.path))


_books = pytest.StashKey[UnusedReport]()


def _of(config: pytest.Config) -> UnusedReport:
    return config.stash.setdefault(_books, UnusedReport())


# -- what is seen --------------------------------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Take note of the tests that are to run."""
    books = _of(session.config)
    for item in session.items:
        books.take(item)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Take note of modules of which not all tests run."""
    for item in items:
        books = _of(item.config)
        books.take(item)
        books.partly.add(str(item.path))


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Take note of markers that came later."""
    _of(item.config).take(item)


# -- workers -------------------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ANN401 - of pytest-xdist
    """Take over what a worker saw."""
    books, told = _of(node.config), getattr(node, "workeroutput", {}).get(_WORD)
    if error or told is None:
        books.complete = False
        return
    books.used.update(told["used"])
    books.modules.update(told["modules"])
    books.folders.update(told["folders"])
    books.partly.update(told["partly"])


# -- the end -------------------------------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Tell the controller, or find what was not used."""
    config = session.config
    books = _of(config)
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output[_WORD] = {
            "used": sorted(books.used),
            "modules": sorted(books.modules),
            "folders": sorted(books.folders),
            "partly": sorted(books.partly),
        }
        return
    if config.option.collectonly or exitstatus not in _FINISHED or not books.complete:
        return
    books.unused = sorted(_unused(config, books))
    if books.unused and config.stash[settings_of].unused == "fail":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write the report."""
    unused = _of(config).unused
    if not unused:
        return
    fails = config.stash[settings_of].unused == "fail"
    terminalreporter.write_sep("=", "unused cassettes", red=fails, yellow=not fails)
    for path in unused:
        terminalreporter.write_line(
            printable(os.path.relpath(path, config.invocation_params.dir)).replace("\n", "\\n")
        )
    what = "1 cassette is" if len(unused) == 1 else f"{len(unused)} cassettes are"
    terminalreporter.write_line(
        f"{what} used by no test: remove what is not needed any more (--agy-unused=off hides this)"
    )


def _unused(config: pytest.Config, books: UnusedReport) -> Iterator[Path]:
    from agy_nb.cassette.storage import catalog

    for place in _looked_at(config, books):
        unfinished = set(catalog.leftovers(place)) if place.is_dir() else set()
        for path in catalog.find([place] if place.is_dir() else []):
            if str(path) not in books.used and path not in unfinished:
                yield path


def _looked_at(config: pytest.Config, books: UnusedReport) -> Iterator[Path]:
    """Folders in which a cassette that nobody uses is one too many."""
    settings = config.stash[settings_of]
    selected = _Selected(config)
    modules = {Path(name) for name in books.modules}
    partly = {Path(name) for name in books.partly}
    for folder in sorted(map(Path, books.folders)):
        root = root_of(folder, config.rootpath, settings)
        whole = {m for m in modules - partly if m.parent == folder and selected.file(m)}
        yield from (root / module.stem for module in sorted(whole))
        if not selected.folder(folder) or not root.is_dir():
            continue
        if any(module.parent == folder for module in partly):
            continue
        for child in sorted(root.iterdir()):
            known = (folder / f"{child.name}.py").exists() or (folder / child.name).is_dir()
            if child.is_dir() and not known:
                yield child


class _Selected:
    """What the arguments of the command line select."""

    def __init__(self, config: pytest.Config) -> None:
        self._whole: set[Path] = set()
        for argument in config.args:
            name, *inside = str(argument).split("::")
            if not inside:
                self._whole.add(
                    Path(os.path.abspath(config.invocation_params.dir / name))  # noqa: PTH100 - keeps links
                )

    def folder(self, folder: Path) -> bool:
        return any(folder.is_relative_to(each) for each in self._whole)

    def file(self, file: Path) -> bool:
        return self.folder(file)
