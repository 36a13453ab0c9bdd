"""What an agent caused to be made on the disk is gone when the agent, or its process, is."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import textwrap

import pytest
from google.antigravity import Agent

import agy_nb as agy
from agy_nb.cassette import use_cassette
from agy_nb.errors import AgyError
from agy_nb.sdk.process import temporary_folders
from agy_nb.testing import ScriptedModel, hang, say
from tests.cassette.scenarios import NO_MODEL

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # looks at folders; the SDK looks for its binary on the loop
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A temporary folder of its own; gives what is in it."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(temporary_folders, "_mine", None)

    def left():
        names = [path for path in folder.rglob("*") if path.name != ".lock"]
        return [path for path in names if not path.name.startswith(temporary_folders.PREFIX)]

    return left


async def test_conversation_is_gone_with_its_agent(place):
    async with ScriptedModel([say("Hello.")] * 3) as model, agy.Runtime() as runtime:
        agent = await runtime.create_agent(model.config())
        assert await agent.chat_text("Hi") == "Hello."
        assert any(path.suffix == ".db" for path in place())
        await agent.shutdown()
        assert place() == []
        agent = await runtime.create_agent(model.config())
        await agent.disconnect()
        assert place() == []
        agent = await runtime.create_agent(model.config())
    assert place() == []  # the runtime has closed it


async def test_conversation_of_a_cancelled_turn_is_gone(place):
    async with ScriptedModel([say("One, ") + hang()]) as model, agy.Runtime() as runtime:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("Count")
        async for _ in response.text_stream():
            break
        await response.cancel()
        await agent.shutdown()
    assert place() == []


async def test_agent_that_does_not_start_leaves_nothing(place):
    async with ScriptedModel([say("Hello.")]) as model, agy.Runtime() as runtime:
        config = model.config()
        with pytest.raises(AgyError, match=r"a new folder \(no save_dir is given\)"):
            await runtime.create_agent(config.model_copy(update={"conversation_id": "a" * 32}))
    assert place() == []


async def test_folder_of_the_users_stays(place, tmp_path):
    async with ScriptedModel([say("Hello.")]) as model, agy.Runtime() as runtime:
        config = model.config().model_copy(update={"save_dir": str(tmp_path / "kept")})
        agent = await runtime.create_agent(config)
        await agent.chat_text("Hi")
        await agent.shutdown()
    assert list((tmp_path / "kept").glob("*.db"))
    assert place() == []


async def test_replay_leaves_nothing(place, tmp_path):
    def config(model):
        return model.config().model_copy(update={"app_data_dir": str(tmp_path / "app")})

    async with ScriptedModel([say("Hello.")]) as model:
        async with use_cassette(tmp_path / "c"), agy.Runtime() as runtime:
            agent = await runtime.create_agent(config(model))
            await agent.chat_text("Hi")
        async with use_cassette(tmp_path / "c", "none"), Agent(config(model)) as agent:
            response = await agent.chat("Hi")
            assert "".join([piece async for piece in response]) == "Hello."
        async with use_cassette(tmp_path / "c", "none"), agy.Runtime() as runtime:
            agent = await runtime.create_agent(config(model))
            await agent.chat_text("Hi")
    assert place() == []
    assert NO_MODEL not in model.base_url


KILLED = textwrap.dedent("""
    import asyncio, sys
    import agy_nb as agy
    from agy_nb.testing import ScriptedModel, say

    async def main():
        async with ScriptedModel([say("Hello.")]) as model, agy.Runtime() as runtime:
            agent = await runtime.create_agent(model.config())
            await agent.chat_text("Hi")
            print("ready", flush=True)
            await asyncio.sleep(3600)

    asyncio.run(main())
""")


async def test_conversation_of_a_process_that_was_killed_is_gone_at_the_next_start(place):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": tempfile.gettempdir()},
    )  # fmt: skip
    try:
        assert await process.stdout.readline() == b"ready\n"
        async with ScriptedModel([say("Hello.")] * 2) as model, agy.Runtime() as runtime:
            await runtime.create_agent(model.config())
            others = [path for path in place() if path.suffix == ".db"]
            assert others  # it lives, so its folder stays
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    temporary_folders._mine = None
    async with ScriptedModel([say("Hello.")]) as model, agy.Runtime() as runtime:
        await runtime.create_agent(model.config())
        assert not set(others) & set(place())
    assert place() == []
