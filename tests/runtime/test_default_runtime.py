"""The default runtime of a script with several loops, and what a prompt may be made of."""

import asyncio

import pytest

import agy_nb as agy
from agy_nb.protocol.values import MediaPart, SlashCommandPart, TextPart
from agy_nb.runtime import default_runtime
from agy_nb.runtime.turns.prompts import parse_prompt
from tests.support.memory import MemoryBackend


@pytest.fixture(autouse=True)
def none_yet(monkeypatch):
    monkeypatch.setattr(default_runtime, "_made", [])


async def use():
    runtime = agy.runtime()
    runtime._backend = MemoryBackend()
    agent = await agy.create_agent({})
    assert agent.runtime is runtime
    assert await agent.chat_text("here") == "here "
    return runtime


def test_each_loop_of_a_script_gets_a_runtime_of_its_own():
    first = asyncio.run(use())
    second = asyncio.run(use())
    assert first is not second


def test_runtime_that_nothing_runs_on_yet_is_that_of_the_next_loop():
    made = agy.runtime()
    assert asyncio.run(use()) is made


async def test_loops_that_run_at_the_same_time_have_one_runtime_each():
    mine = agy.runtime()
    theirs = await asyncio.to_thread(asyncio.run, use())
    assert theirs is not mine
    assert agy.runtime() is mine
    assert not mine.forked
    await mine.close()


def test_runtimes_whose_loop_is_over_are_forgotten():
    for _ in range(5):
        asyncio.run(use())
    made = agy.runtime()
    assert [each.runtime for each in default_runtime._made] == [made]


async def test_settings_count_when_the_runtime_is_made_and_not_after():
    config = agy.RuntimeConfig(chat_timeout=7)
    made = agy.runtime(config)
    assert agy.runtime(agy.RuntimeConfig(chat_timeout=7)) is made
    with pytest.raises(agy.InvalidConfigError) as caught:
        agy.runtime(agy.RuntimeConfig(chat_timeout=8))
    assert caught.value.field == "config"


async def test_default_runtime_that_was_closed_is_made_anew():
    first = await use()
    await first.close()
    second = await use()
    assert second is not first
    await second.close()


def test_parts_of_the_protocol_are_taken_as_they_are():
    parts = (
        TextPart(text="see"),
        MediaPart(kind="image", mime_type="image/png", data=b"p"),
        SlashCommandPart(name="goal"),
    )
    assert parse_prompt(list(parts)) == parts
    assert parse_prompt(parts[1]) == (parts[1],)


def test_slash_command_of_the_sdk_is_told_by_its_name():
    from google.antigravity import types

    for command in types.BuiltinSlashCommandName:
        expected = (SlashCommandPart(name=command.value),)
        assert parse_prompt(types.SlashCommand(name=command)) == expected
