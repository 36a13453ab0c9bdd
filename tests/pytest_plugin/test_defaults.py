"""Options for all tests of a project: ini settings, and the fixture `agy_cassette_config`."""

import json

import pytest

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]

TALK = """
import agy_nb as agy
import pytest
from agy_nb.testing import call, say
from google.antigravity import Agent

SAID = "Project Bluebird, order 0b5c9d56-4e0f-4a4e-9a55-0a8f6e2f8f10"

def look(city: str) -> str:
    "Look."
    return "fine"

{fixture}

@pytest.mark.agy_cassette({marker})
def test_talk(scripted_model):
    async def talk():
        async with Agent(model.config(tools=[look])) as agent:
            return await (await agent.chat(SAID)).text()

    model = scripted_model([call("look", city="Paris"), say("Hi.")])
    assert agy.run(talk()) == "Hi."
"""

FIXTURE = """
@pytest.fixture(scope="session")
def agy_cassette_config({arguments}):
    return {value}
"""


@pytest.fixture
def talk(suite):
    def talk(value=None, marker="", arguments="", replace=("", "")):
        fixture = "" if value is None else FIXTURE.format(arguments=arguments, value=value)
        text = TALK.format(fixture=fixture, marker=marker)
        suite.makepyfile(test_talk=text.replace(*replace) if replace[0] else text)

    return talk


def cassette(suite):
    return suite.path / "cassettes" / "test_talk" / "test_talk"


def recorded(suite):
    return "".join(file.read_text() for file in cassette(suite).iterdir())


def test_fixture_gives_options(talk, run, suite):
    talk('{"redact": [__import__("re").compile("Bluebird")], "record_model": False}')
    run().assert_outcomes(passed=1)
    assert "Bluebird" not in recorded(suite)
    assert not (cassette(suite) / "model.yaml").exists()
    run("--agy-record-mode=none").assert_outcomes(passed=1)


def test_marker_wins_and_rules_of_redaction_add_up(talk, run, suite):
    talk(
        '{"redact": ["$..city"], "record_model": False}',
        marker='redact=[__import__("re").compile("Bluebird")], record_model=True',
    )
    run().assert_outcomes(passed=1)
    assert "Bluebird" not in recorded(suite)
    assert "Paris" not in (cassette(suite) / "wire.jsonl").read_text()
    assert (cassette(suite) / "model.yaml").exists()


def test_fixture_of_a_class_wins_over_that_of_the_module(suite, run):
    suite.makepyfile(
        test_talk=TALK.format(
            fixture=FIXTURE.format(arguments="", value='{"record_model": True}')
            + "\nclass TestTalk:\n    @pytest.fixture\n    def agy_cassette_config(self):\n"
            '        return {"record_model": False}\n',
            marker="",
        )
        .replace("@pytest.mark.agy_cassette()\ndef", "    @pytest.mark.agy_cassette\n    def")
        .replace("test_talk(scripted_model):\n", "test_talk(self, scripted_model):\n")
        .replace("    async def talk", "        async def talk")
        .replace("        async with Agent", "            async with Agent")
        .replace("            return await (await", "                return await (await")
        .replace("    model = scripted", "        model = scripted")
        .replace("    assert agy.run", "        assert agy.run")
    )
    run().assert_outcomes(passed=1)
    assert not list(suite.path.rglob("model.yaml"))


def test_fixture_can_read_the_settings_of_pytest(talk, run, suite):
    talk('{"record_model": pytestconfig.getoption("verbose") > 9}', arguments="pytestconfig")
    run().assert_outcomes(passed=1)
    assert not (cassette(suite) / "model.yaml").exists()


@pytest.mark.parametrize(
    ("value", "arguments", "words"),
    [
        ("{}", "tmp_path", "can use the fixture `pytestconfig` only"),
        ("[]", "", "must return a dict of arguments"),
        ('{"redcat": []}', "", "redcat"),
        ('{"ignore": "a.b"}', "", "ignore must be a list"),
    ],
)
def test_fixture_that_gives_something_else_is_an_error(talk, run, value, arguments, words):
    talk(value, arguments=arguments)
    result = run()
    assert result.ret == 1
    assert words in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_ini_settings_give_options(talk, run, suite):
    suite.makeini(
        """
        [pytest]
        asyncio_default_fixture_loop_scope = function
        agy_redact =
            Blue\\w+
            $..city
        agy_normalize = uuid
        agy_record_model = false
        """
    )
    talk()
    run().assert_outcomes(passed=1)
    assert "Bluebird" not in recorded(suite)
    assert "Paris" not in recorded(suite)
    assert not (cassette(suite) / "model.yaml").exists()
    talk(replace=("0b5c9d56", "7f0e6a0e"))
    run("--agy-record-mode=none").assert_outcomes(passed=1)


def test_settings_of_pyproject_give_options(talk, run, suite):
    (suite.path / "tox.ini").unlink(missing_ok=True)
    suite.path.joinpath("pyproject.toml").write_text(
        "[tool.pytest.ini_options]\n"
        'asyncio_default_fixture_loop_scope = "function"\n'
        'agy_redact = ["Blue\\\\w+"]\n'
        "agy_share_texts = false\n"
    )
    talk()
    run().assert_outcomes(passed=1)
    assert "Bluebird" not in recorded(suite)
    assert not list(suite.path.rglob("_shared"))


def test_rule_that_is_not_an_expression_is_an_error_of_usage(talk, run):
    talk()
    result = run("-o", "agy_redact=(")
    assert result.ret == 4
    assert "agy_redact: '(' is not a regular expression" in result.stderr.str()


def test_failed_tests_are_recorded_again(suite):
    """`pytest --lf --agy-record-mode=all` accepts a change, and leaves other cassettes alone."""
    module = TALK.format(fixture="", marker="")
    suite.makepyfile(test_one=module, test_two=module.replace("Bluebird", "Redbird"))
    without = ["-pno:benchmark", "-pno:hypothesispytest"]
    suite.runpytest_inprocess(*without).assert_outcomes(passed=2)
    other = suite.path / "cassettes" / "test_two" / "test_talk"
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in other.iterdir()}
    suite.makepyfile(test_one=module.replace("Bluebird", "Blackbird"))
    suite.runpytest_inprocess(*without).assert_outcomes(passed=1, failed=1)
    result = suite.runpytest_inprocess(*without, "--lf", "--agy-record-mode=all")
    result.assert_outcomes(passed=1)
    suite.runpytest_inprocess(*without, "--agy-record-mode=none").assert_outcomes(passed=2)
    after = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in other.iterdir()}
    assert after == before
    header = json.loads((suite.path / "cassettes/test_one/test_talk/header.json").read_text())
    assert header["complete"]


@pytest.mark.parametrize("sdk", ["agy_nb", "the SDK's Agent"])
def test_tool_that_raises_now_is_shown_with_its_traceback(suite, run, sdk):
    text = TALK.format(fixture="", marker="")
    if sdk == "agy_nb":
        text = text.replace(
            "        async with Agent(model.config(tools=[look])) as agent:\n"
            "            return await (await agent.chat(SAID)).text()\n",
            "        async with agy.Runtime() as runtime:\n"
            "            agent = await runtime.create_agent(model.config(), tools=[look])\n"
            "            return await agent.chat_text(SAID)\n",
        )
    suite.makepyfile(test_talk=text)
    run().assert_outcomes(passed=1)
    broken = '    return {"Rome": "fine"}[city]'
    suite.makepyfile(test_talk=text.replace('    return "fine"', broken))
    result = run("--agy-record-mode=none", "--show-capture=no")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*The tool raised an exception now:",
            '*File "*test_talk.py", line 10, in look',
            '*return {"Rome": "fine"}[[]city[]]',
            "*KeyError: 'Paris'",
        ]
    )
    shown = result.stdout.str()
    assert "host_tools.py" not in shown
    assert len(shown.splitlines()) < 60
