"""docs/llms.txt lists every page of the documentation, for assistants."""

from __future__ import annotations

import re

from tests.docs.generated import llms_page


def test_page_is_what_the_documentation_has():
    found = llms_page.PAGE.read_text(encoding="utf-8")
    assert found == llms_page.page(), "write it again: python -m tests.docs.generated.llms_page"


def test_every_guide_and_notebook_is_listed():
    listed = set(re.findall(rf"\({re.escape(llms_page.SITE)}(.+)\.html\)", llms_page.page()))
    docs = llms_page.DOCS
    pages = {f"{path.relative_to(docs).with_suffix('')}" for path in docs.rglob("*.md")}
    pages = {name for name in pages if not name.startswith(("_build", "decisions/", "jupyter"))}
    notebooks = {path.stem for path in llms_page.NOTEBOOKS.glob("*.ipynb")}
    assert (pages | notebooks) - listed == {"index"}


def test_every_entry_says_what_the_page_is_for():
    entries = [line for line in llms_page.page().splitlines() if line.startswith("- ")]
    assert [line for line in entries if ": " not in line] == []


def test_site_ships_the_file():
    conf = (llms_page.DOCS / "conf.py").read_text(encoding="utf-8")
    assert 'html_extra_path = ["llms.txt"]' in conf
