"""Execute the notebooks again and keep their outputs: `make notebooks`.

`python -m tests.notebooks.refresh tour branches` executes only these.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat

from agy_nb import demo

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CASSETTES = NOTEBOOKS.parent / "cassettes"


def without_traces(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook without metadata of the machine that executed it."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    return notebook


def execute(source: Path, folder: Path) -> nbformat.NotebookNode:
    """Execute a notebook in a folder next to the recordings, as in the repository."""
    (folder / CASSETTES.name).symlink_to(CASSETTES)
    written = demo.run(folder / "notebooks", notebook=source)
    return nbformat.read(written.notebook, as_version=4)


def main(names: list[str]) -> None:
    for source in sorted(NOTEBOOKS.glob("*.ipynb")):
        if names and source.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            executed = execute(source, Path(folder))
        nbformat.write(without_traces(executed), source)


if __name__ == "__main__":
    main(sys.argv[1:])
