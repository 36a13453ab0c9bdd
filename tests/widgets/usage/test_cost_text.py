"""What a turn cost, in the words of its footer."""

import pytest

import agy_nb as agy
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.usage.cost_text import cost_of, dollars
from tests.support.memory import MemoryBackend


async def play(turn):
    turn.say("Hi")
    turn.meter(input_tokens=1_000_000, output_tokens=100_000)


async def turn_with(config):
    backend = MemoryBackend(play)
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=backend) as runtime:
        agent = await runtime.create_agent(config)
        return await (await agent.chat("hi"))


async def test_calls_of_a_known_model_are_priced():
    pytest.importorskip("genai_prices")
    response = await turn_with({"model": "gemini-2.5-flash"})
    words = await cost_of(response)
    assert words.startswith("$0.")
    assert float(words[1:]) > 0


async def test_unknown_model_has_no_price_and_never_zero():
    assert await cost_of(await turn_with({"model": "home-made"})) == ""


async def test_footer_says_it_beside_the_tokens():
    response = await turn_with({"model": "gemini-2.5-flash"})
    transcript = ConversationView()
    for event in response.event_log:
        transcript.on_event(event)
    transcript.set_cost("$0.55")
    assert "1,100,000 tokens" in transcript.html()
    assert "$0.55" in transcript.html()


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0000123, "$0.000012"), (0.5512, "$0.55"), (1234.5, "$1,234.50"), (0.0, "$0")],
)
def test_price_is_written_without_exponents(value, words):
    assert dollars(value, digits=2) == words
