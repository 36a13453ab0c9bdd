"""Opens, checks and closes the cassette of a test.

1. The cassette opens before the test's fixtures and closes after them, so that it contains the
   agents of fixtures.
2. A difference fails the test's call. Only a difference in the teardown of fixtures is an error of
   the teardown.
3. If the cassette cannot be opened, no agent starts. A missing cassette is an error only when an
   agent starts: a test without agents needs no cassette.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from agy_nb.errors import AgyError
from agy_nb.pytest_plugin.cassette_names import without_repetition
from agy_nb.pytest_plugin.errors import FixtureScopeError, InvalidMarkerError
from agy_nb.pytest_plugin.marker import MARKER, CassetteRequest, request_of
from agy_nb.pytest_plugin.report.advice import advise
from agy_nb.pytest_plugin.report.echo_report import note_cassette
from agy_nb.pytest_plugin.report.failure_report import (
    hide_internal_frames,
    message_only,
    shortest,
    unittest_error,
    without_log_of,
)
from agy_nb.pytest_plugin.report.lost_sessions import note_replaced
from agy_nb.pytest_plugin.report.same_differences import shorten
from agy_nb.pytest_plugin.scopes import owner_of, refuse_unrecorded
from agy_nb.pytest_plugin.shared_cassettes import shared_of

if TYPE_CHECKING:
    from agy_nb.cassette import use_cassette

_BUSY_S = 60.0
"""Seconds for which a worker waits for another one that records the same cassette."""


class CassetteContext:
    """The cassette of one test, from before its fixtures until after them.

    Or that of all tests of a class, a module or the session.

    Args:
        item: The test whose marker asks for the cassette.
        node: What the cassette covers, None for the test alone.

    Attributes:
        raised: The error that this class itself raised, or None.
        node: What the cassette covers, None for the test alone.
    """

    def __init__(self, item: pytest.Item, node: pytest.Collector | None = None) -> None:
        self._item = item
        self.node = node
        self._request: CassetteRequest | None = None
        self._cassette: use_cassette | None = None
        self._refusal: AgyError | None = None
        self._refused = False
        self._failed: BaseException | None = None
        self._stack = contextlib.ExitStack()
        self.raised: BaseException | None = None

    def open(self) -> None:
        """Open the cassette. `begin` reports problems with it."""
        try:
            self._request = request_of(self._item)
            if self._request is not None:
                self._wait_for_turn(self._request)
                self._cassette = self._entered(self._request)
        except AgyError as error:
            from agy_nb.cassette import CassetteNotFoundError

            self._refusal, self._refused = error, not isinstance(error, CassetteNotFoundError)
            self._stack.enter_context(self._no_agents(error))

    def begin(self, item: pytest.Item) -> None:
        """Begin a test, after the setup of its fixtures.

        Raises:
            AgyError: The cassette could not be opened.
            FixtureScopeError: A fixture of the test started an agent outside the cassette.
        """
        self._item = item
        if self.node is None:
            refuse_unrecorded(item, _fixtures_of(item))
        if self._refusal is not None and self._refused:
            self._raise(self._refusal)

    def check(self, error: BaseException | None) -> None:
        """Check the replay, after the test's call or a failed setup.

        Args:
            error: The exception of the call or the setup, or None.

        Raises:
            AgyError: The replay differs from the recording.
        """
        self._failed = error or (self._failed if self.node is not None else None)
        if error is not None and error is self.raised:
            return
        if self._refusal is not None and self._refused:
            self._raise(self._refusal, None if _about_a_cassette(error) else error)
        try:
            if self._cassette is not None:
                self._cassette.check(error, unplayed=self.node is None)
        except AgyError as mismatch:
            if not self._accepts(mismatch):
                self._raise(mismatch, error)
        if error is not None and _about_a_cassette(error):
            self._advise(error)

    def close(self) -> None:
        """Close the cassette, after the teardown of the fixtures.

        Raises:
            AgyError: The teardown differs from the recording, or the recording could not be saved.
        """
        cassette, self._cassette = self._cassette, None
        failed, self._failed = self._failed, None
        with self._stack:
            if cassette is None:
                return
            recording, echoes = cassette.recording, cassette.has_echo
            try:
                cassette.__exit__(type(failed) if failed else None, failed, None)
            except AgyError as error:
                if not self._accepts(error):
                    self._raise(error)
            if echoes:
                note_cassette(self._item, cassette.path)
            if recording:
                shared_of(self._item.config).add(cassette.path, self._owner())

    # -- how ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _no_agents(self, error: AgyError) -> Generator[None, None, None]:
        """Refuse to start agents, which would be live ones."""
        from agy_nb.sdk.process import interception

        async def refuse(*_: Any) -> NoReturn:
            self._refused = True
            raise error

        async def none_needed() -> bool:
            return False

        def refuse_harness() -> NoReturn:
            self._refused = True
            raise error

        with contextlib.ExitStack() as stack:
            with contextlib.suppress(RuntimeError):  # another cassette is open
                stack.enter_context(
                    interception.intercepted(
                        refuse,
                        model_needed=none_needed,
                        harness_needed=refuse_harness,
                        engine_needed=none_needed,
                    )
                )
            yield

    def _entered(self, request: CassetteRequest) -> use_cassette:
        from agy_nb.cassette import CassetteBusyError, use_cassette
        from agy_nb.cassette.record_modes import check_mode

        if request.shared_in is not None and self._mode(request) in ("all", "rewrite"):
            note_replaced(self._item, request.path)
        deadline = time.monotonic() + (_BUSY_S if _is_worker(self._item.config) else 0)
        while True:
            try:
                mode = check_mode(self._mode(request))
                cassette = use_cassette(request.path, mode, **request.options)
                return cassette.__enter__()
            except TypeError as error:
                raise InvalidMarkerError(
                    f"@pytest.mark.{MARKER} of {self._item.nodeid}: {error}. "
                    "Use the arguments of agy_nb.use_cassette",
                    field=MARKER,
                ) from error
            except CassetteBusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)  # another worker records it; replay it afterwards

    def _mode(self, request: CassetteRequest) -> str:
        """Return the record mode. A cassette that another test of this run recorded is extended."""
        others = shared_of(self._item.config).recorders(request.path) - {self._owner()}
        may_record = request.mode in ("once", "all", "rewrite")
        return "new_episodes" if others and may_record else request.mode

    def _wait_for_turn(self, request: CassetteRequest) -> None:
        """Wait until no other worker may record a shared cassette, if this test may."""
        if request.shared_in is None or request.mode == "none":
            return
        with contextlib.ExitStack() as turn:
            turn.enter_context(shared_of(self._item.config).turn(request.path))
            if self._mode(request) != "once" or not request.path.exists():
                self._stack.push(turn.pop_all())
            # Otherwise an earlier run recorded it, and all workers replay it at the same time.

    def _owner(self) -> str:
        """Return what identifies the test, or the tests, whose cassette this is."""
        return _test_id(self._item) if self.node is None else self.node.nodeid or "session"

    def _accepts(self, error: AgyError) -> bool:
        """Say whether parts that were not played can belong to other tests of the cassette.

        These are agents that were not started, or requests to the model that were not made.
        """
        if self._request is None or "allow_unplayed" in self._request.options:
            return False
        never_started = (
            getattr(error, "phase", "") == "unplayed" and getattr(error, "expected", 1) is None
        )
        return self._request.shared_in is not None and never_started

    def _raise(self, error: AgyError, cause: BaseException | None = None) -> NoReturn:
        self._advise(error)
        self.raised = self._failed = error
        raise error from (cause if cause is not error else None)

    def _advise(self, error: BaseException) -> None:
        """Add what the user can do, with the command that records."""
        cassette = self._cassette
        advise(
            error,
            self.node or self._item,
            self._item.config,
            shared_in=self._request.shared_in if self._request else None,
            by_ci=self._request is not None and self._request.by_ci,
            echo=cassette is not None and cassette.has_echo,
        )


_context = pytest.StashKey[CassetteContext]()


def _opened(item: pytest.Item) -> CassetteContext | None:
    """Return the open cassette that covers a test, None if there is none."""
    owner = owner_of(item)
    if owner is None:
        if item.get_closest_marker(MARKER) is None:
            return None
        context = CassetteContext(item)
    else:
        node, marked = owner
        if (known := node.stash.get(_context, None)) is not None:
            return known
        context = node.stash[_context] = CassetteContext(marked, node)
    context.open()
    return context


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Open the cassette before the first fixture."""
    context = _opened(item)
    if context is None:
        return (yield)
    item.stash[_context] = context
    try:
        return (yield)
    except BaseException as error:
        context.check(error)
        raise


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Check the replay as a part of the test's call."""
    context = item.stash.get(_context, None)
    if context is None:
        return (yield)
    context.begin(item)
    try:
        yield
    except BaseException as error:
        context.check(error)
        raise
    kept = unittest_error(item)
    context.check(kept.value if kept else None)
    return None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """Close the cassette after the last fixture of its scope."""
    context = item.stash.get(_context, None)
    if context is None:
        return (yield)
    try:
        return (yield)
    except AgyError as error:
        if error is not context.raised:
            raise  # a fixture that raises the same error adds nothing
    finally:
        node = context.node
        if node is None:
            context.close()
        elif nextitem is None or node not in nextitem.listchain():
            del node.stash[_context]
            context.close()
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the error of a cassette with the lines of the test, without frames of agy_nb."""
    context = item.stash.get(_context, None)
    if context is None:
        return (yield)
    found, message_alone = call.excinfo, False
    for each in (found, unittest_error(item)):
        if each is None:
            continue
        if each.value is context.raised or _about_a_cassette(each.value):
            message_alone = not hide_internal_frames(each, item.config)
    report = yield
    if found is not None and report.failed:
        if message_alone:
            report.longrepr = message_only(found)
        elif found.value is context.raised:
            report.longrepr = shortest(item, found)
        _shorten(report, item, found.value)
    if call.when == "teardown":
        del item.stash[_context]
    return report


def _shorten(report: pytest.TestReport, item: pytest.Item, error: BaseException) -> None:
    """Leave out what the report of this test, or of another one, says already."""
    from agy_nb.cassette import CassetteMismatchError

    if isinstance(error, CassetteMismatchError) and not item.config.getoption("fulltrace"):
        report.sections = without_log_of(error, report.sections)
        shorten(report, item, error)


def _about_a_cassette(error: BaseException | None) -> bool:
    from agy_nb.cassette import CassetteError

    return isinstance(error, CassetteError | FixtureScopeError)


def _fixtures_of(item: pytest.Item) -> Iterator[pytest.FixtureDef[Any]]:
    """Return the fixtures that a test uses."""
    info = getattr(item, "_fixtureinfo", None)  # pytest has no public name for it
    for found in (info.name2fixturedefs if info is not None else {}).values():
        yield from found


def _test_id(item: pytest.Item) -> str:
    """Return the id of a test, the same for all runs of a test that is repeated."""
    return item.nodeid.removesuffix(item.name) + without_repetition(item)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
