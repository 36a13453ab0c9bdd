"""Suites of tests, run by a pytest of their own in this process."""

from pathlib import Path

import pytest

from agy_nb.cassette.storage.format import Header
from agy_nb.cassette.storage.writer import CassetteWriter

ROOT = Path(__file__).parents[2]
INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
"""


# The plugin of hypothesis loads all of hypothesis at the end of each run.
WITHOUT = [f"-pno:{name}" for name in ("benchmark", "cacheprovider", "hypothesispytest")]

# Ten more plugins are installed here. A process would load them all, and so would each worker. Runs
# in this process have them, and the tests of the network use them.
NEEDED = [f"-p{name}" for name in ("agy_nb", "asyncio", "xdist")]


@pytest.fixture(autouse=True)
def outside_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def told():
    """Make a module whose agent, of a fixture, has some words as instructions."""
    return """
import pytest

@pytest.fixture
def agy_agent_settings():
    return {{"config": {{"system_instructions": "{}"}}}}

@pytest.mark.agy_cassette
def test_talk(agy_agent):
    agy_agent.sync.chat_text("Hello")
""".format


@pytest.fixture
def suite(pytester, monkeypatch):
    """A suite whose default agents talk to the echo model, as to Gemini."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_PLUGINS", "tests.support.echo_as_gemini")
    pytester.makeini(INI)
    return pytester


@pytest.fixture
def run(suite):
    """Run the suite with some arguments; gives the result."""

    def run(*arguments):
        with pytest.MonkeyPatch.context() as patch:
            if "-n" in arguments:
                patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
                arguments = (*NEEDED, *arguments)
            return suite.runpytest_inprocess(*WITHOUT, *arguments)

    return run


@pytest.fixture
def run_apart(suite):
    """The same in a process of its own."""

    def run_apart(*arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            return suite.runpytest_subprocess(*NEEDED, *WITHOUT, *arguments)

    return run_apart


@pytest.fixture
def lay(suite):
    """Lay an empty cassette somewhere in the suite."""

    def lay(*names):
        for name in names:
            path = suite.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            CassetteWriter(path, Header()).finish()

    return lay


@pytest.fixture
def cassettes(suite):
    """The cassettes of the suite, as paths from its folder."""

    def cassettes():
        found = suite.path.rglob("header.json")
        return sorted(str(path.parent.relative_to(suite.path)) for path in found)

    return cassettes
