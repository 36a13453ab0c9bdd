"""The plugin is found wherever agy_nb is installed, and costs those nothing who do not use it."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

HEAVY = (
    "IPython",
    "aiohttp",
    "google.antigravity",
    "ipykernel",
    "ipywidgets",
    "pandas",
    "vcr",
    "yaml",
    "agy_nb.cassette",
    "agy_nb.runtime",
    "agy_nb.testing",
)


def test_pytest_finds_the_plugin_by_its_entry_point():
    (found,) = entry_points(group="pytest11", name="agy_nb")
    assert found.value == "agy_nb.pytest_plugin"


def test_plugin_can_be_left_out(suite):
    result = suite.runpytest_inprocess("-p", "no:agy_nb", "--markers")
    assert "agy_cassette" not in result.stdout.str()


def test_marker_and_options_are_explained(suite):
    result = suite.runpytest_inprocess("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.agy_cassette(name=None, seam=*"])
    shown = suite.runpytest_inprocess("--help").stdout.str()
    for option in ("record-mode", "block-network", "cassette-dir", "unused"):
        assert f"--agy-{option}" in shown
        assert f"agy_{option.replace('-', '_')} " in shown


@pytest.mark.slow
def test_run_without_our_marker_loads_nothing_heavy(suite, monkeypatch):
    monkeypatch.delenv("PYTEST_PLUGINS")
    suite.makepyfile(
        f"""
        import sys

        def test_nothing_is_loaded(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("agy_nb")
            assert [name for name in {HEAVY!r} if name in sys.modules] == []
        """
    )
    # Of the other plugins none is loaded, so that what is loaded is ours.
    result = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "--agy-block-network",
            "-p", "no:asyncio", "-p", "no:anyio", "-p", "no:hypothesispytest",
            "-p", "no:xdist", "-p", "no:benchmark", "-p", "no:timeout",
        ],
        cwd=suite.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_strict_markers_know_the_marker(suite, run):
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.skip
        @pytest.mark.agy_cassette
        def test_a(): pass
        """
    )
    run("--strict-markers", "--strict-config").assert_outcomes(skipped=1)
