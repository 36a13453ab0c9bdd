"""The meaning of the frames between the SDK and its harness, written once.

Everything that shows, counts or compares a session reads events; a `WireReader` makes them from
frames, live as they pass the socket and later from a recording.

The reader is loaded on first use: a replay needs only the names in `frames`.
"""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from agy_nb.wire.reader import WireReader

__all__ = ["WireReader"]


def __getattr__(name: str) -> typing.Any:
    if name != "WireReader":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agy_nb.wire.reader import WireReader

    return WireReader
