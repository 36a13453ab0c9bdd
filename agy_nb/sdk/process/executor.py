"""Run blocking functions in agy_nb's own threads.

`asyncio.to_thread` shares a few threads among all callers. The SDK runs plain tools in them, so
tools that block for a minute would keep every agent from starting and ending.
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
    """Run a function that may wait for a person, in a new daemon thread.

    If the caller is cancelled, the function continues.

    Args:
        work: A plain function.
        *args: Arguments of the function.

    Returns:
        The function's result.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    inside = partial(contextvars.copy_context().run, work, *args)

    def set_outcome(result: T | None, error: BaseException | None) -> None:
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
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(set_outcome, result, error)

    threading.Thread(target=run, name="agy_nb-handler", daemon=True).start()
    return await outcome


async def run_in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread, like `asyncio.to_thread` but with agy_nb's own thread pool.

    Args:
        work: A plain function.
        *args: Arguments of the function.
        **kwargs: Keyword arguments of the function.

    Returns:
        The function's result.
    """
    inside = partial(contextvars.copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_own, inside)
