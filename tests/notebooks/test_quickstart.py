"""The quickstart runs from top to bottom on the real SDK and harness, and its outputs hold."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from agy_nb import demo, headless
from tests.processes import started

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"

pytestmark = pytest.mark.slow


def outputs(notebook: nbformat.NotebookNode) -> list[tuple[str, list]]:
    return [
        (cell.source, [{k: v for k, v in item.items() if k != "metadata"} for item in cell.outputs])
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """What `agy-nb demo` leaves and says, without a key, in a folder that is not there yet."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    result = subprocess.run(
        [sys.executable, "-m", "agy_nb.cli", "demo", "--output", folder],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    return folder, result


@pytest.mark.real
@pytest.mark.timeout(180)
def test_every_cell_runs(executed):
    _, result = executed
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""


@pytest.mark.real
def test_outputs_are_the_committed_ones(executed):
    folder, _ = executed
    fresh = nbformat.read(folder / QUICKSTART.name, as_version=4)
    assert outputs(fresh) == outputs(nbformat.read(QUICKSTART, as_version=4))


@pytest.mark.real
def test_page_holds_what_the_cells_show(executed):
    folder, _ = executed
    page = (folder / "quickstart.html").read_text(encoding="utf-8")
    assert "I am an agent in your kernel." in page
    assert "cache_read_tokens" in page


@pytest.mark.real
def test_one_line_for_each_cell_and_where_the_files_are(executed):
    folder, result = executed
    cells = len(outputs(nbformat.read(QUICKSTART, as_version=4)))
    assert len(result.stdout.splitlines()) == cells + 3
    assert "the model is a scripted model on this machine" in result.stdout
    assert str(folder / "quickstart.html") in result.stdout


def test_committed_notebook_tells_nothing_of_a_machine():
    text = QUICKSTART.read_text(encoding="utf-8")
    traces = (str(QUICKSTART.parents[1]), str(Path.home()), tempfile.gettempdir(), "127.0.0.1")
    assert [trace for trace in traces if trace in text] == []


def write_notebook(path: Path, *cells: str) -> Path:
    new = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(new, path)
    return path


@pytest.mark.blocking_allowed  # the command line has its loop to itself
def test_failing_cell_is_shown_plainly_and_what_came_before_is_kept(tmp_path):
    source = write_notebook(tmp_path / "bad.ipynb", "print('before')", "x = 1\nx / 0", "print(3)")
    lines: list[str] = []
    with pytest.raises(demo.DemoError) as info:
        demo.run(tmp_path / "out", notebook=source, tell=lines.append)
    assert info.value.cell == 2
    assert str(info.value) == "cell 2 failed\n\nx = 1\nx / 0\n\nZeroDivisionError: division by zero"
    assert any("FAILED" in line for line in lines)
    assert "before" in (tmp_path / "out" / "bad.html").read_text(encoding="utf-8")


@pytest.mark.blocking_allowed  # as above
def test_kernel_that_dies_is_a_clear_error(tmp_path):
    source = write_notebook(tmp_path / "dies.ipynb", "import os; os._exit(7)")
    with pytest.raises(headless.NoKernelError, match=r"the kernel of .* did not start or has ended"):
        demo.run(tmp_path / "out", notebook=source, tell=lambda line: None)


@pytest.mark.blocking_allowed  # as above
def test_registered_kernel_of_another_python_is_not_used(tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["/bin/false"], "display_name": "other", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    source = write_notebook(tmp_path / "which.ipynb", "import sys; print(sys.executable)")
    written = demo.run(tmp_path / "out", notebook=source, tell=lambda line: None)
    [cell] = nbformat.read(written.notebook, as_version=4).cells
    assert cell.outputs[0].text.strip() == sys.executable


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_interrupt_stops_the_kernel_and_says_so(tmp_path):
    source = write_notebook(tmp_path / "long.ipynb", "1", "import time; time.sleep(60)")
    code = (
        "from pathlib import Path; from agy_nb import cli, demo; "
        f"demo._quickstart = lambda: Path({str(source)!r}); raise SystemExit(cli.main())"
    )
    with started(
        [sys.executable, "-c", code, "demo", "--output", tmp_path / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while "1 of 2" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "agy-nb: interrupted\n"


@pytest.mark.blocking_allowed  # as above
def test_missing_extra_is_named(tmp_path, monkeypatch):
    find = headless.find_spec
    monkeypatch.setattr(
        headless, "find_spec", lambda name: None if name == "nbclient" else find(name)
    )
    with pytest.raises(headless.NoKernelError, match=r"nbclient is not installed.*agy-nb\[notebook\]"):
        demo.run(tmp_path)
