"""What an empty chat panel offers, with the real SDK and harness."""

from __future__ import annotations

import pytest

import agy_nb as agy
from agy_nb.testing import EchoModel, ScriptedModel, say
from agy_nb.widgets.chat.panel_header import about

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]


def get_weather(city: str) -> str:
    """Look up the weather in a city."""
    return f"sunny in {city}"


async def test_panel_on_the_echo_model_offers_the_prompts_that_it_reacts_to():
    async with EchoModel(word_delay_s=0) as model, agy.Runtime() as runtime:
        agent = await runtime.create_agent(model.config(), tools=[get_weather])
        tool, *others = about(agent)["examples"]
        assert others == ["Run ls", "Ask me", "Think", "Use a subagent", "Fail"]
        assert await agent.chat_text(tool) == "get_weather says: sunny in Paris"
        bare = await runtime.create_agent(model.config())
        assert about(bare)["examples"] == others


async def test_panel_on_another_model_offers_questions():
    async with ScriptedModel(say("Hello.")) as model, agy.Runtime() as runtime:
        agent = await runtime.create_agent(model.config(), tools=[get_weather])
        shown = about(agent)["examples"]
        assert shown == ["Show me what get_weather does.", "What can you do with your tools?"]
