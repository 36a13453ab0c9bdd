"""Notebooks that nobody sits at: papermill runs them, nbconvert makes pages of them."""

import subprocess
import sys
from pathlib import Path

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

SHIPPED = Path(__file__).parents[3] / "cassettes"
START = """
import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, say

ran = []

def delete(path: str) -> str:
    "Delete a file."
    ran.append(path)
    return "deleted"

answers = [call("delete", path="notes"), say("so it *is* <b>now</b>"), say("More.")]
model = await ScriptedModel(answers).start()
agent = await agy.create_agent(model.config(), tools=[delete], ask_user=agy.widgets.approve())
"""
CELLS = (
    "prompt = 'nobody gave one'",
    START,
    "await agent.chat(prompt)",
    "print(agent.latest.done, ran, model.requests[-1].tool_results[-1].text)",
    f"agy.browse({str(SHIPPED)!r})",
    "agy.usage_ui()",
    "panel = agent.chat_ui()\npanel",
    "print(await agent.chat_text('And then?'))",
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


def html_of(notebook, number: int = 2) -> str:
    """The HTML of a cell."""
    (cell,) = [each for each in notebook.cells if each.source == CELLS[number]]
    return "".join(output.data.get("text/html", "") for output in cell.outputs)


def printed(notebook, number: int) -> str:
    (cell,) = [each for each in notebook.cells if each.source == CELLS[number]]
    return "".join(output.text for output in cell.outputs)  # it may come in pieces


def test_papermill_denies_and_says_why(executed):
    said = printed(executed, 3)
    assert said.startswith("True []")
    assert "does not take input" in said
    assert "Denied" in html_of(executed)


def test_papermill_leaves_html_and_no_widget(executed):
    (cell,) = [each for each in executed.cells if each.source == CELLS[2]]
    (output,) = cell.outputs
    data = output.data
    assert set(data) == {"text/html", "text/markdown", "text/plain"}
    assert "so it <em>is</em> &lt;b&gt;now&lt;/b&gt;" in data["text/html"]
    assert data["text/plain"] == "so it *is* <b>now</b>"


@pytest.mark.parametrize("exporter", [HTMLExporter, MarkdownExporter])
def test_nbconvert_keeps_the_turn(executed, exporter):
    turn = nbformat.from_dict({**executed, "cells": executed.cells[:4], "metadata": {}})
    page, _ = exporter().from_notebook_node(turn)
    assert "so it <em>is</em> &lt;b&gt;now&lt;/b&gt;" in page
    assert "Denied" in page
    assert "widget-view" not in page


def test_recordings_are_listed_before_their_cell_ends(executed):
    html = html_of(executed, 4)
    assert "host_tools" in html
    assert "No recordings" not in html
    assert "Not read" not in html


def test_usage_is_complete_before_its_cell_ends_and_stays_so(executed):
    html = html_of(executed, 5)
    assert "Usage by agent" in html
    assert "Usage by model" in html
    assert "<td>3</td>" in html  # model calls: the third is of a later cell


def test_chat_panel_has_the_turns_before_and_after_it(executed):
    html = html_of(executed, 6)
    assert "Clean up." in html
    assert "so it <em>is</em>" in html
    assert printed(executed, 7) == "More.\n"
    assert "And then?" in html
    assert "More." in html


@pytest.mark.parametrize("exporter", [HTMLExporter, MarkdownExporter])
def test_nbconvert_has_every_view(executed, exporter):
    page, _ = exporter().from_notebook_node(executed)
    for words in ("host_tools", "Usage by agent", "And then?"):
        assert words in page


TERMINAL = f"""
import agy_nb as agy
agy.browse({str(SHIPPED)!r})
"""
AWAITING = """
from agy_nb.testing import ScriptedModel, say
model = await ScriptedModel([say("Hello.")]).start()
agent = await agy.create_agent(model.config())
response = await agent.chat_text("Hi")
get_ipython().displayhook(agy.usage_ui())
agent.chat_ui()
"""


def test_terminal_of_ipython_prints_the_pages_as_text(tmp_path):
    """The first page comes before any event loop has run, others while a cell awaits."""
    cells = (TERMINAL, AWAITING, "agent.chat_ui()", "await agent.shutdown()")
    code = "; ".join(f"get_ipython().run_cell({cell!r})" for cell in cells) + "; None"
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", code]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path
    )
    assert "host_tools: 1 session, 1 turn" in ran.stdout, ran.stderr
    assert "Usage by agent" in ran.stdout
    assert "Not read" not in ran.stdout
    assert ran.stdout.count("The conversation is not loaded yet.") == 1
    assert ran.stdout.count("> Hi\n\nHello.") == 1
    assert "Error" not in ran.stdout + ran.stderr
