"""The cassette of a test: opened before its fixtures, checked after its call, closed at the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from agy_nb.errors import AgyError
from agy_nb.pytest_plugin.cassette_names import without_repetition
from agy_nb.pytest_plugin.errors import FixtureScopeError, InvalidMarkerError
from agy_nb.pytest_plugin.marker import MARKER, CassetteRequest, request_of
from agy_nb.pytest_plugin.report.advice import advise
from agy_nb.pytest_plugin.report.echo_report import note_cassette
from agy_nb.pytest_plugin.report.lost_sessions import note_replaced
from agy_nb.pytest_plugin.scopes import refuse_unrecorded
from agy_nb.pytest_plugin.shared_cassettes import shared_of

if TYPE_CHECKING:
    import pytest

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
            self._raise(self._refusal, None if is_about_cassette(error) else error)
        try:
            if self._cassette is not None:
                self._cassette.check(error, unplayed=self.node is None)
        except AgyError as mismatch:
            if not self._accepts(mismatch):
                self._raise(mismatch, error)
        if error is not None and is_about_cassette(error):
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
                # Released with the stack, after the recording is saved and noted in `shared_of`:
                # the next worker then adds to it.
                self._stack.push(turn.pop_all())
            # Otherwise an earlier run recorded it, and all workers replay it at the same time.

    def _owner(self) -> str:
        """Return what identifies the test, or the tests, whose cassette this is."""
        return _test_id(self._item) if self.node is None else self.node.nodeid or "session"

    def _accepts(self, error: AgyError) -> bool:
        """Return whether parts that were not played can belong to other tests of the cassette.

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


def is_about_cassette(error: BaseException | None) -> bool:
    """Return whether an error is that of a cassette, or of its use in a test."""
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
