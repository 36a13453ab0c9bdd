"""Opens, checks and closes the cassette of a test, in the hooks of pytest.

1. The cassette opens before the test's fixtures and closes after them, so that it contains the
   agents of fixtures.
2. A difference fails the test's call. Only a difference in the teardown of fixtures is an error of
   the teardown.
3. If the cassette cannot be opened, no agent starts. A missing cassette is an error only when an
   agent starts: a test without agents needs no cassette.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from agy_nb.errors import AgyError
from agy_nb.pytest_plugin.cassette_context import CassetteContext, is_about_cassette
from agy_nb.pytest_plugin.marker import MARKER
from agy_nb.pytest_plugin.report.failure_report import (
    hide_internal_frames,
    message_only,
    shortest,
    unittest_error,
    without_log_of,
)
from agy_nb.pytest_plugin.report.same_differences import shorten
from agy_nb.pytest_plugin.scopes import owner_of

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
        if each.value is context.raised or is_about_cassette(each.value):
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
