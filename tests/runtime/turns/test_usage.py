"""What an agent and a response used: `usage` and `cost`, as text and as numbers; how both print."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

import agy_nb as agy
from agy_nb.analysis import Prices
from agy_nb.protocol.values import TokenUsage
from agy_nb.testing import EchoModel, ScriptedModel, ScriptUsage, fail, say

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # tables are imported on first use
TOKENS = ScriptUsage(prompt=1000, candidates=234)
CONFIG = agy.RuntimeConfig(prices=Prices(own={"my-model": (1.0, 0.1, 5.0)}))
COST = (1000 * 1.0 + 234 * 5.0) / 1_000_000


async def start(model: ScriptedModel, runtime: agy.Runtime) -> agy.Agent:
    return await runtime.create_agent(model.config(model="my-model"))


async def test_usage_and_cost_of_a_response_and_of_its_agent():
    turns = [say("One.", usage=TOKENS), say("Two.", usage=TOKENS)]
    async with ScriptedModel(turns) as model, agy.Runtime(CONFIG) as runtime:
        agent = await start(model, runtime)
        first = await (await agent.chat("one"))
        await (await agent.chat("two"))
        assert repr(first.usage) == "1,234 tokens, $0.0022"
        assert repr(first.cost) == "$0.0022"
        assert first.cost.usd == pytest.approx(COST)
        assert not first.cost.is_lower_bound
        assert repr(agent.usage) == "2,468 tokens, $0.0043"
        assert agent.cost.usd == pytest.approx(2 * COST)
        assert agent.usage == await agent.total_usage()
        assert agent.sync.usage == agent.usage
        assert agent.sync.cost == agent.cost
        await agent.close()
        assert repr(agent.usage) == "2,468 tokens, $0.0043"


async def test_before_the_first_turn_nothing_is_used():
    async with EchoModel() as model, await agy.create_agent(model.config()) as agent:
        assert repr(agent.usage) == "0 tokens, no cost"
        assert agent.usage.total_tokens == 0
        assert agent.cost.usd is None


async def test_a_call_that_reports_no_tokens_makes_the_cost_a_lower_bound():
    turns = [say("One.", usage=TOKENS), say("Two.", metering="never")]
    async with ScriptedModel(turns) as model, agy.Runtime(CONFIG) as runtime:
        agent = await start(model, runtime)
        for prompt in ("one", "two"):
            await (await agent.chat(prompt))
        assert repr(agent.usage) == "1,234 tokens, at least $0.0022"


async def test_the_default_model_without_a_key_is_not_priced_as_gemini(monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    async with agy.Runtime() as runtime:
        agent = await runtime.create_agent()
        response = await (await agent.chat("Hello"))
        assert response.model == "echo-model"
        assert response.cost.usd is None
        assert response.cost == agent.cost
        assert repr(response.usage).endswith(" tokens, cost unknown")


async def test_usage_with_a_cost_behaves_as_plain_usage():
    async with EchoModel() as model, await agy.create_agent(model.config()) as agent:
        usage = (await (await agent.chat("Hello"))).usage
        plain = await agent.last_turn_usage()
        assert usage == plain
        assert plain == usage
        assert len({usage, plain}) == 1
        assert usage != "text"
        assert pickle.loads(pickle.dumps(usage)) == plain
        assert dataclasses.replace(usage, total_tokens=5) != usage
        assert type(usage + usage) is TokenUsage


async def test_print_shows_the_answer_and_the_error_of_a_failed_turn():
    turns = [say("Paris."), fail(400, message="no such model")]
    async with ScriptedModel(turns) as model, await agy.create_agent(model.config()) as agent:
        assert str(await (await agent.chat("capital?"))) == "Paris."
        failed = await (await agent.chat("again"))
        assert str(failed).startswith("BackendError: ")
        assert "no such model" in str(failed)


async def test_a_response_without_text_prints_its_state():
    async with EchoModel() as model, await agy.create_agent(model.config()) as agent:
        response = await agent.chat("Hello")
        assert str(response) == repr(response)
        await response


async def test_a_plain_loop_names_the_ways_to_read_a_response():
    async with EchoModel() as model, await agy.create_agent(model.config()) as agent:
        response = await (await agent.chat("Hello"))
        with pytest.raises(TypeError, match=r"text_stream\(\)") as caught:
            list(response)
        assert "agent.sync" in str(caught.value)
        assert "async for" in str(caught.value)


async def test_close_ends_the_agent():
    async with EchoModel() as model:
        agent = await agy.create_agent(model.config())
        await agent.close()
        assert not agent.is_started
        await agent.close()
