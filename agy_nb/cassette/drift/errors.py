"""What can go wrong when a recorded client is run again.

```
AgyError
  + RerunError          base
      + NoModel              there is no live model to run against
      + UnknownAddressError  the recorded model is at an address that the user did not give
      + Refused              the harness does not take the recorded configuration
      + Silent               the harness says nothing any more
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class RerunError(AgyError):
    """Base of the errors of a rerun."""


class NoModel(RerunError):
    """There is no live model: neither a key nor an address is given."""


class UnknownAddressError(RerunError):
    """The recorded model is at an address that the user did not give; no key is sent there."""


class Refused(RerunError):
    """The harness does not take the recorded configuration; the message holds its own words."""


class Silent(RerunError):
    """The harness says nothing any more, in the middle of a turn."""
