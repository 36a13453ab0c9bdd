"""Wake the loop when a signal arrives.

Python's signal handlers run between bytecodes. If a signal arrives just before the
loop waits in its poller, its handler runs only when another event wakes the loop. So the loop
listens to a file descriptor to which the interpreter writes at every signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket


class SignalWakeup:
    """Wakes one loop at every signal, from `open()` to `close()`.

    Call both in the main thread. They do nothing if the loop has no readers or if another
    library has set the file descriptor. Signals are then sometimes late, but never lost.
    """

    def __init__(self) -> None:
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to wake a loop; you can call it again."""
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
        """Stop waking the loop; you can call it again."""
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
