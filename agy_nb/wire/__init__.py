"""The meaning of the frames between the SDK and its harness, written once.

Everything that shows, counts or compares a session reads events; a `WireReader` makes them from
frames, live as they pass the socket and later from a recording.
"""

from __future__ import annotations

from agy_nb.wire.reader import WireReader

__all__ = ["WireReader"]
