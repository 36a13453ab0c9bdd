"""An agent on a LiteRT model replays without the engine and the file of the model."""

import pytest
from google.antigravity import Agent, types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.cassette import use_cassette
from agy_nb.cassette.storage.cassette_reader import load
from tests.sdk.needs import needs_sdk

pytestmark = [needs_sdk("0.1.21", "it has no LiteRT"), pytest.mark.blocking_allowed]


def config(tmp_path):
    from google.antigravity.connections.local.litert_connection_config import LiteRTAgentConfig

    return LiteRTAgentConfig(
        model_path=str(tmp_path / "gemma.litertlm"),
        workspaces=[str(tmp_path)],
        save_dir=str(tmp_path / "save"),
        policies=[policy.allow_all()],
    )


@pytest.fixture
def recorded(cassette, frames):
    """A session of the engine on another machine."""
    model = {
        "name": "gemma.litertlm",
        "types": ["MODEL_TYPE_TEXT"],
        "gemmaEndpoint": {"baseUrl": "http://127.0.0.1:40111"},
    }
    return cassette(
        [
            frames.config(models=[model]),
            frames.ready(),
            frames.prompt("hello"),
            frames.step("Hi.", source="SOURCE_MODEL", target="TARGET_USER", textDelta="Hi."),
            frames.idle(),
        ]
    )


OPTIONS = {"match_on": ["prompt"]}  # the recording above holds what matters here, not all settings


async def test_agent_of_the_sdk_needs_no_engine(recorded, tmp_path):
    async with use_cassette(recorded, "none", **OPTIONS), Agent(config(tmp_path)) as agent:
        assert await (await agent.chat("hello")).text() == "Hi."
    assert load(recorded).sessions


async def test_agent_of_a_runtime_needs_no_engine(recorded, tmp_path):
    async with use_cassette(recorded, "none", **OPTIONS), agy.Runtime() as runtime:
        agent = await runtime.create_agent(config(tmp_path))
        assert await agent.chat_text("hello") == "Hi."


async def test_recording_needs_the_file(tmp_path):
    with pytest.raises(types.AntigravityValidationError, match="model path does not exist"):
        async with use_cassette(tmp_path / "c", "all"), Agent(config(tmp_path)):
            pass
