"""docs/testing.md: its examples run, and its tables say what the plugin says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from agy_nb.cassette import use_cassette
from agy_nb.pytest_plugin import fixtures
from agy_nb.pytest_plugin.plugin_options import RECORD_MODES, UNUSED

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text(encoding="utf-8")

INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"


def table(heading: str) -> list[list[str]]:
    """The rows below a heading."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (`.*) \|$", section, flags=re.MULTILINE)
    return [[cell.strip() for cell in row.split(" | ")] for row in rows]


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.blocking_allowed  # the first run is in this process, where the SDK looks at folders
def test_examples_run_and_replay(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    first, conftest, second, third, program, fourth = re.findall(
        r"```python\n(.*?)```", PAGE, flags=re.DOTALL
    )
    pytester.makepyfile(test_weather=first, test_script=second + third)
    pytester.makepyfile(support=program, test_support=fourth)
    pytester.makeconftest(conftest)
    pytester.makeini(INI)
    runs = {"once": pytester.runpytest_inprocess, "none": pytester.runpytest_subprocess}
    arguments = {"once": ["-p", "tests.support.echo_as_gemini"], "none": []}
    for mode, run in runs.items():
        result = run(f"--agy-record-mode={mode}", "--agy-block-network", *arguments[mode])
        result.assert_outcomes(passed=5)
    names = sorted(path.name for path in (pytester.path / "cassettes/test_weather").iterdir())
    assert names == ["_shared", "test_answers", "test_tells_the_weather"]


def test_every_option_and_setting_has_a_row(pytester):
    pytester.makeini(INI)
    helped = pytester.runpytest_inprocess("--help").stdout.str()
    options = set(re.findall(r"--agy-[a-z-]+", helped))
    rows = table("Options and settings")
    assert {row[0].strip("`") for row in rows} == options
    assert {row[1].strip("`") for row in rows} == {
        option.strip("-").replace("-", "_") for option in options
    }


def test_every_value_is_explained():
    text = PAGE.split("\n## Options and settings\n", 1)[1]
    assert [value for value in (*RECORD_MODES, *UNUSED) if f"`{value}`" not in text] == []


def test_every_fixture_has_a_row():
    assert {row[0].strip("`") for row in table("Fixtures")} == set(fixtures.__all__)


def test_named_options_are_those_of_use_cassette():
    [named] = [row[1] for row in table("The marker") if row[0] == "`options`"]
    known = set(inspect.signature(use_cassette).parameters)
    assert set(re.findall(r"`(\w+)`", named)) <= known
