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

if typing.TYPE_CHECKING:
    from agy_nb.cassette.errors import (
        CassetteActiveError,
        CassetteBusyError,
        CassetteError,
        CassetteInvalidError,
        CassetteMismatchError,
        CassetteNotFoundError,
        CassetteNotWrittenError,
    )
    from agy_nb.cassette.use import use_cassette

__all__ = [
    "CassetteActiveError",
    "CassetteBusyError",
    "CassetteError",
    "CassetteInvalidError",
    "CassetteMismatchError",
    "CassetteNotFoundError",
    "CassetteNotWrittenError",
    "use_cassette",
]


def __getattr__(name: str) -> typing.Any:  # noqa: ANN401 - whatever the name stands for
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = "use" if name == "use_cassette" else "errors"
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
