"""A plugin for suites of tests that record without a key: the echo model stands in for Gemini.

Outside the tests, the echo model is recorded only with `record_mode="all"` and `echo=True`.
"""

from __future__ import annotations

import pytest

from agy_nb.cassette import echo_model

_patch = pytest.MonkeyPatch()


def pytest_configure() -> None:
    """Let every record mode record the echo model, and reports not name it."""
    _patch.setattr(echo_model, "refusal", lambda *_, **__: None)
    _patch.setattr(echo_model, "any_echo", lambda _: False)


def pytest_unconfigure() -> None:
    """Refuse it again."""
    _patch.undo()
