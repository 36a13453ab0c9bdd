"""Timers of our runtime in a replay: what the recording waited for takes no time."""

import asyncio
import contextlib
import json
import time

import pytest

import agy_nb as agy
from agy_nb.cassette import use_cassette
from agy_nb.cassette.replay.clock import ReplayClock
from agy_nb.cassette.storage.format import WIRE
from agy_nb.runtime.limits import quota
from agy_nb.sdk.process.connection_clock import ConnectionClock
from agy_nb.testing import ScriptedModel, fail, hang, say
from tests.cassette.scenarios import NO_MODEL, Setting
from tests.support.wire_lines import whole_lines

real = pytest.mark.real
pytestmark = pytest.mark.blocking_allowed  # the SDK looks for its binary on the loop


@pytest.fixture
def at(tmp_path):
    return Setting(NO_MODEL, tmp_path / "now")


@pytest.fixture
def quick():
    """Fail unless the block takes much less than the waits in it."""

    @contextlib.contextmanager
    def quick():
        began = time.monotonic()
        yield
        assert time.monotonic() - began < 20

    return quick


def lengthen(path, kind, seconds):
    """Have a recording wait longer before lines of a kind that came late.

    Host notes may come in between: the wait then is before the first of them.
    """
    lines = whole_lines(path)
    found, notes = [], []
    for line in lines:
        waited = [*notes, line]
        late = sum(each["dt"] for each in waited) > 0.25
        if late and (kind in line["f"] or kind == line["d"]):
            found.append(max(waited, key=lambda each: each["dt"]))
        notes = waited if line["d"] == "host" else []
    assert found
    for line in found:
        line["dt"] += seconds
    (path / WIRE).write_text("".join(json.dumps(line) + "\n" for line in lines))


async def test_timers_keep_their_remaining_time_when_the_connection_is_replaced():
    first, second, fired = ReplayClock(), ReplayClock(), []
    clock = ConnectionClock(first)
    clock.call_at(clock.time() + 100, lambda: fired.append("late"), of_turn=True)
    cancelled = clock.call_at(clock.time() + 100, lambda: fired.append("never"))
    first.passed(60)
    before = clock.time()
    clock.follow(second)
    cancelled.cancel()
    assert clock.time() == pytest.approx(before, abs=0.05)
    second.waits(30, in_turn=True)
    await asyncio.sleep(0.05)
    assert fired == []
    second.waits(45, in_turn=True)
    await asyncio.sleep(0.05)
    assert fired == ["late"]
    first.waits(1000, in_turn=True)
    await asyncio.sleep(0.05)
    assert fired == ["late"]


# -- real sessions ---------------------------------------------------------------------------------


async def silent_turn(setting, limit):
    async with agy.Runtime(agy.RuntimeConfig(chat_timeout=limit)) as runtime:
        agent = await runtime.create_agent(setting.config())
        with pytest.raises(agy.AgyTimeoutError) as caught:
            await (await agent.chat("Count")).text()
        partial = caught.value.duration
        return partial, await (await agent.chat("Are you there?")).text()


@real
async def test_turn_that_was_silent_for_two_minutes_takes_no_time(tmp_path, at, quick):
    path = tmp_path / "c"
    script = [say("One, ") + hang(), say("Here again.")]
    async with ScriptedModel(script) as model, use_cassette(path):
        await silent_turn(Setting(model.base_url, tmp_path / "then"), 2.0)
    lengthen(path, "haltRequest", 118.0)
    with quick():
        async with use_cassette(path, "none"):
            assert await silent_turn(at, 120.0) == (120.0, "Here again.")


@real
async def test_silence_of_a_turn_that_restarts_the_harness_takes_no_time(tmp_path, at, quick):
    async def refused_then_silent(setting, limit):
        async with agy.Runtime(agy.RuntimeConfig(chat_pause=0, chat_timeout=limit)) as runtime:
            agent = await runtime.create_agent(setting.config())
            with pytest.raises(agy.BackendError, match="401"):
                await agent.chat_text("Hello")
            with pytest.raises(agy.AgyTimeoutError) as caught:
                await agent.chat_text("Count")
            return caught.value.duration

    path = tmp_path / "c"
    script = [fail(401), say("One, ") + hang()]
    async with ScriptedModel(script) as model, use_cassette(path):
        await refused_then_silent(Setting(model.base_url, tmp_path / "then"), 2.0)
    lengthen(path, "haltRequest", 118.0)
    with quick():
        async with use_cassette(path, "none", stall_after=2):
            assert await refused_then_silent(at, 120.0) == 120.0


@real
async def test_turn_that_was_cancelled_sooner_does_not_time_out(tmp_path, at):
    async def cancelled_turn(setting):
        async with agy.Runtime(agy.RuntimeConfig(chat_timeout=120)) as runtime:
            agent = await runtime.create_agent(setting.config())
            response = await agent.chat("Count")
            async for _ in response.text_stream():
                await response.cancel()
                break
            with pytest.raises(agy.TurnCancelledError):
                await response.text()

    async with ScriptedModel([say("One, ") + hang()]) as model, use_cassette(tmp_path / "c"):
        await cancelled_turn(Setting(model.base_url, tmp_path / "then"))
    async with use_cassette(tmp_path / "c", "none"):
        await cancelled_turn(at)


@real
async def test_wait_for_a_wakeup_that_never_came_takes_no_time(tmp_path, at, quick):
    async def waiting(setting, seconds):
        async with agy.Runtime() as runtime:
            agent = await runtime.create_agent(setting.config())
            await (await agent.chat("Hello")).text()
            woken = [await agent.wait_for_wakeup(seconds)]
            await (await agent.chat("Still there?")).text()
            return [*woken, await agent.wait_for_wakeup(seconds)]

    path = tmp_path / "c"
    async with ScriptedModel([say("Hi."), say("Yes.")]) as model, use_cassette(path):
        then = await waiting(Setting(model.base_url, tmp_path / "then"), 0.4)
    lengthen(path, "userInput", 299.6)
    lengthen(path, "end", 299.6)
    with quick():
        async with use_cassette(path, "none"):
            assert await waiting(at, 300) == then == [False, False]


@real
async def test_wait_before_the_first_prompt_takes_no_time(tmp_path, at, quick):
    async def waiting(setting, seconds):
        async with agy.Runtime() as runtime:
            agent = await runtime.create_agent(setting.config())
            woken = await agent.wait_for_wakeup(seconds)
            return woken, await (await agent.chat("Hello")).text()

    path = tmp_path / "c"
    async with ScriptedModel([say("Hi.")]) as model, use_cassette(path):
        then = await waiting(Setting(model.base_url, tmp_path / "then"), 0.4)
    lengthen(path, "userInput", 299.6)
    with quick():
        async with use_cassette(path, "none"):
            assert await waiting(at, 300) == then == (False, "Hi.")


@real
async def test_wait_for_a_busy_model_takes_no_time(tmp_path, at, quick, monkeypatch):
    async def busy(setting):
        async with agy.Runtime(agy.RuntimeConfig(max_quota_retries=2)) as runtime:
            agent = await runtime.create_agent(setting.config())
            return await (await agent.chat("Hello")).text()

    path = tmp_path / "c"
    times = {"DEFAULT_BACKOFF_S": 0.1, "LONGEST_BACKOFF_S": 0.1, "DEADLINE_JITTER_S": 0.0}
    with monkeypatch.context() as patch:
        for name, seconds in times.items():
            patch.setattr(quota, name, seconds)
        patch.setattr(quota, "WAITER_JITTER_S", (0.0, 0.0))
        script = [fail(429, retry_after=0)] * 3 + [say("At last.")]
        async with ScriptedModel(script) as model, use_cassette(path):
            then = await busy(Setting(model.base_url, tmp_path / "then"))
    with quick():
        async with use_cassette(path, "none"):
            assert await busy(at) == then == "At last."


# -- the clock -------------------------------------------------------------------------------------


@pytest.fixture
async def heard():
    return []


@pytest.fixture
async def clock():
    return ReplayClock()


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)


async def test_timer_goes_off_within_what_the_recording_waited(clock, heard):
    clock.call_at(clock.time() + 100, lambda: heard.append("late"))
    clock.call_at(clock.time() + 50, lambda: heard.append("early"))
    clock.waits(49, in_turn=True)
    await turns()
    assert heard == []
    clock.waits(60, in_turn=True)
    await turns()
    assert heard == ["early"]
    clock.waits(101, in_turn=True)
    await turns()
    assert heard == ["early", "late"]


async def test_timer_made_while_the_recording_waits_goes_off_too(clock, heard):
    clock.waits(300.01, in_turn=True)
    clock.call_at(clock.time() + 300, lambda: heard.append("late"))
    await turns()
    assert heard == ["late"]


async def test_turn_that_is_about_to_begin_is_not_timed_out(clock, heard):
    clock.waits(300, in_turn=False)
    clock.call_at(clock.time() + 120, lambda: heard.append("silent"), of_turn=True)
    clock.call_at(clock.time() + 200, lambda: heard.append("not woken"))
    await turns()
    assert heard == []


async def test_time_goes_on_by_itself_too(clock, heard):
    clock.call_at(clock.time() + 0.01, lambda: heard.append("real"))
    await asyncio.sleep(0.05)
    assert heard == ["real"]


async def test_cancelled_timer_never_goes_off(clock, heard):
    clock.call_at(clock.time() + 10, lambda: heard.append("cancelled")).cancel()
    later = clock.call_at(clock.time() + 21, lambda: heard.append("cancelled, too"))
    clock.call_at(clock.time() + 20, later.cancel)
    clock.waits(100, in_turn=True)
    await turns()
    assert heard == []


async def test_played_lines_take_their_recorded_time(clock):
    clock.passed(0)
    before = clock.time()
    clock.passed(30)
    clock.passed(12)
    assert 41.999 < clock.time() - before < 43  # a clock that runs for days has few digits left


async def test_time_that_a_tool_takes_is_not_counted_twice(clock):
    before = clock.time()
    await asyncio.sleep(0.1)  # the tool at work again
    clock.passed(0.1)
    assert clock.time() - before < 0.15


async def test_nothing_is_left_out_while_an_answer_is_waited_for(clock, heard):
    clock.call_at(clock.time() + 10, lambda: heard.append("tool"))
    clock.waits(None, in_turn=True)
    await turns()
    assert heard == []
