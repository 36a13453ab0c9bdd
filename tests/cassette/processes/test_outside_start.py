"""Harnesses that a program starts by itself are recorded, replayed and blocked like all others."""

import asyncio
import socket
import subprocess
import sys

import pytest
from google.antigravity.connections.local import local_connection
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from agy_nb.cassette import CassetteMismatchError, CassetteNotFoundError, use_cassette
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.errors import HarnessError
from agy_nb.testing import ScriptedModel, say
from tests.cassette.scenarios import NO_MODEL
from tests.processes import output_of
from tests.programs.concurrency.harness_pool import Harness, ask

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the program waits for processes of its own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
async def model(tmp_path, monkeypatch):
    async with ScriptedModel(lambda request: say(f"You said {_word(request)}")) as running:
        monkeypatch.setenv("PROGRAM_MODEL", running.base_url)
        monkeypatch.setenv("PROGRAM_KEY", "scripted-key-0")
        monkeypatch.setenv("PROGRAM_FOLDER", str(tmp_path / "program"))
        yield running


@pytest.fixture
async def harness():
    pool = Harness()
    yield pool
    await pool.stop()


async def both(harness):
    return await asyncio.gather(ask(harness, "one"), ask(harness, "two"))


async def test_conversations_of_one_process_are_recorded_and_replayed(
    model, harness, tmp_path, monkeypatch
):
    async with use_cassette(tmp_path / "c", "all"):
        live = await both(harness)
    await harness.stop()
    assert live == ["You said one", "You said two"]
    assert len(load(tmp_path / "c").sessions) == 2
    assert not load(tmp_path / "c").partial

    monkeypatch.setenv("PROGRAM_MODEL", NO_MODEL)
    monkeypatch.delenv("PROGRAM_KEY")
    asked = len(model.requests)
    async with use_cassette(tmp_path / "c", "none"):
        assert await both(harness) == live
    assert len(model.requests) == asked


async def test_missing_cassette_refuses_the_harness(model, harness, tmp_path):
    with pytest.raises(CassetteNotFoundError):
        async with use_cassette(tmp_path / "none", "none"):
            await ask(harness, "one")
    assert not model.requests


async def test_replay_answers_for_a_harness_that_runs_already(model, harness, tmp_path):
    async with use_cassette(tmp_path / "c", "all"):
        live = await ask(harness, "one")
    asked = len(model.requests)
    async with use_cassette(tmp_path / "c", "none"):
        assert await ask(harness, "one") == live
    assert len(model.requests) == asked


async def test_other_prompt_is_a_mismatch(model, harness, tmp_path):
    async with use_cassette(tmp_path / "c", "all"):
        await ask(harness, "one")
    with pytest.raises(CassetteMismatchError, match="prompt"):
        async with use_cassette(tmp_path / "c", "none"):
            await ask(harness, "four")


async def test_new_conversation_is_added(model, harness, tmp_path):
    async with use_cassette(tmp_path / "c", "all"):
        await ask(harness, "one")
    async with use_cassette(tmp_path / "c", "new_episodes"):
        assert await ask(harness, "one") == "You said one"
        assert await ask(harness, "two") == "You said two"
    assert len(load(tmp_path / "c").sessions) == 2


async def test_model_seam_replays_the_model_of_the_programs_harness(model, harness, tmp_path):
    async with use_cassette(tmp_path / "c", "all"):
        live = await ask(harness, "one")
    await harness.stop()
    asked = len(model.requests)
    async with use_cassette(tmp_path / "c", "none", seam="model"):
        assert await ask(harness, "one") == live
    assert len(model.requests) == asked


async def test_harness_of_a_replay_cannot_be_used_for_a_recording(model, harness, tmp_path):
    async with use_cassette(tmp_path / "c", "all"):
        await ask(harness, "one")
    await harness.stop()
    async with use_cassette(tmp_path / "c", "none"):
        await ask(harness, "one")
    with pytest.raises(HarnessError, match="while a cassette was replayed"):
        async with use_cassette(tmp_path / "d", "all"):
            await ask(harness, "one")


@pytest.mark.filterwarnings("error::RuntimeWarning")
async def test_harness_whose_socket_is_not_seen_is_reported(model, harness, tmp_path):
    with pytest.raises(RuntimeWarning, match="started a harness by itself"):
        async with use_cassette(tmp_path / "c", "all"):
            await harness.start(local_connection._get_default_binary_path(None), "")


async def test_replayed_harness_does_not_listen(cassette, frames, harness):
    path = cassette([frames.config(), frames.ready()])
    async with use_cassette(path, "none", allow_unplayed=True):
        await harness.start(local_connection._get_default_binary_path(None), "")
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", harness.address.port))


async def test_other_processes_and_sockets_are_left_alone(cassette, frames):
    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    path = cassette([frames.config(), frames.ready()])
    async with (
        use_cassette(path, "none", allow_unplayed=True),
        serve(echo, "127.0.0.1", 0) as other,
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print(3)", stdout=subprocess.PIPE
        )
        assert await output_of(process) == (b"3\n", None)
        port = other.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        async with connect(
            f"ws://127.0.0.1:{port}/live", additional_headers={"x-goog-api-key": "k"}
        ) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"


async def test_nothing_stays_replaced_after_the_block(cassette, frames):
    before = subprocess.Popen.__init__, connect.__await__
    async with use_cassette(cassette([frames.config()]), "none", allow_unplayed=True):
        assert subprocess.Popen.__init__ is not before[0]
    assert (subprocess.Popen.__init__, connect.__await__) == before


def _word(request):
    return request.user_text.split()[-1]
