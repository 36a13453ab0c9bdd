"""Disk work from where an event loop may run."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable


def loop_runs() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def wait_for(work: Callable[[], None]) -> None:
    """Do disk work and wait for it, in a thread where an event loop runs."""
    if not loop_runs():
        work()
        return
    done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def in_thread() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            done.put(error)
        else:
            done.put(None)

    threading.Thread(target=in_thread, name="cassette end", daemon=True).start()
    error = done.get()  # a `with` has no way to wait without blocking; `async with` has
    if error is not None:
        raise error
