"""A recording made in one folder replays in another, whatever the folders' names are."""

import json
import re

import pytest

from agy_nb.cassette import use_cassette
from agy_nb.testing import ScriptedModel
from tests.cassette.scenarios import NO_MODEL, SCENARIOS, Setting

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks for its binary on the loop
]


@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_file_tools_get_the_paths_of_this_machine(tmp_path, seam):
    files = SCENARIOS["builtin_file_tools"]
    then, now = tmp_path / "x at", tmp_path / 'ä "b" at'
    async with ScriptedModel(files.script(then)) as model, use_cassette(tmp_path / "c"):
        recorded = await files.play(Setting(model.base_url, then))
    async with use_cassette(tmp_path / "c", "none", seam=seam):
        replayed = await files.play(Setting(NO_MODEL, now))
    assert paths(recorded) == [f"{then}/work/notes.txt"] * 2
    assert paths(replayed) == [f"{now}/work/notes.txt"] * 2
    written = (now / "work" / "notes.txt").exists()
    assert written == (seam == "model")  # the real harness ran the tool there
    text = (tmp_path / "c" / "model.yaml").read_text(encoding="utf-8")
    assert not re.search(r"x( |%20)at", text)


def paths(result):
    return [
        json.loads(arguments)["file_path"]
        for step in result[0]["steps"]
        for _, arguments in step[7]
    ]  # fmt: skip
