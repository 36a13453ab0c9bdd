"""Wake the loop when a signal comes.

Python's signal handlers run between bytecodes. A signal that comes just before the loop goes to
sleep in its poller is heard of only when something else wakes the loop. Python's remedy is a
file descriptor that the interpreter writes to at every signal; here the loop listens to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket


class SignalWakeup:
    """Wakes one loop at every signal, from `open()` to `close()`.

    Both are called in the main thread. Where it cannot be done (a loop without readers, someone
    else's descriptor in place) nothing happens: signals are then seldom late, never lost.
    """

    def __init__(self) -> None:
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to wake a loop; may be called again."""
        if self._sockets is not None and self._loop is loop:
            return
        self.close()
        reader, writer = socket.socketpair()
        reader.setblocking(False)  # noqa: FBT003 - its only argument
        writer.setblocking(False)  # noqa: FBT003
        self._sockets, self._loop = (reader, writer), loop
        try:
            loop.add_reader(reader, _drain, reader)
            before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            if before != -1:
                signal.set_wakeup_fd(before, warn_on_full_buffer=False)
                self.close()
        except (NotImplementedError, RuntimeError, ValueError, OSError):
            self.close()

    def close(self) -> None:
        """Stop; may be called again."""
        if self._sockets is None or self._loop is None:
            return
        (reader, writer), loop = self._sockets, self._loop
        self._sockets = self._loop = None
        with contextlib.suppress(ValueError):  # not in the main thread
            before = signal.set_wakeup_fd(-1)
            if before not in {-1, writer.fileno()}:
                signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError, OSError):
            loop.remove_reader(reader)
        reader.close()
        writer.close()


def _drain(reader: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        reader.recv(4096)
