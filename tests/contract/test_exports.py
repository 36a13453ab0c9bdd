"""`agy_nb` shows exactly its public names, and importing it loads nothing heavy."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import agy_nb

HEAVY = (
    "IPython",
    "aiohttp",
    "anywidget",
    "google.antigravity",
    "importlib.metadata",
    "ipykernel",
    "ipywidgets",
    "pandas",
    "pydantic",
    "vcr",
)


def test_all_is_sorted_and_has_no_doubles():
    assert list(agy_nb.__all__) == sorted(set(agy_nb.__all__))


def test_every_public_name_can_be_loaded():
    assert [name for name in agy_nb.__all__ if not hasattr(agy_nb, name)] == []


def test_all_is_complete():
    for name in agy_nb.__all__:
        getattr(agy_nb, name)
    defined = {
        name
        for name, value in vars(agy_nb).items()
        if not name.startswith("_") and name != "annotations" and not inspect.ismodule(value)
    }
    assert defined <= {*agy_nb.__all__, "load_ipython_extension"}  # the last is for %load_ext


def test_dir_lists_the_public_names():
    assert set(agy_nb.__all__) <= set(dir(agy_nb))


@pytest.mark.parametrize("name", ["analysis", "testing", "widgets"])
def test_completion_shows_the_public_names_of_a_package_and_nothing_else(name):
    package = getattr(agy_nb, name)
    assert sorted(dir(package)) == sorted(package.__all__)


def test_completion_shows_every_error_and_nothing_else():
    errors = set(dir(agy_nb.errors))
    assert {"AgyError", "CassetteMismatchError", "ScriptExhaustedError"} <= errors
    assert {name for name in errors if not name.endswith("Error")} == set()


def test_unknown_name_is_an_attribute_error():
    assert not hasattr(agy_nb, "no_such_name")


def test_version_is_the_installed_one():
    from importlib.metadata import version

    assert agy_nb.__version__ == version("agy-nb")


def test_import_loads_nothing_heavy():
    code = f"import sys, agy_nb\nprint(*[name for name in {HEAVY!r} if name in sys.modules])\n"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert result.stdout.split() == []


def seconds(code: str) -> float:
    """Processor time that some imports take in a process of their own; the best of three."""
    timed = (
        f"import time\nbegan = time.process_time()\n{code}\nprint(time.process_time() - began)\n"
    )
    return min(
        float(
            subprocess.run(
                [sys.executable, "-c", timed], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(3)
    )


@pytest.mark.alone
def test_import_costs_next_to_nothing():
    assert seconds("import agy_nb") < 0.15


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_first_agent_imports_little_beside_the_sdk():
    sdk = seconds("import google.antigravity")
    both = seconds("import google.antigravity, agy_nb; agy_nb.create_agent; agy_nb.Runtime")
    assert both < 1.4 * sdk
