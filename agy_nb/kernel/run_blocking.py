"""`run()`: block until a coroutine is done, in a cell, a thread or a script.

| the caller is | what happens |
| --- | --- |
| in a cell (or a callback) on the kernel's loop | the loop runs nested, and widgets keep working |
| in any other thread | the coroutine runs on the main loop, the thread waits |
| in a script without a running loop | the loop of the process runs (`loops/script_loop.py`) |
| on a script's running loop | `CannotBlockError`: await instead |
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from collections.abc import Awaitable
from typing import TypeVar

from agy_nb.kernel.environment import in_kernel, main_loop, running_loop
from agy_nb.kernel.errors import CannotBlockError
from agy_nb.kernel.kernel_host import current_host
from agy_nb.kernel.loops import script_loop
from agy_nb.kernel.loops.driver import as_coroutine, drive
from agy_nb.kernel.loops.nested_loop import implementation, nested
from agy_nb.kernel.short_traceback import is_shortened

T = TypeVar("T")

_LOOK_S = 0.5  # how often a waiting thread checks that the main loop still runs


def run(coro: Awaitable[T]) -> T:
    """Run a coroutine and block until it is done.

    In a cell, the kernel's loop keeps running: background agents and widgets work, and queued
    cells run afterwards in their order. An interrupt cancels the coroutine. A second interrupt
    stops waiting at once.

    Args:
        coro: A coroutine, or anything that can be awaited.

    Returns:
        The result of the coroutine, also if it returned after an interrupt.

    Raises:
        CannotBlockError: The calling loop runs and cannot be nested; `await` instead.
        KeyboardInterrupt: The coroutine was interrupted.
        TypeError: `coro` cannot be awaited.

    Example:
        >>> def in_a_script():
        ...     agent = agy.run(agy.create_agent())
        ...     return agy.run(agent.chat_text("Hello"))
        >>> await asyncio.to_thread(in_a_script)
        'You said: Hello...'
    """
    if not inspect.isawaitable(coro):
        raise TypeError(
            f"run() needs a coroutine, got {type(coro).__name__}. Call the async function first."
        )
    try:
        return _dispatch(coro)
    except BaseException as error:
        if inspect.iscoroutine(coro) and inspect.getcoroutinestate(coro) == inspect.CORO_CREATED:
            coro.close()  # avoids the warning that it was never awaited
        if is_shortened(error):  # a script shows its own lines, not ours
            raise error.with_traceback(None) from None
        raise


def _dispatch(coro: Awaitable[T]) -> T:
    here, main = running_loop(), main_loop()
    if here is not None and here is main:
        return _nested(coro, here)
    if main is not None and main.is_running() and not script_loop.owns(main):
        return submit(coro, main)
    if here is not None:
        raise CannotBlockError(
            "an event loop is running in this thread, and it is not the main one"
        )
    return script_loop.process_loop().run(coro)


def _nested(coro: Awaitable[T], loop: asyncio.AbstractEventLoop) -> T:
    if not in_kernel() and implementation(loop) == "none":
        # A script's own loop: only the script may decide to patch asyncio.
        raise CannotBlockError("an event loop is already running here")
    host = current_host()
    with nested(loop), host.blocking():
        return drive(coro, loop, host)


def submit(coro: Awaitable[T], loop: asyncio.AbstractEventLoop) -> T:
    """Run an awaitable on a loop that runs in another thread, and wait for it here."""
    future = asyncio.run_coroutine_threadsafe(as_coroutine(coro), loop)
    try:
        while not concurrent.futures.wait([future], _LOOK_S).done:
            if not loop.is_running() and not future.done():
                raise CannotBlockError("the main loop stopped before the coroutine was done")
        return future.result()
    except concurrent.futures.CancelledError:
        raise asyncio.CancelledError from None
    finally:
        future.cancel()
