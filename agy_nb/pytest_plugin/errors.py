"""What can go wrong with the plugin itself.

```
AgyError
  + InvalidMarkerError   a marker `agy_cassette` that cannot be read
  + NetworkBlockedError  a test reached for a host that is not this machine
  + NoAsyncPluginError   an async test, and nothing installed that runs it
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError, InvalidInputError


class InvalidMarkerError(InvalidInputError):
    """The marker `agy_cassette` of a test cannot be read.

    What to do: give it what `agy.use_cassette` takes, and `name` in place of a path.

    Example:
        >>> from agy_nb.pytest_plugin.errors import InvalidMarkerError
        >>> issubclass(InvalidMarkerError, agy.InvalidInputError)
        True
    """


class NetworkBlockedError(AgyError):
    """A test reached for a host that is not this machine, and `--agy-block-network` is set.

    What to do: replay what the test needs from a cassette, or let a server on 127.0.0.1 stand in
    for it.

    Attributes:
        host: What it reached for.

    Example:
        >>> from agy_nb.pytest_plugin.errors import NetworkBlockedError
        >>> NetworkBlockedError("connecting to example.org is refused", host="example.org").host
        'example.org'
    """

    def __init__(self, message: str, *, host: str = "") -> None:
        super().__init__(message)
        self.host = host


class NoAsyncPluginError(AgyError):
    """An async test asks for a fixture of ours, and no plugin gives it an event loop.

    What to do: `pip install pytest-asyncio`, or make it a plain function that uses `agy.run`.

    Example:
        >>> from agy_nb.pytest_plugin.errors import NoAsyncPluginError
        >>> issubclass(NoAsyncPluginError, agy.AgyError)
        True
    """
