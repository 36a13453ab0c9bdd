"""Tests that the echo model answers: recorded on purpose only, and named at the end of the run."""

import pytest

from tests.pytest_plugin.conftest import INI, WITHOUT

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.blocking_allowed]

MARKED = """
import pytest

@pytest.mark.agy_cassette{marker}
def test_talk(agy_agent):
    assert "Hello" in agy_agent.sync.chat_text("Hello")
"""
PLAIN = """
def test_talk(agy_agent):
    assert "Hello" in agy_agent.sync.chat_text("Hello")
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a suite that records without a key, as a user would."""
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    pytester.makeini(INI)

    def run(*arguments):
        return pytester.runpytest_inprocess(*WITHOUT, *arguments)

    return run


def named(result):
    """What the summary about the echo model says."""
    lines = [line for line in result.outlines if line]
    found = [n for n, line in enumerate(lines) if line.startswith("=") and "echo model" in line]
    if not found:
        return []
    rest = lines[found[0] + 1 :]
    return rest[: next(n for n, line in enumerate(rest) if line.startswith("="))]


def test_test_without_a_key_fails_instead_of_recording(run, pytester):
    pytester.makepyfile(test_a=MARKED.format(marker=""))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([
        "*test_talk is not recorded: no GEMINI_API_KEY is set*",
        "To record it, with the echo model:",
        "*pytest test_a.py::test_talk --agy-record-mode=all --agy-echo",
    ])  # fmt: skip
    assert not list(pytester.path.rglob("header.json"))
    assert named(result) == []


@pytest.mark.parametrize(
    ("marker", "ini", "arguments"),
    [
        ("", "", ["--agy-record-mode=all", "--agy-echo"]),
        ("", "agy_echo = true\n", ["--agy-record-mode=all"]),
        ('(record_mode="all", echo=True)', "", []),
    ],
    ids=["command line", "ini", "marker"],
)
def test_recording_of_the_echo_model_is_named(run, pytester, marker, ini, arguments):
    pytester.makeini(INI + ini)
    pytester.makepyfile(test_a=MARKED.format(marker=marker))
    for each in (arguments, ["--agy-record-mode=none"]):
        result = run(*each)
        result.assert_outcomes(passed=1)
        (words,) = named(result)
        assert words.startswith("1 cassette was recorded with the echo model")
        assert words.endswith(" cassettes/test_a/test_talk")


def test_workers_name_the_echo_model_too(run, pytester):
    pytester.makepyfile(test_a=MARKED.format(marker=""))
    result = run("--agy-record-mode=all", "--agy-echo", "-n", "1")
    result.assert_outcomes(passed=1)
    assert named(result)[0].endswith(" cassettes/test_a/test_talk")


@pytest.mark.parametrize(("ci", "lines"), [("true", 1), ("", 0)])
def test_unmarked_test_on_the_echo_model_is_named_in_ci(run, pytester, monkeypatch, ci, lines):
    monkeypatch.setenv("CI", ci)
    pytester.makepyfile(test_a=PLAIN + "\ndef test_other():\n    pass\n")
    result = run()
    result.assert_outcomes(passed=2)
    assert len(named(result)) == lines
    if lines:
        assert named(result)[0].startswith("1 test was answered live by the echo model")
        assert named(result)[0].endswith(" test_a.py::test_talk")


def test_many_tests_are_counted_and_the_first_ones_named(run, pytester, monkeypatch):
    monkeypatch.setenv("CI", "true")
    several = "import pytest\npytestmark = pytest.mark.parametrize('n', range(5))\n"
    pytester.makepyfile(test_a=several + PLAIN.replace("test_talk(", "test_talk(n, "))
    result = run()
    result.assert_outcomes(passed=5)
    (line,) = named(result)
    assert line.startswith("5 tests were answered live by the echo model")
    first = ", ".join(f"test_a.py::test_talk[{n}]" for n in range(3))
    assert line.endswith(f" {first} and 2 more (-v names all)")
    assert "test_a.py::test_talk[4]" in named(run("-v"))[-1]


def test_unmarked_test_with_a_model_of_its_own_is_not_named(run, pytester, monkeypatch):
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile(
        test_a="""
        from agy_nb.testing import say

        def test_talk(scripted_model, agy_home, agy_runtime):
            model = scripted_model([say("Hi.")])
            agent = agy_home.run(agy_runtime.create_agent(model.config()))
            assert agent.sync.chat_text("Hello") == "Hi."
        """
    )
    result = run()
    result.assert_outcomes(passed=1)
    assert named(result) == []
