"""A test in its cassette.

Rule 1: the cassette is opened before the test's fixtures and closed after them, so that agents of
fixtures are in it.
Rule 2: what the replay has to say is said with the test's call; only what goes wrong in the
fixtures' own end is an error of that end.
Rule 3: where the cassette cannot be opened, no agent starts. That there is none is said only when
one would: a test that starts no agent needs no cassette.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from agy_nb.errors import AgyError
from agy_nb.pytest_plugin.errors import InvalidMarkerError
from agy_nb.pytest_plugin.failure_report import in_words, leave_us_out, put_aside
from agy_nb.pytest_plugin.marker import MARKER, CassetteRequest, wish_of

if TYPE_CHECKING:
    from pathlib import Path

    from agy_nb.cassette import use_cassette

_BUSY_S = 60.0
"""How long a worker waits for another one that records the same cassette."""


class CassetteContext:
    """The cassette of one test, from before its fixtures until after them.

    Attributes:
        told: The error that this class raised itself, if it did.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._wish: CassetteRequest | None = None
        self._cassette: use_cassette | None = None
        self._refusal: AgyError | None = None
        self._refused = False
        self._failed: BaseException | None = None
        self._stack = contextlib.ExitStack()
        self.told: BaseException | None = None

    def open(self) -> None:
        """Open the cassette; what is wrong with it is said by `begin`."""
        try:
            self._wish = wish_of(self._item)
            if self._wish is not None:
                self._cassette = self._entered(self._wish)
        except AgyError as error:
            from agy_nb.cassette import CassetteNotFoundError

            self._refusal, self._refused = error, not isinstance(error, CassetteNotFoundError)
            self._stack.enter_context(self._no_agents(error))

    def begin(self) -> None:
        """The fixtures stand, the test begins.

        Raises:
            AgyError: The cassette could not be opened.
        """
        if self._refusal is not None and self._refused:
            self._tell(self._refusal)

    def check(self, error: BaseException | None) -> None:
        """The fixtures failed, or the test's call is over.

        Args:
            error: What it failed with, if it did.

        Raises:
            AgyError: What the cassette has to say.
        """
        self._failed = error
        if error is not None and error is self.told:
            return
        if self._refusal is not None and self._refused:
            self._tell(self._refusal, None if _about_a_cassette(error) else error)
        try:
            if self._cassette is not None:
                self._cassette.check(error)
        except AgyError as mismatch:
            if not self._accepts(mismatch):
                self._tell(mismatch, error)
        if error is not None and _about_a_cassette(error):
            self._advise(error)

    def close(self) -> None:
        """The fixtures are gone.

        Raises:
            AgyError: What they did in the end is not what was recorded, or the recording could not
                be kept.
        """
        cassette, self._cassette = self._cassette, None
        failed, self._failed = self._failed, None
        with self._stack:
            if cassette is None:
                return
            recording = cassette.recording
            try:
                cassette.__exit__(type(failed) if failed else None, failed, None)
            except AgyError as error:
                if not self._accepts(error):
                    self._tell(error)
            if recording:
                _recorded_by(self._item.config)[cassette.path] = self._item.nodeid

    # -- how ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _no_agents(self, error: AgyError) -> Generator[None, None, None]:
        """Let no agent start: it would be a live one."""
        from agy_nb.sdk.process import interception

        async def refuse(*_: Any) -> NoReturn:  # noqa: ANN401 - the SDK's
            self._refused = True
            raise error

        async def none_needed() -> bool:
            return False

        with contextlib.ExitStack() as stack:
            with contextlib.suppress(RuntimeError):  # somebody else's cassette is open
                stack.enter_context(interception.intercepted(refuse, model_needed=none_needed))
            yield

    def _entered(self, wish: CassetteRequest) -> use_cassette:
        from agy_nb.cassette import CassetteBusyError, use_cassette

        deadline = time.monotonic() + (_BUSY_S if _is_worker(self._item.config) else 0)
        while True:
            try:
                cassette = use_cassette(wish.path, self._mode(wish), **wish.options)
                return cassette.__enter__()
            except TypeError as error:
                raise InvalidMarkerError(
                    f"@pytest.mark.{MARKER} of {self._item.nodeid}: {error}. "
                    "It takes what agy_nb.use_cassette takes",
                    field=MARKER,
                ) from error
            except CassetteBusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)  # another worker records it; then it is there to be replayed

    def _mode(self, wish: CassetteRequest) -> str:
        """Of a cassette that another test has recorded just now: it is added to, not replaced."""
        recorder = _recorded_by(self._item.config).get(wish.path)
        again = recorder is not None and recorder != self._item.nodeid
        return "new_episodes" if again and wish.mode in ("once", "all") else wish.mode

    def _accepts(self, error: AgyError) -> bool:
        """Whether agents that were not started belong to other tests of the same cassette."""
        if self._wish is None or "allow_unplayed" in self._wish.options:
            return False
        at_wire = self._wish.options.get("seam", "wire") == "wire"
        never_started = (
            getattr(error, "phase", "") == "unplayed" and getattr(error, "expected", 1) is None
        )
        return self._wish.shared_in is not None and at_wire and never_started

    def _tell(self, error: AgyError, cause: BaseException | None = None) -> NoReturn:
        self._advise(error)
        self.told = self._failed = error
        raise error from (cause if cause is not error else None)

    def _advise(self, error: BaseException) -> None:
        """Add the command that records."""
        from agy_nb.cassette import (
            CassetteInvalidError,
            CassetteMismatchError,
            CassetteNotFoundError,
        )

        if isinstance(error, CassetteMismatchError) and not self._is_mine(error):
            error.add_note(
                "This agent was started in the cassette of another test, by a fixture of a wider "
                "scope.\nStart it in this test, or in a fixture of its own."
            )
            return
        if isinstance(error, CassetteNotFoundError):
            why = "CI is set: cassettes are only replayed. " if self._by_ci() else ""
            error.add_note(f"{why}{self._command('once')}")
        elif isinstance(error, CassetteMismatchError):
            for remedy in error.remedies:
                if remedy.marker:
                    error.add_note(
                        "To accept it, if this is as it should be:\n"
                        f"    @pytest.mark.{MARKER}({remedy.marker})"
                    )
        if isinstance(error, CassetteMismatchError | CassetteInvalidError):
            error.add_note(self._command("all"))

    def _is_mine(self, error: AgyError) -> bool:
        return self._wish is None or getattr(error, "path", "") == str(self._wish.path)

    def _command(self, mode: str) -> str:
        """What records the cassette, as one types it where pytest was called."""
        config, shared_in = self._item.config, self._wish.shared_in if self._wish else None
        place = os.path.relpath(shared_in or self._item.path, config.invocation_params.dir)
        inside = [] if shared_in else self._item.nodeid.split("::")[1:]
        words = ["pytest", "::".join([place, *inside]), f"--agy-record-mode={mode}"]
        if folder := config.getoption("--agy-cassette-dir"):
            words.append(f"--agy-cassette-dir={folder}")
        what = "To record it" if mode == "once" else "To record it again"
        sharing = ", with all tests that may share it" if shared_in else ""
        return f"{what}{sharing}, with a model at hand:\n    {shlex.join(words)}"

    def _by_ci(self) -> bool:
        return self._wish is not None and self._wish.by_ci


_player = pytest.StashKey[CassetteContext]()
_recorded = pytest.StashKey["dict[Path, str]"]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Open the cassette before the first fixture."""
    if item.get_closest_marker(MARKER) is None:
        return (yield)
    player = item.stash[_player] = CassetteContext(item)
    player.open()
    try:
        return (yield)
    except BaseException as error:
        player.check(error)
        raise


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Say with the test's call what the replay has to say."""
    player = item.stash.get(_player, None)
    if player is None:
        return (yield)
    player.begin()
    try:
        yield
    except BaseException as error:
        player.check(error)
        raise
    aside = put_aside(item)
    player.check(aside.value if aside else None)
    return None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Close the cassette after the last fixture."""
    player = item.stash.get(_player, None)
    if player is None:
        return (yield)
    try:
        return (yield)
    except AgyError as error:
        if error is not player.told:
            raise  # a fixture that hears of the same divergence again has nothing to add
    finally:
        player.close()
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a cassette has to say without our code: the test's own lines, and the words."""
    player = item.stash.get(_player, None)
    if player is None:
        return (yield)
    found, words_only = call.excinfo, False
    for each in (found, put_aside(item)):
        if each is not None and _about_a_cassette(each.value):
            words_only = not leave_us_out(each, item.config)
    report = yield
    if found is not None and report.failed:
        if words_only:
            report.longrepr = in_words(found)
        elif found.value is player.told:
            report.longrepr = item.repr_failure(found)
    if call.when == "teardown":
        del item.stash[_player]
    return report


def _about_a_cassette(error: BaseException | None) -> bool:
    from agy_nb.cassette import CassetteError

    return isinstance(error, CassetteError)


def _recorded_by(config: pytest.Config) -> dict[Path, str]:
    """Which test recorded which cassette in this run."""
    return config.stash.setdefault(_recorded, {})


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
