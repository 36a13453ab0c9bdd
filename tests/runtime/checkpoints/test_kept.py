"""After every turn the conversation is copied; a copy that fails never fails the turn."""

import errno
import sqlite3
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.runtime.checkpoints import page_store
from agy_nb.sdk.process import temporary_folders
from agy_nb.testing import EchoModel

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]


@asynccontextmanager
async def echo_agent(checkpoints="all", **limits):
    config = agy.RuntimeConfig(chat_pause=0, checkpoints=checkpoints, **limits)
    async with EchoModel() as model, agy.Runtime(config) as runtime:
        yield await runtime.create_agent(model.config())


def states(agent) -> list[str]:
    """Each checkpoint as it stands: a copy, the beginning, or why there is none."""
    return [
        "copy" if each.pages else "new" if each.is_new else each.missing
        for each in agent._state.checkpoints.entries
    ]


async def say(agent, *prompts) -> None:
    for prompt in prompts:
        await agent.chat_text(prompt)
    await agent.wait_for_idle()


async def test_every_turn_is_copied():
    async with echo_agent() as agent:
        await say(agent, "one", "two", "three")
        assert states(agent) == ["new", "copy", "copy", "copy"]


async def test_the_copy_is_made_off_the_loop(monkeypatch):
    from agy_nb.runtime.checkpoints import database

    def noting(path):
        threads.append(threading.current_thread())
        return read(path)

    threads, read = [], database.read_pages
    monkeypatch.setattr(database, "read_pages", noting)
    async with echo_agent() as agent:
        await say(agent, "one")
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_nothing_is_copied_when_off():
    async with echo_agent("off") as agent:
        await say(agent, "one")
        assert "keeps no checkpoints" in states(agent)[1]
        assert agent._state.checkpoints.size == 0


async def test_only_the_last_are_kept():
    async with echo_agent("last 2") as agent:
        await say(agent, "one", "two", "three")
        new, first, *rest = states(agent)
        assert (new, rest) == ("new", ["copy", "copy"])
        assert "'last N'" in first


async def test_the_oldest_are_dropped_for_newer_ones():
    async with echo_agent(checkpoint_bytes=1) as agent:
        await say(agent, "one", "two", "three")
        *dropped, last = states(agent)[1:]
        assert last == "copy"
        assert all("checkpoint_bytes" in why for why in dropped)


async def test_the_copies_are_removed_with_the_agent():
    async with echo_agent() as agent:
        await say(agent, "one")
        folder = agent._state.checkpoints._family.store._folder
        assert temporary_folders.is_ours(str(folder))
        await agent.shutdown()
        assert not folder.exists()


async def test_a_full_disk_marks_the_checkpoint_and_the_turn_goes_on(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    async with echo_agent() as agent:
        with monkeypatch.context() as patched:
            patched.setattr(page_store.PageStore, "_write", full)
            assert (await agent.chat_text("one")).startswith("You said: one")
            await agent.wait_for_idle()
        await say(agent, "two")
        new, first, second = states(agent)
        assert "No space left" in first
        assert (new, second) == ("new", "copy")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("create table more (a)", "table 'more' is new"),
        ("alter table steps add column more", "table 'steps' has the columns"),
        ("drop table battle_mode_infos", "table 'battle_mode_infos' is missing"),
        ("pragma user_version = 2", "version 2 instead of 1"),
    ],
)
async def test_another_format_is_not_copied(change, words, monkeypatch):
    from agy_nb.runtime.checkpoints import database

    def changed(path: Path):
        connection = sqlite3.connect(path)
        connection.execute(change)
        connection.close()
        return read(path)

    read = database.read_pages
    monkeypatch.setattr(database, "read_pages", changed)
    async with echo_agent() as agent:
        assert (await agent.chat_text("one")).startswith("You said: one")
        await agent.wait_for_idle()
        assert words in states(agent)[1]


async def test_a_failed_turn_has_a_checkpoint_too():
    async with echo_agent(max_turn_tokens=1) as agent:
        with pytest.raises(agy.AgyError):
            await agent.chat_text("one")
        await agent.wait_for_idle()
        assert len(states(agent)) == 2


@pytest.mark.parametrize("wrong", ["some", "last", "last 0", "last -1", "last 1.5", 3, "", True])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(agy.InvalidConfigError, match="'last N'"):
        agy.RuntimeConfig(checkpoints=wrong)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many", None])
def test_wrong_sizes_are_refused(wrong):
    with pytest.raises(agy.InvalidConfigError, match="checkpoint_bytes"):
        agy.RuntimeConfig(checkpoint_bytes=wrong)


def test_settings_are_read():
    kept = [agy.RuntimeConfig(checkpoints=each) for each in ("off", "last 3", "all", None)]
    assert [each.kept_checkpoints(default="off") for each in kept] == [0, 3, None, 0]
