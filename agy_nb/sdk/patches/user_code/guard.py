"""Run tools and handlers of the user so that their exceptions end nothing else.

Theory. A task that raises `SystemExit` or `KeyboardInterrupt` takes its event loop along, and in a
notebook the kernel. Other errors that are no `Exception` slip past everybody who would answer for
the tool, and the turn waits until it is out of time; so does `StopIteration`, which cannot leave a
thread through a future. Here each becomes an ordinary error with the same words. So does an error
whose message cannot be read: the SDK puts the message into its answer to the harness, and without
an answer the turn keeps waiting.
Ctrl-C is not touched: it reaches coroutines, and those only, as a `KeyboardInterrupt`. One that
the code itself raises is an error of that code. So is a `GeneratorExit`, unless the coroutine is
closed.
"""

from __future__ import annotations

import asyncio
import dis
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from agy_nb.protocol.encodable import encodable_text
from agy_nb.sdk.deadlocks import current_task

P = ParamSpec("P")
T = TypeVar("T")


class UserCodeError(RuntimeError):
    """Replaces an error that would have ended more than the code that raised it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(words_of(error))


def words_of(error: BaseException) -> str:
    """Describe an error in words that can be sent.

    Args:
        error: Of the user's code; its `__str__` may fail.

    Returns:
        The name of its class and its words.
    """
    if isinstance(error, UserCodeError):
        return str(error)
    try:
        words = encodable_text(str(error))
    except Exception:
        words = ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def sayable(error: Exception) -> Exception:
    """Return the error if its words can be sent, otherwise one whose words can.

    Args:
        error: Of the user's code.
    """
    try:
        words = f"{error}{error!r}"
        is_sayable = encodable_text(words) == words
    except Exception:
        is_sayable = False
    return error if is_sayable else UserCodeError(error)


def _has_words(error: Exception) -> bool:
    try:
        _ = f"{error}{error!r}"
    except Exception:
        return False
    return True


def contained(work: Callable[P, T]) -> Callable[P, T]:
    """Return a plain function that raises only ordinary errors, to call in a thread.

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
            raise UserCodeError(error) from error

    return run


async def contained_wait(work: Awaitable[T]) -> T:
    """Wait for the user's coroutine; a cancellation counts only where we were cancelled ourselves.

    Args:
        work: The user's coroutine.

    Returns:
        The return value.

    Raises:
        UserCodeError: The code raised an exception that is not an `Exception`, or whose message
            cannot be read.
    """
    mine = current_task()
    try:
        return await work
    except KeyboardInterrupt as error:
        if _is_raised_by_code(error):
            raise UserCodeError(error) from error
        raise
    except GeneratorExit as error:
        if mine is not None and current_task() is mine:
            raise UserCodeError(error) from error
        raise  # the coroutine is closed, which happens outside its task
    except Exception as error:
        if _has_words(error):
            raise
        raise UserCodeError(error) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise UserCodeError(error) from error
    except BaseException as error:
        raise UserCodeError(error) from error


def _is_raised_by_code(error: KeyboardInterrupt) -> bool:
    """Return whether a `raise` statement raised an interrupt. Ctrl-C comes between instructions."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_lasti < 0:
        return False
    return dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"
