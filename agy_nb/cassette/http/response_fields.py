"""The fields that a recording adds to a response in vcrpy's format."""

from __future__ import annotations

from typing import Final

STARTED: Final = "x_agy_started"
"""Start of the request, in seconds since the Unix epoch."""
HEADERS_AFTER: Final = "x_agy_headers"
"""Seconds from the start to the headers of the response."""
CHUNKS: Final = "x_agy_chunks"
"""Bytes of each chunk of the body, and the seconds before it."""
END: Final = "x_agy_end"
"""How the response ended: `ok`, `reset`, `aborted` or `unanswered`."""
ERROR: Final = "x_agy_error"
"""The error that a client raised in the place of a response."""
CUT: Final = "x_agy_cut"
"""The error that a client raised while it read the body, of which a part had arrived."""
