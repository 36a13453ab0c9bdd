"""Errors of the pytest plugin.

```
AgyError
  + FixtureScopeError    a fixture started an agent outside the cassette of the test that uses it
  + InvalidMarkerError   a marker `agy_cassette` with wrong arguments
  + NetworkBlockedError  a test connected to another machine
  + NoAsyncPluginError   an async test without a plugin that runs it
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError, InvalidInputError


class FixtureScopeError(AgyError):
    """A fixture with a wide scope started an agent outside the cassette of a test that uses it.

    What to do: give the cassette the scope of the fixture, with
    `@pytest.mark.agy_cassette(scope="module")`, or start the agent in a function-scoped fixture.

    Attributes:
        fixture: Name of the fixture.

    Example:
        >>> from agy_nb.pytest_plugin.errors import FixtureScopeError
        >>> FixtureScopeError("the fixture 'agent' started an agent", fixture="agent").fixture
        'agent'
    """

    def __init__(self, message: str, *, fixture: str = "") -> None:
        super().__init__(message)
        self.fixture = fixture


class InvalidMarkerError(InvalidInputError):
    """The marker `agy_cassette` of a test has wrong arguments.

    What to do: pass arguments of `agy.use_cassette`, with `name` instead of `path`.

    Example:
        >>> from agy_nb.pytest_plugin.errors import InvalidMarkerError
        >>> issubclass(InvalidMarkerError, agy.InvalidInputError)
        True
    """


class NetworkBlockedError(AgyError):
    """A test connected to another machine, and `--agy-block-network` is set.

    What to do: replay the test from a cassette, or use a server on 127.0.0.1.

    Attributes:
        host: Name or address of the machine, with the port if it is known.

    Example:
        >>> from agy_nb.pytest_plugin.errors import NetworkBlockedError
        >>> NetworkBlockedError("connecting to example.org is refused", host="example.org").host
        'example.org'
    """

    def __init__(self, message: str, *, host: str = "") -> None:
        super().__init__(message)
        self.host = host


class NoAsyncPluginError(AgyError):
    """An async test uses a fixture of agy_nb, and no plugin runs async tests.

    What to do: `pip install pytest-asyncio`, or write a sync test that uses `agy.run`.

    Example:
        >>> from agy_nb.pytest_plugin.errors import NoAsyncPluginError
        >>> issubclass(NoAsyncPluginError, agy.AgyError)
        True
    """
