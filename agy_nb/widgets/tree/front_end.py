"""Whether a front end shows widgets here.

The Jupyter protocol does not say so. A front end that has opened one view shows the others too;
before that, one that takes no input is taken for papermill or nbclient, which show nothing.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from agy_nb.kernel.environment import current_kernel, in_solara
from agy_nb.kernel.stdin_prompt import can_ask_for_text, why_no_stdin

_opened = False


def view_opened() -> None:
    """Record that a front end has opened a view."""
    global _opened  # noqa: PLW0603 - one set of front ends per process
    _opened = True


def shows_views() -> bool:
    """Return whether views are visible outside a kernel: in marimo or Solara, or once opened."""
    return _opened or in_marimo() or in_solara()


def in_marimo() -> bool:
    """Return whether a marimo notebook runs this code. Imports nothing."""
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


def marimo_runs_cell() -> bool:
    """Return whether marimo runs a cell now, so that a widget can be added to its output."""
    if not in_marimo():
        return False
    contexts: Any = sys.modules.get("marimo._runtime.context")  # marimo has no public name for it
    return contexts is None or contexts.get_context().execution_context is not None


def append_in_marimo(widget: Any) -> None:
    """Show a widget below the output of the cell that marimo runs."""
    sys.modules["marimo"].output.append(widget)


def why_headless() -> str:
    """Return why views are not seen now; empty if they may be."""
    return "" if _opened else why_no_stdin() or (_CONSOLE if in_text_console() else "")


def in_text_console() -> bool:
    """Return whether a console runs the cell: jupyter console, qtconsole or Spyder.

    The protocol does not say so. They send the message ids of `jupyter_client`, take input, and
    start a kernel without a Jupyter server.
    """
    kernel = current_kernel()
    if kernel is None or _opened or _SERVER in os.environ or not can_ask_for_text():
        return False
    parent = kernel.get_parent() if hasattr(kernel, "get_parent") else None
    header = (parent or {}).get("header", {})
    return _PYTHON_ID.search(str(header.get("msg_id", ""))) is not None


_CONSOLE = "this console shows only text"
_SERVER = "JPY_SESSION_NAME"
"""Set by a Jupyter server for the kernels of its notebooks."""
_PYTHON_ID = re.compile(r"_\d+_\d+$")
