"""What a run prints when one change makes recorded tests fail."""

import pytest

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

APP = """
import asyncio
import pytest
from google.antigravity import Agent
from agy_nb.testing import EchoModel

RULES = "\\n".join(f"Rule {{n}}: answer {words}." for n in range(20))

async def ask(text):
    async with EchoModel() as model, Agent(model.config(system_instructions=RULES)) as agent:
        return await (await agent.chat(text)).text()

@pytest.mark.agy_cassette
@pytest.mark.parametrize("number", range(3))
def test_ask(number):
    assert "Hello" in asyncio.run(ask(f"Hello {{number}}"))
"""


@pytest.fixture
def changed(suite, run):
    """Three recorded tests of an app on the SDK's own agent, whose system prompt has changed."""
    suite.makepyfile(test_app=APP.format(words="politely and briefly"))
    run().assert_outcomes(passed=3)
    suite.makepyfile(test_app=APP.format(words="politely"))


def section(result, start):
    """The lines of a result from a heading to the next one."""
    found = [number for number, line in enumerate(result.outlines) if start in line]
    rest = result.outlines[found[0] + 1 :]
    end = next(n for n, line in enumerate(rest) if line.startswith(("=====", "____")))
    return rest[:end]


def test_one_test_takes_twenty_five_lines(changed, run):
    result = run("--agy-record-mode=none", "-k", "0")
    result.assert_outcomes(failed=1, deselected=2)
    lines = section(result, "test_ask[0]")
    assert len(lines) <= 25
    text = "\n".join(lines)
    assert "line 1: Rule 0: answer [-politely and briefly.-] {+politely.+}" in text
    assert "site-packages" not in text
    assert "Failed to start Agent session" not in result.stdout.str()


def test_same_difference_is_shown_once_and_counted_at_the_end(changed, run):
    result = run("--agy-record-mode=none")
    result.assert_outcomes(failed=3)
    assert result.stdout.str().count("[-politely and briefly.-]") <= 10  # of the first test
    result.stdout.fnmatch_lines(
        [
            "*differs as it does in test_app.py::test_ask?0?",
            "*differs as it does in test_app.py::test_ask?0?",
            "3 tests differ in the same field: config.systemInstructions*",
            "    pytest --lf --agy-record-mode=all",
        ]
    )


def test_summary_is_whole_with_workers(changed, run_apart):
    result = run_apart("--agy-record-mode=none", "-n", "2")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["3 tests differ in the same field: config.systemInstructions*"])


def test_everything_is_shown_on_demand(changed, run):
    result = run("--agy-record-mode=none", "--full-trace")
    result.stdout.fnmatch_lines(["*local_connection.py*"])
    assert "differs as it does in" not in result.stdout.str()
