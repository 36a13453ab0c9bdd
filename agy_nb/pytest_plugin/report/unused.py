"""The report of cassettes that no test uses.

1. A test that is collected uses its cassette, also if it is skipped.
2. The report covers a module if all of its tests were selected. It covers the cassettes that
   modules share, and those of deleted modules, if all tests of the folder were selected.
3. With pytest-xdist, workers send their part, and the controller reports.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agy_nb.pytest_plugin.errors import InvalidMarkerError
from agy_nb.pytest_plugin.marker import MARKER, cassette_root, request_of
from agy_nb.pytest_plugin.plugin_options import settings_of
from agy_nb.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEY = "agy_cassettes"
_SENT = ("used", "modules", "folders", "partly")
_FINISHED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


@dataclass(slots=True)
class UnusedReport:
    """Collected tests and their cassettes. Paths are text, because workers send them.

    Attributes:
        used: Cassettes that a test uses.
        modules: Files with tests that were collected.
        folders: Folders of tests with the marker. The report ignores other folders.
        partly: Files of which some tests do not run, or cannot be read.
        unused: Cassettes to report at the end of the run.
        complete: Whether every worker sent its part.
    """

    used: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    partly: set[str] = field(default_factory=set)
    unused: list[Path] = field(default_factory=list)
    complete: bool = True

    def add(self, item: pytest.Item) -> None:
        """Add a test."""
        self.modules.add(str(item.path))
        if item.get_closest_marker(MARKER) is None:
            return
        self.folders.add(str(item.path.parent))
        try:
            request = request_of(item)
        except InvalidMarkerError:
            self.partly.add(str(item.path))  # its cassette is unknown; the test itself fails
            return
        if request is not None:
            self.used.add(str(request.path))


_report = pytest.StashKey[UnusedReport]()


def _of(config: pytest.Config) -> UnusedReport:
    return config.stash.setdefault(_report, UnusedReport())


# -- collected tests ------------------------------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Add the tests that will run."""
    report = _of(session.config)
    for item in session.items:
        report.add(item)


@pytest.hookimpl(wrapper=True)
def pytest_ignore_collect(
    collection_path: Path, config: pytest.Config
) -> Generator[None, bool | None, bool | None]:
    """Add modules that `--ignore` or a conftest.py leaves out."""
    ignored = yield
    if ignored and collection_path.suffix == ".py":
        _of(config).partly.add(str(collection_path))
    return ignored


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Add modules that cannot be imported, or that skip themselves."""
    report = yield
    if isinstance(collector, pytest.Module) and not report.passed:
        _of(collector.config).partly.add(str(collector.path))
    return report


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Add modules of which some tests do not run."""
    for item in items:
        report = _of(item.config)
        report.add(item)
        report.partly.add(str(item.path))


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Add markers that a fixture or hook added later."""
    _of(item.config).add(item)


# -- workers -------------------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add the part of a worker."""
    report, sent = _of(node.config), getattr(node, "workeroutput", {}).get(_KEY)
    if error or sent is None:
        report.complete = False
        return
    for name in _SENT:
        getattr(report, name).update(path.decode("utf-8", "surrogatepass") for path in sent[name])


# -- the end -------------------------------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Send the worker's part to the controller, or find the unused cassettes."""
    config = session.config
    report = _of(config)
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output[_KEY] = {
            # As bytes: pytest-xdist cannot send names with bytes that are not UTF-8 as text.
            name: [path.encode("utf-8", "surrogatepass") for path in sorted(getattr(report, name))]
            for name in _SENT
        }
        return
    if config.option.collectonly or exitstatus not in _FINISHED or not report.complete:
        return
    report.unused = sorted(_unused(config, report))
    if report.unused and config.stash[settings_of].unused == "fail":
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
        f"{what} used by no test. Remove unneeded ones; --agy-unused=off hides this report"
    )


def _unused(config: pytest.Config, report: UnusedReport) -> Iterator[Path]:
    from agy_nb.cassette.storage import catalog

    for place in _looked_at(config, report):
        unfinished = set(catalog.leftovers(place)) if place.is_dir() else set()
        for path in catalog.find([place] if place.is_dir() else []):
            if str(path) not in report.used and path not in unfinished:
                yield path


def _looked_at(config: pytest.Config, report: UnusedReport) -> Iterator[Path]:
    """Yield the folders in which the report looks for unused cassettes."""
    if getattr(config.option, "lf", False):  # pytest leaves out tests without saying which
        return
    settings = config.stash[settings_of]
    selected = _Selected(config)
    modules = {Path(name) for name in report.modules}
    partly = {Path(name) for name in report.partly}
    for folder in sorted(map(Path, report.folders)):
        root = cassette_root(folder, config.rootpath, settings)
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
    """The files and folders that the command line selects."""

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
