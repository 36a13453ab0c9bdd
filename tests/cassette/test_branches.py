"""Forks and rewinds are recorded and replayed at the wire; a replay needs no state on disk."""

import asyncio
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.cassette.inspect.transcript import transcript
from agy_nb.testing import ScriptedModel, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]


CASSETTES = Path(__file__).parents[2] / "cassettes"


def answer(request):
    return say(f"answer {request.number}")


async def branching(config) -> list:
    """Fork twice at once, a fork of a fork, and a rewind; returns everything that was said."""
    agent = await agy.create_agent(config)
    await agent.chat_text("prompt-1")
    await agent.chat_text("prompt-2")
    one, two = await asyncio.gather(agent.fork(1), agent.fork(2))
    said = [await two.chat_text("prompt-3"), await one.chat_text("prompt-3")]
    third = await one.fork(config={"system_instructions": "Be brief."})
    said.append(await third.chat_text("prompt-4"))
    await agent.rewind(1)
    said.append(await agent.chat_text("prompt-5"))
    fresh = await agent.fork(0)
    said.append(await fresh.chat_text("prompt-6"))
    left = await agent.fork(branch=1)
    said.append(await left.chat_text("prompt-7"))
    await agent.rewind(-1, branch=1)
    said.append(await agent.chat_text("prompt-8"))
    await agent.rewind(2, branch=2)
    said.append(await agent.chat_text("prompt-9"))
    for each in (agent, one, two, third, fresh, left):
        said.append([message.content for message in await each.history()])
        await each.shutdown()
    return said


@pytest.mark.parametrize("checkpoints", ["all", "off"])
async def test_branches_replay_as_they_were_recorded(tmp_path, checkpoints):
    path = tmp_path / "cassette"
    async with ScriptedModel(answer) as model:
        config = model.config()
        await agy.runtime().close()
        agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all"))
        async with agy.use_cassette(path, "all"):
            recorded = await branching(config)
        requests = len(model.requests)
        await agy.runtime().close()
        agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints=checkpoints))
        async with agy.use_cassette(path, "none"):
            replayed = await branching(config)
        assert replayed == recorded
        assert len(model.requests) == requests
    await agy.runtime().close()
    shown = list(transcript(path))
    assert shown[shown.index("Branches") :] == [
        "Branches",
        "  Session 0: 2 turns",
        "    Session 1: 1 turn, fork after turn 1 of session 0",
        "      Session 3: 1 turn, fork after turn 2 of session 1",
        "    Session 2: 1 turn, fork after turn 2 of session 0",
        "    Session 4: 1 turn, rewound after turn 1 of session 0",
        "      Session 5: 1 turn, fork before turn 1 of session 4",
        "      Session 8: 1 turn, rewound after turn 2 of session 4",
        "    Session 6: 1 turn, fork after turn 2 of session 0",
        "    Session 7: 1 turn, rewound after turn 2 of session 0",
    ]
    turns = agy.load(path).turns
    abandoned = turns[turns["abandoned"]][["agent_id", "turn_index"]]
    assert abandoned.values.tolist() == [[1, 1], [8, 0]]  # prompt-2 and prompt-8


@pytest.mark.parametrize("attempt", ["fork", "rewind"])
async def test_a_branch_that_was_not_recorded_cannot_be_added(tmp_path, attempt):
    async def work(config, *, branches):
        agent = await agy.create_agent(config)
        await agent.chat_text("prompt-1")
        await agent.chat_text("prompt-2")
        if branches:
            with pytest.raises(agy.CheckpointError, match="does not have this fork or rewind"):
                await (agent.fork(1) if attempt == "fork" else agent.rewind(1))
            if attempt == "rewind":  # nor does the agent go on with an empty conversation
                with pytest.raises(agy.AgyError, match="not found"):
                    await agent.chat_text("prompt-3")
        await agent.shutdown()

    path = tmp_path / "cassette"
    await agy.runtime().close()
    agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all"))
    async with ScriptedModel(answer) as model:
        async with agy.use_cassette(path, "all"):
            await work(model.config(), branches=False)
        requests = len(model.requests)
        async with agy.use_cassette(path, "new_episodes"):
            await work(model.config(), branches=True)
        assert len(model.requests) == requests
    await agy.runtime().close()


def test_a_recording_without_branches_has_no_tree():
    assert "Branches" not in list(transcript(CASSETTES / "plain_chat"))


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda agent: agent.fork(2), "a fork after turn 2, but .*: session 1 is a fork after"),
        (lambda agent: agent.rewind(1), "a rewind to turn 1, but .*: session 1 is a fork after"),
    ],
)
async def test_a_fork_is_not_replayed_in_the_place_of_another_one(tmp_path, other, says):
    async def work(config, branch):
        agent = await agy.create_agent(config)
        try:
            for prompt in ("prompt-1", "prompt-2"):
                await agent.chat_text(prompt)
            other = await branch(agent) or agent
            await other.chat_text("prompt-3")
            await other.shutdown()
        finally:
            await agent.shutdown()

    await agy.runtime().close()
    agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all"))
    async with ScriptedModel(answer) as model:
        config = model.config()
        async with agy.use_cassette(tmp_path / "cassette", "all"):
            await work(config, lambda agent: agent.fork(1))
    with pytest.raises(agy.CassetteMismatchError, match=says):
        async with agy.use_cassette(tmp_path / "cassette", "none"):
            await work(config, other)
    await agy.runtime().close()


async def test_forks_are_replayed_in_another_order(tmp_path):
    """Both forks have the same configuration and the same prompt: the turn tells them apart."""

    async def work(config, turns):
        agent = await agy.create_agent(config)
        for prompt in ("prompt-1", "prompt-2"):
            await agent.chat_text(prompt)
        said = {}
        for turn in turns:
            fork = await agent.fork(turn)
            said[turn] = await fork.chat_text("prompt-3"), len(await fork.history())
            await fork.shutdown()
        await agent.shutdown()
        return said

    await agy.runtime().close()
    agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all"))
    async with ScriptedModel(answer) as model:
        config = model.config()
        async with agy.use_cassette(tmp_path / "cassette", "all"):
            recorded = await work(config, (1, 2))
    async with agy.use_cassette(tmp_path / "cassette", "none"):
        assert await work(config, (2, 1)) == recorded
    assert recorded == {1: ("answer 3", 4), 2: ("answer 4", 6)}
    await agy.runtime().close()
