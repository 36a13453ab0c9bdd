"""A program as a user writes it. Type checkers check it in strict mode; it is not run."""

from __future__ import annotations

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import agy_nb as agy
from agy_nb.analysis import Prices, Sessions
from agy_nb.protocol.events import ToolCall
from agy_nb.testing import ScriptedModel, ScriptedModelFactory, call, say


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


async def decide(request: agy.ApprovalRequest) -> agy.ApprovalDecision:
    return agy.ApprovalDecision(allowed=request.tool == "get_weather", remember="tool")


async def chat() -> float | None:
    agent = await agy.create_agent(
        model="gemini-2.5-pro",
        system_instructions="Answer in one sentence.",
        workspaces=["reports"],
        tools=[get_weather],
        ask_user=decide,
        labels={"user": "ada"},
    )
    async with agent:
        response = await agent.chat("Weather in Paris?")
        async for piece in response:
            print(piece.upper())
        async for event in response.events():
            if isinstance(event, ToolCall):
                print(event.name, event.args)
        text: str = await response.text()
        tokens: int = agent.usage.total_tokens or 0
        print(
            text,
            tokens,
            agent.cost.usd,
            response.usage,
            [each.name for each in response.tool_calls],
        )
        other = await agent.fork(turn=1, model="gemini-2.5-flash")
        print([message.content for message in await other.history()])
        await other.close()
    return agent.cost.usd


def blocking() -> str:
    runtime = agy.runtime(agy.RuntimeConfig(chat_timeout=30.0, max_session_cost_usd=1.0))
    agent: agy.Agent = agy.run(runtime.create_agent(tools=[get_weather]))
    answer: str = agent.sync.chat_text("Hello")
    agent.sync.close()
    return answer


async def test_recorded() -> None:
    async with (
        ScriptedModel([call("get_weather", city="Paris"), say("Sunny.")]) as model,
        agy.use_cassette("cassettes/weather", record_mode="once"),
    ):
        agent = await agy.create_agent(model.config(), tools=[get_weather])
        response = await (await agent.chat("Weather?"))
        agy.expect(response).calls(["get_weather"]).says("Sunny")


async def test_with_fixture(scripted_model: ScriptedModelFactory) -> None:
    model = await scripted_model([say("Hello")], strict=True)
    agent = await agy.create_agent(model.config(system_instructions="Be brief."))
    panel = agent.chat_ui()
    panel.layout.width = "50%"
    print([each.state for each in panel.responses], agent.usage_ui().by, panel.label)
    panel.close()


def analyse() -> None:
    sessions: Sessions = agy.load("cassettes/", prices=Prices(own={"m": (1.0, 0.1, 2.0)}))
    print(sessions.usage(by=["model"]), sessions.turns, len(sessions))
    sessions.to_otel(InMemorySpanExporter(), arguments=True)
    agy.browse("cassettes/").close()


async def compare() -> None:
    variants = {"a": {"model": "gemini-2.5-pro"}, "b": {"model": "gemini-2.5-flash"}}
    comparison = await agy.compare_runs(["Hello"], variants, repeat=2)
    print(comparison.table, comparison.cost.usd)


@agy.use_cassette("cassettes/weather")
async def decorated() -> None:
    await chat()
