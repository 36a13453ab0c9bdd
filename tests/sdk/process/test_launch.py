"""The harness process: off the loop, in a process group of its own, never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, hang, say
from tests.support.memory import MemoryBackend

pytestmark = [
    pytest.mark.alone,
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the tests look at processes
]

STALL_S = 0.25
"""Far below what the SDK itself blocks the loop for here, far above a busy machine's own pauses;
the 50 ms that we want are measured in `tests/benchmarks` and in `test_stalls.py`."""


def pid_of(agent) -> int:
    return agent._state.session._harness._harness_process.pid


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pid: int, patience: float = 10) -> bool:
    deadline = time.monotonic() + patience
    while alive(pid) and time.monotonic() < deadline:
        os.sched_yield()
    return not alive(pid)


def has_content(path: Path, patience: float = 10) -> bool:
    deadline = time.monotonic() + patience
    while not (path.exists() and path.read_text(encoding="utf-8").strip()):
        if time.monotonic() > deadline:
            return False
        os.sched_yield()
    return True


def started(harnesses: list, count: int, patience: float = 10) -> bool:
    deadline = time.monotonic() + patience
    while len(harnesses) < count and time.monotonic() < deadline:
        os.sched_yield()
    return len(harnesses) >= count


def script(tmp_path, body: str) -> str:
    path = tmp_path / "harness"
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


async def test_harness_is_in_a_process_group_of_its_own(runtime):
    async with ScriptedModel([]) as model:
        agent = await runtime.create_agent(model.config())
        assert os.getpgid(pid_of(agent)) == pid_of(agent) != os.getpgid(0)


async def test_shutdown_leaves_no_process(runtime):
    async with ScriptedModel([say("x")]) as model:
        agent = await runtime.create_agent(model.config())
        await agent.chat_text("go")
        pid = pid_of(agent)
        await agent.shutdown()
        assert not alive(pid)


async def test_closing_the_runtime_leaves_no_process():
    async with ScriptedModel([hang("x")]) as model:
        async with agy.Runtime() as runtime:
            agent = await runtime.create_agent(model.config())
            await agent.chat("go")
            pid = pid_of(agent)
        assert not alive(pid)


@pytest.mark.parametrize("end", ["shutdown", "disconnect", "delete"])
async def test_end_of_an_agent_in_the_middle_of_a_turn_leaves_no_process(runtime, harnesses, end):
    async with ScriptedModel(lambda _request: hang("x")) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("go")
        await getattr(agent, end)()
        with pytest.raises(agy.ChannelClosedError):
            await response.text()
    await runtime.close()
    assert len(harnesses) == 1
    assert not alive(harnesses[0].pid)


async def test_hung_harness_is_ended_and_nothing_stalls(runtime, ticker):
    async with ScriptedModel(lambda _request: hang("partial")) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("go")
        await anext(aiter(response.text_stream()))
        pid = pid_of(agent)
        os.kill(pid, signal.SIGSTOP)
        async with ticker:
            await response.cancel()
            await agent.shutdown()
        assert response.partial_text == "partial"
        assert not alive(pid)
        assert ticker.longest < STALL_S


async def test_killed_harness_fails_the_turn_and_the_next_one_works(runtime):
    async with ScriptedModel([hang("partial"), say("next")]) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("go")
        await anext(aiter(response.text_stream()))
        os.kill(pid_of(agent), signal.SIGKILL)
        with pytest.raises(agy.HarnessError):
            await response.text()
        assert response.partial_text == "partial"
        assert await agent.chat_text("again") == "next"


async def test_harness_that_was_killed_while_idle_is_started_again(runtime):
    async with ScriptedModel([say("one"), say("two")]) as model:
        agent = await runtime.create_agent(model.config())
        await agent.chat_text("go")
        pid = pid_of(agent)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        assert await agent.chat_text("again") == "two"
        assert pid_of(agent) != pid


@pytest.fixture
async def hung_successor(tmp_path, monkeypatch):
    """An agent whose harness is gone, and whose next one will never answer."""
    config = agy.RuntimeConfig(chat_pause=0, chat_timeout=2)
    async with ScriptedModel([say("one"), say("two")]) as model, agy.Runtime(config) as runtime:
        agent = await runtime.create_agent(model.config())
        await agent.chat_text("go")
        os.kill(pid_of(agent), signal.SIGKILL)
        assert gone(pid_of(agent))
        monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", script(tmp_path, "exec sleep 1000"))
        yield agent


async def test_start_of_a_successor_can_be_cancelled(hung_successor, harnesses, monkeypatch):
    response = await hung_successor.chat("again")
    assert await asyncio.to_thread(started, harnesses, 2)
    await response.cancel()
    with pytest.raises(agy.TurnCancelledError):
        await response.text()
    for count in (3, 4):  # what is stopped counts no turn
        response = await hung_successor.chat("again")
        assert await asyncio.to_thread(started, harnesses, count)
        await response.cancel()
    monkeypatch.delenv("ANTIGRAVITY_HARNESS_PATH")
    assert await hung_successor.chat_text("again") == "two"
    assert await hung_successor.turn_count() == 2


async def test_shutdown_while_a_successor_starts_leaves_no_process(hung_successor, harnesses):
    response = await hung_successor.chat("again")
    assert await asyncio.to_thread(started, harnesses, 2)
    await hung_successor.shutdown()
    assert not any(alive(each.pid) for each in harnesses)
    assert isinstance((await response).error, agy.ChannelClosedError)


async def test_successor_that_never_answers_is_a_timeout(hung_successor, monkeypatch):
    with pytest.raises(agy.AgyTimeoutError):
        await hung_successor.chat_text("again")
    monkeypatch.delenv("ANTIGRAVITY_HARNESS_PATH")
    assert await hung_successor.chat_text("again") == "two"


BROKEN = {
    "exits": "exit 3",
    "ends in the middle": "printf '\\020\\000\\000\\000abc'",
    # an answer that is none: the SDK reads a pipe to its end then, and the child holds it open
    "echoes": "sleep 1000 &\nexec cat",
}


@pytest.mark.parametrize("harness", ["missing", "text", *BROKEN])
async def test_broken_harness_is_a_clear_error(runtime, tmp_path, monkeypatch, ticker, harness):
    path = str(tmp_path / harness)
    if harness == "text":
        (tmp_path / harness).write_text("not a program", encoding="utf-8")
    elif harness != "missing":
        path = script(tmp_path, BROKEN[harness])
    monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", path)
    async with asyncio.timeout(20), ticker:
        with pytest.raises(agy.HarnessError) as raised:
            await runtime.create_agent({"api_key": "k"})
    assert ticker.longest < STALL_S
    assert path in str(raised.value)
    assert "agy-nb doctor" in str(raised.value)
    assert runtime.agent_ids == ()


async def test_harness_that_never_answers_is_a_timeout_and_is_ended(tmp_path, monkeypatch, ticker):
    pid_file = tmp_path / "pid"
    path = script(tmp_path, f"echo $$ > {pid_file}\nexec sleep 1000")
    monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", path)
    async with agy.Runtime(agy.RuntimeConfig(start_timeout=1)) as runtime:
        async with ticker:
            with pytest.raises(agy.AgyTimeoutError) as raised:
                await runtime.create_agent({"api_key": "k"})
        assert raised.value.operation == "create_agent"
        assert gone(int(pid_file.read_text(encoding="utf-8")))
    assert ticker.longest < STALL_S


async def test_cancelled_start_leaves_no_process(tmp_path, monkeypatch, runtime):
    pid_file = tmp_path / "pid"
    path = script(tmp_path, f"echo $$ > {pid_file}\nexec sleep 1000")
    monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", path)
    starting = asyncio.create_task(runtime.create_agent({"api_key": "k"}))
    assert await asyncio.to_thread(has_content, pid_file)
    await runtime.close()
    await asyncio.wait([starting])
    assert isinstance(starting.exception(), agy.ChannelClosedError)
    assert gone(int(pid_file.read_text(encoding="utf-8")))


PARENT = """
import asyncio, os, sys
import agy_nb as agy
from agy_nb.testing import ScriptedModel, hang

async def main():
    async with ScriptedModel([hang("x")]) as model, agy.Runtime() as runtime:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("go")
        async for _ in response.text_stream():
            print(agent._state.session._harness._harness_process.pid, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_harness_ends_with_a_parent_that_is_killed():
    parent = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True
    )
    try:
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        assert alive(pid)
        parent.kill()
        assert await asyncio.to_thread(gone, pid, 20)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


async def test_without_key_and_configuration_an_echo_answers_and_says_so(runtime, capsys):
    agent = await runtime.create_agent()
    assert "hello" in (await agent.chat_text("hello")).lower()
    assert capsys.readouterr().out.count("\n") == 1


async def test_echo_model_that_fails_to_start_is_tried_again(runtime, monkeypatch):
    from agy_nb.testing.echo import EchoModel

    start = EchoModel.start

    async def fails(_model):
        raise OSError("no free port")

    monkeypatch.setattr(EchoModel, "start", fails)
    with pytest.raises(agy.AgyError, match="no free port"):
        await runtime.create_agent()
    monkeypatch.setattr(EchoModel, "start", start)
    assert "hello" in (await (await runtime.create_agent()).chat_text("hello")).lower()


async def test_backend_in_memory_needs_no_harness():
    async with agy.Runtime(backend=MemoryBackend()) as runtime:
        assert await (await runtime.create_agent({})).chat_text("x") == "x "
