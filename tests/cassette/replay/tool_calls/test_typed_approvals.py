"""A program that reads prompts and approvals from the same input, as a command line does."""

import pytest
from google.antigravity import Agent
from google.antigravity.hooks import policy

from agy_nb.cassette import CassetteMismatchError, use_cassette
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # the SDK waits for its process


def get_number() -> int:
    """Give a number."""
    return 7


async def program(setting, path, mode, typed, **options):
    lines = iter(typed)

    async def ask(_) -> bool:
        return next(lines) == "y"

    config = setting.config(tools=[get_number], policies=[policy.ask_user("*", handler=ask)])
    async with use_cassette(path, mode, **options), Agent(config) as agent:
        return [await (await agent.chat(prompt)).text() for prompt in lines]


@pytest.mark.parametrize("typed", [["Hello", "y", "And now?"], ["Hello", "y"]])
async def test_prompt_that_was_an_approval_suggests_to_ask(tmp_path, typed):
    script = [call("get_number"), say("Seven."), say("Eight.")]
    async with ScriptedModel(script) as model:
        live = await program(
            Setting(model.base_url, tmp_path / "then"), tmp_path / "c", "all", typed
        )
    at = Setting(NO_MODEL, tmp_path / "now")
    with pytest.raises(CassetteMismatchError, match='approvals="ask"') as caught:
        await program(at, tmp_path / "c", "none", typed)
    assert "--approvals ask" in caught.value.text("shell")
    assert await program(at, tmp_path / "c", "none", typed, approvals="ask") == live
