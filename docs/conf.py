"""Settings of the documentation build."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx import addnodes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_here = Path(__file__).parent
_search_words = tomllib.loads((_here / "search_words.toml").read_text(encoding="utf-8"))
for _notebook in _here.parent.glob("notebooks/*.ipynb"):  # pages must lie below this folder
    shutil.copyfile(_notebook, _here / _notebook.name)

_project = tomllib.loads((_here.parent / "pyproject.toml").read_text(encoding="utf-8"))

project = "agy_nb"
author = "the agy_nb authors"
copyright = author
version = release = _project["project"]["version"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are executed by the tests and committed with their outputs
exclude_patterns = ["_build", "jupyter_execute"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of others have no page here
autodoc_member_order = "bysource"

html_theme = "pydata_sphinx_theme"
html_title = f"agy_nb {release}"
html_theme_options = {"navbar_center": [], "show_nav_level": 2}
html_sidebars = {"**": ["globaltoc.html"]}  # every page, below the captions of index.md
html_static_path = ["_static"]
html_extra_path = ["llms.txt"]  # for assistants; made by tests.docs.generated.llms_page
html_css_files = ["site.css"]
html_search_scorer = str(_here / "search_scorer.js")
html_show_sourcelink = False


def _markdown_to_rst(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Docstrings are for readers of the code: in Markdown, where they have markup at all."""
    del app, what, name, obj, options
    fenced = None
    for number, line in enumerate(lines):
        fence = re.match(r"( *)```(\w*)$", line)
        if fence and fenced is None:
            fenced = fence[1]
            lines[number] = f"{fenced}.. code-block:: {fence[2] or 'text'}\n"
        elif fence:
            fenced = None
            lines[number] = ""
        elif fenced is not None:
            lines[number] = f"    {line}"
        else:
            lines[number] = re.sub(r"(?<!`)`([^`]+)`(?![`_])", r"``\1``", line)
    lines[:] = "\n".join(lines).split("\n")


def _add_search_words(app: Sphinx, page: nodes.document, name: str) -> None:
    """Add invisible index entries, which the search ranks above titles and texts."""
    del app
    entries = [("single", word, "", "main", None) for word in _search_words.get(name, ())]
    page.insert(0, addnodes.index(entries=entries))


def _write_all_pages(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Write each page in every build, also pages whose text has not changed.

    Sphinx keeps titles and words of unchanged pages in the search, but loses their index entries.
    """
    del app
    return env.found_docs


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("env-updated", _write_all_pages)
    app.connect("doctree-resolved", _add_search_words)
    app.connect("autodoc-process-docstring", _markdown_to_rst, priority=100)  # before napoleon
