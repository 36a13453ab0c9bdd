"""What can go wrong when a recorded client is run again.

```
AgyError
  + DriftError               base
      + NoModelError         there is no live model to run against
      + UnknownAddressError  the recorded model is at an address that the user did not give
      + RerunRefusedError    the harness rejects the recorded configuration
      + HarnessSilentError   the harness says nothing any more
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class DriftError(AgyError):
    """Base of the errors of a rerun."""


class NoModelError(DriftError):
    """No live model can be asked: neither a key nor an address is given."""


class UnknownAddressError(DriftError):
    """The recorded model is at an address that the user did not give; no key is sent there."""


class RerunRefusedError(DriftError):
    """The harness rejects the recorded configuration; the message quotes its reason."""


class HarnessSilentError(DriftError):
    """The harness says nothing any more, in the middle of a turn."""
