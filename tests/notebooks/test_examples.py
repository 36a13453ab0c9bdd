"""The notebook of examples runs from top to bottom on the real harness, and its outputs hold."""

import nbformat
import pytest

from tests.notebooks.refresh import NOTEBOOKS, execute, without_traces

NOTEBOOK = NOTEBOOKS / "examples.ipynb"

pytestmark = pytest.mark.slow


@pytest.mark.real
@pytest.mark.timeout(180)
@pytest.mark.blocking_allowed  # the command line has its loop to itself
def test_outputs_are_the_committed_ones(tmp_path):
    committed = nbformat.read(NOTEBOOK, as_version=4)
    fresh = without_traces(execute(NOTEBOOK, tmp_path))
    for made, kept in zip(fresh.cells, committed.cells, strict=True):
        assert made.get("outputs") == kept.get("outputs"), kept.source


def test_every_kind_of_example_has_a_heading():
    committed = nbformat.read(NOTEBOOK, as_version=4)
    text = "\n".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")
    wanted = {
        "Hello world",
        "Streaming",
        "Custom tools",
        "Tools that remember",
        "Many agents",
        "Policies",
        "person in the loop",
        "Hooks",
        "The model asks a question",
        "Structured",
        "Multimodal",
        "persona",
        "Skills",
        "MCP",
        "Subagents",
        "Persistence",
        "harness's data",
        "Triggers",
        "goes wrong",
        "shell",
        "round of agents",
        "react to each other",
        "Middleware",
        "command line",
        "pipeline of pictures",
        "docs up to date",
        "docstrings",
        "Watch what happens",
    }
    assert {words for words in wanted if words not in text} == set()


def test_what_is_allowed_is_done():
    """A handler that fails is a denial, which the scripted model would not notice."""
    committed = nbformat.read(NOTEBOOK, as_version=4)
    [shown] = [cell.outputs for cell in committed.cells if "def only_the_page" in cell.source]
    assert "`brew()` takes 3 minutes." in shown[0].text
