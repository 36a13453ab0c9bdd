"""Threads of our own for what must not hold the event loop.

`asyncio.to_thread` has a few threads for everybody. The SDK runs plain tools in them, so tools that
block for a minute would keep every agent from starting and from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

_own: ThreadPoolExecutor


def _renew() -> None:
    global _own  # noqa: PLW0603 - one a process
    _own = ThreadPoolExecutor(max_workers=64, thread_name_prefix="agy_nb")


_renew()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)  # a child has none of its parent's threads


async def run_in_new_thread(work: Callable[..., T], *args: Any) -> T:
    """Run a function that may wait for a person, in a thread that no other work needs.

    The thread does not keep Python from ending. When the caller is cancelled, the function goes on.

    Args:
        work: A plain function.
        *args: Its arguments.

    Returns:
        What it returns.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    inside = partial(contextvars.copy_context().run, work, *args)

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(cast("T", result))

    def run() -> None:
        result, error = None, None
        try:
            result = inside()
        except BaseException as raised:  # noqa: BLE001 - it goes to the caller
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="agy_nb-handler", daemon=True).start()
    return await outcome


async def run_in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `asyncio.to_thread`, whatever the user's code does with those threads.

    Args:
        work: A plain function.
        *args: Its arguments.
        **kwargs: Its keyword arguments.

    Returns:
        What it returns.
    """
    inside = partial(contextvars.copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_own, inside)
