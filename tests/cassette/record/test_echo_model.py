"""The echo model is recorded on purpose only, and tools name the cassettes that contain it."""

import json

import pytest

import agy_nb as agy
from agy_nb import cli
from agy_nb.cassette import echo_model
from agy_nb.testing import EchoModel, ScriptedModel, say

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # the SDK makes its save_dir


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)


async def ask(path, mode="once", prompt="Hello", config=None, **options):
    async with (
        agy.use_cassette(path, mode, **options) as cassette,
        agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
    ):
        agent = await runtime.create_agent(config)
        return await agent.chat_text(prompt), cassette


def verified(path, capsys):
    capsys.readouterr()
    assert cli.main(["cassette", "verify", str(path), "--json"]) == 0
    [verdict] = json.loads(capsys.readouterr().out)
    return verdict["remarks"]


@pytest.mark.parametrize(
    ("mode", "options", "advice"),
    [
        ("once", {}, 'record_mode="all" and echo=True'),
        ("all", {}, 'record_mode="all" and echo=True'),
        ("new_episodes", {}, 'record_mode="all" and echo=True'),
        ("once", {"echo": True}, 'use record_mode="all"'),
        ("once", {"seam": "model"}, "ScriptedModel"),
    ],
)
async def test_agent_without_a_key_is_not_recorded_by_accident(
    tmp_path, capsys, mode, options, advice
):
    path = tmp_path / "c"
    with pytest.raises(agy.EchoRecordingError, match="set GEMINI_API_KEY") as caught:
        await ask(path, mode, **options)
    assert advice in str(caught.value)
    assert caught.value.path == str(path)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""  # no echo model was started


async def test_echo_model_is_recorded_on_purpose_and_named_by_verify(tmp_path, capsys):
    path = tmp_path / "c"
    said, recording = await ask(path, "all", echo=True)
    assert said.startswith("You said: Hello")
    assert recording.has_echo
    replayed, replay = await ask(path)
    assert (replayed, replay.has_echo) == (said, True)
    assert verified(path, capsys) == [echo_model.REMARK]


async def test_verify_names_the_echo_model_beside_faults(tmp_path, capsys):
    path = tmp_path / "c"
    await ask(path, "all", echo=True)
    header = json.loads((path / "header.json").read_text())
    (path / "header.json").write_text(json.dumps({**header, "sdk": "0.0.1"}))
    assert cli.main(["cassette", "verify", str(path)]) == 1
    assert "echo model" in capsys.readouterr().out


async def test_old_cassette_of_the_echo_model_is_not_extended_by_accident(tmp_path):
    path = tmp_path / "c"
    said, _ = await ask(path, "all", echo=True)
    before = (path / "wire.jsonl").read_bytes()
    assert (await ask(path, "new_episodes"))[0] == said
    for options in ({}, {"seam": "model"}):
        with pytest.raises(agy.AgyError, match="echo model"):
            await ask(path, "new_episodes", "Another prompt", **options)
    assert (path / "wire.jsonl").read_bytes() == before


async def test_model_that_the_user_names_is_recorded(tmp_path, capsys):
    async with ScriptedModel([say("Hi.")]) as model:
        said, cassette = await ask(tmp_path / "scripted", config=model.config())
    assert (said, cassette.has_echo) == ("Hi.", False)
    assert verified(tmp_path / "scripted", capsys) == []
    async with EchoModel() as model:  # named, so this is on purpose
        await ask(tmp_path / "named", config=model.config())
    assert verified(tmp_path / "named", capsys) == [echo_model.REMARK]


async def test_echo_model_has_the_name_by_which_it_is_found():
    async with EchoModel() as model:
        assert {target.name for target in model.config().models} == {echo_model.NAME}
