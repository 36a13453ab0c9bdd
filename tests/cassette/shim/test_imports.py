"""What a recording through the stand-in imports: imports are most of what an agent waits for."""

import re

import pytest

from agy_nb.testing import ScriptedModel, say
from tests.cassette.shim.test_shim import launcher, own_temporary_folder, raw_talk

__all__ = ["launcher", "own_temporary_folder"]
pytestmark = [pytest.mark.blocking_allowed, pytest.mark.real]

HEAVY = {"IPython", "google.antigravity", "httpx", "pandas", "pydantic", "rich", "vcr"}


async def test_recording_imports_nothing_heavy_and_starts_no_second_python(
    launcher, tmp_path, monkeypatch
):
    path, words = tmp_path / "stand-in", tmp_path / "stderr"
    path.write_text(f"#!/bin/sh\nexec {launcher('--record', tmp_path / 'c')} 2>{words}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # each Python process lists its imports
    async with ScriptedModel([say("Hello.")]) as model:
        assert await raw_talk(path, model.base_url, tmp_path / "w", "Hi") == (["Hello."], 0, "")
    imported = re.findall(r"^import time: .*\| *(\S+)$", words.read_text(), re.MULTILINE)
    assert "agy_nb.cassette.storage.model_log" in imported
    assert imported.count("site") == 1
    assert not HEAVY & set(imported)
