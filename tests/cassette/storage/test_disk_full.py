"""A disk that fills up ends the recording, not what was recorded until then."""

import asyncio
import json
import subprocess
import sys
import textwrap

import pytest

from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.model_log import read_model
from agy_nb.cassette.storage.ownership import unfinished_of
from tests.processes import output_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the limit is one of POSIX")

FULL = """
import json, resource, signal, sys
from pathlib import Path
from agy_nb.cassette.storage.model_log import ModelLog
from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.storage.format import Header
from agy_nb.cassette.storage.writer import CassetteWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def full_from(size):  # of one file; a full disk gives short writes and an error, too
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def frames(journal, count):
    journal.put(0, "client", 0.0, {"config": {}})
    for number in range(count):
        journal.put(0, "harness", 0.0, {"stepUpdate": {"text": f"{number} " + "x" * 1000}})

path = Path(sys.argv[1])
"""


def partial_of(cassette):
    (folder,) = unfinished_of(cassette)
    return folder


def run(tmp_path, program):
    done = subprocess.run(
        [sys.executable, "-c", FULL + textwrap.dedent(program), tmp_path / "c"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_frames_until_then_survive(tmp_path):
    said = run(tmp_path, """
        journal = CassetteWriter(path, Header())
        full_from(50_500)
        frames(journal, 100)
        try:
            journal.finish()
        except CassetteError as error:
            print(error)
    """)  # fmt: skip
    assert "The partial recording is at" in said
    recording = load(partial_of(tmp_path / "c"))
    assert recording.partial
    assert 40 < len(recording.sessions[0].lines) < 50
    assert f"prune --yes {recording.path}" in said
    assert list(tmp_path.iterdir()) == [recording.path]


def test_header_survives_where_only_its_end_cannot_be_written(tmp_path):
    run(tmp_path, """
        journal = CassetteWriter(path, Header(sdk="1"))
        frames(journal, 3)
        journal._thread.close()
        full_from(10)
        try:
            journal.finish()
        except CassetteError as error:
            print(error)
    """)  # fmt: skip
    recording = load(partial_of(tmp_path / "c"))
    assert recording.header.sdk == "1"
    assert len(recording.sessions[0].lines) == 4
    assert sorted(path.name for path in recording.path.iterdir()) == [
        ".agy-recording", "header.json", "wire.jsonl",
    ]  # fmt: skip


def test_exchanges_until_then_survive(tmp_path):
    (tmp_path / "c").mkdir()
    run(tmp_path, """
        journal = ModelLog(path)
        full_from(50_500)
        made = {"request": {"method": "GET", "uri": "http://x", "headers": {}, "body": "x" * 1000},
                "response": {"status": {"code": 200, "message": ""}, "headers": {},
                             "body": {"string": ""}}}
        for _ in range(100):
            journal.put(lambda: made)
        try:
            journal.finish()
        except OSError as error:
            print(error)
    """)  # fmt: skip
    assert 30 < len(read_model(tmp_path / "c")) < 50


@pytest.mark.real
@pytest.mark.blocking_allowed
async def test_agent_goes_on_and_its_recording_is_kept(tmp_path):
    program = FULL + textwrap.dedent("""
        import asyncio
        from agy_nb import Runtime
        from agy_nb.cassette import use_cassette
        from agy_nb.testing import ScriptedModel, say

        async def main():
            async with ScriptedModel([say("Hello."), say("x" * 40_000), say("Bye.")]) as model:
                try:
                    async with use_cassette(path), Runtime() as runtime:
                        agent = await runtime.create_agent(model.config())
                        print(await agent.chat_text("Hi"))
                        await asyncio.sleep(0.5)
                        (folder,) = path.parent.glob("c.partial-*")
                        wire = folder / "wire.jsonl"
                        full_from(wire.stat().st_size + 10_000)
                        await agent.chat_text("More")
                        print(await agent.chat_text("Bye"))
                except CassetteError as error:
                    print(type(error).__name__)

        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, tmp_path / "c", stdout=subprocess.PIPE
    )
    out, _ = await output_of(process)
    assert out.decode().splitlines() == ["Hello.", "Bye.", "CassetteNotWrittenError"]
    partial = await asyncio.to_thread(partial_of, tmp_path / "c")
    text = await asyncio.to_thread((partial / "wire.jsonl").read_text)
    assert "Hello." in text
    assert all(json.loads(line) for line in text.splitlines()[:-1])
    assert load(partial).sessions
