"""The explanations: what they show as code does what they say."""

from __future__ import annotations

import pytest

import agy_nb as agy
from tests.docs import pages


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK makes its save_dir on the loop
async def test_replay_has_the_events_of_the_recording(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runtime = agy.runtime(agy.RuntimeConfig(chat_pause=0))
    names: dict = {}
    [same] = await pages.run("deterministic.md", names)
    await runtime.close()
    assert same
    assert len(names["replays"][0]) > 3
