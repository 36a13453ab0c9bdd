"""Print a response as text while its turn runs, where the front end does not show widgets.

Such front ends are the terminal of IPython, `python -m asyncio`, and consoles of a kernel.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Literal

from agy_nb.errors import TurnCancelledError
from agy_nb.protocol.events import Error, Event, Text, ToolCall, ToolResult, Waiting
from agy_nb.runtime.turns.response import Response
from agy_nb.terminal import printable
from agy_nb.widgets.response.cards import STOPPED, footer_text, waits
from agy_nb.widgets.response.headline import call_text
from agy_nb.widgets.response.html_values import seconds
from agy_nb.widgets.tree.view_widget import ViewWidget

_LONGEST_ERROR = 200


async def print_turn(response: Response) -> None:
    """Print a response until its turn ends. Cancelling this cancels the turn.

    Args:
        response: The response to print.

    Example:
        >>> from agy_nb.widgets.response.text_stream import print_turn
        >>> agent = await agy.create_agent()
        agy_nb: no GEMINI_API_KEY is set, so a local echo model answers
        >>> await print_turn(await agent.chat("Hello"))
        You said: Hello...
        <BLANKLINE>
        [Done · ...]
    """
    printer = TextPrinter(sys.stdout.write)
    stop = response.watch(printer.on_event)
    try:
        await response.wait()
    except asyncio.CancelledError:
        await response.cancel()
        raise
    finally:
        stop()
        printer.finish(response)


class TextPrinter:
    """Write the events of one turn: the answer as it comes, and one line per tool call.

    The texts of subagents are left out.

    Args:
        write: Writes text.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write_text = write
        self._last: Literal["", "text", "line", "call"] = ""
        self._at_line_start = True
        self._calls: dict[str, ToolCall] = {}
        self._open = ""  # the call whose line waits for its result
        self._began: float | None = None
        self._ended = 0.0

    def on_event(self, event: Event) -> None:
        """Write an event."""
        self._began = event.at if self._began is None else self._began
        self._ended = event.at
        match event:
            case Text() if event.trajectory.is_root and (text := printable(event.text)):
                if self._last and self._last != "text":
                    self._write("\n" if self._at_line_start else "\n\n")
                self._last = "text"
                self._write(text)
            case ToolCall():
                self._calls[event.call_id] = event
                self._line(f"> {call_text(event.name, event.args, event.server)}")
                self._last, self._open = "call", event.call_id
            case ToolResult():
                self._result(event)
            case Error(fatal=False):
                tries = f" (try {event.retry} of {event.max_retries})" if event.retry else ""
                self._line(f"{event.error.type}{tries}: {event.error.message}")
            case Waiting():
                self._line(waits(event))

    def finish(self, response: Response) -> None:
        """Write the error, the tokens and the duration of a turn that has ended."""
        if isinstance(response.error, TurnCancelledError):
            self._line(STOPPED)
        elif response.error is not None:
            self._line(f"{type(response.error).__name__}: {response.error}")
        took = None if self._began is None else self._ended - self._began
        self._line(f"[{footer_text(response.state, response.usage, took)}]")
        self._write("\n")

    def _result(self, result: ToolResult) -> None:
        call = self._calls.get(result.call_id)
        said = "done"
        if result.error is not None:
            line = result.error.strip().partition("\n")[0][:_LONGEST_ERROR]
            said = f"{'denied' if result.denied else 'failed'}: {line}"
        if call is not None and (took := seconds(result.at - call.at)):
            said += f" · {took}"
        if self._last == "call" and self._open == result.call_id:
            self._write(f" · {printable(said)}")
        else:
            about = result.name if call is None else call_text(call.name, call.args, call.server)
            self._line(f"> {about} · {said}")
        self._last = "line"

    def _line(self, line: str) -> None:
        """Begin a line, with an empty line between it and the answer."""
        if self._last == "text":
            self._write("\n")
        if not self._at_line_start or self._last == "text":
            self._write("\n")
        self._last = "line"
        self._write(" ".join(printable(line).split("\n")))

    def _write(self, text: str) -> None:
        self._at_line_start = text.endswith("\n")
        self._write_text(text)
        sys.stdout.flush()


# -- the asyncio REPL ------------------------------------------------------------------------------


def stream_in_repl() -> None:
    """Have `python -m asyncio` print a response while it streams, and pages as text.

    Its display hook runs on the event loop and cannot wait. Its console waits in another thread.
    """
    main: Any = sys.modules["__main__"]
    console = getattr(main, "console", None)
    if console is None or not hasattr(console, "runcode"):
        return
    show_other, run_code = sys.displayhook, console.runcode
    printing: list[asyncio.Task[None]] = []

    def show(value: object) -> None:
        if isinstance(value, Response) and value.shows_itself and value.waits_in_cell:
            work = print_turn(value)
        elif isinstance(value, ViewWidget):
            work = _print_page(value)
        else:
            show_other(value)
            return
        task = asyncio.get_running_loop().create_task(work)
        printing.append(task)
        main.repl_future = task  # Ctrl-C cancels it
        _note_interrupt(main, happened=False)

    def run_code_and_wait(code: Any) -> Any:
        result = run_code(code)
        while printing:
            asyncio.run_coroutine_threadsafe(asyncio.wait([printing.pop()]), console.loop).result()
        return result

    sys.displayhook = show
    console.runcode = run_code_and_wait
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, partial(_interrupt, main))


def _interrupt(main: Any, signum: int, frame: FrameType | None) -> None:
    """Cancel what the prompt waits for; a second Ctrl-C stops code that blocks.

    Python's own handler raises KeyboardInterrupt in any task of the loop, also in one of an agent.
    """
    waiting = main.repl_future
    if waiting is None or waiting.done() or waiting.cancelling():
        signal.default_int_handler(signum, frame)
    _note_interrupt(main, happened=True)
    main.console.loop.call_soon_threadsafe(waiting.cancel)


def _note_interrupt(main: Any, *, happened: bool) -> None:
    # The console then prints "KeyboardInterrupt" for a cancelled task, and no traceback.
    main.repl_future_interrupted = happened
    main.keyboard_interrupted = happened  # its name since Python 3.13


async def _print_page(view: Any) -> None:
    await view.settled()
    view._ipython_display_()
