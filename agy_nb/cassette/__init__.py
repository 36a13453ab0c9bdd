"""Record a real session once, replay it for ever, offline and to the byte.

```
use          the context manager and decorator `use_cassette`; its block, options
  wire       the seam between SDK and harness         model, gateway   the seam before the model
  playback   the stand-ins for socket and process   clock, revealed   for clients that are ours
    deck     which recorded session an agent plays
      machine  one session: client frames in, harness frames out; no I/O
        compare, canonical, substitution, mismatch
  journal    writes a recording, crash-safe           redaction, secrets   what is never written
standin      the same as a program, in the harness's place, for any SDK
rerun        a recorded client once more, live: what has drifted
format       the files                                recording, events, digests   reading them
cli          list, show, diff, verify, redact, migrate   library, summary, migration
```
"""

from __future__ import annotations

import typing

from agy_nb import lazy_names

_MODULES = lazy_names.read(__file__)
__all__ = list(_MODULES)


def __getattr__(name: str) -> typing.Any:  # noqa: ANN401 - the type of whatever the name stands for
    return lazy_names.load(__name__, name, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
