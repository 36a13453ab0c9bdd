"""Whoever replays needs no key and no model, whatever the recording was made with."""

import asyncio
import logging

import pytest
from google.antigravity import Agent, LocalAgentConfig, types

import agy_nb as agy
from agy_nb.cassette.http import model_recorder as model_side
from agy_nb.testing import ScriptedModel, say
from tests.support.logs import logged

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # the SDK makes its save_dir

KEY = "AIza" + "k" * 35


@pytest.fixture
async def gemini(monkeypatch):
    """Stands where Gemini does for whoever names no address, as long as cassettes record."""
    async with ScriptedModel([say("I am Gemini.")]) as model:
        monkeypatch.setattr(model_side, "_DEFAULT_UPSTREAM", model.base_url)
        yield model


async def ask(path, mode, config=None, **settings) -> str:
    async with (
        agy.use_cassette(path, mode, **settings),
        agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
    ):
        agent = await runtime.create_agent(config)
        return await agent.chat_text("Who are you?")


async def ask_directly(path, mode) -> str:
    async with agy.use_cassette(path, mode), Agent(LocalAgentConfig()) as agent:
        return await (await agent.chat("Who are you?")).text()


@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_default_agent_recorded_with_a_key_replays_without(
    tmp_path, monkeypatch, gemini, capsys, seam
):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    assert await ask(tmp_path / "c", "all") == "I am Gemini."
    monkeypatch.delenv("GEMINI_API_KEY")
    assert await ask(tmp_path / "c", "none", seam=seam) == "I am Gemini."
    assert "echo" not in capsys.readouterr().out
    assert len(gemini.requests) == 1


@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_default_agent_recorded_without_a_key_replays_with_one(tmp_path, monkeypatch, seam):
    said = await ask(tmp_path / "c", "all", echo=True)
    assert said.startswith("You said: Who are you?")
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    assert await ask(tmp_path / "c", "none", seam=seam) == said


async def test_new_episodes_play_a_default_agent_that_was_recorded_with_a_key(
    tmp_path, monkeypatch, gemini
):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    await ask(tmp_path / "c", "all")
    monkeypatch.delenv("GEMINI_API_KEY")
    assert await ask(tmp_path / "c", "new_episodes") == "I am Gemini."


async def test_agent_that_names_its_model_needs_no_key_either(tmp_path, monkeypatch, gemini):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    config = {"model": "gemini-2.5-pro"}
    assert await ask(tmp_path / "c", "all", config) == "I am Gemini."
    monkeypatch.delenv("GEMINI_API_KEY")
    for seam in ("wire", "model"):
        assert await ask(tmp_path / "c", "none", config, seam=seam) == "I am Gemini."
    with pytest.raises(agy.CassetteMismatchError, match=r"models\[0\].name differs"):
        await ask(tmp_path / "c", "none", {"model": "gemini-2.5-flash"})


async def test_agent_of_the_sdk_replays_without_a_key(tmp_path, monkeypatch, gemini):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    assert await ask_directly(tmp_path / "c", "all") == "I am Gemini."
    monkeypatch.delenv("GEMINI_API_KEY")
    assert await ask_directly(tmp_path / "c", "none") == "I am Gemini."


async def test_recording_without_a_key_is_refused_by_the_sdk_and_says_what_to_do(tmp_path):
    with pytest.raises(types.AntigravityValidationError, match="API key is required") as refused:
        await ask_directly(tmp_path / "c", "all")
    with pytest.raises(agy.InvalidConfigError, match="API key is required") as wrapped:
        await ask(tmp_path / "c", "all", {"model": "gemini-2.5-pro"})
    for error in (refused.value, wrapped.value):
        [note] = error.__notes__
        assert note.startswith(f"{tmp_path / 'c'} is not recorded yet")
        assert "model.config(config)" in note
    assert not list(tmp_path.rglob("*"))


async def test_model_that_cannot_be_reached_is_one_line_of_the_log(
    tmp_path, monkeypatch, gemini, caplog
):
    loop, said = asyncio.get_running_loop(), asyncio.Event()
    monkeypatch.setattr(caplog.handler, "flush", lambda: loop.call_soon_threadsafe(said.set))
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    await gemini.stop()
    async with (
        agy.use_cassette(tmp_path / "c", "all"),
        agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
    ):
        agent = await runtime.create_agent()
        response = await agent.chat("Who are you?")
        await said.wait()
        await response.cancel()
    warnings = logged(caplog, logging.WARNING)
    assert all(record.exc_info is None for record in warnings)
    assert {record.name for record in warnings} == {"agy_nb.cassette"}
    assert "no answer from the model at" in warnings[0].getMessage()


@pytest.mark.parametrize("name", ["vertexEndpoint", "customEndpoint", "gemini_api_endpoint"])
async def test_recorded_model_that_no_gateway_stands_in_for_is_not_reached(
    tmp_path, monkeypatch, gemini, name
):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    await ask(tmp_path / "c", "all")
    wire = tmp_path / "c" / "wire.jsonl"
    text = await asyncio.to_thread(wire.read_text)
    await asyncio.to_thread(wire.write_text, text.replace('"geminiApiEndpoint"', f'"{name}"'))
    with pytest.raises(agy.AgyError, match='seam="model" cannot replay'):
        await ask(tmp_path / "c", "none", seam="model")
    assert len(gemini.requests) == 1
