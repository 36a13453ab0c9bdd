"""What the guides need that run as a notebook would."""

from __future__ import annotations

import pytest

import agy_nb as agy
from tests.docs import pages

CASSETTES = pages.DOCS.parent / "cassettes"


@pytest.fixture
async def notebook(tmp_path, monkeypatch):
    """A folder as a user has it, with recordings, and this process's runtime, closed at the end."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cassettes").symlink_to(CASSETTES)
    runtime = agy.runtime(agy.RuntimeConfig(chat_pause=0))
    yield {"__name__": "__main__"}
    await runtime.close()
