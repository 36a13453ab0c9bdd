"""The notebook on cassettes runs from top to bottom on the real harness, and its outputs hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.refresh import NOTEBOOKS, execute, without_traces

NOTEBOOK = NOTEBOOKS / "record_and_replay.ipynb"

pytestmark = pytest.mark.slow


def outputs(notebook):
    return [(cell.source, cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


def printed(committed, start):
    """What the cell shows whose code has this in it."""
    [kept] = [kept for source, kept in outputs(committed) if start in source]
    return "".join(output.get("text", "") for output in kept)


@pytest.mark.real
@pytest.mark.timeout(120)
@pytest.mark.blocking_allowed  # the command line has its loop to itself
def test_outputs_are_the_committed_ones(committed, tmp_path):
    fresh = without_traces(execute(NOTEBOOK, tmp_path))
    for (source, made), (_, kept) in zip(outputs(fresh), outputs(committed), strict=True):
        assert made == kept, source


def test_replay_shows_what_the_recording_showed(committed):
    recorded = printed(committed, "recorded = await ask")
    replayed = printed(committed, "replayed = await ask")
    assert recorded.splitlines()[0] == replayed.splitlines()[0]
    assert recorded.splitlines()[1].startswith("2 model calls")
    assert replayed.splitlines()[1].startswith("2 model calls")  # no further one


def test_divergences_are_explained(committed):
    assert "+How is the weather in Rome?" in printed(committed, "weather in Rome?")
    assert "+cloudy, 25 degrees" in printed(committed, 'return f"cloudy')


def test_secrets_are_shown_to_be_out(committed):
    [kept] = [kept for source, kept in outputs(committed) if '"customer 4711" in written' in source]
    assert [out.data["text/plain"] for out in kept if "data" in out] == ["[False, False]"]


def test_committed_notebook_tells_nothing_of_a_machine():
    text = NOTEBOOK.read_text(encoding="utf-8")
    traces = (str(NOTEBOOKS.parent), str(Path.home()), tempfile.gettempdir(), "127.0.0.1")
    assert [trace for trace in traces if trace in text] == []
