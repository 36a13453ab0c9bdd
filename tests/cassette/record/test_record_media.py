"""`record_media=False` on the real harness: no picture is written, and the recording replays."""

import base64

import pytest
from google.antigravity import types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.cassette import use_cassette
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import PIXEL

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]

OTHER = PIXEL[:40] + b"\x01\x02\x03" + PIXEL[43:]
BOTH = [PIXEL, OTHER]


def image(data):
    return types.Image(data=data, mime_type="image/png", description="a dot")


async def session(config, prompt_data, tool_data):
    """One turn: a picture in the prompt, and one that a tool gives."""

    def photo(name: str) -> types.Image:
        """Take a photo."""
        return image(tool_data)

    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime:
        agent = await runtime.create_agent(config, tools=[photo], policies=[policy.allow("photo")])
        response = await agent.chat(["What is this?", image(prompt_data)])
        return await response.text(), [each.error for each in response.tool_results]


def held(folder):
    """Which of the pictures' bytes the files of a recording hold, plain or as base64."""
    files = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    assert files
    spellings = [form for data in BOTH for form in (data[45:], base64.b64encode(data[:60])[:60])]
    return [form for form in spellings if any(form in content for content in files)]


@pytest.fixture
async def recorded(tmp_path):
    """A recording without media, its configuration and what was said."""
    script = [call("photo", name="dot"), say("A red dot.")]
    async with ScriptedModel(script) as model:
        config = model.config(save_dir=str(tmp_path / "state"))
        async with use_cassette(tmp_path / "c", "all", record_media=False):
            said = await session(config, PIXEL, OTHER)
        bodies = str([request.body for request in model.requests])
    assert base64.b64encode(PIXEL).decode()[:60] in bodies  # the model saw it
    return tmp_path / "c", config, said


async def test_no_picture_is_written(recorded):
    folder, _, (text, _) = recorded
    assert text == "A red dot."
    assert held(folder) == []
    assert "{{agy:media}}" in (folder / "wire.jsonl").read_text()


@pytest.mark.parametrize("tools", ["check", "run", "replay"])
async def test_recording_replays_with_the_same_picture(recorded, tools):
    folder, config, said = recorded
    async with use_cassette(folder, "none", tools=tools):
        assert await session(config, PIXEL, OTHER) == said


async def test_mark_stands_for_any_picture(recorded):
    folder, config, said = recorded
    async with use_cassette(folder, "none"):
        assert await session(config, OTHER, PIXEL) == said


@pytest.mark.parametrize("record_media", [False, True])
async def test_mark_stands_for_any_picture_at_the_models_side(tmp_path, record_media):
    script = [call("photo", name="dot"), say("A red dot.")]
    async with ScriptedModel(script) as model:
        config = model.config(save_dir=str(tmp_path / "state"))
        async with use_cassette(tmp_path / "c", "all", seam="model", record_media=False):
            said = await session(config, PIXEL, OTHER)
    assert held(tmp_path / "c") == []
    async with use_cassette(tmp_path / "c", "none", seam="model", record_media=record_media):
        assert await session(config, OTHER, PIXEL) == said
