"""What can go wrong with a stand-in, beside what can go wrong with its cassette.

```
AgyError
  + StandInError              base
      + HandshakeFailed       what came over the pipes is not what an SDK or a harness sends
      + NoHarness             there is no real harness to record, or it does not start
      + NoLauncher            the file that starts the stand-in cannot be written
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class StandInError(AgyError):
    """Base of the errors of a stand-in for the harness."""


class HandshakeFailed(StandInError):
    """What came over stdin or stdout is not what an SDK or a harness sends there."""


class NoHarness(StandInError):
    """There is no real harness to record, or it does not start."""


class NoLauncher(StandInError):
    """The file that starts the stand-in cannot be written."""
