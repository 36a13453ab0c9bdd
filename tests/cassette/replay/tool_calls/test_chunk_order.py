"""The chunks of a response of the SDK have the same order in the recording and in its replays."""

import pytest
from google.antigravity import Agent, types
from google.antigravity.hooks import policy

from agy_nb.cassette import use_cassette
from agy_nb.testing import ScriptedModel, call, in_system, say
from tests.cassette.scenarios import NO_MODEL, Setting

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # the SDK waits for its process

TASK = {"TypeName": "researcher", "Role": "Researcher", "Prompt": "look into cats"}


def look_up(what: str) -> str:
    """Look something up."""
    return f"{what}: 42"


def script(number):
    """A subagent calls a tool while its parent streams: the call and a text come together."""
    calls = [say(f"step {step} ") + call("look_up", what=f"{number} {step}") for step in range(6)]
    pieces = [f"{piece} " for piece in range(30)]
    return [
        (in_system("You research."), [*calls, say("They purr.")]),
        (
            "go",
            [
                call("invoke_subagent", Subagents=[TASK]),
                say(pieces, chunk_delay_s=0.003),
                say("Done."),
            ],
        ),
    ]


async def chunks(setting):
    helper = types.SubagentConfig(
        name="researcher",
        description="Looks things up.",
        system_instructions="You research.",
        tools=[look_up],
    )
    config = setting.config(tools=[look_up], subagents=[helper], policies=[policy.allow_all()])
    async with Agent(config) as agent:
        response = await agent.chat("go")
        return [
            (type(chunk).__name__, chunk.args if isinstance(chunk, types.ToolCall) else chunk.text)
            async for chunk in response.chunks
        ]


async def test_call_of_a_tool_has_its_place_among_the_texts(tmp_path):
    for number in range(3):  # whether both come together is chance
        path = tmp_path / str(number)
        async with ScriptedModel(script(number)) as model, use_cassette(path / "c"):
            recorded = await chunks(Setting(model.base_url, path / "then"))
        async with use_cassette(path / "c", "none"):
            assert await chunks(Setting(NO_MODEL, path / "now")) == recorded
