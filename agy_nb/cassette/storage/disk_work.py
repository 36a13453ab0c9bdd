"""Do disk work from code that may run on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
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


async def finished(work: Callable[[], None]) -> None:
    """Do disk work in a thread, and wait for its end even if this task is cancelled meanwhile.

    A thread cannot be cancelled. Without the wait, it would continue after the caller has left.

    Raises:
        asyncio.CancelledError: The task was cancelled. The work has ended; its own error, if there
            is one, is the cause.
    """
    # Not `asyncio.to_thread`, which leaves no future to wait for after a cancellation.
    context = contextvars.copy_context()
    future = asyncio.get_running_loop().run_in_executor(None, context.run, work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():  # the task may be cancelled more than once
        try:
            with contextlib.suppress(Exception):  # `result` below raises it
                await asyncio.shield(future)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and not future.cancelled():
        raise cancelled from future.exception()
    future.result()


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
