"""Execute the notebooks anew and keep their outputs: `make notebooks`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat

from agy_nb import demo

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CASSETTES = NOTEBOOKS.parent / "cassettes"


def without_traces(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what tells of the machine that it was executed on."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    return notebook


def execute(source: Path, folder: Path) -> nbformat.NotebookNode:
    """A notebook, executed in a folder that has the recordings beside it, as the repository has."""
    (folder / CASSETTES.name).symlink_to(CASSETTES)
    written = demo.run(folder / "notebooks", notebook=source)
    return nbformat.read(written.notebook, as_version=4)


def main() -> None:
    for source in sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            executed = execute(source, Path(folder))
        nbformat.write(without_traces(executed), source)


if __name__ == "__main__":
    main()
