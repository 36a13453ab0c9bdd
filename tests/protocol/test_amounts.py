"""One thing is singular, wherever a text counts."""

import pytest

from agy_nb.protocol.amounts import counted, tokens_text
from agy_nb.protocol.commands import Trigger
from agy_nb.protocol.values import AgentId, TokenUsage
from agy_nb.wire.summaries.wording import usage_text


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 turns"), (1, "1 turn"), (2, "2 turns"), (1_200, "1,200 turns")]
)
def test_number_of_things(count, words):
    assert counted(count, "turn") == words


def test_tokens_can_be_unknown():
    assert [tokens_text(count) for count in (None, 0, 1)] == [
        "tokens unknown",
        "0 tokens",
        "1 token",
    ]


def test_one_token_in_a_recording_as_text():
    assert usage_text(TokenUsage(output_tokens=1, total_tokens=1)) == "1 token (1 out)"


def test_one_character_in_a_repr():
    assert "text=1 char)" in repr(Trigger(agent_id=AgentId(1), text="a"))
