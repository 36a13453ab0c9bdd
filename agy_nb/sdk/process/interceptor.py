"""Who connects a start of a harness: the harness itself, or a cassette in between.

`interception.intercepted` is the only way for others to stand between SDK and harness. There is one
interceptor per process, which is asked for every start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

from agy_nb.sdk.process import inherited_cassette

if TYPE_CHECKING:
    from agy_nb.sdk.process.launch import Connected, HarnessStart

Interceptor: TypeAlias = "Callable[[HarnessStart], Awaitable[Connected]]"
"""Takes a start, whose `spawn` starts the real harness; gives a connection of its own making."""

_is_let_through: ContextVar[bool] = ContextVar("agy_nb_own_harness", default=False)
_interceptor: Interceptor | None = None
_model_needed: Callable[[], Awaitable[bool]] | None = None
_harness_needed: Callable[[], bool] | None = None
_engine_needed: Callable[[], Awaitable[bool]] | None = None


def is_intercepted() -> bool:
    """Return whether a start may do without a key and a binary."""
    return _interceptor is not None


@contextlib.contextmanager
def intercepting(
    interceptor: Interceptor,
    needs_model: Callable[[], Awaitable[bool]] | None,
    needs_harness: Callable[[], bool] | None,
    needs_engine: Callable[[], Awaitable[bool]] | None,
) -> Iterator[None]:
    """Hand every start to an interceptor while the block lasts; see `interception`."""
    global _interceptor, _model_needed, _harness_needed, _engine_needed  # noqa: PLW0603 - one seam
    if _interceptor is not None:
        msg = "the harness is already intercepted, and interceptions do not nest"
        raise RuntimeError(msg)
    _interceptor, _model_needed = interceptor, needs_model
    _harness_needed, _engine_needed = needs_harness, needs_engine
    try:
        yield
    finally:
        _interceptor = _model_needed = _harness_needed = _engine_needed = None


async def intercept(start: HarnessStart) -> Connected:
    """Connect a start through the interceptor, if one is set."""
    interceptor = _interceptor
    if interceptor is not None:
        return await interceptor(start)
    inherited_cassette.refuse_agent()
    return await start.spawn()


def runs_outside_harness() -> bool:
    """Return whether a harness that the program starts itself must run; not in a replay."""
    return _harness_needed is None or _harness_needed()


async def model_needed() -> bool:
    """Return whether an agent that is started now needs a model; in a replay it does not."""
    if _model_needed is not None:
        return await _model_needed()
    inherited_cassette.refuse_agent()  # before an echo model is started for nothing
    return True


async def engine_needed() -> bool:
    """Return whether an agent that runs its model in this process must load it."""
    return _engine_needed is None or await _engine_needed()


@contextlib.contextmanager
def let_through() -> Iterator[None]:
    """Start harnesses and open WebSockets for us, past any interceptor, while the block lasts.

    This applies to the running task, and to the threads that it starts with its context.
    """
    token = _is_let_through.set(True)
    try:
        yield
    finally:
        _is_let_through.reset(token)


def is_let_through() -> bool:
    """Return whether the running task starts harnesses for us."""
    return _is_let_through.get()
