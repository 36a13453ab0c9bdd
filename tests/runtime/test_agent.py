"""The handle of an agent, its blocking twin, the default runtime, settings and prompts."""

import asyncio
import contextlib
import gc
import subprocess
import sys

import pytest

import agy_nb as agy
from agy_nb.protocol.values import MediaPart, TextPart
from agy_nb.runtime.turns.prompts import parse_prompt
from tests.runtime.conftest import agent_with, first_piece, hangs, runtime_with
from tests.support.memory import MemoryBackend


async def test_shutdown_twice_is_fine():
    async with agent_with() as agent:
        await agent.shutdown()
        await agent.shutdown()
        assert not agent.is_started


@pytest.mark.parametrize("end", ["shutdown", "delete", "disconnect"])
async def test_agent_that_ended_refuses_at_once(end):
    async with agent_with() as agent:
        await getattr(agent, end)()
        for use in (agent.chat, agent.send):
            with pytest.raises(agy.AgentNotStartedError, match="create another one"):
                await use("x")


async def test_agent_is_a_context_manager():
    async with runtime_with() as runtime:
        async with await runtime.create_agent({}) as agent:
            assert agent.is_started
        assert runtime.agent_ids == ()


async def test_dropped_handle_shuts_its_agent_down():
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        agent = await runtime.create_agent({})
        del agent
        gc.collect()
        await backend.sessions[0].over.wait()
        assert runtime.agent_ids == ()


async def test_dropped_handle_shuts_its_agent_down_though_its_latest_turn_failed():
    async def fails(turn):
        raise agy.BackendError("no")

    async def somebody(runtime):
        agent = await runtime.create_agent({})
        with contextlib.suppress(agy.BackendError):
            await agent.chat_text("go")

    backend = MemoryBackend(fails)
    async with runtime_with(backend=backend) as runtime:
        await somebody(runtime)
        gc.collect()
        async with asyncio.timeout(10):
            await backend.sessions[0].over.wait()
        assert runtime.agent_ids == ()


async def test_whoever_stops_waiting_for_a_text_stops_the_turn():
    async with agent_with(hangs) as agent:
        turns = asyncio.Queue()
        agent.watch_turns(turns.put_nowait)
        waiting = asyncio.create_task(agent.chat_text("go"))
        await first_piece(await turns.get())
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert isinstance(agent.latest.error, agy.TurnCancelledError)
        assert await agent.is_idle()


async def test_readers_of_a_response_may_leave_and_the_turn_goes_on():
    async with agent_with(hangs) as agent:
        response = await agent.chat("go")
        await first_piece(response)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.text(), 0)
        assert not response.done


async def test_latest_response_stays_reachable():
    async with agent_with() as agent:
        assert (agent.latest, agent.last_usage, agent.last_structured_output) == (None, None, None)
        await agent.chat_text("one")
        assert agent.latest.partial_text == "one "
        assert agent.last_usage.total_tokens == 15


async def test_conversation_id_can_be_read_and_set():
    async with agent_with() as agent:
        assert len(agent.conversation_id) == 32
        agent.conversation_id = "a" * 32
        assert agent.conversation_id == "a" * 32
        with pytest.raises(agy.InvalidInputError):
            agent.conversation_id = "too short"


async def test_tools_are_listed():
    def tool():
        pass

    async with agent_with(tools=[tool]) as agent:
        assert [info.name for info in agent.available_tools()] == ["tool"]


async def test_spawned_agent_takes_tools_unless_its_configuration_names_some():
    def tool():
        pass

    async with agent_with() as agent:
        child = await agent.spawn_subagent({}, tools=[tool])
        assert [info.name for info in child.available_tools()] == ["tool"]
        named = await agent.spawn_subagent({"tools": ["other"]}, tools=[tool])
        assert named.available_tools() == ()
        assert child.runtime is agent.runtime


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
async def test_wakeup_refuses_a_time_that_is_none(seconds):
    async with agent_with() as agent:
        with pytest.raises(agy.InvalidInputError, match="timeout"):
            await agent.wait_for_wakeup(seconds)


BLOCKING = """
import agy_nb as agy
from tests.support.memory import MemoryBackend

runtime = agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend())
agent = agy.run(runtime.create_agent({}))
sync = agent.sync
assert sync.chat_text("one two") == "one two "
assert sync.chat("one").partial_text == "one "
sync.send("more")
sync.wait_for_idle()
assert sync.turn_count() == 3 and sync.is_idle()
assert sync.total_usage().total_tokens == 45
assert sync.last_turn_usage().total_tokens == 15
assert sync.last_response() == "more "
assert len(sync.history()) == 6 and sync.compaction_indices() == ()
assert sync.trigger("ring").kind == "trigger"
sync.signal_idle(); sync.cancel(); sync.clear_history()
assert sync.wait_for_wakeup(0.01) is False
child = sync.spawn_subagent()
child.sync.disconnect(); sync.delete(); sync.shutdown()
agy.run(runtime.close())
print("ok")
"""


def test_every_operation_blocks_in_a_script():
    done = subprocess.run(
        [sys.executable, "-c", BLOCKING], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("ok\n", "")


async def test_default_runtime_is_one_until_it_is_closed():
    runtime = agy.runtime()
    assert agy.runtime() is runtime
    with pytest.raises(agy.InvalidConfigError, match="exists already"):
        agy.runtime(agy.RuntimeConfig(chat_timeout=7))
    await runtime.close()
    other = agy.runtime(agy.RuntimeConfig(chat_timeout=7))
    assert other is not runtime
    assert other.config.chat_timeout == 7
    await other.close()


def test_chat_timeout_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("AGI_CHAT_TIMEOUT_SECS", "7.5")
    config = agy.RuntimeConfig()
    assert (config.chat_timeout, config.operation_timeout) == (7.5, 127.5)


@pytest.mark.parametrize("text", ["soon", "", "-1", "0", "nan", "inf"])
def test_chat_timeout_that_is_no_number_warns_and_falls_back(monkeypatch, text):
    monkeypatch.setenv("AGI_CHAT_TIMEOUT_SECS", text)
    with pytest.warns(UserWarning, match="AGI_CHAT_TIMEOUT_SECS"):
        assert agy.RuntimeConfig().chat_timeout == 120


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channel_capacity", 0),
        ("channel_capacity", 1.5),
        ("chat_timeout", 0),
        ("chat_timeout", "fast"),
        ("chat_timeout", float("inf")),
        ("chat_timeout", 10**400),  # beyond any timer
        ("chat_timeout", 1e12),
        ("exit_timeout", -1),
        ("chat_pause", -0.1),
        ("chat_pause", 10**400),
        ("chat_pause", 1e12),
        ("max_quota_retries", -1),
        ("max_quota_retries", True),
    ],
)
def test_setting_out_of_range_is_named(name, value):
    with pytest.raises(agy.InvalidConfigError) as raised:
        agy.RuntimeConfig(**{name: value})
    assert raised.value.field == name


def test_string_that_looks_like_json_stays_a_string():
    assert parse_prompt('{"text": "x"}') == (TextPart(text='{"text": "x"}'),)


class Image:
    data = b"\x89PNG"
    mime_type = "image/png"
    description = ""


def test_media_and_lists_are_prompts():
    assert parse_prompt(["look:", Image()]) == (
        TextPart(text="look:"),
        MediaPart(kind="image", mime_type="image/png", data=b"\x89PNG"),
    )
    assert parse_prompt(Image())[0].kind == "image"


@pytest.mark.parametrize("prompt", ["", "  \n", [], [""], ["", "  "]])
def test_empty_prompt_is_refused(prompt):
    with pytest.raises(agy.InvalidPromptError, match="empty"):
        parse_prompt(prompt)


@pytest.mark.parametrize(
    ("prompt", "where"), [(None, "prompt"), (["a", 3], "prompt[1]"), (b"x", "prompt")]
)
def test_what_is_no_content_is_named(prompt, where):
    with pytest.raises(agy.InvalidPromptError) as raised:
        parse_prompt(prompt)
    assert raised.value.field == where


def test_ways_to_make_media_that_a_refusal_names_are_there():
    from google.antigravity import types

    with pytest.raises(agy.InvalidPromptError, match=r"types\.from_file.*types\.from_bytes"):
        parse_prompt(b"PNG")
    picture = types.from_bytes(b"PNG", "image/png")
    assert parse_prompt(picture) == (MediaPart(kind="image", mime_type="image/png", data=b"PNG"),)


def test_half_a_character_is_refused_and_the_remedy_works():
    text = "caf\ud800"
    with pytest.raises(agy.InvalidPromptError, match=r"lone surrogate .* at index 3") as raised:
        parse_prompt(["a", text])
    assert raised.value.field == "prompt[1]"
    assert parse_prompt(text.encode(errors="replace").decode()) == (TextPart(text="caf?"),)


async def test_refused_prompt_sends_nothing():
    async with agent_with() as agent:
        with pytest.raises(agy.InvalidPromptError):
            await agent.chat("  ")
        assert await agent.turn_count() == 0


class Foreign:
    """Another library's object of the same name, as a notebook's own `Image` is."""

    data = b"PNG"


Foreign.__name__ = "Image"


def test_another_librarys_image_is_no_content():
    with pytest.raises(agy.InvalidPromptError) as raised:
        parse_prompt(["look:", Foreign()])
    assert raised.value.field == "prompt[1]"


def test_configuration_is_frozen():
    with pytest.raises(AttributeError):
        agy.RuntimeConfig().chat_timeout = 3


@pytest.mark.parametrize("end", ["shutdown", "disconnect"])
async def test_conversation_id_stays_to_resume_with(end):
    async with agent_with() as agent:
        conversation_id = agent.conversation_id
        await getattr(agent, end)()
        assert agent.conversation_id == conversation_id


async def test_delete_twice_is_fine_but_not_after_shutdown():
    backend = MemoryBackend()
    async with runtime_with(backend=backend) as runtime:
        first, second = await runtime.create_agent({}), await runtime.create_agent({})
        await first.delete()
        await first.delete()
        await second.shutdown()
        with pytest.raises(agy.AgentNotStartedError):
            await second.delete()
        assert [session.deleted for session in backend.sessions] == [True, False]


async def test_handle_says_that_it_is_not_started_once_its_runtime_is_closed():
    async with agent_with() as agent:
        assert agent.is_started
        await agent.runtime.close()
        assert not agent.is_started
        await agent.shutdown()


async def test_tools_of_an_agent_that_is_gone_cannot_be_listed():
    async with agent_with() as agent:
        await agent.shutdown()
        with pytest.raises(agy.AgentNotStartedError):
            agent.available_tools()


async def test_spawned_agent_takes_the_configuration_and_may_have_another_handler():
    async with agent_with(ask_user=lambda request: False) as agent:
        child = await agent.spawn_subagent(ask_user=lambda request: True)
        assert child.config is agent.config
        assert child.id != agent.id
        await agent.shutdown()
        assert child.is_started


THREADS = """
import asyncio, threading
import agy_nb as agy
from tests.support.memory import MemoryBackend

async def main():
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend()) as runtime:
        agent = await runtime.create_agent({})
        print(await asyncio.to_thread(agent.sync.chat_text, "from a thread"))
        try:
            agent.sync.turn_count()
        except agy.kernel.CannotBlockError as error:
            print("cannot block")

asyncio.run(main())
"""

LOOPS = """
import asyncio
import contextlib
import agy_nb as agy
from tests.support.memory import MemoryBackend

async def use():
    runtime = agy.runtime()
    runtime._backend = MemoryBackend()
    await runtime.create_agent({})
    return runtime

first = asyncio.run(use())
second = asyncio.run(use())
assert first is not second
print(first.closed, second.closed)
"""


@pytest.mark.parametrize(
    ("script", "printed"),
    [(THREADS, "from a thread \ncannot block\n"), (LOOPS, "True True\n")],
    ids=["threads", "loops"],
)
def test_script_may(script, printed):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == (printed, "")


ASKS = {
    "chat": lambda agent: agent.chat("go"),
    "send": lambda agent: agent.send("go"),
    "chat_text": lambda agent: agent.chat_text("go"),
    "cancel": lambda agent: agent.cancel(),
    "wait_for_idle": lambda agent: agent.wait_for_idle(),
    "signal_idle": lambda agent: agent.signal_idle(),
    "wait_for_wakeup": lambda agent: agent.wait_for_wakeup(1),
    "history": lambda agent: agent.history(),
    "turn_count": lambda agent: agent.turn_count(),
    "total_usage": lambda agent: agent.total_usage(),
    "last_turn_usage": lambda agent: agent.last_turn_usage(),
    "compaction_indices": lambda agent: agent.compaction_indices(),
    "last_response": lambda agent: agent.last_response(),
    "is_idle": lambda agent: agent.is_idle(),
    "clear_history": lambda agent: agent.clear_history(),
    "delete": lambda agent: agent.delete(),
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("end", ["shutdown", "disconnect", "the runtime's end"])
async def test_every_method_says_the_same_after_the_end(ask, end):
    async with runtime_with() as runtime:
        agent = await runtime.create_agent({})
        await (runtime.close() if "runtime" in end else getattr(agent, end)())
        with pytest.raises(agy.AgentNotStartedError) as raised:
            await ASKS[ask](agent)
        assert str(raised.value) == (
            f"agent {agent.id} was shut down, deleted or disconnected; create another one"
        )
