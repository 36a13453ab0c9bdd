"""Show an interrupted turn as one line instead of a traceback.

IPython shows what an error's `_render_traceback_` returns. Other programs ignore it.
"""

from __future__ import annotations

from functools import partial

INTERRUPTED = "Interrupted."
TURN_INTERRUPTED = "Interrupted. The turn was cancelled, and the partial answer was kept."


def shorten(error: BaseException, line: str) -> None:
    """Let IPython show an error as one line.

    Args:
        error: The error that will leave the cell.
        line: What to show.
    """
    error._render_traceback_ = partial(list, (line,))  # type: ignore[attr-defined]


def interrupted_by(error: BaseException | None = None) -> KeyboardInterrupt:
    """Make the error of an interrupted cell.

    Args:
        error: The cancellation that the interrupt caused; its line is kept.
    """
    interrupt = KeyboardInterrupt()
    render = getattr(error, "_render_traceback_", None)
    shorten(interrupt, INTERRUPTED if render is None else render()[0])
    return interrupt
