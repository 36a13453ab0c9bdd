"""The search of a built site has the words of docs/search_words.toml, whichever pages changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.docs import pages

pytest.importorskip("myst_nb")


@pytest.fixture
def site(tmp_path):
    """Two pages with the settings of the real site."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("conf.py", "search_scorer.js", "llms.txt"):
        shutil.copy(pages.DOCS / name, docs)
    shutil.copytree(pages.DOCS / "_static", docs / "_static")
    shutil.copy(pages.DOCS.parent / "pyproject.toml", tmp_path)
    (docs / "search_words.toml").write_text('index = ["start here"]\nother = ["money"]\n')
    (docs / "index.md").write_text("# First\n\n```{toctree}\nother\n```\n")
    (docs / "other.md").write_text("# Other\n\nText.\n")
    return docs


def build(docs):
    """Build the pages; return the entries that the search knows."""
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", docs, docs / "_build"]
    subprocess.run(command, check=True)
    index = (docs / "_build" / "searchindex.js").read_text(encoding="utf-8")
    return json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))["indexentries"]


@pytest.mark.slow
def test_pages_that_did_not_change_keep_their_search_words(site):
    first = build(site)
    with (site / "index.md").open("a") as page:
        page.write("\nMore.\n")
    second = build(site)
    assert first.keys() == second.keys() == {"start here", "money"}


@pytest.mark.slow
def test_new_search_words_of_a_page_that_did_not_change_are_found(site):
    build(site)
    (site / "search_words.toml").write_text('other = ["price"]\n')
    assert build(site).keys() == {"price"}
