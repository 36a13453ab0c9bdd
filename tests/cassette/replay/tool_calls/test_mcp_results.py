"""The result of a tool in the events is what the model saw, live and replayed."""

import json
import sys
from pathlib import Path

import pytest
from google.antigravity import Agent, types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # the SDK makes its save_dir

SERVER = Path(__file__).parents[3] / "sdk" / "mcp_server.py"


def picture() -> bytes:
    """Paint a picture."""
    return b"\x89PNG\x00"


def server(*, eager: bool) -> types.McpStdioServer:
    return types.McpStdioServer(
        name="shop", command=sys.executable, args=[str(SERVER)], force_all_tools_eager=eager
    )


def config(setting, *, eager=True):
    return setting.config(mcp_servers=[server(eager=eager)], policies=[policy.allow_all()])


async def talk(setting, path, mode, *, eager=True, tools=()):
    """The results in the events of one turn, and in the tables."""
    async with agy.use_cassette(path, mode), agy.Runtime() as runtime:
        agent = await runtime.create_agent(config(setting, eager=eager), tools=tools)
        response = await agent.chat("What does it cost?")
        await response.text()
        results = [(r.name, r.result) for r in response.tool_results]
        return results, runtime.tables.tool_calls["result_chars"].tolist()


PRICES = {
    "named": (True, [call("mcp_shop_price", item="tea")]),
    "several": (True, [call("mcp_shop_price", item="tea") + call("mcp_shop_price", item="oil")]),
    "through one tool": (
        False,
        [call("call_mcp_tool", ServerName="shop", ToolName="price", Arguments={"item": "tea"})],
    ),
}


@pytest.mark.parametrize("case", PRICES)
async def test_mcp_result_is_that_of_the_model(tmp_path, case):
    eager, calls = PRICES[case]
    async with ScriptedModel([*calls, say("Three euros.")]) as model:
        setting = Setting(model.base_url, tmp_path / "a")
        recorded = await talk(setting, tmp_path / "c", "all", eager=eager)
        seen = [result.text for result in model.requests[1].tool_results]
    items = ["tea", "oil"][: len(seen)]
    assert recorded[0] == [("price", f"{item} costs 3 euros") for item in items]
    assert all(result in text for (_, result), text in zip(recorded[0], seen, strict=True))
    chars = [len(json.dumps(result)) for _, result in recorded[0]]
    assert recorded[1] == chars
    replayed = await talk(Setting(NO_MODEL, tmp_path / "b"), tmp_path / "c", "none", eager=eager)
    assert replayed == recorded
    assert agy.load(tmp_path / "c").tool_calls["result_chars"].tolist() == chars


async def test_bytes_of_a_tool_are_the_words_that_the_model_sees(tmp_path):
    async with ScriptedModel([call("picture"), say("Nice.")]) as model:
        setting = Setting(model.base_url, tmp_path / "a")
        recorded = await talk(setting, tmp_path / "c", "all", tools=[picture])
        assert model.requests[1].tool_results[0].value == recorded[0][0][1]
    replayed = await talk(
        Setting(NO_MODEL, tmp_path / "b"), tmp_path / "c", "none", tools=[picture]
    )
    assert replayed == recorded


async def test_recording_of_the_sdk_alone_replays_with_the_package_and_back(tmp_path):
    """The package's agents take MCP results with a hook, which is not part of the comparison."""
    calls = [call("mcp_shop_price", item="tea"), say("Three euros.")]

    async def alone(setting, path, mode):
        async with agy.use_cassette(path, mode), Agent(config(setting)) as agent:
            return await (await agent.chat("What does it cost?")).text()

    async with ScriptedModel([*calls, *calls]) as model:
        await alone(Setting(model.base_url, tmp_path / "1"), tmp_path / "sdk", "all")
        await talk(Setting(model.base_url, tmp_path / "2"), tmp_path / "agy", "all")
    replayed = await talk(Setting(NO_MODEL, tmp_path / "3"), tmp_path / "sdk", "none")
    assert replayed[0] == [("price", None)]  # the recording does not have it
    text = await alone(Setting(NO_MODEL, tmp_path / "4"), tmp_path / "agy", "none")
    assert text == "Three euros."
