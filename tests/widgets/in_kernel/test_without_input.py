"""Notebooks that nobody sits at: papermill runs them, nbconvert makes pages of them."""

import nbformat
import papermill
import pytest
from nbconvert import HTMLExporter, MarkdownExporter

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.blocking_allowed,  # papermill runs a loop of its own here
    pytest.mark.filterwarnings("ignore::DeprecationWarning:papermill"),
]

START = """
import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, say

ran = []

def delete(path: str) -> str:
    "Delete a file."
    ran.append(path)
    return "deleted"

model = await ScriptedModel([call("delete", path="notes"), say("so it *is* <b>now</b>")]).start()
agent = await agy.create_agent(model.config(), tools=[delete], ask_user=agy.widgets.approve())
"""
CELLS = (
    "prompt = 'nobody gave one'",
    START,
    "await agent.chat(prompt)",
    "await agent.latest.wait(); print(ran, model.requests[-1].tool_results[-1].text)",
)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook with an approval, as papermill leaves it."""
    folder = tmp_path_factory.mktemp("papermill")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in CELLS])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, folder / "in.ipynb")
    papermill.execute_notebook(
        folder / "in.ipynb",
        folder / "out.ipynb",
        parameters={"prompt": "Clean up."},
        progress_bar=False,
        execution_timeout=100,
        cwd=folder,
    )
    return nbformat.read(folder / "out.ipynb", as_version=4)


def shown(notebook) -> dict:
    """What the cell with the turn has."""
    (cell,) = [each for each in notebook.cells if each.source == CELLS[2]]
    (output,) = cell.outputs
    return output.data


def test_papermill_denies_and_says_why(executed):
    said = "".join(output.text for output in executed.cells[-1].outputs)  # it may come in pieces
    assert said.startswith("[]")
    assert "does not take input" in said
    assert "Denied" in shown(executed)["text/html"]


def test_papermill_leaves_html_and_no_widget(executed):
    data = shown(executed)
    assert set(data) == {"text/html", "text/plain"}
    assert "so it <em>is</em> &lt;b&gt;now&lt;/b&gt;" in data["text/html"]
    assert data["text/plain"] == "so it *is* <b>now</b>"


@pytest.mark.parametrize("exporter", [HTMLExporter, MarkdownExporter])
def test_nbconvert_keeps_the_turn(executed, exporter):
    page, _ = exporter().from_notebook_node(executed)
    assert "so it <em>is</em> &lt;b&gt;now&lt;/b&gt;" in page
    assert "Denied" in page
    assert "widget-view" not in page
