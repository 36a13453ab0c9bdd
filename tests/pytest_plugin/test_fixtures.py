"""`agy_runtime`, `agy_agent`, `scripted_model`: on the loop of the test, and gone with it."""

import pytest

from agy_nb.sdk.process.harness_process import HarnessProcess

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(autouse=True)
def harnesses(monkeypatch):
    """Every harness that a suite starts; each must have ended with it."""
    born = []
    take_note = HarnessProcess.attach

    def born_too(self, process):
        born.append(process)
        take_note(self, process)

    monkeypatch.setattr(HarnessProcess, "attach", born_too)
    yield born
    assert [each.pid for each in born if each.poll() is None] == []


TESTS = """
import asyncio
import pytest
from agy_nb.testing import call, say

def get_weather(city: str) -> str:
    "Tell the weather of a city."
    return f"sunny in {city}"

pytestmark = [MARKS]

async def test_agent(agy_agent):
    assert "Hello" in await agy_agent.chat_text("Hello")

async def test_runtime(agy_runtime):
    first, second = [await agy_runtime.create_agent() for _ in range(2)]
    assert first.id != second.id
    assert "Hello" in await first.chat_text("Hello")

async def test_model(agy_runtime, scripted_model):
    model = await scripted_model([call("get_weather", city="Rome"), say("Sunny.")])
    agent = await agy_runtime.create_agent(
        model.config(tools=[get_weather]), ask_user=lambda request: True
    )
    assert await agent.chat_text("Weather?") == "Sunny."

@pytest.fixture
def model(scripted_model):
    return scripted_model(say("Moin."))

class TestSettings:
    @pytest.fixture
    def agy_agent_settings(self, model):
        return {"config": model.config()}

    async def test_agent_of_a_fixture(self, agy_agent, model):
        assert await agy_agent.chat_text("Hello") == "Moin."
        assert len(model.requests) == 1

@pytest.fixture
def own_agent(agy_home, agy_runtime):
    agent = agy_home.run(agy_runtime.create_agent())
    yield agent
    agy_home.run(agent.shutdown())

async def test_agent_of_the_user(own_agent):
    assert "Hello" in await own_agent.chat_text("Hello")
"""

SYNC = (
    TESTS.replace("async def test", "def test")
    .replace("MARKS", "")
    .replace("await scripted_model", "scripted_model")
    .replace("[await agy_runtime.create_agent() for", "[agy.run(agy_runtime.create_agent()) for")
    .replace("await agy_runtime.create_agent(\n", "agy.run(agy_runtime.create_agent(\n")
    .replace("lambda request: True\n    )", "lambda request: True\n    ))")
    .replace("await ", "")
    .replace(".chat_text", ".sync.chat_text")
    .replace("import asyncio", "import agy_nb as agy")
)

ASYNCIO = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
CASES = {
    "strict": (TESTS.replace("MARKS", "pytest.mark.asyncio"), ASYNCIO),
    "auto": (TESTS.replace("MARKS", ""), ASYNCIO + "asyncio_mode = auto\n"),
    "module": (TESTS.replace("MARKS", "pytest.mark.asyncio(loop_scope='module')"), ASYNCIO),
    "session": (
        TESTS.replace("MARKS", ""),
        ASYNCIO + "asyncio_mode = auto\nasyncio_default_test_loop_scope = session\n",
    ),
    "anyio": (
        TESTS.replace("MARKS", "pytest.mark.anyio")
        + "\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n",
        ASYNCIO,
    ),
    "sync": (SYNC, ASYNCIO),
}


@pytest.mark.parametrize("case", CASES)
def test_fixtures_live_on_the_loop_of_the_test(pytester, run, case):
    source, ini = CASES[case]
    pytester.makeini(ini)
    pytester.makepyfile(test_a=source)
    result = run("-W", "error::RuntimeWarning")
    result.assert_outcomes(passed=5)
    assert "never awaited" not in result.stdout.str()


def test_anyio_needs_no_other_plugin(pytester, run):
    source, _ = CASES["anyio"]
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(test_a=source)
    run("-p", "no:asyncio").assert_outcomes(passed=5)


def test_recorded_agents_of_fixtures_are_replayed(suite, run, no_process):
    recorded = CASES["strict"][0].replace("[pytest.", "[pytest.mark.agy_cassette, pytest.", 1)
    suite.makepyfile(test_a=recorded)
    run().assert_outcomes(passed=5)
    no_process()
    suite.makepyfile(test_a=recorded.replace("len(model.requests) == 1", "model.requests == []"))
    run("--agy-record-mode=none").assert_outcomes(passed=5)


def test_what_a_fixtures_agent_did_not_ask_fails_the_test_and_not_its_end(suite, run):
    source = """
import pytest

PROMPTS = ["Hello", "Bye"]

@pytest.mark.agy_cassette
def test_talk(agy_agent):
    for prompt in PROMPTS:
        agy_agent.sync.chat_text(prompt)
"""
    suite.makepyfile(test_a=source)
    run().assert_outcomes(passed=1)
    suite.makepyfile(test_a=source.replace(', "Bye"', ""))
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not played to its end*", "*the prompt: *Bye*"])


def test_fixture_that_starts_another_agent_than_recorded_says_so(suite, run, told):
    suite.makepyfile(test_a=told("Be brief."))
    run().assert_outcomes(passed=1)
    suite.makepyfile(test_a=told("Be verbose."))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*configuration differs from the recording*", "*Be verbose.*", "*--agy-record-mode=all"]
    )


def test_call_that_the_script_cannot_answer_is_told(suite, run):
    suite.makepyfile(
        test_a="""
        import pytest
        import agy_nb as agy
        from agy_nb.testing import say

        def test_talk(agy_runtime, scripted_model):
            model = scripted_model([say("Hello")])
            agent = agy.run(agy_runtime.create_agent(model.config()))
            agent.sync.chat_text("Hello")
            with pytest.raises(agy.AgyError):
                agent.sync.chat_text("And now?")
        """
    )
    result = run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ScriptExhaustedError*"])


def test_async_test_that_nothing_runs_is_told(pytester, run):
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(test_a="async def test_a(agy_runtime): pass")
    result = run("-p", "no:asyncio", "-p", "no:anyio")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*NoAsyncPluginError: *Install pytest-asyncio*"])
