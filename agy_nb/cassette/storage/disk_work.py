"""Do disk work from code that may run on an event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable


def loop_runs() -> bool:
    """Return whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def wait_for(work: Callable[[], None]) -> None:
    """Do disk work and wait for it; use a thread if an event loop runs."""
    if not loop_runs():
        work()
        return
    done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def in_thread() -> None:
        try:
            work()
        except BaseException as error:
            done.put(error)
        else:
            done.put(None)

    threading.Thread(target=in_thread, name="cassette end", daemon=True).start()
    error = done.get()  # `with` can only block here; `async with` does not use this function
    if error is not None:
        raise error
