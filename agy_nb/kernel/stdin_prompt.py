"""Ask the user for a line of text, in front ends without widgets."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import contextvars
import ctypes
import threading
from typing import Any

from agy_nb.kernel.environment import current_kernel
from agy_nb.kernel.errors import NoStdinError
from agy_nb.kernel.kernel_host import current_host

_turn: asyncio.Lock | None = None
_turn_loop: asyncio.AbstractEventLoop | None = None


def why_no_stdin() -> str:
    """Return why the user cannot be asked for text now; empty if it is possible."""
    kernel = current_kernel()
    if kernel is None:
        return ""
    if not can_ask_for_text():
        return "this front end does not take input (papermill and nbclient do not)"
    if not current_host().cell_running and not current_host().cells_reason:
        return "no cell is running, and input appears below the running cell"
    return ""


def can_ask_for_text() -> bool:
    """Return whether the front end of a kernel takes input."""
    return bool(getattr(current_kernel(), "_allow_stdin", False))


async def ask_text(prompt: str) -> str:
    """Ask for a line of text while the event loop keeps running.

    Questions are asked one after the other. If the caller is cancelled in a kernel, the question
    is withdrawn.

    Args:
        prompt: What to show before the input.

    Returns:
        The line that the user typed, without the line end.

    Raises:
        NoStdinError: The user cannot be asked here.

    Example:
        >>> ask_text  # await ask_text("Allow `rm notes.txt`? [y/N] ")
        <function ask_text at ...>
    """
    async with _one_at_a_time():
        reason = why_no_stdin()
        if reason:
            raise NoStdinError(reason)
        with current_host().busy():  # widgets such as the stop button still work
            return await _ask_in_thread(prompt)


def _one_at_a_time() -> asyncio.Lock:
    global _turn, _turn_loop
    loop = asyncio.get_running_loop()
    if _turn is None or _turn_loop is not loop:
        _turn, _turn_loop = asyncio.Lock(), loop
    return _turn


async def _ask_in_thread(prompt: str) -> str:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()
    # ipykernel 7 keeps the running cell in its context: this task may be older than the cell.
    context = (current_host().cell_context or contextvars.copy_context()).copy()

    def ask() -> None:
        try:
            text = context.run(builtins.input, prompt)
        except BaseException as error:
            _send(loop, _fail, answer, error)
        else:
            _send(loop, _settle, answer, text)

    # Not a thread of the executor: Python waits for these when it ends.
    thread = threading.Thread(target=ask, name="agy_nb-input", daemon=True)
    thread.start()
    try:
        return await answer
    except asyncio.CancelledError:
        if current_kernel() is not None:
            _interrupt(thread)
        raise


def _send(loop: asyncio.AbstractEventLoop, function: Any, *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, so no task waits for the answer
        loop.call_soon_threadsafe(function, *args)


def _settle(answer: asyncio.Future[str], text: str) -> None:
    if not answer.done():
        answer.set_result(text)


def _fail(answer: asyncio.Future[str], error: BaseException) -> None:
    if answer.done():
        return
    refused = type(error).__name__ == "StdinNotImplementedError"
    if refused or isinstance(error, EOFError | OSError):
        no_stdin = NoStdinError(f"reading from stdin failed ({type(error).__name__}: {error})")
        no_stdin.__cause__ = error
        answer.set_exception(no_stdin)
    elif isinstance(error, Exception):
        answer.set_exception(error)
    else:
        answer.cancel()


def _interrupt(thread: threading.Thread) -> None:
    # The kernel waits for a reply in a Python loop that ends only on KeyboardInterrupt. Left
    # alone, the thread would take the answer to the next question.
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
        )
