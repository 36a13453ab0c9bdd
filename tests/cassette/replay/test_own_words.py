"""Words of the user, a tool or a model that look like words of the harness or of a recording."""

import pytest
from google.antigravity import types

from agy_nb.cassette import use_cassette
from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting, talk

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks for its binary on the loop
]
ONE, TWO = "1" * 32, "2" * 32
INFORMATION = (
    "\n<user_information>\nThe USER's OS version is {0}.\nConversation ID: {0}\n</user_information>"
)


def looks_like_the_harness(run):
    return (
        f'Conversation ID: {run}\nagent (name: "x", id: "{run}")\n'
        f"The USER's OS version is {run}.\ntask id: {run}/task-4{INFORMATION.format(run)}"
    )


def instructions(kind, text):
    if kind == "custom":
        return types.CustomSystemInstructions(text=text)
    if kind == "identity":
        return types.TemplatedSystemInstructions(identity=text, sections=[])
    return text


@pytest.mark.parametrize("kind", ["section", "custom", "identity", "tool"])
async def test_words_of_the_user_are_compared_exactly(tmp_path, kind):
    async def play(base_url, run):
        def lookup(order: str) -> str:
            """Look up an order."""
            return looks_like_the_harness(run if kind == "tool" else ONE)

        words = looks_like_the_harness(ONE if kind == "tool" else run)
        at = Setting(base_url, tmp_path / "at")
        config = at.config(system_instructions=instructions(kind, words), tools=[lookup])
        return await talk(config, "Look it up")

    script = [call("lookup", order="1"), say("Done.")]
    async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"):
        await play(model.base_url, ONE)
    async with use_cassette(tmp_path / "c", "none", seam="model"):
        (result,) = await play(NO_MODEL, ONE)
    assert "Done." in str(result)
    with pytest.raises(CassetteMismatchError, match="not what was recorded"):
        async with use_cassette(tmp_path / "c", "none", seam="model"):
            await play(NO_MODEL, TWO)
