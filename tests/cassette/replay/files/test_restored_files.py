"""`restore_files=True`: a replay writes the files of the harness's file tools, and nothing else."""

import os
import warnings

import pytest
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.cassette.replay.restored_files import FileRestorer
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting

pytestmark = pytest.mark.blocking_allowed  # the SDK makes its save_dir, and the tests read files


def write(path, text):
    return call(
        "write_to_file", TargetFile=str(path), CodeContent=text, Overwrite=True,
        Description="notes", IsArtifact=False, Complexity=1, EmptyFile=False,
    )  # fmt: skip


def replace(path, old, new):
    return call(
        "replace_file_content", TargetFile=str(path), TargetContent=old, ReplacementContent=new,
        StartLine=1, EndLine=9, Instruction="x", Description="y", AllowMultiple=False,
    )  # fmt: skip


OLD = b"a\r\nb\r\nlast"


def prepared(folder):
    folder.mkdir()
    (folder / "old.txt").write_bytes(OLD)
    return folder


async def talk(base_url, folder, path, mode, **options):
    setting = Setting(base_url, folder.parent / f"of-{folder.name}")
    config = setting.config(workspaces=[str(folder)], policies=[policy.allow_all()])
    async with agy.use_cassette(path, mode, **options), agy.Runtime() as runtime:
        agent = await runtime.create_agent(config)
        return await agent.chat_text("Write.")


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


async def recorded(tmp_path):
    folder = prepared(tmp_path / "then")
    script = [
        write(folder / "deep/down/new.txt", "one\n\ntwo é\n"),
        replace(folder / "old.txt", "b", "B"),
        replace(folder / "deep/down/new.txt", "one", "1"),
        say("Done."),
    ]
    async with ScriptedModel(script) as model:
        await talk(model.base_url, folder, tmp_path / "c", "all")
    return contents(folder)


@pytest.mark.real
async def test_files_are_written_as_in_the_recording(tmp_path):
    written = await recorded(tmp_path)
    assert written["deep/down/new.txt"] == "1\n\ntwo é\n".encode()
    folder = prepared(tmp_path / "now")
    for _ in range(2):  # the second replay finds the files of the first one, partly changed
        await talk(NO_MODEL, folder, tmp_path / "c", "none", restore_files=True)
        assert contents(folder) == written
        (folder / "deep/down/new.txt").unlink()


@pytest.mark.real
async def test_nothing_is_written_by_default(tmp_path):
    await recorded(tmp_path)
    folder = prepared(tmp_path / "now")
    await talk(NO_MODEL, folder, tmp_path / "c", "none")
    assert contents(folder) == {"old.txt": OLD}


@pytest.mark.real
async def test_file_with_other_content_stays_and_is_named(tmp_path):
    await recorded(tmp_path)
    folder = prepared(tmp_path / "now")
    (folder / "old.txt").write_text("mine")
    with pytest.warns(RuntimeWarning, match=r"old\.txt is not as it was before"):
        await talk(NO_MODEL, folder, tmp_path / "c", "none", restore_files=True)
    assert (folder / "old.txt").read_text() == "mine"


def edit(path, lines=("+evil",), state="STATE_DONE", **more):
    signs = {"+": "LINE_ACTION_INSERT", "-": "LINE_ACTION_DELETE", " ": "LINE_ACTION_NONE"}
    found = [{"text": line[1:], "action": signs[line[0]]} for line in lines]
    body = {"filePath": path, "diffBlock": [{"startLine": 0, "lines": found}]} | more
    return agy_json({"stepUpdate": {"state": state, "editFile": body}})


def agy_json(frame):
    from agy_nb.wire.json_values import dump_json

    return dump_json(frame)


def restorer(*folders):
    workspaces = [{"filesystemWorkspace": {"directory": str(folder)}} for folder in folders]
    return FileRestorer({"config": {"workspaces": workspaces, "appDataDir": "/"}})


def test_hostile_cassette_writes_nothing(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "file").write_text("mine")
    (inside / "link").symlink_to(outside)
    (inside / "name").symlink_to(outside / "file")
    (inside / "dangling").symlink_to(outside / "new")
    os.link(outside / "file", inside / "hard")
    os.mkfifo(inside / "pipe")
    before = sorted(path for path in tmp_path.rglob("*"))
    names = [
        f"{outside}/a", f"{inside}/../a", f"{inside}/link/a", f"{inside}/x/../../a",
        f"{inside}/.git/hooks/pre-commit", f"{inside}/sub/.envrc", f"{inside}/.", f"{inside}/..",
        f"{inside}", "", "a", "relative/a", "\0", f"{inside}/a\0b", f"file://{outside}/a",
        f"file://{inside}/%2e%2e/a", f"{inside}-beside", "/", "//", "~/a", f"{inside}/" + "n" * 300,
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        made = restorer(inside)
        for name in names:
            made.restore(edit(name))
        for name in ("name", "dangling", "hard", "pipe"):
            made.restore(edit(f"{inside}/{name}"))
            made.restore(edit(f"{inside}/{name}", ["-mine", "+evil"]))
        for broken in (
            edit(f"{inside}/a", state="STATE_ACTIVE"),
            edit(f"{inside}/a", diffBlock=[]),
            edit(f"{inside}/a", diffBlock=3),
            edit(f"{inside}/a", diffBlock=[{"lines": []}] * 2),
            edit(3),
            edit(f"{inside}/a", [" of before"]),
            '{"stepUpdate": 3, "x": "editFile"}',
            '"editFile"',
            b"\xff editFile",
        ):
            made.restore(broken)
        restorer().restore(edit(f"{inside}/a"))
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert (outside / "file").read_text() == "mine"


def test_number_of_files_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("agy_nb.cassette.replay.restored_files._MOST_FILES", 2)
    made = restorer(tmp_path)
    for name in "abc":
        made.restore(edit(f"{tmp_path}/{name}", ["+x"]))
    assert sorted(contents(tmp_path)) == ["a", "b"]
    monkeypatch.setattr("agy_nb.cassette.replay.restored_files._MOST_BYTES", 2)
    restorer(tmp_path).restore(edit(f"{tmp_path}/long", ["+xxx"]))
    assert sorted(contents(tmp_path)) == ["a", "b"]
