"""Small scenarios of quota and back-off."""

import asyncio

import agy_nb as agy
from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.events import Error, TurnState
from tests.properties.stage import agent_in, ended_once, outcome, runtime_in, scenario

RETRY = {"max_quota_retries": 1, "chat_timeout": 500}


class Spent:
    """A model that is out of quota for its first tries; notes when each try came."""

    def __init__(self, world, times, hint=None):
        self.world, self.times, self.hint = world, times, hint
        self.tries: list[tuple[float, str]] = []
        self.hits: list[float] = []

    async def __call__(self, turn):
        self.tries.append((self.world.now, turn.prompt))
        number = len(self.tries)
        await self.world.at(f"the model answers {turn.prompt!r}, try {number}")
        if number <= self.times:
            self.hits.append(self.world.now)
            raise agy.QuotaExceededError(self.hint or 120.0, hinted=self.hint is not None)
        turn.say("fine")


@scenario
async def a_spent_quota_is_waited_for(world):
    model = Spent(world, 1, hint=20)
    async with agent_in(world, model, limits=RETRY) as agent:
        world.begin(seconds=60)
        response = await agent.chat("a")
        assert await response.text() == "fine"
        (_, (second, _)), (hit,) = model.tries, model.hits
        assert 20 <= second - hit <= 27.1
        assert agent.runtime.quota() == (0, False)


@scenario
async def no_retry_but_those_that_were_asked_for(world):
    model = Spent(world, 9)
    async with agent_in(world, model, limits=RETRY) as agent:
        world.begin(seconds=60)
        response = await agent.chat("a")
        error = await outcome(response.text())
        assert isinstance(error, agy.QuotaExceededError)
        assert error.retry_after == 120
        assert ended_once(response) is TurnState.FAILED
        assert len(model.tries) == 2
        assert agent.runtime.quota() == (2, True)


@scenario
async def a_cancel_does_not_wait_for_the_quota(world):
    model = Spent(world, 1, hint=20)
    async with agent_in(world, model, limits=RETRY) as agent:
        world.begin()
        response = await agent.chat("a")

        async def cancel():
            before = world.now
            await agent.cancel()
            assert world.now - before <= 0.5

        world.does("the user cancels", cancel)
        await response.wait()
        await world.all_done()
        ended_once(response)
        assert len(model.tries) <= 1


@scenario
async def after_a_cancel_nothing_more_is_sent(world):
    model = Spent(world, 1, hint=20)
    async with agent_in(world, model, limits=RETRY) as agent:
        world.begin(seconds=60)
        response = await agent.chat("a")
        tries = []

        async def cancel():
            await response.cancel()
            tries.append(len(model.tries))

        world.does("the user cancels", cancel)
        await response.wait()
        await world.all_done()
        await agent.wait_for_idle()
        ended_once(response)
        assert tries == [len(model.tries)]


@scenario
async def a_shutdown_ends_the_back_off(world):
    model = Spent(world, 1, hint=20)
    async with agent_in(world, model, limits=RETRY) as agent:
        world.begin()
        response = await agent.chat("a")

        async def close():
            before = world.now
            await agent.runtime.close()
            assert world.now - before <= 1, "a close does not wait for the quota"

        world.does("the runtime is closed", close)
        await world.all_done()
        await response.wait()
        ended_once(response)


@scenario
async def two_agents_of_one_key_wait_for_each_other(world):
    model = Spent(world, 1, hint=20)
    async with runtime_in(world, model, **RETRY) as runtime:
        one, two = [await runtime.create_agent({"api_key": "k"}) for _ in range(2)]
        world.begin(seconds=60)
        first = await one.chat("a")
        second = world.does("the other chats", lambda: two.chat_text("b"))
        assert await first.text() == "fine"
        assert await second == "fine"
        (hit,) = model.hits
        for moment, _ in model.tries[1:]:
            assert moment <= hit or moment >= hit + 20, (hit, model.tries)


@scenario
async def a_key_that_is_hit_again_is_waited_for_again(world):
    hints = {"short": 20.0, "long": 50.0}
    tries, hits = [], []

    async def play(turn):
        tries.append(world.now)
        await world.at(f"the model answers {turn.prompt!r}")
        if turn.prompt in hints:
            hits.append((world.now, hints[turn.prompt]))
            turn.say("half")  # so that it is not sent again
            raise agy.QuotaExceededError(hints[turn.prompt])
        turn.say("fine")

    async with runtime_in(world, play, **RETRY) as runtime:
        agents = [await runtime.create_agent({"api_key": "k"}) for _ in range(3)]
        world.begin(seconds=30)
        spent = [await agents[0].chat("short"), await agents[1].chat("long")]
        last = world.does("the third chats", lambda: agents[2].chat_text("go"))
        assert await last == "fine"
        for response in spent:
            await response.wait()
        early = [(t, hit) for t in tries for hit, hint in hits if hit < t < hit + hint]
        assert not early, "sent while the key was to be left alone"


@scenario
async def a_key_of_its_own_waits_for_nobody(world):
    async def play(turn):
        await world.at(f"the model answers {turn.prompt!r}")
        if turn.prompt == "spent":
            raise agy.QuotaExceededError(50.0)
        turn.say("fine")

    async with runtime_in(world, play) as runtime:
        poor, rich = [await runtime.create_agent({"api_key": key}) for key in "ab"]
        world.begin()
        spent = await poor.chat("spent")

        async def chat():
            before = world.now
            text = await rich.chat_text("go")
            assert world.now == before
            return text

        world.does("the other chats", chat)
        assert await world.all_done() == ["fine"]
        assert isinstance(await outcome(spent.text()), agy.QuotaExceededError)
        assert runtime.quota() == (1, True)


@scenario
async def a_query_clears_no_quota(world):
    model = Spent(world, 1, hint=20)
    async with agent_in(world, model) as agent:
        world.begin()
        response = await agent.chat("a")
        world.does("a query", agent.turn_count)
        world.does("history is cleared", agent.clear_history)
        await response.wait()
        await world.all_done()
        assert agent.runtime.quota() == (1, True)


@scenario
async def a_turn_that_has_begun_is_not_sent_again(world):
    tries = []

    async def play(turn):
        tries.append(turn.number)
        await world.at("the model says a word")
        turn.say("word")
        await world.at("the quota is spent")
        raise agy.QuotaExceededError(3.0)

    async with agent_in(world, play, limits={"max_quota_retries": 3}) as agent:
        world.begin()
        response = await agent.chat("a")
        assert isinstance(await outcome(response.text()), agy.QuotaExceededError)
        assert response.partial_text == "word"
        assert tries == [1]


@scenario
async def a_cancelled_turn_clears_no_quota(world):
    async def play(turn):
        if turn.prompt == "spent":
            raise agy.QuotaExceededError(5.0)
        await world.at("the model answers")
        turn.say("fine")

    async with agent_in(world, play) as agent:
        await outcome(agent.chat_text("spent"))
        assert agent.runtime.quota() == (1, True)
        world.begin(seconds=30)
        response = await agent.chat("go")
        world.does("the user cancels", response.cancel)
        await response.wait()
        await world.all_done()
        hits = agent.runtime.quota().worst_hits
        assert hits == (0 if ended_once(response) is TurnState.DONE else 1)
        await asyncio.sleep(0)


def quota_step(seconds):
    """What the harness shows of a hit after which it goes on by itself."""
    return Error(error=to_info(agy.QuotaExceededError(seconds)), fatal=False)


@scenario
async def a_hit_that_the_harness_gets_over_is_counted_until_it_does(world):
    async def play(turn):
        await world.at("the quota is hit")
        turn.emit(quota_step(5.0))
        await world.at("the model answers after all")
        turn.say("fine")

    async with agent_in(world, play) as agent:
        world.begin()
        response = await agent.chat("a")
        counts = []

        async def look():
            counts.append(agent.runtime.quota().worst_hits)

        world.does("somebody looks", look)
        assert await response.text() == "fine"
        await world.all_done()
        assert counts in ([0], [1])
        assert agent.runtime.quota() == (0, False)


@scenario
async def a_success_that_began_before_a_siblings_hit_does_not_clear_it(world):
    async def play(turn):
        await world.at(f"the model answers {turn.prompt!r}")
        if turn.prompt == "spent":
            raise agy.QuotaExceededError(50.0)
        turn.say("fine")

    async with runtime_in(world, play) as runtime:
        one, two = [await runtime.create_agent({"api_key": "k"}) for _ in range(2)]
        world.begin()
        spent, well = await one.chat("spent"), await two.chat("well")
        assert await well.text() == "fine"
        assert isinstance(await outcome(spent.text()), agy.QuotaExceededError)
        assert runtime.quota() == (1, True)


@scenario
async def a_sender_that_goes_away_waits_for_no_quota(world):
    model = Spent(world, 1, hint=20)
    async with agent_in(world, model, limits=RETRY) as agent:
        world.begin()
        sender = asyncio.create_task(agent.chat_text("a"))

        async def leave():
            sender.cancel()
            await asyncio.wait([sender])

        world.does("the sender goes away", leave)
        await world.all_done()
        tries = len(model.tries)
        await agent.wait_for_idle()
        assert sender.cancelled() or sender.done()
        assert len(model.tries) == tries <= 2
        if agent.latest is not None:
            ended_once(agent.latest)


@scenario
async def a_budget_ends_a_turn_once_whatever_lands_with_it(world):
    async def play(turn):
        for number in range(3):
            await world.at(f"call {number} is metered")
            turn.say(f"{number} ")
            turn.meter()
        await world.at("the model is done")

    async with agent_in(world, play, limits={"max_turn_tokens": 20}) as agent:
        world.begin()
        response = await agent.chat("a")
        world.does("the user cancels", response.cancel)
        await response.wait()
        await world.all_done()
        await agent.wait_for_idle()
        state = ended_once(response)
        assert state in (TurnState.FAILED, TurnState.CANCELLED)
        assert len(response.partial_text.split()) <= 2
        if state is TurnState.FAILED:
            assert isinstance(response.error, agy.BudgetExceededError)
            assert response.error.used == 30


@scenario
async def the_time_of_a_turn_ends_it_once_whatever_lands_with_it(world):
    async def play(turn):
        await world.at("the model says something")
        turn.say("x")
        await world.at("the model is done")

    async with agent_in(world, play, limits={"max_turn_duration": 3}) as agent:
        world.begin(seconds=10)
        response = await agent.chat("a")
        await response.wait()
        await agent.wait_for_idle()
        if ended_once(response) is TurnState.FAILED:
            assert isinstance(response.error, agy.BudgetExceededError)
            assert response.error.budget == "max_turn_duration"
