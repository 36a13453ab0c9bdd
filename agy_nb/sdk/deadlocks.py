"""Find the wait that could never end: user code of a turn that waits for its own agent.

A turn waits for its tools, hooks and approval handlers. One of these that waits in turn for the
agent's next answer, or for the agent to be idle, waits for itself. Without this it would do so
until the turn is out of time.

The check is exact on the side of running: a task of its own that a coroutine starts and does not
wait for may wait for the agent, so only the coroutine's own task is refused. A plain function runs
in a thread and blocks during each call, so all its calls to the agent are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Iterator
from dataclasses import dataclass

owner: contextvars.ContextVar[object | None] = contextvars.ContextVar("agy_nb_owner", default=None)
"""The agent that the running task works for; tasks that it starts inherit it."""


@dataclass(slots=True)
class _UserCode:
    """User code that a turn waits for.

    Attributes:
        name: Its name for the user, such as "the tool 'x'".
        owner: The agent whose turn waits.
        task: The task that it runs in, None for a plain function in a thread.
        over: Whether it has returned; tasks that it started may continue.
    """

    name: str
    owner: object | None
    task: asyncio.Task[object] | None
    over: bool = False


running: contextvars.ContextVar[_UserCode | None] = contextvars.ContextVar(
    "agy_nb_user_code", default=None
)
"""The user code that the caller is part of; None outside of any, where no check is needed."""


@contextlib.contextmanager
def user_code(name: str, *, plain: bool = False) -> Iterator[None]:
    """Note that the turn of `owner` waits for what runs inside.

    Args:
        name: What runs, e.g. `"the tool 'look_up'"`.
        plain: Whether it is a plain function that runs in a thread.
    """
    code = _UserCode(name, owner.get(), None if plain else asyncio.current_task())
    token = running.set(code)
    try:
        yield
    finally:
        code.over = True
        running.reset(token)


def code_that_would_wait_for_itself(agent: object) -> str:
    """Name the user code that calls this and that a turn of the agent waits for; empty if none.

    Args:
        agent: The agent that the caller is about to wait for.
    """
    code = running.get()
    if code is None or code.over or code.owner is None or code.owner is not agent:
        return ""
    if code.task is not None and code.task is not current_task():
        return ""
    return code.name


def current_task() -> asyncio.Task[object] | None:
    """Return the running task, None outside a loop, as when the collector closes a coroutine."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
