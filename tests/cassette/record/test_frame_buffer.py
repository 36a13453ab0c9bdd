"""`Agent.save_cassette`: a session that is going on becomes a cassette."""

import asyncio
import json
import threading

import pytest

import agy_nb as agy
from agy_nb.cassette.errors import CassetteInvalidError, CassetteNotWrittenError
from agy_nb.cassette.record.frame_buffer import PACKING, FrameBuffer
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.testing import ScriptedModel, call, fail, hang, say
from tests.cassette.scenarios import get_weather
from tests.support.memory import MemoryBackend

pytestmark = pytest.mark.blocking_allowed  # what blocks is called as a thread would

KEEPS = agy.RuntimeConfig(chat_pause=0, keep_frames=True)


def of(*frames, **settings) -> FrameBuffer:
    """Frames of one session, as they would come from a socket."""
    kept = FrameBuffer(**settings)
    for at, frame in enumerate(frames):
        kept.put(0, "harness", float(at), json.dumps(frame))
    return kept


def lines(path) -> list:
    return [line for session in load(path).sessions for line in session.lines]


def saved(path) -> list:
    return [line.frame for line in lines(path)]


def settle() -> None:
    """Wait until what is large has been packed."""
    for thread in threading.enumerate():
        if thread.name == PACKING:
            thread.join()


def test_all_frames_are_there_in_order_with_their_times(tmp_path):
    path = of({"a": 1}, {"b": 2}, {"c": 3}).so_far().write(tmp_path / "c")
    assert saved(path) == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert [line.dt for line in lines(path)] == [0.0, 1.0, 1.0]
    assert load(path).header.complete


@pytest.mark.slow
def test_long_session_is_packed_and_comes_back_whole(tmp_path):
    frames = [{"text": f"{number} " + "and so on " * 100} for number in range(5_000)]
    kept = of(*frames)
    settle()
    assert 0 < sum(part.size for part in kept._parts) < 5_000_000 / 10
    assert saved(kept.so_far().write(tmp_path / "c")) == frames


def test_what_is_beyond_the_limit_is_left_out_and_the_cassette_says_that_it_is_cut(tmp_path):
    kept = FrameBuffer(most_bytes=1)
    for number in range(3):
        kept.put(0, "harness", float(number), json.dumps({"text": "x" * 1_000_000, "n": number}))
        settle()
    path = kept.so_far().write(tmp_path / "c")
    # The size of a part is known once a thread has packed it: one frame more may be held.
    assert [frame["n"] for frame in saved(path)] in ([0], [0, 1])
    assert load(path).partial


def test_what_comes_later_is_in_the_next_file_only(tmp_path):
    kept = of({"a": 1})
    before = kept.so_far()
    kept.put(0, "harness", 1.0, '{"b": 2}')
    assert saved(before.write(tmp_path / "c")) == [{"a": 1}]
    assert saved(kept.so_far().write(tmp_path / "c")) == [{"a": 1}, {"b": 2}]


def test_secrets_and_what_a_rule_names_are_taken_out(tmp_path):
    kept = of({"apiKey": "AIza" + "x" * 35}, {"note": "the customer is Ada"})
    path = kept.so_far().write(tmp_path / "c", redact=["$.note"])
    text = (path / "wire.jsonl").read_text()
    assert "AIza" not in text
    assert "Ada" not in text
    assert sum(load(path).header.redactions.values()) == 2


def test_nothing_to_save_is_said_and_leaves_what_was_there(tmp_path):
    of({"a": 1}).so_far().write(tmp_path / "c")
    with pytest.raises(CassetteNotWrittenError, match="no agent has sent a message"):
        FrameBuffer().so_far().write(tmp_path / "c")
    assert saved(tmp_path / "c") == [{"a": 1}]


@pytest.mark.parametrize("name", ["", "..", "a\0b", "x" * 300])
def test_name_that_no_cassette_can_have_is_refused(name):
    with pytest.raises(CassetteInvalidError):
        of({"a": 1}).so_far().write(name)


def test_cassette_with_other_files_in_it_is_replaced_and_they_stay(tmp_path):
    of({"a": 1}).so_far().write(tmp_path / "c")
    (tmp_path / "c" / "thesis.txt").write_text("years of work")
    (tmp_path / "c" / ".DS_Store").write_text("litter")
    of({"a": 2}).so_far().write(tmp_path / "c")
    assert saved(tmp_path / "c") == [{"a": 2}]
    assert (tmp_path / "c" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["thesis.txt", "folder"])
def test_what_is_no_cassette_is_never_replaced(tmp_path, name):
    (tmp_path / "folder").mkdir()
    for file in ("thesis.txt", "folder/thesis.txt"):
        (tmp_path / file).write_text("years of work")
    with pytest.raises(CassetteInvalidError, match="not overwritten"):
        of({"a": 1}).so_far().write(tmp_path / name)
    for file in ("thesis.txt", "folder/thesis.txt"):
        assert (tmp_path / file).read_text() == "years of work"


async def test_agent_to_whom_nobody_listened_says_how_to_have_it(tmp_path):
    async with agy.Runtime(agy.RuntimeConfig(), backend=MemoryBackend()) as runtime:
        agent = await runtime.create_agent()
        with pytest.raises(CassetteNotWrittenError, match="keep_frames=True"):
            await agent.save_cassette(tmp_path / "c")


@pytest.mark.real
async def test_session_that_goes_on_is_saved_and_replays(tmp_path):
    script = [call("get_weather", city="Paris"), say("Sunny."), say("Rain.")]
    async with ScriptedModel(script) as model, agy.Runtime(KEEPS) as runtime:
        agent = await runtime.create_agent(model.config(), tools=[get_weather], ask_user=_yes)
        assert await agent.chat_text("How is Paris?") == "Sunny."
        path = await agent.save_cassette(tmp_path / "c")
        assert await agent.chat_text("And Rome?") == "Rain."
        await agent.save_cassette(path)
        config = agent.config
    async with agy.use_cassette(path, "none"), agy.Runtime(KEEPS) as runtime:
        agent = await runtime.create_agent(config, tools=[get_weather], ask_user=_yes)
        assert await agent.chat_text("How is Paris?") == "Sunny."
        assert await agent.chat_text("And Rome?") == "Rain."
        again = await agent.save_cassette(tmp_path / "again")
    assert [len(session.lines) for session in load(again).sessions] == [
        len(session.lines) for session in load(path).sessions
    ]


@pytest.mark.real
async def test_turn_that_runs_is_waited_for(tmp_path):
    async with ScriptedModel([say("first"), hang()]) as model, agy.Runtime(KEEPS) as runtime:
        agent = await runtime.create_agent(model.config())
        await agent.chat_text("one")
        running = await agent.chat("two")
        saving = asyncio.ensure_future(agent.save_cassette(tmp_path / "c"))
        await model.requested(2)
        assert not saving.done()
        await running.cancel()
        session = load(await saving).sessions[0]
    assert session.lines[-1].frame.get("trajectoryStateUpdate", {}).get("state")


@pytest.mark.real
async def test_harness_that_was_started_again_is_another_session(tmp_path):
    async with (
        ScriptedModel([fail(401), say("better now")]) as model,
        agy.Runtime(KEEPS) as runtime,
    ):
        agent = await runtime.create_agent(model.config())
        with pytest.raises(agy.BackendError):
            await agent.chat_text("one")
        assert await agent.chat_text("two") == "better now"
        await agent.shutdown()
        path = await agent.save_cassette(tmp_path / "c")
    assert len(load(path).sessions) == 2


@pytest.mark.real
def test_sync_cells_save_too(tmp_path):
    async def agent_of_a_notebook():
        model = ScriptedModel([say("hi")])
        await model.start()
        runtime = agy.Runtime(KEEPS)
        return model, runtime, await runtime.create_agent(model.config())

    model, runtime, agent = agy.run(agent_of_a_notebook())
    assert agent.sync.chat_text("hello") == "hi"
    assert load(agent.sync.save_cassette(tmp_path / "c")).sessions
    agy.run(runtime.close())
    agy.run(model.stop())


def _yes(_request) -> bool:
    return True
