"""Marks for pytest's temporary folders in the cassettes of tests.

The name of `tmp_path` differs in each run. In a recording, `{{agy:tmppath}}` stands for the folder
of the test, and `{{agy:basetemp}}` for that of the run. A replay fills in its own folders.

Rule 1: `tmp_path` is made before other fixtures, so that the agents of fixtures know it.
Rule 2: a cassette that covers several tests has the mark of the run only.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from agy_nb.pytest_plugin.marker import MARKER
from agy_nb.pytest_plugin.scopes import owner_of

if TYPE_CHECKING:
    from pathlib import Path

_TMP_PATH = "tmp_path"


def _is_covered(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARKER) is not None or owner_of(item) is not None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have the recording know the folder of the run, and `tmp_path` before other fixtures."""
    if not _is_covered(item):
        return
    names = getattr(item, "fixturenames", [])
    if _TMP_PATH in names:
        names.remove(_TMP_PATH)
        names.insert(0, _TMP_PATH)
    from agy_nb.cassette.redaction import TEST_FOLDER, TEST_RUN, use_test_folder

    # Not at the end of the test before: its recording is written until its cassette is closed.
    use_test_folder(TEST_FOLDER, None)
    factory = getattr(item.config, "_tmp_path_factory", None)  # pytest has no public name for it
    if factory is not None:
        use_test_folder(TEST_RUN, factory.getbasetemp())


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Path, Path]:
    """Have the recording know `tmp_path`."""
    made = yield
    if fixturedef.argname == _TMP_PATH and fixturedef.scope == "function":
        item = request.node
        if item.get_closest_marker(MARKER) is not None and owner_of(item) is None:
            from agy_nb.cassette.redaction import TEST_FOLDER, use_test_folder

            use_test_folder(TEST_FOLDER, made)
    return made
