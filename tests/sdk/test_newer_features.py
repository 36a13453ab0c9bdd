"""Gateways without a key, outputs as pydantic models, and the exception that a tool has raised."""

import pydantic
import pytest
from google.antigravity import LocalAgentConfig, types
from google.antigravity.hooks import hooks, policy

import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


@pytest.mark.parametrize("kinds", [[types.ModelType.TEXT], list(types.ModelType)])
async def test_gateway_needs_no_key(runtime, monkeypatch, kinds):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    async with ScriptedModel([say("through the gateway")]) as model:
        endpoint = types.GeminiAPIEndpoint(base_url=model.base_url)
        targets = [
            types.ModelTarget(name="gemini-3-flash", types=[kind], endpoint=endpoint)
            for kind in kinds
        ]
        agent = await runtime.create_agent(LocalAgentConfig(models=targets))
        assert await agent.chat_text("go") == "through the gateway"


class Weather(pydantic.BaseModel):
    city: str
    degrees: int

    @pydantic.field_validator("degrees")
    @classmethod
    def _possible(cls, value: int) -> int:
        if value > 60:
            raise ValueError("too hot to be true")
        return value


async def finished(runtime, config, **output):
    async with ScriptedModel([call("finish", **output)]) as model:
        config = {**config, "models": model.config().models}
        agent = await runtime.create_agent(config, policies=[policy.allow_all()])
        return agent, await (await agent.chat("go"))


async def test_output_is_an_instance_of_the_pydantic_schema(runtime):
    config = {"response_schema": Weather}
    agent, response = await finished(runtime, config, city="Oslo", degrees=3)
    assert response.error is None
    assert response.output == agent.last_structured_output == Weather(city="Oslo", degrees=3)
    assert await response.structured_output() == {"city": "Oslo", "degrees": 3}


async def test_output_of_a_plain_schema_is_plain(runtime):
    config = {"response_schema": Weather.model_json_schema()}
    _, response = await finished(runtime, config, city="Oslo", degrees=3)
    assert response.output == {"city": "Oslo", "degrees": 3}


async def test_output_that_the_model_refuses_is_an_error_of_ours(runtime):
    _, response = await finished(runtime, {"response_schema": Weather}, city="Oslo", degrees=90)
    with pytest.raises(agy.BackendError, match="too hot"):
        _ = response.output


class OutOfPaperError(Exception):
    """The tool's own."""


async def test_hook_on_a_tools_error_gets_the_exception_itself(runtime):
    caught = []

    @hooks.on_tool_error
    async def look(error):
        caught.append(error)
        return f"the printer says: {error.__cause__.args[1]}"

    def use_printer(pages: int) -> str:
        """Print."""
        raise OutOfPaperError("tray", pages)

    async with ScriptedModel([call("use_printer", pages=3), say("ok")]) as model:
        agent = await runtime.create_agent(
            model.config(), tools=[use_printer], hooks=[look], policies=[policy.allow_all()]
        )
        assert await agent.chat_text("go") == "ok"
    (error,) = caught
    assert isinstance(error.__cause__, OutOfPaperError)
    assert error.__cause__.args == ("tray", 3)
    assert "the printer says: 3" in model.requests[-1].tool_results[0].text


HALF = "broken \ud800"
"""Half a surrogate pair, which UTF-8 cannot hold."""


async def test_error_of_a_tool_that_utf_8_cannot_hold_reaches_the_model(runtime):
    def fails(city: str) -> str:
        """Fail."""
        raise ValueError(HALF)

    async with ScriptedModel([call("fails", city="Oslo"), say("ok")]) as model:
        agent = await runtime.create_agent(
            model.config(), tools=[fails], policies=[policy.allow_all()]
        )
        assert await agent.chat_text("go") == "ok"
    assert "broken \ufffd" in model.requests[-1].tool_results[0].text


async def test_policy_that_fails_with_words_that_utf_8_cannot_hold_denies():
    def handler(_call):
        raise ValueError(HALF)

    def tool(city: str) -> str:
        """Never run."""
        return city

    config = agy.RuntimeConfig(chat_pause=0, chat_timeout=10)
    async with agy.Runtime(config) as runtime:
        async with ScriptedModel([call("tool", city="Oslo"), say("ok")]) as model:
            rules = [policy.ask_user("tool", handler=handler)]
            agent = await runtime.create_agent(model.config(), tools=[tool], policies=rules)
            assert await agent.chat_text("go") == "ok"
        assert "Oslo" not in model.requests[-1].tool_results[0].text
