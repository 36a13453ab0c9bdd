"""The notebook on usage runs from top to bottom on the shipped recordings, and its outputs hold."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.refresh import NOTEBOOKS, execute, without_traces

ANALYSIS = NOTEBOOKS / "usage_analysis.ipynb"

pytestmark = pytest.mark.slow


def outputs(notebook):
    return [(cell.source, cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(ANALYSIS, as_version=4)


@pytest.mark.timeout(120)
@pytest.mark.blocking_allowed  # the command line has its loop to itself
def test_outputs_are_the_committed_ones(committed, tmp_path):
    fresh = without_traces(execute(ANALYSIS, tmp_path))
    for (source, made), (_, kept) in zip(outputs(fresh), outputs(committed), strict=True):
        assert made == kept, f"`make notebooks` keeps what is new:\n{source}"


def test_every_question_has_an_answer(committed):
    answers = [kept for _, kept in outputs(committed)]
    assert all(answers)
    kinds = [output.output_type for kept in answers for output in kept]
    assert "error" not in kinds
    assert "stderr" not in [output.get("name") for kept in answers for output in kept]


def test_plots_are_kept_as_pictures(committed):
    pictures = [
        base64.b64decode(output.data["image/png"])
        for _, kept in outputs(committed)
        for output in kept
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 5
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_committed_notebook_tells_nothing_of_a_machine():
    text = ANALYSIS.read_text(encoding="utf-8")
    traces = (str(NOTEBOOKS.parent), str(Path.home()), tempfile.gettempdir(), "127.0.0.1")
    assert [trace for trace in traces if trace in text] == []
