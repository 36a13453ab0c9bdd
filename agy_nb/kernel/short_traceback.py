"""Show an interrupted turn as one line instead of a traceback.

IPython shows what an error's `_render_traceback_` returns. Other programs ignore it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

INTERRUPTED = "Interrupted."
_TURN_INTERRUPTED = "Interrupted. The turn was cancelled, and the partial answer was kept."


def shorten(error: BaseException, line: str) -> None:
    """Let IPython show an error as one line.

    Args:
        error: The error that will leave the cell.
        line: What to show.
    """
    error._render_traceback_ = partial(list, (line,))  # type: ignore[attr-defined]


def is_shortened(error: BaseException) -> bool:
    """Return whether `shorten` was called with an error."""
    return hasattr(error, "_render_traceback_")


def turn_interrupted(blocking: Sequence[str] = ()) -> str:
    """Return the line about an interrupted turn.

    Args:
        blocking: The names of the tools that continue, because Python cannot stop a thread.

    Example:
        >>> from agy_nb.kernel.short_traceback import turn_interrupted
        >>> turn_interrupted()
        'Interrupted. The turn was cancelled, and the partial answer was kept.'
    """
    if not blocking:
        return _TURN_INTERRUPTED
    names = ", ".join(ascii(name) for name in blocking)
    if len(blocking) == 1:
        return (
            f"{_TURN_INTERRUPTED} The tool {names} still runs in its thread. "
            "Define it with `async def`, so that an interrupt stops it."
        )
    return (
        f"{_TURN_INTERRUPTED} The tools {names} still run in their threads. "
        "Define them with `async def`, so that an interrupt stops them."
    )


def interrupted_by(error: BaseException | None = None) -> KeyboardInterrupt:
    """Make the error of an interrupted cell.

    Args:
        error: The cancellation that the interrupt caused; its line is kept.
    """
    interrupt = KeyboardInterrupt()
    render = getattr(error, "_render_traceback_", None)
    shorten(interrupt, INTERRUPTED if render is None else render()[0])
    return interrupt
