"""What can go wrong with the plugin itself.

```
AgyError
  + InvalidMarker     a marker `agy_cassette` that cannot be read
  + NetworkBlocked    a test reached for a host that is not this machine
  + NoAsyncPlugin     an async test, and nothing installed that runs it
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError, InvalidInput


class InvalidMarker(InvalidInput):
    """The marker `agy_cassette` of a test cannot be read."""


class NetworkBlocked(AgyError):
    """A test reached for a host that is not this machine, and `--agy-block-network` is set.

    Attributes:
        host: What it reached for.
    """

    def __init__(self, message: str, *, host: str = "") -> None:
        super().__init__(message)
        self.host = host


class NoAsyncPlugin(AgyError):
    """An async test asks for a fixture of ours, and no plugin gives it an event loop."""
