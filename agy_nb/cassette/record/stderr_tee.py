"""Keep a copy of what a harness writes to stderr, while the SDK reads it.

The SDK puts it into its exceptions: it reads all of it after a refused start, and reads it line by
line in a thread while the harness runs.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

MOST = 20_000
"""Bytes that are kept."""
_WAIT_S = 0.5
"""Seconds to wait for the rest, when the harness has closed its connection."""


class StderrTee:
    """The stderr of a process, with a copy of the bytes that were read.

    Args:
        pipe: The binary stream.
    """

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._seen = b""
        self._ahead = b""
        self._by_lines = False
        self._at_end = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)

    def __iter__(self) -> Iterator[bytes]:
        self._by_lines = True
        for line in self._pipe:
            self._keep(line)
            yield line
        self._at_end.set()

    def read(self, size: int = -1) -> bytes:
        """Read as the pipe does, and keep a copy."""
        ahead, self._ahead = self._ahead, b""
        data: bytes = self._pipe.read(size)
        self._keep(data)
        return ahead + data

    def text(self) -> str:
        """Return the text so far, after a short wait for the end. Blocks."""
        if self._by_lines or sys.platform == "win32":  # `select` takes no pipe there
            self._at_end.wait(_WAIT_S)
        else:
            self._read_ahead()
        return self._seen.decode("utf-8", "replace")

    def _read_ahead(self) -> None:
        until = time.monotonic() + _WAIT_S
        while not self._pipe.closed:
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, until - time.monotonic()))
            # Not `read`, which would wait until the process ends: it may be alive, with its
            # connection closed. `read` gives these bytes to the SDK later.
            data = os.read(self._pipe.fileno(), MOST) if ready else b""
            if not data:
                return
            self._keep(data)
            self._ahead += data

    def _keep(self, data: bytes) -> None:
        self._seen = (self._seen + data)[-MOST:]
