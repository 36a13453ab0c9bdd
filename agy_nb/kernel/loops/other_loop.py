"""Await something on another event loop.

In a kernel all agents live on the main loop. Cells of subshells and threads have their own
loops. Their calls to an agent run on the main loop, and they wait on their own loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from agy_nb.kernel.environment import in_kernel, main_loop, running_loop

T = TypeVar("T")


def is_reachable(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether the caller is on another loop from which `run_on` may be used with this one.

    Only the kernel's main loop is reachable: it runs as long as the kernel. A script may stop its
    loops at any time, so each of them is only for its own thread.
    """
    return running_loop() is not loop and in_kernel() and loop is main_loop()


async def run_on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of another thread, in the caller's context, and wait for it here.

    A cancellation is passed on and its end waited for, as if the coroutine were awaited here.

    Args:
        loop: The loop to run it on.
        work: The coroutine.

    Returns:
        The result of the coroutine.
    """
    here = asyncio.get_running_loop()
    over = here.create_future()
    tasks: list[asyncio.Task[T]] = []

    def report(_task: asyncio.Task[T]) -> None:
        with contextlib.suppress(RuntimeError):  # the caller's loop is closed
            here.call_soon_threadsafe(over.set_result, None)

    def begin() -> None:
        tasks.append(loop.create_task(work))
        tasks[0].add_done_callback(report)

    def cancel() -> None:  # called after `begin`, as it was scheduled after it
        tasks[0].cancel()

    try:
        # It runs `begin` in a copy of the caller's context, which the task copies again: outputs of
        # the work go to the caller's cell.
        loop.call_soon_threadsafe(begin)
    except RuntimeError:  # the loop is closed
        work.close()
        raise
    while not over.done():
        try:
            # `await over` would cancel the future itself, and the caller would leave before the
            # work has ended. `wait` leaves it alone.
            await asyncio.wait([over])
        except asyncio.CancelledError:
            loop.call_soon_threadsafe(cancel)
    return tasks[0].result()
