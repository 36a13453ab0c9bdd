"""Small scenarios of senders that are cancelled: at any moment, they leave nothing behind."""

import asyncio

from agy_nb.errors import InvalidPromptError
from agy_nb.protocol.events import TurnState
from tests.properties.stage import agent_in, ended_once, outcome, runtime_in, scenario
from tests.support.memory import MemoryBackend


def noted(agent):
    """The turns that the agent queues from now on."""
    queued = []
    agent.watch_turns(queued.append)
    return queued


async def cancelled_as_it(world, agent, work):
    """A sender is cancelled at some moment; gives the turns that it queued, once all is quiet."""
    queued = noted(agent)
    sending = asyncio.ensure_future(outcome(work))
    leaving = world.goes("the user goes away", sending)
    await asyncio.wait([sending, leaving])
    world.settle()
    await agent.wait_for_idle()
    for response in queued:
        ended_once(response)
    return sending, queued


@scenario
async def a_cancelled_chat_leaves_no_turn(world):
    async with agent_in(world) as agent:
        world.begin()
        chatting, queued = await cancelled_as_it(world, agent, agent.chat("a"))
        if chatting.cancelled():
            assert {response.state for response in queued} <= {TurnState.CANCELLED}
        else:
            assert chatting.result().state is TurnState.DONE


@scenario
async def a_cancelled_chat_text_leaves_no_turn(world):
    async with agent_in(world) as agent:
        world.begin()
        chatting, queued = await cancelled_as_it(world, agent, agent.chat_text("a"))
        if chatting.cancelled():
            assert {response.state for response in queued} <= {TurnState.CANCELLED, TurnState.DONE}
        else:
            assert chatting.result() == "a"


@scenario
async def a_cancelled_send_leaves_no_turn(world):
    async with agent_in(world) as agent:
        world.begin()
        sending, queued = await cancelled_as_it(world, agent, agent.send("a"))
        if sending.cancelled():
            assert {response.state for response in queued} <= {TurnState.CANCELLED}
        else:
            assert [response.state for response in queued] == [TurnState.DONE]


@scenario
async def one_that_fails_in_a_group_cancels_the_others(world):
    async with agent_in(world) as agent:
        queued = noted(agent)
        world.begin()

        async def ask_all():
            async with asyncio.TaskGroup() as group:
                for prompt in ("a", "", "b"):
                    group.create_task(agent.chat_text(prompt))

        try:
            await ask_all()
        except* InvalidPromptError:
            pass
        world.settle()
        await agent.wait_for_idle()
        for response in queued:
            assert ended_once(response) in {TurnState.CANCELLED, TurnState.DONE}


@scenario
async def a_cancelled_wait_leaves_no_task(world):
    async with agent_in(world) as agent:
        world.begin()
        response = await agent.chat("a")
        waiting = [
            asyncio.ensure_future(outcome(work))
            for work in (agent.wait_for_idle(), agent.wait_for_wakeup(20))
        ]
        leaving = [
            world.goes(f"{who} goes away", each)
            for who, each in zip(("one", "another"), waiting, strict=True)
        ]
        await asyncio.wait([*waiting, *leaving])
        for _ in range(20):
            await asyncio.sleep(0)
        assert agent.runtime.statistics().tasks == 0
        await response
        assert ended_once(response) is TurnState.DONE


@scenario
async def two_cancels_are_for_two_turns_or_one(world):
    """The second is for the turn that is then next: the first one may wind down for long."""

    async def play(turn):
        try:
            await world.at(f"the model answers {turn.prompt!r}")
        finally:
            await asyncio.shield(asyncio.ensure_future(world.at(f"{turn.prompt!r} has halted")))
        turn.say(turn.prompt)

    async with agent_in(world, play) as agent:
        responses = [await agent.chat(prompt) for prompt in "abc"]
        world.begin(seconds=5)
        await agent.cancel()
        over = [response.done for response in responses]
        await agent.cancel()
        assert sum(response.done for response in responses) > sum(over)
        world.settle()
        for response in responses:
            await response
            ended_once(response)


@scenario
async def a_close_that_is_given_up_and_called_again_has_closed(world):
    backend = MemoryBackend()
    async with runtime_in(world, backend=backend) as runtime:
        agents = [await runtime.create_agent({}) for _ in range(2)]
        world.begin()
        response = await agents[0].chat("a")
        closing = asyncio.ensure_future(runtime.close())
        world.goes("the user interrupts the closing", closing)
        await asyncio.wait([closing])
        await runtime.close()
        assert all(session.closed for session in backend.sessions)
        assert runtime.statistics().tasks == 0
        ended_once(response)
