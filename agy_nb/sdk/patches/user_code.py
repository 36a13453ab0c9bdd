"""The user's own code (tools, handlers), run so that whatever it raises ends with it.

Theory. A task that raises `SystemExit` or `KeyboardInterrupt` takes its event loop along, and in a
notebook the kernel. Other errors that are no `Exception` slip past everybody who would answer for
the tool, and the turn waits until it is out of time; so does `StopIteration`, which cannot leave a
thread through a future. Here each becomes an ordinary error with the same words.
Ctrl-C is not touched: it reaches coroutines, and those only, as a `KeyboardInterrupt`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class EscapedError(RuntimeError):
    """What stands for an error that would have ended more than the code that raised it."""

    def __init__(self, error: BaseException) -> None:
        words = str(error)
        super().__init__(f"{type(error).__name__}: {words}" if words else type(error).__name__)


def contained(work: Callable[P, T]) -> Callable[P, T]:
    """A plain function that raises nothing but ordinary errors; to be called in a thread.

    Args:
        work: The user's function.

    Returns:
        The same, contained.
    """

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, StopIteration):
                raise
            raise EscapedError(error) from error

    return run


async def contained_wait(work: Awaitable[T]) -> T:
    """Wait for the user's coroutine; a cancellation counts only where we were cancelled ourselves.

    Args:
        work: The user's coroutine.

    Returns:
        What it returns.

    Raises:
        EscapedError: It raised what is no ordinary error.
    """
    try:
        return await work
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise EscapedError(error) from error
    except BaseException as error:
        raise EscapedError(error) from error
