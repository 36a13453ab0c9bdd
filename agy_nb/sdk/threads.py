"""Threads of our own for what must not hold the event loop.

`asyncio.to_thread` has a few threads for everybody. The SDK runs plain tools in them, so tools that
block for a minute would keep every agent from starting and from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_own: ThreadPoolExecutor


def _renew() -> None:
    global _own  # noqa: PLW0603 - one a process
    _own = ThreadPoolExecutor(max_workers=64, thread_name_prefix="agy_nb")


_renew()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)  # a child has none of its parent's threads


async def off_loop(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
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
