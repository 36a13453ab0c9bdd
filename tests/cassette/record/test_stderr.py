"""What the harness writes to stderr is part of a recording: a refused start replays the same."""

import io
import json

import pytest
from google.antigravity import Agent, types

from agy_nb.cassette import use_cassette
from agy_nb.cassette.inspect.session_digests import digest_of
from agy_nb.cassette.record.stderr_tee import StderrTee
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.testing import ScriptedModel
from tests.cassette.scenarios import NO_MODEL, Setting

pytestmark = pytest.mark.blocking_allowed  # the SDK waits for its process


async def refused(setting, path, mode):
    """Resume a conversation that does not exist; return the exception and its cause."""
    config = setting.config(
        conversation_id="a" * 32,
        session_continuation_mode=types.SessionContinuationMode.RESUME,
        save_dir=str(setting.folder / "saved"),
    )
    with pytest.raises(RuntimeError) as caught:
        async with use_cassette(path, mode), Agent(config):
            pass
    return type(caught.value), str(caught.value), repr(caught.value.__cause__)


@pytest.mark.real
@pytest.mark.parametrize("replays", ["none", "new_episodes"])
async def test_refused_start_replays_the_same(tmp_path, replays):
    path, at = tmp_path / "c", Setting(NO_MODEL, tmp_path / "now")
    at.folder.mkdir()
    async with ScriptedModel([]) as model:
        live = await refused(Setting(model.base_url, at.folder), path, "all")
    assert "cannot resume" in live[1]
    assert await refused(at, path, replays) == live
    [session] = load(path).sessions
    assert "cannot resume" in session.end["stderr"]
    assert "stderr" not in json.dumps(digest_of(session))


def test_text_that_was_read_before_is_kept_too():
    tee = StderrTee(io.BytesIO(b"one\ntwo\n"))
    assert tee.read(4) == b"one\n"
    assert list(tee) == [b"two\n"]
    assert tee.text() == "one\ntwo\n"
