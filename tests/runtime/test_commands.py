"""Each command and its reply, on the backend in memory."""

import asyncio
import inspect
from typing import get_args

import pytest

import agy_nb as agy
from agy_nb.protocol import commands as c, replies as r
from agy_nb.protocol.values import TextPart
from tests.runtime.conftest import agent_with, first_piece, hangs, runtime_with
from tests.support.memory import MemoryBackend

PROMPT = (TextPart(text="one two"),)
OF_AN_AGENT = [
    c.ShutdownAgent,
    c.Cancel,
    c.WaitForIdle,
    c.SignalIdle,
    c.ClearHistory,
    c.Delete,
    c.Disconnect,
    c.GetHistory,
    c.GetTurnCount,
    c.GetTotalUsage,
    c.GetLastTurnUsage,
    c.GetCompactionIndices,
    c.GetLastResponse,
    c.IsIdle,
]


async def test_every_command_but_shutdown_has_one_handler():
    async with runtime_with() as runtime:
        await runtime.create_agent({})
        members = set(get_args(get_args(c.Command)[0]))
        assert set(runtime._handlers.table) == members - {c.Shutdown}


async def test_handler_of_a_query_cannot_wait():
    async with runtime_with() as runtime:
        await runtime.create_agent({})
        for command, handler in runtime._handlers.table.items():
            is_query = command.kind is c.Kind.QUERY
            assert inspect.iscoroutinefunction(handler) is not is_query, command


async def test_create_agent_gives_the_next_number():
    async with runtime_with() as runtime:
        assert await runtime.request(c.CreateAgent()) == r.AgentCreated(agent_id=1)
        assert await runtime.request(c.CreateAgent()) == r.AgentCreated(agent_id=2)
        assert runtime.agent_ids == (1, 2)


@pytest.mark.parametrize("command", OF_AN_AGENT)
async def test_unknown_agent_is_an_error_and_no_hang(command):
    async with runtime_with() as runtime:
        reply = await runtime.request(command(agent_id=7))
        assert isinstance(reply, r.Failed)
        assert "no agent 7" in reply.error.message


async def test_chat_starts_a_turn_whose_handle_can_be_had_by_its_number():
    async with runtime_with() as runtime:
        await runtime.request(c.CreateAgent())
        reply = await runtime.request(c.Chat(agent_id=1, prompt=PROMPT))
        assert reply == r.ChatStarted(agent_id=1, turn_id=1)
        assert reply.response is runtime.response(1)
        assert await runtime.response(1).text() == "one two "


async def test_send_does_not_wait_for_the_turn():
    async with agent_with(hangs) as agent:
        await agent.send("go")
        assert not await agent.is_idle()


async def test_queries_tell_of_the_conversation():
    async with agent_with() as agent:
        assert (await agent.turn_count(), await agent.total_usage()) == (0, None)
        assert await agent.last_response() is None
        await agent.chat_text("one two")
        assert await agent.turn_count() == 1
        assert (await agent.total_usage()).total_tokens == 15
        assert (await agent.last_turn_usage()).total_tokens == 15
        assert await agent.last_response() == "one two "
        assert [message.role for message in await agent.history()] == ["user", "model"]
        assert await agent.compaction_indices() == ()
        assert await agent.is_idle()


async def test_clear_history_forgets_this_sides_transcript():
    async with agent_with() as agent:
        await agent.chat_text("one")
        await agent.clear_history()
        assert await agent.history() == ()
        assert await agent.turn_count() == 0


async def test_cancel_ends_the_running_turn_and_not_the_next():
    async def play(turn):
        if turn.number == 1:
            await hangs(turn)
        turn.say("done")

    async with agent_with(play) as agent:
        first, second = await agent.chat("a"), await agent.chat("b")
        await first_piece(first)
        await agent.cancel()
        assert first.state == "cancelled"
        assert await second.text() == "done"


async def test_cancel_of_an_idle_agent_does_nothing():
    async with agent_with() as agent:
        await agent.cancel()
        assert await agent.chat_text("one") == "one "


async def test_wait_for_idle_waits_for_every_turn():
    async with agent_with() as agent:
        responses = [await agent.chat("x") for _ in range(3)]
        await agent.wait_for_idle()
        assert all(response.done for response in responses)


async def test_signal_idle_releases_who_waits_though_the_turn_goes_on():
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        waiting = asyncio.create_task(agent.wait_for_idle())
        await first_piece(response)
        await agent.signal_idle()
        await waiting
        assert not response.done


async def test_wakeup_comes_with_a_turn():
    async with agent_with() as agent:
        waiting = asyncio.create_task(agent.wait_for_wakeup(60))
        await asyncio.sleep(0)
        await agent.send("go")
        assert await waiting is True


async def test_delete_removes_the_state_after_a_slow_exit_too():
    backend = MemoryBackend()
    async with runtime_with(backend=backend, exit_timeout=0.05) as runtime:
        agent = await runtime.create_agent({})
        backend.sessions[0].close = asyncio.Event().wait
        with pytest.raises(agy.AgyTimeoutError):
            await agent.delete()
        assert backend.sessions[0].deleted


async def test_delete_removes_the_state_after_the_exit():
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        agent = await runtime.create_agent({})
        await agent.delete()
        assert (backend.sessions[0].closed, backend.sessions[0].deleted) == (True, True)


async def test_disconnect_keeps_the_state():
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        agent = await runtime.create_agent({})
        await agent.disconnect()
        assert (backend.sessions[0].closed, backend.sessions[0].deleted) == (True, False)


async def test_failed_create_is_the_error_and_leaves_no_agent():
    refused = agy.InvalidConfigError("no such model", field="model")
    async with runtime_with(backend=MemoryBackend(fails_to_open=refused)) as runtime:
        with pytest.raises(agy.InvalidConfigError, match="no such model"):
            await runtime.create_agent({})
        assert runtime.agent_ids == ()
