"""docs/reference.md: it says what is public, and it documents each public name."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reference.md").read_text(encoding="utf-8")
PUBLIC = {"agy_nb", "agy_nb.testing", "agy_nb.widgets", "agy_nb.analysis", "agy_nb.errors"}
MODULES = {
    "analysis",
    "errors",
    "testing",
    "widgets",
}  # names of `agy_nb` that are modules themselves


def documented() -> set[str]:
    """The names that the page's directives show, without their modules."""
    shown = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)", PAGE, re.MULTILINE))
    whole = re.findall(
        r"^\.\. automodule:: ([\w.]+)\n   :members:\n   :imported", PAGE, re.MULTILINE
    )
    of_modules = {name for module in whole for name in import_module(module).__all__}
    return of_modules | {name.rpartition(".")[2] for name in shown}


def test_the_page_lists_the_public_modules():
    section = PAGE.partition("## The public surface")[2].partition("\n## ")[0]
    assert set(re.findall(r"^- `([\w.]+)`$", section, re.MULTILINE)) == PUBLIC


def test_every_public_name_is_documented():
    names = {
        name
        for module in PUBLIC - {"agy_nb.errors"}
        for name in import_module(module).__all__
        if name not in MODULES
    }
    on_other_pages = {name for name in names if name.endswith("Error")}  # docs/errors.md
    assert names - on_other_pages - documented() == set()


def test_nothing_private_is_listed_as_importable():
    """What the page shows from a private module is what a public name returns."""
    private = set(
        re.findall(r"^\.\. auto(?:class|function):: (agy_nb(?:\.\w+)+)", PAGE, re.MULTILINE)
    )
    private = {name for name in private if name.rpartition(".")[0] not in PUBLIC}
    returned = {
        "SyncAgent",
        "AbandonedBranch",
        "ResponseStream",
        "runtime",
        "DaskSessions",
        "to_otel",
        "Browser",
        "UsageView",
        "Expectation",
        "Comparison",
        "RunResult",
        "Cost",
    }
    assert {name.rpartition(".")[2] for name in private} == returned
