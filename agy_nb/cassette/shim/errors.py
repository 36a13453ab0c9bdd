"""What can go wrong with a stand-in, beside what can go wrong with its cassette.

```
AgyError
  + ShimError            base
      + HandshakeError   what came over the pipes is not what an SDK or a harness sends
      + NoHarnessError   there is no real harness to record, or it does not start
      + NoLauncherError  the file that starts the stand-in cannot be written
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class ShimError(AgyError):
    """Base of the errors of a stand-in for the harness."""


class HandshakeError(ShimError):
    """What came over stdin or stdout is not what an SDK or a harness sends there."""


class NoHarnessError(ShimError):
    """There is no real harness to record, or it does not start."""


class NoLauncherError(ShimError):
    """The file that starts the stand-in cannot be written."""
