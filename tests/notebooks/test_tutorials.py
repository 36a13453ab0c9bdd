"""The tutorials run from top to bottom on the real harness, and show what they showed."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.refresh import NOTEBOOKS, execute, without_traces

TUTORIALS = ("tour", "tools_and_approvals", "many_agents", "branches")

pytestmark = pytest.mark.slow


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def outputs(notebook):
    return [(cell.source, cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


def printed(name, code):
    """What the cell shows whose code has this in it."""
    [kept] = [kept for source, kept in outputs(read(name)) if code in source]
    return "".join(output.get("text", "") for output in kept)


@pytest.mark.real
@pytest.mark.timeout(180)
@pytest.mark.blocking_allowed  # the command line has its loop to itself
@pytest.mark.parametrize("name", TUTORIALS)
def test_outputs_are_the_committed_ones(name, tmp_path):
    fresh = without_traces(execute(NOTEBOOKS / f"{name}.ipynb", tmp_path))
    for (source, made), (_, kept) in zip(outputs(fresh), outputs(read(name)), strict=True):
        assert made == kept, f"`make notebooks` keeps what is new:\n{source}"


def test_refused_transfer_never_ran():
    shown = printed("tools_and_approvals", "def clerk(request)")
    assert "denied by pre-tool hook: more than 50 euros need a signature" in shown


def test_failing_handler_is_a_denial():
    assert "the approval handler failed" in printed("tools_and_approvals", "def broken(request)")


def test_only_the_permitted_transfer_is_asked_about():
    shown = printed("tools_and_approvals", 'policy.ask_user("transfer")')
    assert [line for line in shown.splitlines() if line.startswith("asked")] == [
        "asked: transfer to Bob"
    ]


def test_every_task_is_done_once():
    done = printed("many_agents", "def take_task()").splitlines()[1:]
    assert done == [f"{task} is on the table" for task in ("cups", "milk", "sugar", "tea")]


def test_error_of_one_agent_is_no_error_of_another():
    shown = printed("many_agents", "return_exceptions=True")
    assert shown.splitlines() == ["['All is well.', 'BackendError']", "I am back."]


def test_tour_denies_what_changes_data_and_replays_without_the_model():
    assert "columns: ['city', 'price', 'note']" in printed("tour", "Drop the column note")
    assert printed("tour", "replayed = await ask()").endswith("new requests to the model: 0\n")


def test_a_fork_does_not_know_later_turns():
    assert printed("branches", "other = await agent.fork(2)").splitlines() == [
        "a week in Rome, by train.",
        "two days in Rome, by train.",
    ]


def test_branches_replay_without_the_model():
    assert printed("branches", "use_cassette").endswith("True - new requests to the model: 0\n")


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_reads_well_and_tells_nothing_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    shown = [output for _, kept in outputs(notebook) for output in kept]
    assert [output for output in shown if output.output_type == "error"] == []
    assert [output for output in shown if output.get("name") == "stderr"] == []
    kinds = [set(output.get("data", {"text/plain": ""})) for output in shown]
    assert all("text/plain" in kind for kind in kinds)  # what every viewer can show
    assert "key" in notebook.cells[0].source  # what one would change
    text = path.read_text(encoding="utf-8")
    traces = (str(NOTEBOOKS.parent), str(Path.home()), tempfile.gettempdir(), "127.0.0.1")
    assert [trace for trace in traces if trace in text] == []


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_approves_nothing_without_looking(path):
    source = "\n".join(source for source, _ in outputs(nbformat.read(path, as_version=4)))
    assert re.findall(r"lambda \w+: True|ask_user=True", source) == []
