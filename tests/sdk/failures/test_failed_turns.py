"""A real turn that fails: the right error, the partial text, and a next turn that works."""

import pytest
from google.antigravity import (
    CompactionConfig,
    ModelAPIRetryConfig,
    ModelOutputRetryConfig,
    RetryConfig,
    types,
)
from google.antigravity.hooks import policy
from google.antigravity.types import BudgetConfig

import agy_nb as agy
from agy_nb.protocol.events import Error
from agy_nb.testing import ScriptedModel, block, call, drop, empty, fail, garbage, hang, say, think

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


def config(model, api_retries=0, output_retries=0):
    return model.config(
        retry_config=RetryConfig(
            api_retry=ModelAPIRetryConfig(
                max_retries=api_retries,
                initial_sleep_duration_ms=1,
                exponential_multiplier=1.0,
                jitter_range=0.0,
            ),
            model_output_retry=ModelOutputRetryConfig(max_retries=output_retries),
        )
    )


async def failed(runtime, turn, **limits):
    """What a turn ended with, and the next one's text."""
    async with ScriptedModel([turn, say("next")]) as model:
        agent = await runtime.create_agent(config(model, **limits))
        response = await agent.chat("go")
        await response
        assert await agent.chat_text("again") == "next"
        assert await agent.turn_count() == 2
        await agent.shutdown()
        return response


@pytest.mark.parametrize("code", [400, 401, 403, 404, 500, 503])
async def test_http_error_is_a_backend_error_with_its_code(runtime, code):
    response = await failed(runtime, fail(code))
    assert type(response.error) is agy.BackendError
    assert response.error.http_code == code


async def test_quota_error_tells_when_to_try_again(runtime):
    async with ScriptedModel([fail(429, retry_delay=7)]) as model:
        agent = await runtime.create_agent(config(model))
        response = await (await agent.chat("go"))
    assert isinstance(response.error, agy.QuotaExceededError)
    assert (response.error.retry_after, response.error.http_code) == (7, 429)


@pytest.mark.parametrize("turn", [say("par", finish_reason="SAFETY"), block("SAFETY")])
async def test_safety_block_is_safety(runtime, turn):
    response = await failed(runtime, turn)
    assert isinstance(response.error, agy.SafetyError)


async def test_token_limit_is_max_tokens_and_the_text_is_kept(runtime):
    response = await failed(runtime, say("par", finish_reason="MAX_TOKENS"))
    assert isinstance(response.error, agy.MaxTokensError)
    assert response.partial_text == "par"


@pytest.mark.parametrize("turn", [drop("par"), garbage(after="par")])
async def test_broken_answer_is_a_backend_error_and_the_text_is_kept(runtime, turn):
    response = await failed(runtime, turn)
    assert type(response.error) is agy.BackendError
    assert response.error.http_code is None
    assert response.partial_text == "par"


async def test_error_that_the_harness_recovers_from_is_an_event(runtime):
    async with ScriptedModel([fail(503), say("fine")]) as model:
        agent = await runtime.create_agent(config(model, api_retries=1))
        response = await agent.chat("go")
        assert await response.text() == "fine"
    errors = [event for event in response.event_log if isinstance(event, Error)]
    assert [(event.fatal, event.error.http_code) for event in errors] == [(False, 503)]
    assert errors[0].error.message.startswith("a step failed (HTTP 503)")  # the turn did not


async def test_text_of_a_try_that_broke_off_is_not_doubled(runtime):
    async with ScriptedModel([drop("Hel"), say("Hello")]) as model:
        agent = await runtime.create_agent(config(model, api_retries=1))
        assert await agent.chat_text("go") == "Hello"


ENDLESS = {
    "nothing": (empty(), agy.BackendError),
    "thoughts": (think("Hm."), agy.BackendError),
    "an unknown tool": (call("no_such_tool"), agy.BackendError),
    "a blocked answer": (block("SAFETY"), agy.SafetyError),
    "an answer cut off": (say("par", finish_reason="MAX_TOKENS"), agy.MaxTokensError),
}


@pytest.mark.parametrize("answer", ENDLESS)
async def test_answers_that_fail_one_after_the_other_end_the_turn(runtime, answer):
    turn, kind = ENDLESS[answer]
    async with ScriptedModel(lambda request: say("next") if "again" in str(request) else turn) as m:
        agent = await runtime.create_agent(m.config())
        response = await (await agent.chat("go"))
        assert type(response.error) is kind
        assert "3 " in str(response.error)
        assert len(m.requests) <= 4  # one may be on its way when the turn is ended


@pytest.mark.parametrize("form", ["config", "openai_config"])
async def test_thoughts_alone_end_the_turn_in_either_form(runtime, form):
    async with ScriptedModel(lambda _request: think("Hm.")) as model:
        agent = await runtime.create_agent(getattr(model, form)())
        with pytest.raises(agy.BackendError, match="max_empty_answers=3"):
            await agent.chat_text("go")
        assert len(model.requests) <= 4
        assert (await agent.last_turn_usage()).total_tokens < 50_000


@pytest.mark.parametrize("answer", [empty(), think("Hm.")], ids=["nothing", "thoughts"])
async def test_subagent_without_an_answer_ends_the_turn(runtime, answer):
    def root(request):
        if not request.tool_results:
            ask = {"TypeName": "counter", "Role": "counter", "Prompt": "count to three"}
            return call("invoke_subagent", Subagents=[ask])
        return say("it is counting")

    script = [("count to three", lambda _request: answer), ("", root)]
    async with ScriptedModel(script) as model:
        agent = await runtime.create_agent(
            model.config(
                subagents=[types.SubagentConfig(name="counter", description="Counts.")],
                policies=[policy.allow_all()],
            )
        )
        response = await (await agent.chat("go"))
        assert type(response.error) is agy.BackendError
        assert "max_empty_answers=3" in str(response.error)
        assert len(model.requests) <= 8


async def test_a_good_answer_between_failed_ones_starts_the_count_again(runtime):
    def weather(city: str) -> str:
        """Weather of a city."""
        return "sunny"

    use = call("weather", city="Oslo")
    script = [empty(), empty(), use, think("Hm."), empty(), use, empty(), say("sunny")]
    async with ScriptedModel(script) as model:
        agent = await runtime.create_agent(model.config(), tools=[weather])
        assert await agent.chat_text("go") == "sunny"


async def test_zero_switches_the_count_off():
    limits = agy.RuntimeConfig(chat_pause=0, max_empty_answers=0)
    script = [empty()] * 6 + [say("at last")]
    async with agy.Runtime(limits) as runtime, ScriptedModel(script) as model:
        agent = await runtime.create_agent(model.config())
        assert await agent.chat_text("go") == "at last"


@pytest.mark.parametrize("code", [429, 503])
async def test_outage_that_the_harness_retries_is_told_as_it_is(runtime, code):
    async with ScriptedModel([fail(code), fail(code), say("fine")]) as model:
        agent = await runtime.create_agent(config(model, api_retries=5))
        response = await agent.chat("go")
        assert await response.text() == "fine"
    told = [event.error for event in response.event_log if isinstance(event, Error)]
    assert [error.retryable for error in told] == [True, True]
    for number, error in enumerate(told, 1):
        assert f"HTTP {code}" in error.message
        assert f"the harness repeats the request (retry {number})" in error.message


@pytest.mark.parametrize(("code", "kind"), [(429, agy.QuotaExceededError), (503, agy.BackendError)])
async def test_outage_that_ends_in_silence_keeps_its_class(code, kind):
    limits = agy.RuntimeConfig(chat_pause=0, chat_timeout=1)
    async with agy.Runtime(limits) as runtime, ScriptedModel(lambda _request: fail(code)) as model:
        slow_retries = RetryConfig(
            api_retry=ModelAPIRetryConfig(
                max_retries=9,
                initial_sleep_duration_ms=50,
                exponential_multiplier=100.0,
                jitter_range=0.0,
            )
        )
        agent = await runtime.create_agent(model.config(retry_config=slow_retries))
        response = await (await agent.chat("go"))
        assert type(response.error) is kind
        assert (response.error.http_code, response.error.retryable) == (code, True)
        assert runtime.quota().throttled is (code == 429)


@pytest.mark.parametrize("say_much", [say, think])
async def test_answer_without_end_ends_the_turn(runtime, monkeypatch, say_much):
    monkeypatch.setattr("agy_nb.sdk.session.sdk_session.MOST_TEXT", 10_000)
    endless = hang(say_much(["x" * 1000] * 11))
    async with ScriptedModel([endless, say("next")]) as model:
        agent = await runtime.create_agent(config(model))
        with pytest.raises(agy.BackendError, match="longer than 10,000 characters"):
            await agent.chat_text("go")
        assert await agent.chat_text("again") == "next"


async def test_no_error_of_one_turn_reaches_the_next(runtime):
    """The harness closes its connection after an error, sooner or later than the next prompt."""
    async with ScriptedModel([fail(401), fail(401), say("fine"), fail(500), say("good")]) as model:
        agent = await runtime.create_agent(config(model))
        codes = []
        for _ in range(5):
            response = await (await agent.chat("go"))
            codes.append(response.error.http_code if response.error else response.partial_text)
    assert codes == [401, 401, "fine", 500, "good"]


async def test_silent_model_is_a_timeout_and_the_next_turn_works():
    config_ = agy.RuntimeConfig(chat_pause=0, chat_timeout=0.5)
    async with agy.Runtime(config_) as runtime, ScriptedModel([hang("par"), say("next")]) as model:
        agent = await runtime.create_agent(config(model))
        with pytest.raises(agy.AgyTimeoutError) as raised:
            await agent.chat_text("go")
        assert (raised.value.duration, raised.value.operation) == (0.5, "chat")
        assert agent.latest.partial_text == "par"
        assert await agent.chat_text("again") == "next"


async def test_history_survives_a_failed_turn(runtime):
    async with ScriptedModel([say("one"), fail(500), say("three")]) as model:
        agent = await runtime.create_agent(config(model))
        for prompt in ("first", "second", "third"):
            await (await agent.chat(prompt))
        said = [message.content for message in await agent.history() if message.role == "user"]
        assert said == ["first", "second", "third"]
        assert model.requests[-1].user_texts[0].startswith("first")


class NoJitter:
    """The dice of the back-off, always at their lowest."""

    def uniform(self, low, high):
        return low


@pytest.mark.parametrize(("hits", "retries", "ends_well"), [(1, 1, True), (1, 0, False)])
async def test_quota_error_is_tried_again_as_often_as_asked_for(
    monkeypatch, hits, retries, ends_well
):
    monkeypatch.setattr("agy_nb.runtime.limits.quota.LONGEST_BACKOFF_S", 0.1)
    monkeypatch.setattr("agy_nb.runtime.limits.quota.WAITER_JITTER_S", (0.0, 0.0))
    limits = agy.RuntimeConfig(chat_pause=0, max_quota_retries=retries)
    script = [fail(429, retry_delay=0.2)] * hits + [say("fine")]
    async with agy.Runtime(limits) as runtime, ScriptedModel(script) as model:
        runtime._quota._dice = NoJitter()
        agent = await runtime.create_agent(config(model))
        response = await (await agent.chat("go"))
        told = [event.error.retry_after for event in response.event_log if isinstance(event, Error)]
        assert told[0] == 0.2
        assert len(model.requests) == hits + ends_well
        assert (response.error is None) is ends_well
        assert runtime.quota().worst_hits == (0 if ends_well else hits)


async def test_prompt_that_does_not_fit_the_context_is_a_backend_error(runtime):
    async with ScriptedModel([say("never")]) as model:
        small = {"compaction_config": CompactionConfig(token_threshold=1000)}
        agent = await runtime.create_agent(model.config(**small))
        response = await (await agent.chat("long " * 2000))
    assert type(response.error) is agy.BackendError
    assert "context" in str(response.error)


async def test_spent_budget_ends_the_turn_well_and_says_so(runtime):
    def weather(city: str) -> str:
        """Weather of a city."""
        return "sunny"

    budget = {"budget_config": BudgetConfig(max_model_calls=2)}
    async with ScriptedModel(lambda _request: call("weather", city="Oslo")) as model:
        agent = await runtime.create_agent(model.config(**budget), tools=[weather])
        response = await (await agent.chat("go"))
    assert (response.error, response.stop_reason) == (None, "MAX_MODEL_CALLS_EXCEEDED")
    assert len(model.requests) == 2
