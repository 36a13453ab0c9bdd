"""A fork with a copy of the workspace does not change the files of its parent."""

import os
import subprocess
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.runtime.checkpoints.workspace_copy import MOST_BYTES, copy_workspaces
from agy_nb.testing import EchoModel
from tests.runtime.conftest import runtime_with


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "project"
    made.mkdir()
    (made / "notes.txt").write_text("before")
    return made


def copy_of(folder) -> Path:
    (copy,) = copy_workspaces([str(folder)])
    return Path(copy)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def git(folder, *arguments):
    names = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


def test_files_are_copied_as_they_are(folder):
    (folder / "link").symlink_to("notes.txt")
    os.mkfifo(folder / "pipe")
    copy = copy_of(folder)
    assert names(copy) == ["link", "notes.txt"]
    (folder / "notes.txt").write_text("after")
    assert (copy / "link").read_text() == "before"


def test_a_clean_repository_becomes_a_worktree(folder):
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    copy = copy_of(folder)
    assert (copy / ".git").is_file()  # a worktree has a file there
    assert (copy / "notes.txt").is_file()


@pytest.mark.parametrize("change", ["edited", "untracked", "no commit"])
def test_other_repositories_are_copied_with_their_changes(folder, change):
    git(folder, "init", "-q")
    if change != "no commit":
        git(folder, "add", ".")
        git(folder, "commit", "-qm", "one")
        (folder / ("notes.txt" if change == "edited" else "more.txt")).write_text("changed")
    copy = copy_of(folder)
    assert (copy / ".git").is_dir()
    assert names(copy) == names(folder)


def test_hooks_of_the_repository_do_not_run(folder, temporary):
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {temporary}/ran\n")
    hook.chmod(0o755)
    copy_workspaces([str(folder)])
    assert not (temporary / "ran").exists()


def test_a_large_workspace_is_refused_before_anything_is_copied(folder, temporary):
    with (folder / "large").open("wb") as file:
        file.truncate(2 * MOST_BYTES)  # takes no space
    before = names(temporary)
    with pytest.raises(agy.InvalidInputError, match=r"too large to copy.*1 GB.*share") as info:
        copy_workspaces([str(folder)])
    assert info.value.field == "workspace"
    assert names(temporary) == before


def test_a_missing_workspace_is_refused(folder):
    with pytest.raises(agy.InvalidInputError, match="is not a folder"):
        copy_workspaces([str(folder / "gone")])


async def test_a_fork_works_on_its_copy(folder):
    async with runtime_with() as runtime:
        agent = await runtime.create_agent({"workspaces": [str(folder)]})
        same, own = await agent.fork(), await agent.fork(workspace="copy")
        assert same.workspaces == agent.workspaces == (str(folder),)
        (copy,) = own.workspaces
        assert names(Path(copy)) == ["notes.txt"]
        with pytest.raises(agy.InvalidInputError, match="'share' or 'copy'"):
            await agent.fork(workspace="own")


async def test_a_fork_that_fails_leaves_no_copy(folder, temporary):
    async with runtime_with() as runtime:
        agent = await runtime.create_agent({"workspaces": [str(folder)]})
        with pytest.raises(agy.InvalidInputError, match="out of range"):
            await agent.fork(3, workspace="copy")
        runtime._backend._fails_to_open = agy.HarnessError("no harness here")
        with pytest.raises(agy.HarnessError):
            await agent.fork(workspace="copy")
        assert names(temporary) == ["project"]


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK looks at the working folder and at its binary
async def test_the_harness_works_on_the_copy_and_a_replay_finds_it(folder, temporary):
    async def work(config):
        agent = await agy.create_agent(config)
        await agent.chat_text("one")
        fork = await agent.fork(workspace="copy")
        assert fork.workspaces != agent.workspaces
        return await fork.chat_text("two")

    await agy.runtime().close()
    async with EchoModel() as model:
        config = model.config(workspaces=[str(folder)])
        async with agy.use_cassette(temporary / "cassette", "all"):
            recorded = await work(config)
        async with agy.use_cassette(temporary / "cassette", "none"):
            assert await work(config) == recorded
    await agy.runtime().close()
