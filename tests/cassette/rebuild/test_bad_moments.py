"""`agy.fork` of recordings that are unusual, or at a bad moment: an error, and nothing is left."""

import asyncio
import errno
import json
import shutil
import threading
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.cassette.rebuild import rebuild
from agy_nb.cassette.shim import real_harness
from agy_nb.cassette.storage.format import HEADER, WIRE
from agy_nb.sdk.process import temporary_folders
from agy_nb.testing import EchoModel, ScriptedModel, say
from tests.cassette.rebuild.test_fork_recording import record, said

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]

CASSETTES = Path(__file__).parents[3] / "cassettes"


@pytest.fixture
def folders(monkeypatch):
    """The private folders of conversations that were made."""

    def noting():
        made.append(Path(new_folder()))
        return str(made[-1])

    made, new_folder = [], temporary_folders.new_folder
    monkeypatch.setattr(temporary_folders, "new_folder", noting)
    return made


async def test_forks_of_one_recording_at_once():
    async with ScriptedModel(lambda request: say(f"{len(request.user_texts)}")) as model:
        forks = await asyncio.gather(
            *(agy.fork(CASSETTES / "plain_chat", turn, config=model.config()) for turn in (1, 2, 1))
        )
        answers = await asyncio.gather(*(fork.chat_text("next") for fork in forks))
    assert answers == ["2", "3", "2"]


async def test_a_full_disk_starts_no_agent_and_leaves_nothing(monkeypatch, folders):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rebuild.shutil, "move", full)
    async with EchoModel() as model:
        with pytest.raises(agy.RebuildError, match=r"disk cannot be used: .*No space left"):
            await agy.fork(CASSETTES / "plain_chat", config=model.config())
    assert agy.runtime().agent_ids == ()
    assert [folder.exists() for folder in folders] == [False]


async def test_a_turn_of_a_trigger_is_refused_and_those_before_are_rebuilt(tmp_path):
    async with (
        ScriptedModel(lambda request: say(f"re: {request.user_text[-20:]}")) as model,
        agy.use_cassette(tmp_path / "c", "all"),
    ):
        agent = await agy.create_agent(model.config())
        await agent.chat_text("one")
        await (await agent.trigger("the file changed"))
        await agent.wait_for_idle()
        history = await said(agent)
        await agent.shutdown()
    async with EchoModel() as model:
        with pytest.raises(agy.RebuildError, match=r"turn 2 .* with a trigger.*turn=1"):
            await agy.fork(tmp_path / "c", config=model.config())
        agent = await agy.fork(tmp_path / "c", 1, config=model.config())
        assert await said(agent) == history[:2]


async def test_a_recording_that_was_cut_off_continues_after_its_last_whole_turn(tmp_path):
    await record(tmp_path / "c", "one", "two")
    wire = tmp_path / "c" / WIRE
    lines = wire.read_text().splitlines(keepends=True)
    second = next(n for n, line in enumerate(lines) if '"two"' in line and "userInput" in line)
    wire.write_text("".join(lines[: second + 2]))
    async with EchoModel() as model:
        with pytest.raises(agy.RebuildError, match=r"turn 2 .* has no end .*turn=1"):
            await agy.fork(tmp_path / "c", config=model.config())
        agent = await agy.fork(tmp_path / "c", 1, config=model.config())
        assert await said(agent) == [("user", "one"), ("model", "re: one")]


async def test_a_recording_of_another_sdk_is_rebuilt_if_the_result_is_equal(tmp_path):
    copy = shutil.copytree(CASSETTES / "plain_chat", tmp_path / "c")
    header = json.loads((copy / HEADER).read_text())
    header["sdk"] = "0.1.15"
    (copy / HEADER).write_text(json.dumps(header))
    async with EchoModel() as model:
        agent = await agy.fork(copy, 1, config=model.config())
        assert await said(agent) == [("user", "Say hello"), ("model", "Hello")]


@pytest.mark.parametrize("mode", ["all", "none"])
async def test_a_fork_that_is_cancelled_in_a_cassette_is_not_part_of_it(
    tmp_path, mode, monkeypatch
):
    async def connected(*arguments):
        started.set()
        return await connect(*arguments)

    async def work(model, mode, *, cancels):
        async with agy.use_cassette(tmp_path / "new", mode):
            if cancels:
                fork = asyncio.ensure_future(agy.fork(tmp_path / "old", config=model.config()))
                await asyncio.to_thread(started.wait, 20)
                fork.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await fork
                assert agy.runtime().agent_ids == ()
            agent = await agy.fork(tmp_path / "old", config=model.config())
            text = await agent.chat_text("three")
            await agent.shutdown()
        return text

    started, connect = threading.Event(), real_harness.RealHarness.connect
    monkeypatch.setattr(real_harness.RealHarness, "connect", connected)
    await record(tmp_path / "old", "one", "two")
    async with ScriptedModel(lambda request: say(f"{len(request.user_texts)}")) as model:
        if mode == "none":
            await work(model, "all", cancels=False)
            started.clear()
        assert await work(model, mode, cancels=True) == "3"
        assert await work(model, "none", cancels=False) == "3"
        assert len(model.requests) == 1
