"""A relative path of a cassette holds if the block changes the working directory."""

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, say
from tests.cassette.scenarios import NO_MODEL, Setting

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # the SDK makes its save_dir


async def talk(at, monkeypatch, mode, prompts, first, last, **options):
    monkeypatch.chdir(first)
    async with (
        agy.use_cassette("cassettes/hello", mode, **options),
        agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
    ):
        said = []
        for prompt in prompts:
            monkeypatch.chdir(last)
            agent = await runtime.create_agent(at.config())
            said.append(await agent.chat_text(prompt))
        return said


@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_relative_path_survives_a_change_of_the_folder(tmp_path, monkeypatch, seam):
    first, last = tmp_path / "first", tmp_path / "last"
    first.mkdir()
    last.mkdir()
    async with ScriptedModel([say("One."), say("Two.")]) as model:
        live = Setting(model.base_url, tmp_path / "live")
        assert await talk(live, monkeypatch, "once", ["1"], first, last, seam=seam) == ["One."]
        said = await talk(live, monkeypatch, "new_episodes", ["1", "2"], first, last, seam=seam)
        assert said == ["One.", "Two."]
    at = Setting(NO_MODEL, tmp_path / "now")
    assert await talk(at, monkeypatch, "none", ["1", "2"], first, last, seam=seam) == said
    assert sorted(path.name for path in first.rglob("header.json")) == ["header.json"]
    assert list(last.iterdir()) == []


async def test_path_of_a_plain_with_block_survives_too(tmp_path, monkeypatch):
    """There, the first agent opens the cassette."""
    first, last = tmp_path / "first", tmp_path / "last"
    first.mkdir()
    last.mkdir()
    monkeypatch.chdir(first)
    async with ScriptedModel([say("One.")]) as model:
        with agy.use_cassette("c"):
            monkeypatch.chdir(last)
            async with agy.Runtime() as runtime:
                agent = await runtime.create_agent(Setting(model.base_url, last / "x").config())
                assert await agent.chat_text("1") == "One."
    assert (first / "c" / "header.json").exists()
    assert not (last / "c").exists()
