"""Cassettes of a class, a module or the session, and agents of fixtures with such a scope.

Rule 1: a cassette with a scope opens before the first test of its scope, marked or not, and closes
after the last one. So it contains the agents of fixtures with that scope.
Rule 2: an agent belongs to the cassette that is open when it starts. If a fixture with a wider
scope starts it, the other tests would find it neither in the recording nor in the replay. That is
an error, which names the fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from typing import Any

import pytest

from agy_nb.pytest_plugin.errors import FixtureScopeError, InvalidMarkerError
from agy_nb.pytest_plugin.marker import MARKER, request_of, scope_node

WIDE = ("class", "module", "package", "session")
"""Scopes of fixtures that several tests share, from the narrowest to the widest."""
_scoped = pytest.StashKey["dict[pytest.Collector, pytest.Item]"]()
_unrecorded = pytest.StashKey["dict[str, str]"]()
_has_markers = pytest.StashKey[bool]()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Find the classes and modules that have a cassette, with a test whose marker asks for it."""
    found: dict[pytest.Collector, pytest.Item] = {}
    for item in session.items:
        try:
            request = request_of(item)
        except InvalidMarkerError:
            continue  # the test itself reports it
        if request is not None and request.scope != "function":
            found.setdefault(scope_node(item, request.scope), item)
    session.stash[_scoped] = found
    session.stash[_has_markers] = any(map(_is_marked, session.items))


def owner_of(item: pytest.Item) -> tuple[pytest.Collector, pytest.Item] | None:
    """Return the class, module or session whose cassette covers a test, with a marked test of it.

    Args:
        item: A test, marked or not.
    """
    scoped = item.session.stash.get(_scoped, {})
    return next(((node, scoped[node]) for node in item.listchain() if node in scoped), None)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Note the agents that a fixture with a wide scope starts.

    Raises:
        FixtureScopeError: The fixture started an agent in the cassette of a narrower scope.
    """
    scope = fixturedef.scope
    if scope not in WIDE or not request.session.stash.get(_has_markers, False):
        return (yield)
    before = _starts()
    result = yield
    if _starts() == before:
        return result
    item = request._pyfuncitem  # noqa: SLF001 - no public name for the test that asked first
    covered = owner_of(item)
    own = _is_marked(item) and covered is None
    if covered is None:
        request.session.stash.setdefault(_unrecorded, {})[_key(fixturedef)] = item.nodeid
    if own:
        raise FixtureScopeError(
            f"the fixture {fixturedef.argname!r} with the scope {scope!r} started an agent in the "
            f"cassette of one test, {item.nodeid}. The other tests that use the fixture would not "
            f"find the agent in theirs. {_remedy(scope)}",
            fixture=fixturedef.argname,
        )
    return result


def refuse_unrecorded(item: pytest.Item, fixtures: Iterable[pytest.FixtureDef[Any]]) -> None:
    """Refuse agents that a fixture started before the test's cassette was open.

    Args:
        item: A test with a marker.
        fixtures: The fixtures that it uses.

    Raises:
        FixtureScopeError: One of them started an agent for another test.
    """
    started = item.session.stash.get(_unrecorded, {})
    for each in fixtures:
        if (first := started.get(_key(each))) is not None:
            raise FixtureScopeError(
                f"the fixture {each.argname!r} with the scope {each.scope!r} started its agent for "
                f"another test, {first}, so the agent is not in the cassette of {item.nodeid}. "
                f"{_remedy(each.scope)}",
                fixture=each.argname,
            )


def _remedy(scope: str) -> str:
    wanted = "module" if scope == "package" else scope
    return (
        f'Give the cassette the same scope, @pytest.mark.{MARKER}(scope="{wanted}"), or start the '
        "agent in a fixture with the scope of a function"
    )


def _is_marked(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARKER) is not None


def _key(fixturedef: pytest.FixtureDef[Any]) -> str:
    return f"{fixturedef.baseid}::{fixturedef.argname}"


def _starts() -> int:
    """Return how many harnesses this process has started, or begun to replay."""
    if "google.antigravity" not in sys.modules:
        return 0
    from agy_nb.sdk.process import interception

    return interception.starts()
