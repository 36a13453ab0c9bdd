"""Name the plain functions that continue in their threads when a turn is interrupted.

Python cannot stop a thread, so only `async def` tools end with their turn.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from agy_nb.protocol.events import Event, ToolCall

P = ParamSpec("P")
T = TypeVar("T")

current_call: contextvars.ContextVar[str] = contextvars.ContextVar("agy_nb_call", default="")
"""The id of the call that the running tool answers; its thread inherits it."""

_in_threads: set[str] = set()


def noted(work: Callable[P, T]) -> Callable[P, T]:
    """Return the function, with a note that it runs; to be called in a thread."""

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        call_id = current_call.get()
        _in_threads.add(call_id)
        try:
            return work(*args, **kwargs)
        finally:
            _in_threads.discard(call_id)

    return run


def tools_in_threads(events: Iterable[Event]) -> list[str]:
    """Return the names of the tools of a turn that run in threads now.

    Args:
        events: The events of the turn.

    Example:
        >>> from agy_nb.sdk.patches.user_code.blocking_tools import tools_in_threads
        >>> tools_in_threads([])
        []
    """
    calls = [event for event in events if isinstance(event, ToolCall)]
    return sorted({call.name for call in calls if call.call_id in _in_threads})
