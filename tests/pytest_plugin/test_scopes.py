"""Agents of fixtures that several tests share, and cassettes with the same scope."""

import pytest

from agy_nb.pytest_plugin.errors import FixtureScopeError

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

FIXTURE = """
import asyncio
import pytest
import agy_nb as agy

@pytest.fixture(scope={scope!r})
def ask():
    with asyncio.Runner() as runner:
        runtime = agy.Runtime()
        agent = runner.run(runtime.create_agent())
        yield lambda text: runner.run(agent.chat_text(text))
        runner.run(runtime.close())
"""
TWO_TESTS = """
def test_one(ask):
    assert "Hello" in ask("Hello")

def test_two(ask):
    assert "Goodbye" in ask("Goodbye")
"""


@pytest.fixture
def module(suite):
    def module(tests, scope="module", name="test_a"):
        suite.makepyfile(**{name: FIXTURE.format(scope=scope) + tests})

    return module


def marked(scope):
    return f'\npytestmark = pytest.mark.agy_cassette(scope="{scope}")\n'


def test_agent_of_a_module_is_recorded_once_and_replayed(module, run, cassettes, no_process):
    module(marked("module") + TWO_TESTS)
    run().assert_outcomes(passed=2)
    assert cassettes() == ["cassettes/test_a/module"]
    no_process()
    run("--agy-record-mode=none").assert_outcomes(passed=2)


def test_agent_of_a_class_is_recorded_once_and_replayed(module, run, cassettes, no_process):
    tests = """
@pytest.mark.agy_cassette(scope="class")
class TestTalk:
    def test_one(self, ask):
        assert "Hello" in ask("Hello")

    def test_two(self, ask):
        assert "Goodbye" in ask("Goodbye")

@pytest.mark.agy_cassette
def test_none(): pass
"""
    module(tests, "class")
    run().assert_outcomes(passed=3)
    assert cassettes() == ["cassettes/test_a/TestTalk"]
    no_process()
    run("--agy-record-mode=none").assert_outcomes(passed=3)


def test_agent_of_set_up_class_is_recorded_once_and_replayed(suite, run, cassettes, no_process):
    suite.makepyfile(
        test_a="""
import asyncio, unittest
import pytest
import agy_nb as agy

@pytest.mark.agy_cassette(scope="class")
class TestTalk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.runner = asyncio.Runner()
        cls.runtime = agy.Runtime()
        cls.agent = cls.runner.run(cls.runtime.create_agent())

    @classmethod
    def tearDownClass(cls):
        cls.runner.run(cls.runtime.close())
        cls.runner.close()

    def test_one(self):
        assert "Hello" in self.runner.run(self.agent.chat_text("Hello"))
"""
    )
    run().assert_outcomes(passed=1)
    assert cassettes() == ["cassettes/test_a/TestTalk"]
    no_process()
    run("--agy-record-mode=none").assert_outcomes(passed=1)


def test_agent_of_the_session_is_recorded_once_and_replayed(module, run, cassettes, no_process):
    module(marked("session") + TWO_TESTS, "session")
    run().assert_outcomes(passed=2)
    assert cassettes() == ["cassettes/session"]
    no_process()
    run("--agy-record-mode=none").assert_outcomes(passed=2)


def test_unmarked_test_that_comes_first_is_in_the_cassette(module, run, cassettes, no_process):
    tests = """
def test_one(ask):
    assert "Hello" in ask("Hello")

@pytest.mark.agy_cassette(scope="module")
def test_two(ask):
    assert "Goodbye" in ask("Goodbye")
"""
    module(tests)
    run().assert_outcomes(passed=2)
    assert cassettes() == ["cassettes/test_a/module"]
    no_process()
    run("--agy-record-mode=none").assert_outcomes(passed=2)


def test_difference_fails_the_test_that_made_it(module, run):
    module(marked("module") + TWO_TESTS)
    run().assert_outcomes(passed=2)
    module(marked("module") + TWO_TESTS.replace('ask("Goodbye")', 'ask("Goodbye, dear")'))
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*the prompt differs from the recording.",
            "*+Goodbye, dear",
            "*pytest test_a.py --agy-rec*",
        ]
    )


def test_turn_that_is_missing_at_the_end_is_an_error(module, run):
    module(marked("module") + TWO_TESTS)
    run().assert_outcomes(passed=2)
    module(marked("module") + TWO_TESTS.replace('assert "Goodbye" in ask("Goodbye")', "pass"))
    result = run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["*was not played to its end*", "*pytest test_a.py --agy-record-mode=all"]
    )


@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_agent_of_a_wider_fixture_is_refused_when_it_is_recorded(module, run, scope):
    module("\npytestmark = pytest.mark.agy_cassette\n" + TWO_TESTS, scope)
    result = run()
    assert "passed" not in result.parseoutcomes()
    assert "agy_nb/pytest_plugin" not in result.stdout.str()  # the user's lines only
    said = f"*'ask' with the scope '{scope}' started an agent in the cassette of one test, test_a.*"
    result.stdout.fnmatch_lines([said, f'*@pytest.mark.agy_cassette(scope="{scope}")*'])


def test_set_up_of_a_class_is_refused_when_it_is_recorded(suite, run):
    suite.makepyfile(
        test_a="""
import asyncio
import pytest
import agy_nb as agy

@pytest.mark.agy_cassette
class TestTalk:
    @classmethod
    def setup_class(cls):
        with asyncio.Runner() as runner:
            runner.run(cls.talk())

    @staticmethod
    async def talk():
        async with agy.Runtime() as runtime:
            await runtime.create_agent()

    def test_one(self): pass
"""
    )
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*setup_class* with the scope 'class' started an agent *"])


def test_agent_that_an_unmarked_test_started_is_never_used_live(module, run):
    """It would call the model, also with a blocked network, because its harness runs already."""
    tests = """
def test_one(ask): pass

@pytest.mark.agy_cassette
def test_two(ask):
    ask("Goodbye")
"""
    module(tests)
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*'ask' with the scope 'module' started its agent for another test, test_a.py::test_one*"]
    )


def test_error_names_the_fixture():
    assert FixtureScopeError("started", fixture="ask").fixture == "ask"


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("scope='galaxy'", "*has the scope 'galaxy'; use one of function, class, module, session*"),
        ("scope=3", "*has the scope 3; use one of function, *"),
        ("scope='class'", '*has the scope "class", but the test is in none; use scope="module"*'),
    ],
)
def test_scope_that_cannot_be_used_is_a_failure_in_words(suite, run, marker, said):
    suite.makepyfile(f"import pytest\n@pytest.mark.agy_cassette({marker})\ndef test_one(): pass")
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])
