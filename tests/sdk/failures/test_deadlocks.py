"""User code that waits for the agent whose turn waits for the tool is refused at once, by name."""

import asyncio
import os
import threading

import pytest

from agy_nb.sdk.interfaces.approval_request import ApprovalRequest
from agy_nb.testing import ScriptedModel, call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


async def text_of_a_later_turn(agent):
    response = await agent.chat("again")
    try:
        return await response.text()
    finally:
        await response.cancel()


async def stream_of_a_later_turn(agent):
    response = await agent.chat("again")
    try:
        return [piece async for piece in response.text_stream()]
    finally:
        await response.cancel()


WAITS = {
    "chat_text": lambda agent: agent.chat_text("again"),
    "wait_for_idle": lambda agent: agent.wait_for_idle(),
    "text of a later turn": text_of_a_later_turn,
    "stream of a later turn": stream_of_a_later_turn,
    "its own turn": lambda agent: agent.latest.text(),
}
SCRIPT = [call("look_up", city="Oslo"), say("Done."), say("Later.")]


async def errors_of_a_turn(agent):
    """The errors of the calls of a turn, which ends well."""
    async with asyncio.timeout(20):
        response = await (await agent.chat("go"))
    assert response.partial_text == "Done."
    return [result.error for result in response.tool_results]


@pytest.mark.parametrize("wait", WAITS)
async def test_tool_that_waits_for_its_own_agent_is_refused(runtime, wait):
    async def look_up(city: str) -> str:
        """Look a city up."""
        return await WAITS[wait](agent)

    async with ScriptedModel(SCRIPT) as model:
        agent = await runtime.create_agent(model.config(), tools=[look_up])
        (error,) = await errors_of_a_turn(agent)
        said = f"the tool 'look_up' waits for agent {agent.id}, whose turn waits for the tool"
        assert said in error
        await agent.shutdown()


async def test_tool_in_the_turn_of_a_trigger_is_refused_too(runtime):
    async def look_up(city: str) -> str:
        """Look a city up."""
        return await agent.chat_text("again")

    async with ScriptedModel(SCRIPT) as model:
        agent = await runtime.create_agent(model.config(), tools=[look_up])
        async with asyncio.timeout(20):
            response = await (await agent.trigger("ring"))
        (error,) = [result.error for result in response.tool_results]
        assert f"the tool 'look_up' waits for agent {agent.id}" in error
        await agent.shutdown()


@pytest.mark.parametrize("method", ["chat_text", "chat"])
async def test_plain_tool_that_blocks_on_its_own_agent_is_refused(runtime, method):
    def look_up(city: str) -> str:
        """Look a city up."""
        return str(getattr(agent.sync, method)("again"))

    async with ScriptedModel(SCRIPT) as model:
        agent = await runtime.create_agent(model.config(), tools=[look_up])
        (error,) = await errors_of_a_turn(agent)
        assert f"the tool 'look_up' waits for agent {agent.id}" in error
        assert await agent.is_idle()
        await agent.shutdown()


async def test_tool_may_ask_another_agent_and_leave_a_task_behind(runtime):
    later = []

    async def look_up(city: str) -> str:
        """Look a city up."""
        later.append(asyncio.ensure_future(agent.chat_text("again")))
        return await other.chat_text("hello")

    async with ScriptedModel(SCRIPT) as model, ScriptedModel([say("From the other.")]) as others:
        agent = await runtime.create_agent(model.config(), tools=[look_up])
        other = await runtime.create_agent(others.config())
        assert await errors_of_a_turn(agent) == [None]
        async with asyncio.timeout(20):
            assert await later[0] == "Later."
        await agent.shutdown()
        await other.shutdown()


async def test_approval_handler_that_waits_for_its_own_agent_denies(runtime):
    ran = []

    async def decide(request):
        return await agent.chat_text(f"may {request.tool} run?") == "yes"

    def look_up(city: str) -> str:
        """Look a city up."""
        ran.append(city)
        return city

    async with ScriptedModel(SCRIPT) as model:
        agent = await runtime.create_agent(model.config(), tools=[look_up], ask_user=decide)
        async with asyncio.timeout(20):
            response = await (await agent.chat("go"))
        reasons = [event.reason for event in response.event_log if event.type == "approval"]
        assert f"the approval handler waits for agent {agent.id}" in reasons[-1]
        assert ran == []
        await agent.shutdown()


async def test_hook_that_waits_for_its_own_agent_fails(runtime):
    from google.antigravity.hooks import hooks

    refused = []

    @hooks.post_tool_call
    async def look(result):
        try:
            await agent.wait_for_idle()
        except Exception as error:
            refused.append(str(error))
            raise

    def look_up(city: str) -> str:
        """Look a city up."""
        return city

    async with ScriptedModel(SCRIPT) as model:
        agent = await runtime.create_agent(model.config(), tools=[look_up], hooks=[look])
        async with asyncio.timeout(20):
            await (await agent.chat("go"))
        assert f"a hook waits for agent {agent.id}" in refused[0]
        await agent.shutdown()


async def test_plain_handlers_that_wait_for_a_person_take_no_thread_of_asyncios(runtime):
    """asyncio has five threads for one processor; a person may leave more calls open."""
    release, asked = threading.Event(), []

    def decide(request):
        asked.append(request.tool)
        return release.wait(20)

    async def look_up(city: str) -> str:
        """Look a city up."""
        return city

    threads = min(32, (os.cpu_count() or 1) + 4)
    async with ScriptedModel(SCRIPT) as model:
        agent = await runtime.create_agent(model.config(), tools=[look_up], ask_user=decide)
        gate = agent._state.gate
        asking = [
            asyncio.ensure_future(gate(ApprovalRequest(tool="look_up", args={"city": "Oslo"})))
            for _ in range(threads + 64)
        ]
        async with asyncio.timeout(20):
            while len(asked) < len(asking):  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert await asyncio.to_thread(lambda: "free") == "free"
            other = await runtime.create_agent(model.config())
        release.set()
        assert all([(await each).allowed for each in asking])
        await agent.shutdown()
        await other.shutdown()
