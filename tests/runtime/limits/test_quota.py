"""Back-off after a spent quota."""

import asyncio
import random

import pytest
from hypothesis import given, strategies as st

import agy_nb as agy
from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.events import Error, Waiting
from agy_nb.runtime.limits.quota import QuotaRegistry
from tests.runtime import virtual_time
from tests.runtime.conftest import first_piece, hangs, runtime_with


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class NoJitter(random.Random):
    def uniform(self, low, high):
        return low


def registry(capacity=100):
    clock = Clock()
    return QuotaRegistry(capacity, clock=clock, dice=NoJitter()), clock


def test_each_hit_in_a_row_doubles_the_wait_up_to_two_minutes():
    quota, _ = registry()
    state = quota.state("key")
    waits = [state.record_hit(0) for _ in range(9)]
    assert waits == [2, 4, 8, 16, 32, 64, 120, 120, 120]


def test_a_longer_hint_wins():
    quota, _ = registry()
    assert quota.state("key").record_hit(300) == 300


def test_a_hit_without_a_hint_waits_two_seconds_at_least():
    quota, _ = registry()
    assert quota.state("key").record_hit(None) == 2


@given(st.integers(1, 1_000), st.floats(0, 1_000), st.integers())
def test_wait_is_never_below_the_hint_nor_absurd(hits, hint, seed):
    quota = QuotaRegistry(clock=Clock(), dice=random.Random(seed))
    for _ in range(hits):
        wait = quota.state("key").record_hit(hint)
    assert hint <= wait + 1e-9
    assert wait <= max(hint, 125.0) + 1e-9


def test_a_waiter_adds_its_own_jitter():
    quota, clock = registry()
    state = quota.state("key")
    state.record_hit(10)
    assert state.wait_s() == 10.5
    clock.now += 10
    assert state.wait_s() == 0


def test_success_clears_the_key():
    quota, _ = registry()
    state = quota.state("key")
    state.record_hit(10)
    state.record_success()
    assert (state.hits, state.throttled, state.wait_s()) == (0, False, 0)


def test_idle_keys_go_first_when_there_is_no_room():
    quota, _ = registry(capacity=3)
    for key in "abc":
        quota.state(key)
    quota.state("b").record_hit(10)
    quota.state("d")
    assert len(quota) <= 3
    assert quota.state("b").hits == 1


def test_registry_tells_the_worst():
    quota, _ = registry()
    quota.state("a").record_hit(10)
    quota.state("a").record_hit(10)
    quota.state("b").record_hit(10)
    assert quota.status() == (2, True)


class Hits:
    """A model that is out of quota a number of times."""

    def __init__(self, times, **error):
        self.times = times
        self.tries = 0
        self.error = error

    async def __call__(self, turn):
        self.tries += 1
        if self.tries <= self.times:
            raise agy.QuotaExceededError(self.error.get("retry_after", 120.0), **self.options)
        turn.say("fine")

    @property
    def options(self):
        return {"hinted": "retry_after" in self.error}


def chat(model, prompts=1, **limits):
    async def scenario():
        async with runtime_with(model, **limits) as runtime:
            agent = await runtime.create_agent({"api_key": "k"})
            answers = []
            for _ in range(prompts):
                try:
                    answers.append(await agent.chat_text("go"))
                except agy.AgyError as error:
                    answers.append(error)
            return answers, runtime.quota()

    return virtual_time.run(scenario())


def test_no_retry_unless_asked_for():
    model = Hits(1, retry_after=7)
    (answers, status), seconds = chat(model)
    assert isinstance(answers[0], agy.QuotaExceededError)
    assert (answers[0].retry_after, model.tries, seconds) == (7, 1, 0)
    assert status.worst_hits == 1


def test_retries_wait_and_then_succeed():
    model = Hits(2, retry_after=30)
    (answers, status), seconds = chat(model, max_quota_retries=2)
    assert answers == ["fine"]
    assert model.tries == 3
    assert 60 <= seconds <= 70
    assert status == (0, False)


def test_spent_retries_are_the_error_with_two_minutes_where_nothing_was_said():
    (answers, _), _ = chat(Hits(9), max_quota_retries=1)
    assert answers[0].retry_after == 120


def test_first_attempt_waits_for_a_throttled_key_where_retries_are_asked_for():
    async def play(turn):
        if turn.prompt == "say" and turn.number == 1:
            turn.say("half")
            raise agy.QuotaExceededError(50)
        turn.say("fine")

    async def scenario():
        async with runtime_with(play, max_quota_retries=1) as runtime:
            agent = await runtime.create_agent({"api_key": "k"})
            with pytest.raises(agy.QuotaExceededError):
                await agent.chat_text("say")
            return await agent.chat_text("go")

    answer, seconds = virtual_time.run(scenario())
    assert answer == "fine"
    assert seconds >= 50


def test_first_attempt_does_not_wait_where_no_retries_are_asked_for():
    (answers, _), seconds = chat(Hits(1, retry_after=3_600), prompts=2)
    assert (answers[1], seconds) == ("fine", 0)


def test_two_runtimes_share_nothing():
    async def scenario():
        async with runtime_with(Hits(1, retry_after=50)) as one, runtime_with(Hits(0)) as two:
            first = await one.create_agent({"api_key": "k"})
            second = await two.create_agent({"api_key": "k"})
            with pytest.raises(agy.QuotaExceededError):
                await first.chat_text("go")
            return await second.chat_text("go")

    assert virtual_time.run(scenario()) == ("fine", 0)


def test_a_waiter_looks_again_before_it_sends():
    """A hit of another agent while one waits puts the deadline off for both."""
    sent = []

    async def play(turn):
        moment = asyncio.get_running_loop().time()
        sent.append((turn.prompt, moment))
        if turn.prompt == "slow":
            turn.say("half")  # so that it is not sent again
            await asyncio.sleep(5)
            raise agy.QuotaExceededError(100)
        if turn.prompt == "hit":
            turn.say("half")
            raise agy.QuotaExceededError(10)

    async def scenario():
        async with runtime_with(play, max_quota_retries=1) as runtime:
            agents = [await runtime.create_agent({"api_key": "k"}) for _ in range(3)]
            slow, hit = await agents[0].chat("slow"), await agents[1].chat("hit")
            await hit
            await (await agents[2].chat("after"))
            await slow

    virtual_time.run(scenario())
    times = dict(sent)
    assert times["after"] - times["slow"] >= 105


def test_keys_are_apart():
    async def scenario():
        async with runtime_with(Hits(1, retry_after=50)) as runtime:
            first = await runtime.create_agent({"api_key": "one"})
            second = await runtime.create_agent({"api_key": "two"})
            with pytest.raises(agy.QuotaExceededError):
                await first.chat_text("go")
            return await second.chat_text("go")

    assert virtual_time.run(scenario()) == ("fine", 0)


@pytest.mark.parametrize("query", ["turn_count", "signal_idle", "is_idle", "clear_history"])
async def test_what_is_no_model_call_clears_nothing(query):
    async with runtime_with(Hits(1, retry_after=50)) as runtime:
        agent = await runtime.create_agent({"api_key": "k"})
        with pytest.raises(agy.QuotaExceededError):
            await agent.chat_text("go")
        await getattr(agent, query)()
        assert runtime.quota() == (1, True)


async def test_a_start_of_an_agent_clears_nothing():
    async with runtime_with(Hits(1, retry_after=50)) as runtime:
        agent = await runtime.create_agent({"api_key": "k"})
        with pytest.raises(agy.QuotaExceededError):
            await agent.chat_text("go")
        await runtime.create_agent({"api_key": "k"})
        assert runtime.quota() == (1, True)


def test_a_turn_that_fails_otherwise_or_is_cancelled_clears_nothing():
    async def play(turn):
        if turn.number == 1:
            raise agy.QuotaExceededError(10)
        if turn.number == 2:
            raise agy.SafetyError("no")
        await hangs(turn)

    async def scenario():
        async with runtime_with(play) as runtime:
            agent = await runtime.create_agent({"api_key": "k"})
            for error in (agy.QuotaExceededError, agy.SafetyError):
                with pytest.raises(error):
                    await agent.chat_text("go")
            response = await agent.chat("go")
            await first_piece(response)
            await response.cancel()
            return runtime.quota().worst_hits

    assert virtual_time.run(scenario())[0] == 1


@pytest.mark.parametrize("begins", ["say", "call"])
def test_a_turn_that_has_begun_is_not_sent_twice(begins):
    tries = []

    async def play(turn):
        tries.append(turn.prompt)
        if begins == "say":
            turn.say("half of it")
        else:
            await turn.call("tool")
        raise agy.QuotaExceededError(1)

    async def scenario():
        async with runtime_with(play, max_quota_retries=3) as runtime:
            agent = await runtime.create_agent({"api_key": "k"}, tools=[tool])
            with pytest.raises(agy.QuotaExceededError):
                await agent.chat_text("go")

    virtual_time.run(scenario())
    assert tries == ["go"]


def tool():
    return 1


def test_send_is_tried_again_too():
    model = Hits(1, retry_after=5)

    async def scenario():
        async with runtime_with(model, max_quota_retries=1) as runtime:
            agent = await runtime.create_agent({"api_key": "k"})
            await agent.send("go")
            await agent.wait_for_idle()
            return agent.latest.partial_text

    assert virtual_time.run(scenario())[0] == "fine"
    assert model.tries == 2


def test_a_turn_that_waits_for_its_key_can_be_cancelled_at_once():
    async def scenario():
        async with runtime_with(Hits(1, retry_after=500), max_quota_retries=1) as runtime:
            agent = await runtime.create_agent({"api_key": "k"})
            response = await agent.chat("go")
            await asyncio.sleep(1)
            (waiting,) = [event for event in response.event_log if isinstance(event, Waiting)]
            assert waiting.reason == "quota"
            assert 500 <= waiting.seconds <= 502
            assert waiting.until - waiting.at == pytest.approx(waiting.seconds)
            await response.cancel()
            return response.state, await agent.is_idle()

    result, seconds = virtual_time.run(scenario())
    assert result == ("cancelled", True)
    assert seconds == pytest.approx(1)


@given(st.lists(st.text(max_size=2), max_size=300), st.integers(1, 10))
def test_registry_never_holds_more_than_its_capacity(keys, capacity):
    quota, _ = registry(capacity)
    for key in keys:
        quota.state(key).record_hit(1)
        assert len(quota) <= capacity


def quota_step(retry_after=5.0):
    """What the harness shows while it sends a request again by itself."""
    return Error(error=to_info(agy.QuotaExceededError(retry_after)), fatal=False)


async def test_quota_steps_of_a_turn_that_goes_on_count_as_hits():
    seen = []

    async def play(turn):
        for _ in range(3):
            turn.emit(quota_step())
        seen.append(runtime.quota())
        turn.say("fine")

    async with runtime_with(play) as runtime:
        agent = await runtime.create_agent({"api_key": "k"})
        assert await agent.chat_text("go") == "fine"
        assert seen == [(3, True)]
        assert runtime.quota() == (0, False)


async def test_the_step_that_ends_a_turn_is_one_hit_and_not_two():
    async def play(turn):
        turn.emit(quota_step())
        raise agy.QuotaExceededError(5)

    async with runtime_with(play) as runtime:
        agent = await runtime.create_agent({"api_key": "k"})
        with pytest.raises(agy.QuotaExceededError):
            await agent.chat_text("go")
        assert runtime.quota() == (1, True)


def test_a_quota_that_stays_spent_is_no_timeout_and_is_tried_again():
    """The harness tries on and on, and then says nothing for longer than the limit."""
    tries = []

    async def play(turn):
        tries.append(turn.prompt)
        turn.emit(quota_step(20))
        if len(tries) < 3:
            await asyncio.Event().wait()
        turn.say("fine")

    async def scenario():
        async with runtime_with(play, max_quota_retries=2, chat_timeout=10) as runtime:
            agent = await runtime.create_agent({"api_key": "k"})
            return await agent.chat_text("go"), runtime.quota()

    (answer, status), seconds = virtual_time.run(scenario())
    assert (answer, status) == ("fine", (0, False))
    assert len(tries) == 3
    assert seconds >= 2 * (10 + 10)  # the silence, and what is left of the hint after it


def test_a_try_that_hears_nothing_is_a_timeout_whatever_the_try_before_it_met():
    tries = []

    async def play(turn):
        tries.append(turn.prompt)
        if len(tries) == 1:
            turn.emit(quota_step(1))
        await asyncio.Event().wait()

    async def scenario():
        async with runtime_with(play, max_quota_retries=2, chat_timeout=10) as runtime:
            agent = await runtime.create_agent({"api_key": "k"})
            with pytest.raises(agy.AgyTimeoutError):
                await agent.chat_text("go")

    virtual_time.run(scenario())
    assert len(tries) == 2


async def test_success_of_a_sibling_that_began_before_a_hit_does_not_clear_it():
    begun, spent = asyncio.Event(), asyncio.Event()

    async def play(turn):
        if turn.prompt == "hit":
            await begun.wait()
            raise agy.QuotaExceededError(50)
        begun.set()
        await spent.wait()
        turn.say("fine")

    async with runtime_with(play) as runtime:
        one, two = [await runtime.create_agent({"api_key": "k"}) for _ in range(2)]
        slow = await one.chat("slow")
        await (await two.chat("hit"))
        spent.set()
        assert await slow.text() == "fine"
        assert runtime.quota() == (1, True)


def test_a_hint_holds_a_key_for_an_hour_at_the_most():
    quota, _ = registry()
    assert quota.state("key").record_hit(1e9) == 3600
