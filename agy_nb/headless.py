"""Run notebooks and code in a new kernel of this Python, without a browser.

Rule 1: registered kernels are never used, because they may belong to another Python.
Rule 2: all files of a kernel are in one temporary folder, which is removed with the kernel.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from agy_nb.errors import AgyError

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode

NEEDED = ("ipykernel", "jupyter_client", "nbclient", "nbformat")
MOST_STDERR_LINES = 10
LINE_TIMEOUT_S = 60.0


class NoKernelError(AgyError):
    """A kernel did not start, or ended unexpectedly."""


def require(*modules: str) -> None:
    """Check that optional modules are installed.

    Raises:
        NoKernelError: A module is missing.
    """
    for name in modules:
        if find_spec(name) is None:
            raise NoKernelError(
                f"{name} is not installed; run: {sys.executable} -m pip install 'agy-nb[notebook]'"
            )


class HeadlessKernel:
    """The files of a kernel, and the executor of notebooks in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stderr = folder / "stderr"
        self._interrupted = False

    def client(
        self, notebook: NotebookNode, *, cwd: Path, timeout: float, **hooks: Callable[..., None]
    ) -> NotebookClient:
        """Return an executor for a notebook.

        Args:
            notebook: The notebook to run; its outputs are stored in it.
            cwd: Working directory of its cells.
            timeout: Limit of each cell, in seconds.
            **hooks: Hooks of nbclient, e.g. `on_cell_start`.
        """
        from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
        from nbclient import NotebookClient

        class ThisPython(KernelSpecManager):  # type: ignore[misc, unused-ignore] # partly typed
            def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
                del kernel_name
                argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
                return KernelSpec(argv=argv, display_name="this Python", language="python")

        manager = AsyncKernelManager(
            kernel_spec_manager=ThisPython(),
            connection_file=str(self._folder / "kernel.json"),
            transport="tcp"
            if sys.platform == "win32"
            else "ipc",  # another process can take a port, but not the file
        )
        return NotebookClient(
            notebook,
            km=manager,
            resources={"metadata": {"path": str(cwd)}},
            timeout=timeout,
            coalesce_streams=True,
            record_timing=False,
            **hooks,
        )

    async def run(self, client: NotebookClient) -> None:
        """Execute the notebook of `client` in a new kernel, and stop the kernel.

        Raises:
            NoKernelError: The kernel does not start, or ends unexpectedly.
            CancelledError: The process received SIGINT or SIGTERM.
            CellExecutionError: A cell failed (from nbclient).
            CellTimeoutError: A cell took longer than its limit (from nbclient).
        """
        from nbclient.exceptions import DeadKernelError

        client.on_notebook_start = self._cancel_on_signals
        with self._stderr.open("wb") as stderr:
            try:
                await client.async_execute(stderr=stderr, cleanup_kc=True)
            except (DeadKernelError, RuntimeError) as error:
                if not self._interrupted:
                    raise self._no_kernel(error) from error
            except Exception:
                if not self._interrupted:
                    raise
        if self._interrupted:
            raise asyncio.CancelledError

    def _no_kernel(self, error: Exception) -> NoKernelError:
        said = self._stderr.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        lines = [f"the kernel of {sys.executable} did not start or has ended: {error}"]
        return NoKernelError("\n".join(lines + said[-MOST_STDERR_LINES:]))

    def _cancel_on_signals(self, **_: object) -> None:
        """Replace nbclient's signal handlers, after which it fails with unrelated errors."""
        task = asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            self._interrupted = True
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, RuntimeError):  # Windows; not in the main thread
                asyncio.get_running_loop().add_signal_handler(number, cancel)


@asynccontextmanager
async def headless_kernel() -> AsyncIterator[HeadlessKernel]:
    """Create the folder of a kernel, and remove it at the end.

    Raises:
        NoKernelError: A package that a kernel needs is not installed.
    """
    require(*NEEDED)
    with tempfile.TemporaryDirectory(prefix="agy-nb-", ignore_cleanup_errors=True) as folder:
        yield HeadlessKernel(Path(folder))


async def execute_line(code: str) -> str:
    """Run a line of code in a new kernel and return its output.

    Raises:
        NoKernelError: The kernel does not start, it ends unexpectedly, or the line fails.
    """
    require(*NEEDED)
    from nbclient.exceptions import CellControlSignal
    from nbformat.v4 import new_code_cell, new_notebook

    async with headless_kernel() as kernel:
        notebook = new_notebook(cells=[new_code_cell(code)])
        client = kernel.client(notebook, cwd=Path.cwd(), timeout=LINE_TIMEOUT_S)
        try:
            await kernel.run(client)
        except CellControlSignal as error:
            raise NoKernelError(f"the code {code!r} failed in a new kernel: {error}") from error
        outputs = notebook.cells[0].outputs
        return "".join(item.text for item in outputs if item.get("name") == "stdout")
