"""Programs that use the SDK in their own ways, recorded and replayed without a change.

Each program prints the same four times: recorded and replayed in process, and recorded and replayed
through `agy-nb harness`. The replays have no model, no key and, at the wire, no harness.
"""

import asyncio
import contextlib
import copyreg
import gc
import io
import runpy
import shutil
import tempfile
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from agy_nb import cli
from agy_nb.cassette import CassetteActiveError, use_cassette
from agy_nb.cassette.storage.format import read_header
from agy_nb.testing import ScriptedModel, ScriptUsage
from tests.cassette.scenarios import NO_MODEL
from tests.programs.scripts import ASKS_AGAIN, SCRIPTS, SEVERAL_PROCESSES

PROGRAMS = {path.stem: path for path in (Path(__file__).parents[2] / "programs").rglob("*.py")}
IN_PROCESS = sorted(SCRIPTS.keys() - SEVERAL_PROCESSES)

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # these programs are not ours
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    # Forking a process with threads is what the program does.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@contextlib.contextmanager
def serving(script):
    """Run a scripted model in a thread, as the programs run event loops of their own."""
    ready, over = threading.Event(), None
    address, failed = [], []

    async def serve():
        nonlocal over
        over = asyncio.Event()
        try:
            async with ScriptedModel(script) as model:
                address.extend((model.base_url, asyncio.get_running_loop()))
                ready.set()
                await over.wait()
        except Exception as error:  # what the script has not answered
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    try:
        yield address[0]
    finally:
        address[1].call_soon_threadsafe(over.set)
        thread.join()
    if failed:
        raise failed[0]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a program; gives what it printed."""

    def program(name, *, model, folder="program"):
        monkeypatch.setenv("PROGRAM_MODEL", model)
        monkeypatch.setenv("PROGRAM_FOLDER", str(tmp_path / folder))
        if model == NO_MODEL:
            monkeypatch.delenv("PROGRAM_KEY", raising=False)
        else:
            monkeypatch.setenv("PROGRAM_KEY", "scripted-key-0")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            runpy.run_path(str(PROGRAMS[name]), run_name="__main__")
            gc.collect()
        return printed.getvalue()

    return program


@pytest.mark.parametrize("name", IN_PROCESS)
def test_program_replays_in_process(name, run, tmp_path):
    with serving(SCRIPTS[name](tmp_path / "program")) as model, use_cassette(tmp_path / "c"):
        live = run(name, model=model)
    assert live.strip()
    with use_cassette(tmp_path / "c", "none", **ASKS_AGAIN.get(name, {})):
        assert run(name, model=NO_MODEL) == live


@pytest.mark.parametrize("name", ["tools", "files", "workflow", "harness_pool"])
def test_program_runs_with_the_recorded_model_in_another_folder(name, run, tmp_path):
    with serving(SCRIPTS[name](tmp_path / "program")) as model, use_cassette(tmp_path / "c"):
        live = run(name, model=model)
    with use_cassette(tmp_path / "c", "none", seam="model"):
        assert run(name, model=NO_MODEL, folder="elsewhere") == live
    if name == "files":
        assert (tmp_path / "elsewhere/work/notes.txt").read_text() == "one\ntwo\n"


@pytest.fixture
def harness(tmp_path, monkeypatch, capsys):
    """Have programs start `agy-nb harness` in the place of the harness."""
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))

    def use(*options):
        path = tmp_path / f"harness{options[0]}"
        assert cli.main(["harness", *map(str, options), "--write-launcher", str(path)]) == 0
        capsys.readouterr()
        monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", str(path))
        monkeypatch.setenv("PROGRAM_HARNESS", str(path))

    return use


RECORDED_TWICE = ("process_pool", "resume", "subagents", "tools")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SCRIPTS.keys() - set(RECORDED_TWICE)))
def test_program_replays_through_the_harness_command(name, run, harness, tmp_path):
    harness("--record", tmp_path / "c")
    with serving(SCRIPTS[name](tmp_path / "program")) as model:
        live = run(name, model=model)
    assert live.strip()
    asking = [f"--{what}={how}" for what, how in ASKS_AGAIN.get(name, {}).items()]
    harness("--replay", tmp_path / "c", *asking)
    assert run(name, model=NO_MODEL) == live


def counted(script):
    """Have each turn report the same tokens.

    Counted by length, they would differ with the length of the harness's random ids.
    """
    usage = ScriptUsage(prompt=1000, candidates=10)
    if callable(script):
        return lambda request: replace(script(request), usage=usage)
    return [
        (turn[0], counted(turn[1])) if isinstance(turn, tuple) else replace(turn, usage=usage)
        for turn in script
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED_TWICE)
def test_program_is_recorded_again_without_a_change_and_replays(name, run, harness, tmp_path):
    def recorded():
        harness("--record", tmp_path / "c")
        with serving(counted(SCRIPTS[name](tmp_path / "program"))) as model:
            live = run(name, model=model)
        files = {file.name: file.read_bytes() for file in (tmp_path / "c").iterdir()}
        shutil.rmtree(tmp_path / "program")
        return live, files

    live, _ = recorded()
    assert live.strip()
    assert cli.main(["cassette", "label", str(tmp_path / "c"), "--set", "user=ada"]) == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "c").iterdir()}
    assert recorded() == (live, before)
    assert read_header(tmp_path / "c").labels == {"user": "ada"}
    asking = [f"--{what}={how}" for what, how in ASKS_AGAIN.get(name, {}).items()]
    harness("--replay", tmp_path / "c", *asking)
    assert run(name, model=NO_MODEL) == live


@pytest.mark.parametrize("name", sorted(SEVERAL_PROCESSES))
def test_program_with_several_processes_is_refused_in_process(name, run, tmp_path, monkeypatch):
    # `distributed`, which other tests load, sends the whole stack with an error. Here it has pytest
    # in it, and is too deep.
    monkeypatch.delitem(copyreg.dispatch_table, CassetteActiveError, raising=False)
    with (
        serving(SCRIPTS[name](tmp_path / "program")) as model,
        use_cassette(tmp_path / "c"),
        pytest.raises(CassetteActiveError, match="forked while the cassette"),
    ):
        run(name, model=model)
