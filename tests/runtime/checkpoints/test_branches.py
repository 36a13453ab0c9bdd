"""Forks and rewinds on the real harness: what the model is asked afterwards."""

import asyncio
import contextlib
import errno
from contextlib import asynccontextmanager

import pytest

import agy_nb as agy
from agy_nb.analysis.builders import agent_builder
from agy_nb.runtime.checkpoints import checkpoint_log
from agy_nb.testing import ScriptedModel, ScriptUsage, call, fail, say
from tests.runtime.conftest import settings
from tests.support.memory import MemoryBackend

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]


@asynccontextmanager
async def scripted(checkpoints="all", **limits):
    """A runtime, and a model that answers with `model.next`, or with the prompt itself."""
    config = agy.RuntimeConfig(chat_pause=0, checkpoints=checkpoints, **limits)
    answers = []

    def answer(request):
        return answers.pop(0) if answers else say(f"re: {request.user_text[:40]}")

    async with ScriptedModel(answer) as model, agy.Runtime(config) as runtime:
        model.next = answers
        yield runtime, model


def asked(model, words="prompt") -> list[str]:
    """The prompts of the conversation, as in the latest request."""
    text = "\n".join(model.requests[-1].user_texts)
    return [f"{words}-{n}" for n in range(20) if f"{words}-{n}" in text]


async def say_all(agent, *numbers):
    for number in numbers:
        await agent.chat_text(f"prompt-{number}")


def tool_that_waits():
    """A tool that waits, an event that says that it runs, and one that lets it go on."""
    go_on, tool_runs = asyncio.Event(), asyncio.Event()

    async def wait_here() -> str:
        """Wait."""
        tool_runs.set()
        await go_on.wait()
        return "done"

    return wait_here, tool_runs, go_on


async def fill_context(agent, model):
    """Chat until the harness has compacted the conversation."""
    turns = 0
    while not await agent.compaction_indices():
        turns += 1
        model.next.append(say("x " * 50, usage=ScriptUsage(prompt=99)))
        await agent.chat_text(f"prompt-{turns} " + "long " * 500)
        assert turns < 8
    model.next.clear()


async def test_a_fork_knows_the_turns_up_to_it_and_the_original_goes_on():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2, 3)
        forks = [await agent.fork(turn) for turn in (1, 2, -1, None)]
        for fork, known in zip(forks, ([1], [1, 2], [1, 2, 3], [1, 2, 3]), strict=True):
            await fork.chat_text("prompt-9")
            assert asked(model) == [f"prompt-{n}" for n in [*known, 9]]
        await agent.chat_text("prompt-4")
        assert asked(model) == [f"prompt-{n}" for n in (1, 2, 3, 4)]
        await forks[0].chat_text("prompt-8")
        assert asked(model) == ["prompt-1", "prompt-8", "prompt-9"]


async def test_a_fork_has_the_history_of_its_turns():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        fork = await agent.fork(1)
        assert [m.content for m in await fork.history() if m.role == "user"] == ["prompt-1"]
        assert await fork.turn_count() == 0


async def test_a_fork_of_the_beginning_is_a_new_conversation():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1)
        fork = await agent.fork(0)
        await fork.chat_text("prompt-2")
        assert asked(model) == ["prompt-2"]
        assert fork.conversation_id != agent.conversation_id


async def test_a_fork_of_a_fork():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        fork = await agent.fork(1)
        await say_all(fork, 3, 4)
        await agent.shutdown()  # the copies that its forks need stay
        second, third = await fork.fork(2), await fork.fork(1)
        await second.chat_text("prompt-5")
        assert asked(model) == ["prompt-1", "prompt-3", "prompt-5"]
        await third.chat_text("prompt-6")
        assert asked(model) == ["prompt-1", "prompt-6"]


async def test_forks_at_once():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        one, two = await asyncio.gather(agent.fork(1), agent.fork(2))
        await one.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-3"]
        await two.chat_text("prompt-4")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-4"]


async def test_the_configuration_may_differ():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config(), labels={"user": "ada"})
        await say_all(agent, 1)
        fork = await agent.fork(
            config={"system_instructions": "Answer like a pirate."}, labels={"user": "bob"}
        )
        await fork.chat_text("prompt-2")
        assert "like a pirate" in model.requests[-1].system_text
        assert asked(model) == ["prompt-1", "prompt-2"]
        await agent.chat_text("prompt-3")
        assert "like a pirate" not in model.requests[-1].system_text
        assert list(runtime.tables.agents["user"]) == ["ada", "bob"]


async def test_the_tools_may_differ():
    def old() -> str:
        """The old tool."""
        return "old"

    def new() -> str:
        """The new tool."""
        return "new"

    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config(), tools=[old])
        await say_all(agent, 1)
        same, other = await agent.fork(), await agent.fork(tools=[new])
        await same.chat_text("prompt-2")
        assert "old" in model.requests[-1].tool_names
        await other.chat_text("prompt-3")
        assert "new" in model.requests[-1].tool_names
        assert "old" not in model.requests[-1].tool_names


async def test_without_checkpoints_only_now_can_be_forked():
    async with scripted("off") as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        fork = await agent.fork()
        await fork.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-3"]
        with pytest.raises(agy.CheckpointError, match=r"after turn 1 .*checkpoints='all'"):
            await agent.fork(1)
        with pytest.raises(agy.CheckpointError, match="after turn 1"):
            await agent.rewind(1)
        await agent.chat_text("prompt-4")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-4"]


@pytest.mark.parametrize("turn", [3, -3, 99])
async def test_a_turn_out_of_range_is_refused(turn):
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        for attempt in (agent.fork, agent.rewind):
            with pytest.raises(agy.InvalidInputError, match=r"out of range.* has 2 turns") as info:
                await attempt(turn)
            assert info.value.field == "turn"
        assert len(runtime.agent_ids) == 1


@pytest.mark.parametrize("part", ["tools", "policies", "hooks"])
async def test_a_part_of_a_fork_that_is_no_list_is_refused(part):
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        with pytest.raises(agy.InvalidConfigError, match=rf"{part} must be a list, .* got 3"):
            await agent.fork(**{part: 3})
        assert len(runtime.agent_ids) == 1


@pytest.mark.parametrize("branch", [0, 2, -1, True, "1"])
async def test_a_branch_that_does_not_exist_is_refused(branch):
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        await agent.rewind(1)
        with pytest.raises(agy.InvalidInputError, match=r"abandoned branch \(here: 1\)"):
            await agent.fork(branch=branch)
        with pytest.raises(agy.InvalidInputError, match=r"abandoned branch \(here: 1\)"):
            await agent.rewind(-1, branch=branch)
        assert len(runtime.agent_ids) == 1


@pytest.mark.parametrize("turn", [1.5, "1", True])
async def test_a_turn_that_is_no_number_is_refused(turn):
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        for attempt in (agent.fork, agent.rewind):
            with pytest.raises(agy.InvalidInputError, match="whole number"):
                await attempt(turn)


async def test_a_closed_agent_cannot_be_forked():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1)
        await agent.shutdown()
        for attempt in (agent.fork(), agent.fork(1), agent.rewind(0)):
            with pytest.raises(agy.AgentNotStartedError):
                await attempt


async def test_during_a_turn_the_earlier_turns_can_be_forked_and_now_waits():
    wait_here, tool_runs, go_on = tool_that_waits()
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config(), tools=[wait_here])
        await say_all(agent, 1)
        model.next += [call("wait_here"), say("after the tool")]
        response = await agent.chat("prompt-2")
        await tool_runs.wait()
        fork = await agent.fork(1)
        with pytest.raises(agy.InvalidInputError, match="has 1 turn"):
            await agent.fork(2)
        waiting = asyncio.ensure_future(agent.fork())
        go_on.set()
        both = await waiting
        assert response.done
        await fork.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-3"]
        await both.chat_text("prompt-4")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-4"]


async def test_rewind_goes_back_and_the_abandoned_turns_can_be_continued():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2, 3)
        await agent.rewind(1)
        assert [m.content for m in await agent.history() if m.role == "user"] == ["prompt-1"]
        assert await agent.turn_count() == 1
        await agent.chat_text("prompt-4")
        assert asked(model) == ["prompt-1", "prompt-4"]
        (left,) = agent.abandoned
        assert (left.after_turn, left.turns) == (1, 3)
        assert [m.content for m in left.messages if m.role == "user"] == ["prompt-2", "prompt-3"]
        fork = await agent.fork(branch=left.number)
        await fork.chat_text("prompt-5")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-3", "prompt-5"]
        earlier = await agent.fork(2, branch=left.number)
        await earlier.chat_text("prompt-6")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-6"]
        with pytest.raises(agy.InvalidInputError, match="abandoned branch"):
            await agent.fork(branch=7)


async def test_rewind_twice_and_with_forks_open():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        fork = await agent.fork()
        await agent.rewind(1)
        await say_all(agent, 3)
        await agent.rewind(0)
        await say_all(agent, 4)
        assert asked(model) == ["prompt-4"]
        assert [each.after_turn for each in agent.abandoned] == [1, 0]
        await say_all(fork, 5)
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-5"]


async def test_an_agent_continues_a_branch_that_it_abandoned():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2, 3)
        await agent.rewind(1)
        await say_all(agent, 4)
        await agent.rewind(-1, branch=1)
        assert [m.content for m in await agent.history() if m.role == "user"] == [
            f"prompt-{n}" for n in (1, 2, 3)
        ]
        (left,) = agent.abandoned
        assert (left.number, left.after_turn, left.turns) == (2, 1, 2)
        assert [m.content for m in left.messages if m.role == "user"] == ["prompt-4"]
        assert list(runtime.tables.turns["abandoned"]) == [False, False, False, True]
        await agent.chat_text("prompt-5")
        assert asked(model) == [f"prompt-{n}" for n in (1, 2, 3, 5)]
        await agent.rewind(2, branch=2)
        assert asked(model) == [f"prompt-{n}" for n in (1, 2, 3, 5)]
        assert [each.number for each in agent.abandoned] == [3]
        await agent.chat_text("prompt-6")
        assert asked(model) == ["prompt-1", "prompt-4", "prompt-6"]
        assert list(runtime.tables.turns["abandoned"]) == [False, True, True, False, True, False]
        await agent.rewind(2, branch=3)  # not at its end: the branch stays
        assert [each.number for each in agent.abandoned] == [3, 4]
        with pytest.raises(agy.InvalidInputError, match="abandoned branch"):
            await agent.rewind(1, branch=1)


@pytest.mark.parametrize("prompts", [(), (3,)])
async def test_a_branch_from_before_the_first_turn_is_continued(prompts):
    """Its conversation has another id than the one that began afterwards."""
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        conversation = agent.conversation_id
        await agent.rewind(0)
        await say_all(agent, *prompts)
        fork = await agent.fork(branch=1)
        await fork.chat_text("prompt-4")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-4"]
        await agent.rewind(-1, branch=1)
        await agent.chat_text("prompt-5")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-5"]
        assert agent.conversation_id == conversation
        for left in agent.abandoned:
            await agent.rewind(-1, branch=left.number)
            await agent.chat_text("prompt-6")
            assert asked(model) == ["prompt-3", "prompt-6"]


async def test_without_checkpoints_no_branch_is_continued():
    async with scripted("off") as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        await agent.rewind(0)
        with pytest.raises(agy.CheckpointError, match="keeps no checkpoints"):
            await agent.rewind(-1, branch=1)


async def test_places_name_the_turns_that_were_replaced():
    async with scripted("last 2") as (runtime, model):
        agent = await runtime.create_agent(model.config())
        went = []
        stop = agent.watch_branches(lambda: went.append(len(agent.abandoned)))
        await say_all(agent, 1, 2, 3)
        await agent.rewind(2)
        places = await agent.turn_places()
        assert [(each.turn, each.turn_id) for each in places] == [(1, 1), (2, 2), (3, None)]
        assert [each.turn_id for each in places[2].versions] == [3]
        await say_all(agent, 4)
        first, second, third = await agent.turn_places()
        assert (first.why_not, third.why_not) == ("", "")
        assert "only the last ones are kept" in second.why_not
        assert [(each.turn_id, each.branch) for each in third.versions] == [(3, 1), (4, None)]
        await agent.rewind(-1, branch=1)
        *_, third = await agent.turn_places()
        assert [(each.turn_id, each.branch) for each in third.versions] == [(3, None), (4, 2)]
        assert went == [1, 1]
        stop()
        await agent.rewind(0)
        assert went == [1, 1]


async def test_rewind_to_the_last_turn_changes_nothing():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1)
        await agent.rewind(-1)
        await agent.rewind(1)
        assert agent.abandoned == ()


async def test_a_fork_goes_back_before_the_turn_where_it_parted():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        fork = await agent.fork()
        await fork.rewind(1)
        await fork.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-3"]
        await agent.chat_text("prompt-4")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-4"]


async def test_a_damaged_checkpoint_forks_nothing_and_the_agent_goes_on():
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        folder = agent._state.checkpoints._family.store._folder
        for file in folder.iterdir():
            file.write_bytes(b"damaged")
        for attempt in (agent.fork, agent.rewind):
            with pytest.raises(agy.CheckpointError, match="after turn 1 cannot be restored"):
                await attempt(1)
        assert len(runtime.agent_ids) == 1
        for fork in (await agent.fork(), await agent.fork(-1)):  # the conversation itself is sound
            await fork.chat_text("prompt-4")
            assert asked(model) == ["prompt-1", "prompt-2", "prompt-4"]
        await agent.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-3"]


async def test_a_resumed_agent_has_no_state_before_its_first_turn(tmp_path):
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config(save_dir=str(tmp_path)))
        await say_all(agent, 1)
        await agent.disconnect()
        config = model.config(save_dir=str(tmp_path), conversation_id=agent.conversation_id)
        agent = await runtime.create_agent(config)
        await say_all(agent, 2, 3)
        fork = await agent.fork(1)
        await fork.chat_text("prompt-4")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-4"]
        with pytest.raises(agy.CheckpointError, match=r"before turn 1 .* resumed"):
            await agent.fork(0)
        await agent.rewind(1)
        await agent.disconnect()
        agent = await runtime.create_agent(config)  # the user's file was rewound as well
        await agent.chat_text("prompt-5")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-5"]


async def test_a_fork_can_be_kept_for_later(tmp_path):
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1)
        fork = await agent.fork(config={"save_dir": str(tmp_path / "kept")})
        await say_all(fork, 2)
        await fork.disconnect()
        with pytest.raises(agy.InvalidConfigError, match="holds this conversation already"):
            await agent.fork(config={"save_dir": str(tmp_path / "kept")})
        again = await runtime.create_agent(
            model.config(save_dir=str(tmp_path / "kept"), conversation_id=fork.conversation_id)
        )
        await again.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-3"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conversation_id": "0" * 32}, "continues the conversation of its parent"),
        ({"no_such_field": 1}, "no field 'no_such_field'"),
        ({"workspaces": 3}, "workspaces"),
    ],
)
async def test_wrong_changes_are_refused(changes, words):
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1)
        with pytest.raises(agy.InvalidConfigError, match=words):
            await agent.fork(config=changes)
        assert len(runtime.agent_ids) == 1


async def test_a_tool_cannot_rewind_its_own_agent_but_can_fork_an_earlier_turn():
    refused = []

    async def go_back() -> str:
        """Go back."""
        for attempt in (agent.rewind(1), agent.fork()):
            try:
                await attempt
            except agy.DeadlockError as error:
                refused.append(error)
        return str((await agent.fork(1)).id)

    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config(), tools=[go_back])
        await say_all(agent, 1)
        model.next += [call("go_back"), say("done")]
        response = await (await agent.chat("prompt-2"))
        assert len(refused) == 2
        assert [result.result async for result in response.tool_results] == ["2"]


async def test_a_full_disk_forks_nothing_and_leaves_the_agent_as_it_was(monkeypatch):
    from agy_nb.cassette.storage import atomic_replace
    from agy_nb.runtime.checkpoints import database

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        with monkeypatch.context() as patched:
            patched.setattr(atomic_replace, "write_file", full)
            with pytest.raises(agy.CheckpointError, match="No space left"):
                await agent.fork(1)
        assert len(runtime.agent_ids) == 1
        with monkeypatch.context() as patched:
            patched.setattr(database, "replace_content", full)
            with pytest.raises(agy.AgyError, match="No space left"):
                await agent.rewind(1)
        assert agent.abandoned == ()
        await agent.chat_text("prompt-3")
        assert asked(model) == ["prompt-1", "prompt-2", "prompt-3"]


def test_scripts_fork_and_rewind_without_await():
    async def start():
        agent = await runtime.create_agent({})
        await agent.chat_text("one")
        return agent

    runtime = agy.Runtime(settings(), backend=MemoryBackend())
    agent = agy.run(start())
    fork = agent.sync.fork(1, labels={"style": "brief"})
    assert fork.sync.is_idle()
    agent.sync.rewind(0)
    assert [each.after_turn for each in agent.sync.abandoned] == [0]
    agy.run(runtime.close())


async def test_turns_of_two_long_branches_are_not_taken_for_the_same(monkeypatch):
    """Without copies, an agent forgets the numbers of its old turns."""
    monkeypatch.setattr(checkpoint_log, "MOST_ABANDONED", 5)
    async with agy.Runtime(settings(), backend=MemoryBackend()) as runtime:
        agent = await runtime.create_agent()
        await say_all(agent, *range(10))
        await agent.rewind(3)
        await say_all(agent, *range(20))
        await agent.rewind(-1, branch=1)
        assert [each.after_turn for each in agent.abandoned] == [3]
        places = await agent.turn_places()
        assert [each.turn for each in places if len(each.versions) == 2] == [4]


async def test_restored_turns_are_not_abandoned_in_the_tables_also_after_many_others(monkeypatch):
    monkeypatch.setattr(agent_builder, "MOST_ABANDONED", 5)
    async with agy.Runtime(settings(), backend=MemoryBackend()) as runtime:
        agent = await runtime.create_agent()
        await say_all(agent, 1, 2, 3)
        await agent.rewind(1)
        await say_all(agent, *range(10))
        assert list(runtime.tables.turns["abandoned"])[:4] == [False, True, True, False]
        await agent.rewind(-1, branch=1)
        assert list(runtime.tables.turns["abandoned"])[1:3] == [False, False]


@pytest.mark.parametrize("damage", ["missing", "empty"])
@pytest.mark.parametrize("history", ["own", "forked", "rewound"])
async def test_a_lost_conversation_is_an_error_and_never_an_empty_one(damage, history):
    """After a failed turn another harness starts; it would begin an empty conversation."""
    async with scripted() as (runtime, model):
        agent = await runtime.create_agent(model.config())
        await say_all(agent, 1, 2)
        if history == "forked":
            agent = await agent.fork(1)
        elif history == "rewound":
            await agent.rewind(1)
        model.next.append(fail(401))
        with pytest.raises(agy.BackendError):
            await agent.chat_text("prompt-3")
        await agent.wait_for_idle()
        database = agent._state.session.database
        await asyncio.to_thread(_lose, database, damage)
        requests = len(model.requests)
        for _ in range(2):
            with pytest.raises(agy.HarnessError, match=r"cannot go on: .*\.db .*another agent"):
                await agent.chat_text("prompt-4")
        assert len(model.requests) == requests
        await agent.rewind(1)  # its checkpoint is still there
        await agent.chat_text("prompt-5")
        assert asked(model) == ["prompt-1", "prompt-5"]


def _lose(database, damage):
    for file in database.parent.glob(f"{database.name}*"):
        with contextlib.suppress(FileNotFoundError):  # the harness is removing it
            file.unlink()
    if damage == "empty":
        database.touch()
