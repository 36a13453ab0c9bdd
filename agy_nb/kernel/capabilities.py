"""Which features work in this process: for `agy-nb doctor`, and to choose widgets or text."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
import threading
from dataclasses import dataclass
from typing import Any, Literal

from agy_nb.kernel.comm_pump import main_stream
from agy_nb.kernel.environment import current_kernel, current_shell, main_loop
from agy_nb.kernel.errors import CannotBlockError
from agy_nb.kernel.kernel_host import current_host
from agy_nb.kernel.loops import nested_loop
from agy_nb.kernel.stdin_prompt import why_no_stdin

FrontEnd = Literal["jupyterlab", "notebook", "vscode", "colab", "terminal", "none"]


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether a feature works here; true in a condition if it works.

    Attributes:
        works: Whether the feature works.
        reason: Why it does not work, in a few words; empty if it works.
    """

    works: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.works


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The features of this process.

    Attributes:
        kernel: Whether this is a Jupyter kernel.
        ipykernel: Version of ipykernel, or None outside a kernel.
        front_end: A guess, because the Jupyter protocol does not name the front end. `"notebook"`
            stands for any unrecognised client, `"terminal"` for IPython without a kernel.
        clicks_during_await: Widgets answer while a cell awaits.
        clicks_during_sync: Widgets answer while a cell blocks in `run()`.
        interrupt: An interrupt reaches a turn.
        nest_asyncio: The active patch with its version, or `"none"`. The first `run()` in a cell
            applies the patch.
        stdin: `ask_text` can ask for a line of text now.
    """

    kernel: bool
    ipykernel: str | None
    front_end: FrontEnd
    clicks_during_await: Capability
    clicks_during_sync: Capability
    interrupt: Capability
    nest_asyncio: str
    stdin: Capability


def probe() -> Capabilities:
    """Return which features work here, without changing anything.

    Example:
        >>> probe().kernel
        False
    """
    clicks = _clicks()
    return Capabilities(
        kernel=current_kernel() is not None,
        ipykernel=_ipykernel_version(),
        front_end=_front_end(),
        clicks_during_await=clicks,
        clicks_during_sync=_clicks_during_sync(clicks),
        interrupt=_interrupt(),
        nest_asyncio=nested_loop.implementation_version(main_loop()),
        stdin=_ability(why_no_stdin()),
    )


def _ability(reason: str) -> Capability:
    return Capability(works=not reason, reason=reason)


def _ipykernel_version() -> str | None:
    if current_kernel() is None:
        return None
    try:
        return importlib.metadata.version("ipykernel")
    except importlib.metadata.PackageNotFoundError:
        return None


def _clicks() -> Capability:
    kernel = current_kernel()
    if kernel is None:
        return _ability("this is not a Jupyter kernel, so widgets are not available")
    host = current_host()
    if host.clicks_reason or host.cells_reason:
        return _ability(host.clicks_reason or host.cells_reason)
    try:
        main_stream(kernel)
        _ = kernel.session.feed_identities, kernel.shell_handlers
        _ = kernel.set_parent, kernel.get_parent, kernel._publish_status
    except Exception as error:
        return _ability(f"this version of ipykernel lacks a hook that agy_nb needs ({error})")
    return _ability("")


def _clicks_during_sync(clicks: Capability) -> Capability:
    loop = main_loop()
    if not clicks or loop is None:
        return clicks
    try:
        nested_loop.check(loop)
    except CannotBlockError as error:
        return _ability(error.reason)
    return _ability("")


def _interrupt() -> Capability:
    if threading.current_thread() is not threading.main_thread() and current_kernel() is None:
        return _ability("only the main thread receives signals")
    if current_kernel() is not None and not hasattr(current_kernel(), "saved_sigint_handler"):
        return _ability("this kernel does not handle SIGINT as ipykernel does")
    if signal.getsignal(signal.SIGINT) is None:
        return _ability("SIGINT is handled outside Python")
    return _ability("")


def _front_end() -> FrontEnd:
    if current_kernel() is None:
        return "none" if current_shell() is None else "terminal"
    if "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ:
        return "colab"
    metadata = _request_metadata()
    if str(metadata.get("cellId", "")).startswith("vscode-") or "VSCODE_PID" in os.environ:
        return "vscode"
    # JupyterLab's cells carry these with every request; so do those of Notebook 7, built on it.
    if "deletedCells" in metadata or "recordTiming" in metadata:
        return "jupyterlab"
    return "notebook"


def _request_metadata() -> dict[str, Any]:
    kernel = current_kernel()
    try:
        metadata = kernel.get_parent("shell").get("metadata")  # type: ignore[union-attr]
    except Exception:
        return {}
    return metadata if isinstance(metadata, dict) else {}
