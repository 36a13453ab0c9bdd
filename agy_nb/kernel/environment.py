"""Find out whether this process is a kernel, and which event loop is the main one.

Rule 1: every look-up of IPython's shell and kernel is here; nothing is imported to find out.
Rule 2: IPython and ipykernel objects are `Any` from here on. Their attributes differ by
version, so each place that reads one handles a missing attribute.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import Any

_script_loop: asyncio.AbstractEventLoop | None = None
_parents_shell: Any = None


def current_shell() -> Any | None:
    """Return IPython's shell, or None if there is none. A forked child has none."""
    shell = _ipythons_shell()
    return None if shell is _parents_shell or _is_solaras(shell) else shell


def current_kernel() -> Any | None:
    """Return the Jupyter kernel of this process, or None."""
    return getattr(current_shell(), "kernel", None)


def in_solara() -> bool:
    """Return whether a page of Solara runs this code."""
    return _is_solaras(_ipythons_shell())


def _ipythons_shell() -> Any | None:
    ipython = sys.modules.get("IPython")  # if IPython runs this code, it is imported
    get_ipython = getattr(ipython, "get_ipython", None)
    return get_ipython() if get_ipython is not None else None


def _is_solaras(shell: Any) -> bool:
    # Solara gives each page a shell and a kernel, for widgets and `display`. They have no cells, no
    # standard input and no loop: a page's code runs on the loop of the page's own thread.
    return type(shell).__module__.startswith("solara.")


def in_kernel() -> bool:
    """Return whether this process is a Jupyter kernel.

    Imports nothing, so it is cheap and safe anywhere.
    """
    return current_kernel() is not None


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def main_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs the agents.

    In a kernel: the kernel's own loop, from any thread (callbacks of widgets may come in
    threads with another loop). In a script: the loop that runs in the main thread, or the last
    one seen there, as long as it is open. None if there was no loop yet.
    """
    global _script_loop  # noqa: PLW0603 - one main loop per process
    kernel = current_kernel()
    if kernel is not None:
        loop = getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None)
        if isinstance(loop, asyncio.AbstractEventLoop):
            return loop
    here = running_loop()
    if here is not None and threading.current_thread() is threading.main_thread():
        _script_loop = here
    if _script_loop is not None and _script_loop.is_closed():
        _script_loop = None
    return _script_loop


def view_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that updates views which are created here.

    In a kernel: the kernel's own loop. Elsewhere: the loop that runs in this thread, since servers
    such as those of Panel and Solara may run theirs in any thread; else the main loop.
    """
    return main_loop() if in_kernel() else running_loop() or main_loop()


def remember(loop: asyncio.AbstractEventLoop) -> None:
    """Make a script's loop the main one, before it runs."""
    global _script_loop  # noqa: PLW0603
    _script_loop = loop


def _leave_to_parent() -> None:
    global _script_loop, _parents_shell
    _script_loop, _parents_shell = None, current_shell() or _parents_shell


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        after_in_child=_leave_to_parent
    )  # the loop and the shell stay in the parent


def on_main_loop() -> bool:
    """Return whether the caller runs on the main loop, and so in its thread."""
    here = running_loop()
    return here is not None and here is main_loop()
