"""A client that polls the SDK's `is_idle` gets the answer, also without waiting in the replay."""

import asyncio
import time

import pytest
from google.antigravity import Agent

from agy_nb.cassette import use_cassette
from agy_nb.testing import ScriptedModel, call, words
from tests.cassette.scenarios import NO_MODEL, Setting

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # the SDK waits for its process

ANSWERS = ["Hello to you.", "And again."]


def get_number() -> int:
    """Give a number."""
    return 7


async def polled(setting, pause):
    """Look from time to time whether the agent is idle, and read steps while it is not."""
    found = []
    async with Agent(setting.config(tools=[get_number])) as agent:
        for prompt in ("Hello", "Again"):
            conversation = agent.conversation
            await conversation.send(prompt)
            await asyncio.sleep(pause)
            while not conversation.is_idle:
                async for _ in conversation.receive_steps():
                    pass
                await asyncio.sleep(pause)
            found.append(conversation.last_response)
    return found


async def unread(setting):
    """Send without reading, as a program that only wants the tool to run."""
    async with Agent(setting.config(tools=[get_number])) as agent:
        await agent.conversation.send("Hello")
        await agent.conversation.wait_for_idle()
        await agent.conversation.send("Again")


async def record(path, folder, play, *rest):
    script = [call("get_number"), words(ANSWERS[0]).having(delay_s=0.1), words(ANSWERS[1])]
    async with ScriptedModel(script) as model, use_cassette(path, "all"):
        return await play(Setting(model.base_url, folder), *rest)


@pytest.mark.parametrize("pause", [0, 0.01, 0.2])
async def test_polling_client_gets_the_recorded_answer(tmp_path, pause):
    assert await record(tmp_path / "c", tmp_path / "then", polled, 0.01) == ANSWERS
    async with use_cassette(tmp_path / "c", "none"):
        assert await polled(Setting(NO_MODEL, tmp_path / "now"), pause) == ANSWERS


async def test_client_that_reads_nothing_waits_shortly(tmp_path):
    await record(tmp_path / "c", tmp_path / "then", unread)
    began = time.monotonic()
    async with use_cassette(tmp_path / "c", "none", allow_unplayed=True):
        await unread(Setting(NO_MODEL, tmp_path / "now"))
    assert time.monotonic() - began < 10
