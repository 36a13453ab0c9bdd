"""`agy-nb demo`: run the quickstart notebook without a browser, and write it with its outputs.

A failed cell fails the demo, but the outputs so far are written. This module prints nothing; the
caller passes a function that takes each line.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb import headless
from agy_nb.errors import AgyError

if TYPE_CHECKING:
    from nbformat import NotebookNode

NAME = "quickstart.ipynb"
CELL_TIMEOUT_S = 180.0


class DemoError(AgyError):
    """The demo cannot run, or one of its cells failed.

    Attributes:
        cell: Number of the code cell that failed, from 1; None if the demo could not start.
    """

    def __init__(self, message: str, *, cell: int | None = None) -> None:
        super().__init__(message)
        self.cell = cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Paths of the files that the demo wrote."""

    notebook: Path
    page: Path


def run(
    output: Path | None = None, *, notebook: Path | None = None, tell: Callable[[str], None] = print
) -> Written:
    """Execute the quickstart notebook and write it, with its outputs, as notebook and page.

    Args:
        output: Folder to write to, created if it does not exist. None for a new folder among the
            system's temporary files, so that the demo leaves your project as it is.
        notebook: A notebook to run instead of the quickstart.
        tell: Called with each line of progress.

    Raises:
        DemoError: A cell failed, or the notebook is missing.
        NoKernelError: A kernel cannot start here, or a package that it needs is missing.
        KeyboardInterrupt: The demo was interrupted; nothing is written.
        OSError: The folder is not writable.
    """
    source = notebook or _quickstart()
    headless.require("nbconvert", *headless.NEEDED)
    if output is None:
        output = Path(tempfile.mkdtemp(prefix="agy-nb-demo-"))
    output.mkdir(parents=True, exist_ok=True)
    import nbformat

    written = Written(notebook=output / source.name, page=output / f"{source.stem}.html")
    document = nbformat.read(source, as_version=4)
    tell(f"running {source.name} in a new kernel; the model is {_model()}")
    try:
        failure = asyncio.run(_execute(document, output, tell))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    nbformat.write(document, written.notebook)
    written.page.write_text(_page(document, source.stem), encoding="utf-8")
    tell(f"executed notebook: {written.notebook}")
    tell(f"HTML page:         {written.page}")
    if failure is not None:
        raise failure
    return written


def _quickstart() -> Path:
    package = Path(__file__).parent
    for folder in (package / "notebooks", package.parent / "notebooks"):  # a wheel, a clone
        if (folder / NAME).is_file():
            return folder / NAME
    raise DemoError(
        f"{NAME} is missing from this installation of agy_nb; reinstall agy-nb, or use a clone"
    )


def _model() -> str:
    if os.environ.get("GEMINI_API_KEY", "").strip():
        return "Gemini"
    return "a scripted model on this machine (GEMINI_API_KEY is not set)"


async def _execute(
    document: NotebookNode, cwd: Path, tell: Callable[[str], None]
) -> DemoError | None:
    """Run the cells with one line of progress each; return the failure, if any."""
    from nbclient.exceptions import CellControlSignal

    titles = _titles(document)
    began = time.monotonic()

    def started(**_: object) -> None:
        nonlocal began
        began = time.monotonic()

    def done(cell_index: int, execute_reply: Mapping[str, Any], **_: object) -> None:
        passed = execute_reply["content"]["status"] == "ok"
        took = f"{time.monotonic() - began:5.1f} s" if passed else " FAILED"
        number, title = titles[cell_index]
        tell(f"  {number:>2} of {len(titles)}  {title:<32} {took}")

    async with headless.headless_kernel() as kernel:
        client = kernel.client(
            document,
            cwd=cwd,
            timeout=CELL_TIMEOUT_S,
            on_cell_execute=started,
            on_cell_executed=done,
        )
        try:
            await kernel.run(client)
        except CellControlSignal as error:
            return _failure(document, titles, str(error))
    return None


def _titles(document: NotebookNode) -> dict[int, tuple[int, str]]:
    """Return the number and the nearest heading of each code cell, by its index."""
    titles: dict[int, tuple[int, str]] = {}
    title = ""
    for index, cell in enumerate(document.cells):
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("#")]
            title = headings[-1].strip("# ") if headings else title
        elif cell.cell_type == "code" and cell.source.strip():
            titles[index] = (len(titles) + 1, title)
    return titles


def _failure(document: NotebookNode, titles: dict[int, tuple[int, str]], message: str) -> DemoError:
    for index, (number, _) in titles.items():
        cell = document.cells[index]
        for item in cell.outputs:
            if item.output_type == "error":
                what = f"{item.ename}: {item.evalue}"
                return DemoError(f"cell {number} failed\n\n{cell.source}\n\n{what}", cell=number)
    return DemoError(message.strip())


def _page(document: NotebookNode, title: str) -> str:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="lab")
    page, _ = exporter.from_notebook_node(document, {"metadata": {"name": title}})
    return str(page)
