"""Errors of `agy-nb harness`. Errors of its cassette are in `agy_nb.cassette.errors`.

```
AgyError
  + ShimError            base
      + HandshakeError   a message over the pipes is not one of an SDK or a harness
      + NoHarnessError   there is no real harness to record, or it does not start
      + NoLauncherError  the launcher cannot be written
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class ShimError(AgyError):
    """Base of the errors of `agy-nb harness`."""


class HandshakeError(ShimError):
    """A message over stdin or stdout is not a handshake of an SDK or a harness."""


class NoHarnessError(ShimError):
    """The real harness is missing, or it does not start."""


class NoLauncherError(ShimError):
    """The launcher cannot be written."""
