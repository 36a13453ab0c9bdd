"""Forks and rewinds that cannot work, or that come at a bad moment: nothing is lost."""

import asyncio
import json
import sqlite3
import sys
from pathlib import Path

import pytest
from google.antigravity import types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.runtime.checkpoints.workspace_copy import MOST_BYTES
from agy_nb.testing import call, say
from tests.runtime.checkpoints.test_branches import (
    asked,
    fill_context,
    say_all,
    scripted,
    tool_that_waits,
)
from tests.sdk.needs import needs_sdk

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]
MCP_SERVER = Path(__file__).parents[2] / "sdk" / "mcp_server.py"


async def test_a_rewind_during_a_turn_waits_for_its_end():
    wait_here, tool_runs, go_on = tool_that_waits()
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config(), tools=[wait_here])
        await say_all(agent, 1)
        model.next += [call("wait_here"), say("after the tool")]
        response = await agent.chat("prompt-2")
        await tool_runs.wait()
        going_back = asyncio.ensure_future(agent.rewind(1))
        await agent.runtime.request(agy.protocol.commands.IsIdle(agent_id=agent.id))
        assert not going_back.done()
        go_on.set()
        await going_back
        assert response.done
        assert await response.text() == "after the tool"
        await agent.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-3"]
        assert [each.turns for each in agent.abandoned] == [2]


async def test_a_fork_and_a_rewind_at_once():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2, 3)
        fork, _ = await asyncio.gather(agent.fork(2), agent.rewind(1))
        await fork.chat_text("prompt-4")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-4"]
        await agent.chat_text("prompt-5")
        assert asked(model) == ["prompt-1", "prompt-5"]


async def test_a_turn_may_be_a_number_of_a_table_and_nothing_else_but_a_number():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        number = runtime.tables.turns["turn_id"].iloc[0]
        await agent.rewind(number)
        fork = await agent.fork(number)
        assert [len(await each.history()) for each in (agent, fork)] == [2, 2]
        assert agent.abandoned[0].turn_ids == (2,)
        for wrong in ("1", 1.0, True):
            for attempt in (agent.fork, agent.rewind):
                with pytest.raises(agy.errors.InvalidInputError, match="turn must be a whole"):
                    await attempt(wrong)
        with pytest.raises(agy.errors.InvalidInputError, match="got None; use -1"):
            await agent.rewind(None)


async def test_a_checkpoint_whose_file_is_gone_forks_nothing():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        for file in agent._state.checkpoints._family.store._folder.iterdir():
            file.unlink()
        for attempt in (agent.fork, agent.rewind):
            with pytest.raises(agy.CheckpointError, match="after turn 1 cannot be restored"):
                await attempt(1)
        assert len(runtime.agent_ids) == 1
        assert agent.abandoned == ()
        await agent.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-3"]


async def test_an_unknown_format_forks_nothing_and_the_agent_goes_on(monkeypatch):
    from agy_nb.runtime.checkpoints import database

    def changed(copy, path):
        copy.execute("pragma user_version = 7")
        check(copy, path)

    check = database._check_format
    monkeypatch.setattr(database, "_check_format", changed)
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        for attempt, turn in ((agent.fork, 1), (agent.fork, None), (agent.rewind, 1)):
            with pytest.raises(agy.CheckpointError, match="version 7"):
                await attempt(turn)
        assert len(runtime.agent_ids) == 1
        await agent.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-3"]


async def test_a_damaged_conversation_is_not_copied(monkeypatch):
    from agy_nb.runtime.checkpoints import database

    def damaged(path):
        raise sqlite3.DatabaseError("database disk image is malformed")

    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        with monkeypatch.context() as patched:
            patched.setattr(database.sqlite3, "connect", lambda *_, **__: damaged(None))
            await say_all(agent, 1)
            await agent.wait_for_idle()
            with pytest.raises(agy.CheckpointError, match="malformed"):
                await agent.fork()
        assert len(runtime.agent_ids) == 1
        fork = await agent.fork()  # the state is copied now
        await fork.chat_text("prompt-2")
        assert asked(model) == ["prompt-1", "prompt-2"]


async def test_a_workspace_of_2_gb_is_shared_and_never_copied(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2 * MOST_BYTES)  # takes no space
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config(workspaces=[str(tmp_path)]))
        await say_all(agent, 1)
        with pytest.raises(agy.InvalidInputError, match="too large to copy"):
            await agent.fork(1, workspace="copy")
        assert len(runtime.agent_ids) == 1
        fork = await agent.fork(1)
        assert fork.workspaces == (str(tmp_path),)


# -- agents whose state is more than prompts and answers go back ---------------------------------


async def test_an_mcp_agent_goes_back():
    server = types.McpStdioServer(name="shop", command=sys.executable, args=[str(MCP_SERVER)])
    async with scripted() as (runtime, model):
        config = model.config(mcp_servers=[server], policies=[policy.allow_all()])
        agent = await runtime.create_agent(config)
        await say_all(agent, 1, 2)
        await agent.rewind(1)
        price = call(
            "call_mcp_tool", ServerName="shop", ToolName="price", Arguments={"item": "tea"}
        )
        model.next += [price, say("done")]
        response = await (await agent.chat("prompt-3"))
        assert response.error is None
        assert "tea costs" in json.dumps(model.requests[-1].body["contents"])
        assert asked(model) == ["prompt-1", "prompt-3"]


async def test_an_agent_goes_back_before_the_turn_of_a_trigger():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1)
        await (await agent.trigger("prompt-2"))
        await agent.wait_for_idle()
        await agent.rewind(1)
        await (await agent.trigger("prompt-3"))
        await agent.wait_for_idle()
        text = json.dumps(model.requests[-1].body["contents"])
        assert "prompt-1" in text
        assert "prompt-2" not in text
        assert "prompt-3" in text


@needs_sdk("0.1.22", "its harness has a smaller prompt of its own, and so compacts later")
async def test_a_compacted_conversation_goes_back_before_its_compaction():
    compaction = types.CompactionConfig(token_threshold=18_000)
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config(compaction_config=compaction))
        await fill_context(agent, model)
        await agent.rewind(1)
        await agent.chat_text("prompt-11")
        assert "<summary>" not in json.dumps(model.requests[-1].body)
        assert asked(model) == ["prompt-1", "prompt-11"]
