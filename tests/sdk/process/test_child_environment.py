"""Variables that only child processes have."""

import os
import subprocess
import threading

import pytest

from agy_nb.sdk.process.child_environment import changed

NAME = "AGY_TEST_OF_CHILDREN"

pytestmark = [
    pytest.mark.blocking_allowed,
    pytest.mark.skipif(os.name != "posix", reason="asks a shell"),
]


def inherited(tmp_path):
    """The variable as a child sees it that inherits the environment."""
    file = tmp_path / "said"
    assert os.system(f'echo "${{{NAME}-none}}" > {file}') == 0
    return file.read_text().strip()


def given(environ):
    """The variable as a child sees it that gets an environment."""
    command = ["/bin/sh", "-c", f'echo "${{{NAME}-none}}"']
    return subprocess.run(command, env=environ, capture_output=True, check=True).stdout.strip()


def test_children_have_the_variable_and_this_process_has_not(tmp_path):
    with changed(lambda _: {NAME: "one"}):
        assert NAME not in os.environ
        assert inherited(tmp_path) == "one"
        assert [given(environ) for environ in (None, {}, {NAME: "other"})] == [b"one"] * 3
        assert given({NAME.encode(): b"other"}) == b"one"
    assert inherited(tmp_path) == "none"
    assert given({NAME: "other"}) == b"other"


def test_value_of_the_user_is_back_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setenv(NAME, "before")
    with changed(lambda environ: {NAME: f"{environ[NAME]} and after"}):
        assert os.environ[NAME] == "before"
        assert inherited(tmp_path) == "before and after"
    assert inherited(tmp_path) == "before"


def test_value_that_the_block_sets_stays(tmp_path, monkeypatch):
    monkeypatch.setenv(NAME, "before")
    with changed(lambda _: {NAME: "one"}):
        monkeypatch.setenv(NAME, "of the block")
    assert inherited(tmp_path) == "of the block"
    with changed(lambda _: {NAME: "one"}):
        monkeypatch.delenv(NAME)
    assert inherited(tmp_path) == "none"


def test_blocks_nest_and_reach_children_of_other_threads(tmp_path):
    seen = []
    with changed(lambda _: {NAME: "outer"}), changed(lambda _: {NAME + "_2": "inner"}):
        thread = threading.Thread(target=lambda: seen.append(inherited(tmp_path)))
        thread.start()
        thread.join()
        assert given({}) == b"outer"
    assert seen == ["outer"]


def test_block_that_fails_leaves_nothing_behind(tmp_path):
    before = subprocess.Popen.__init__, os.execve, os.posix_spawn
    with pytest.raises(ZeroDivisionError), changed(lambda _: {NAME: "one"}):
        raise ZeroDivisionError
    assert (subprocess.Popen.__init__, os.execve, os.posix_spawn) == before
    assert inherited(tmp_path) == "none"
