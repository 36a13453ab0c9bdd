"""Tests in their cassettes: recorded once with a real harness, replayed without one."""

import shutil

import pytest

from agy_nb.cassette.storage.cassette_reader import load

pytestmark = [
    pytest.mark.real,
    # The suites run in this process, and the SDK blocks the loop while it stops a harness.
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TALK = """
import pytest
import agy_nb as agy

PROMPT = "Hello"

@pytest.mark.agy_cassette
def test_talk():
    async def talk():
        async with agy.Runtime() as runtime:
            agent = await runtime.create_agent()
            return await agent.chat_text(PROMPT)

    assert PROMPT in agy.run(talk())
"""


def command_of(result):
    """The arguments of the command that the failure says to type."""
    lines = (line.removeprefix("E").strip() for line in result.outlines)
    (command,) = {line for line in lines if line.startswith("pytest ")}
    return command.split()[1:]


@pytest.fixture
def talk(suite, run):
    """A suite of one recorded test; write it anew with other words."""

    def write(**changes):
        text = TALK
        for old, new in changes.items():
            text = text.replace(old, new)
        suite.makepyfile(test_talk=text)

    write()
    run().assert_outcomes(passed=1)
    return write


def test_first_run_records_and_the_next_replays_without_a_harness(talk, run, cassettes, no_process):
    assert cassettes() == ["cassettes/test_talk/test_talk"]
    no_process()
    for mode in ("once", "none"):
        run(f"--agy-record-mode={mode}").assert_outcomes(passed=1)


def test_divergence_is_the_failure_of_the_test(talk, run):
    talk(Hello="Good bye")
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*agy.run(talk())*",
            "*the prompt differs from the recording.",
            "*-Hello",
            "*+Good bye",
            "*If you intended the change, record it again, with a model at hand:",
            "*pytest test_talk.py::test_talk --agy-record-mode=all",
            "*If it does not matter, ignore it:",
            "*@pytest.mark.agy_cassette(ignore=*userInput.parts*",
            "*Or leave 'prompt' out of match_on=",
        ]
    )
    said = result.stdout.str()
    assert "record_mode=" not in said  # the advice for code that calls use_cassette
    assert "What to do: " not in said
    assert "INTERNALERROR" not in said
    assert "site-packages" not in said  # the test's own lines, not ours and the SDK's
    assert ".py:" not in said.replace("test_talk.py:", "")


def test_divergence_of_an_agent_of_the_sdk_is_told_as_briefly(suite, run):
    text = """
        import agy_nb as agy
        import pytest
        from agy_nb.testing import say
        from google.antigravity import Agent

        @pytest.mark.agy_cassette
        def test_talk(scripted_model):
            async def talk():
                async with Agent(model.config()) as agent:
                    await (await agent.chat("Hello")).text()

            model = scripted_model([say("Hi.")])
            agy.run(talk())
        """
    suite.makepyfile(test_sdk=text)
    run().assert_outcomes(passed=1)
    suite.makepyfile(test_sdk=text.replace("Hello", "Good bye"))
    result = run("--show-capture=no")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([">*agent.chat(*", "*+Good bye", "*mode=all", "FAILED*Mismatch*"])
    assert ".py:" not in result.stdout.str().replace("test_sdk.py:", "")


def test_all_of_the_traceback_is_there_for_those_who_ask(talk, run):
    talk(Hello="Good bye")
    run("--full-trace").stdout.fnmatch_lines(["*machine.py:*"])


def test_advice_to_accept_a_difference_does_what_it_says(talk, run):
    talk(Hello="Good bye")
    (advice,) = {
        line.removeprefix("E").strip() for line in run().outlines if "agy_cassette(ignore" in line
    }
    talk(Hello="Good bye", **{"@pytest.mark.agy_cassette": advice, "assert PROMPT in ": ""})
    run("--agy-record-mode=none").assert_outcomes(passed=1)


def test_recording_that_is_not_played_to_its_end_is_the_failure_of_the_test(talk, run):
    talk(**{"return await agent.chat_text(PROMPT)": "return PROMPT"})
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*the recording was not played to its end*", "*the prompt: *Hello*", "*record-mode=all"]
    )
    assert "playing.py" not in result.stdout.str()  # words, not our code


def test_agent_that_is_not_started_is_the_failure_of_the_test(talk, run):
    talk(**{"agy.run(talk())": "PROMPT"})
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*session 0 was never started*"])


def test_divergence_that_the_test_swallows_fails_it_all_the_same(talk, run):
    talk(
        Hello="Bye",
        **{"return await agent.chat_text(PROMPT)": "await agent.send(PROMPT); return PROMPT"},
    )
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the prompt differs from the recording*"])


def test_failure_of_the_test_itself_stays_what_it_is(talk, run):
    talk(**{"assert PROMPT in": "assert 'Moin' in"})
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*assert 'Moin' in *"])
    assert "Mismatch" not in result.stdout.str()


def test_expected_divergence_can_be_expected(talk, run):
    talk(
        **{
            "@pytest.mark.agy_cassette": "from agy_nb import CassetteMismatchError\n"
            "@pytest.mark.xfail(raises=CassetteMismatchError, strict=True)\n"
            "@pytest.mark.agy_cassette",
            '"Hello"': '"Bye"',
        }
    )
    run().assert_outcomes(xfailed=1)


def test_all_records_anew(talk, run):
    talk(Hello="Bye")
    run("--agy-record-mode=all").assert_outcomes(passed=1)
    run("--agy-record-mode=none").assert_outcomes(passed=1)


def test_recording_needs_no_second_command_in_the_same_place(talk, run, suite):
    """The command of the message, typed as it stands, records."""
    (suite.path / "cassettes").rename(suite.path / "gone")
    result = run("--agy-record-mode=none")
    result.assert_outcomes(failed=1)
    run(*command_of(result)).assert_outcomes(passed=1)
    run("--agy-record-mode=none").assert_outcomes(passed=1)


def test_model_seam_replays_the_model_behind_a_real_harness(talk, run, no_process):
    talk(agy_cassette='agy_cassette(seam="model")')
    run("--agy-record-mode=none").assert_outcomes(passed=1)
    no_process()
    run("--agy-record-mode=none").assert_outcomes(failed=1)  # there was a harness indeed


def test_options_of_use_cassette_go_through(talk, run):
    talk(
        Hello="Bye",
        agy_cassette='agy_cassette(match_on=["config"])',
        **{"assert PROMPT in agy.run(talk())": "agy.run(talk())"},
    )
    run("--agy-record-mode=none").assert_outcomes(passed=1)


def test_cassette_that_cannot_be_read_is_the_failure_of_the_test(talk, run, suite):
    (suite.path / "cassettes/test_talk/test_talk/header.json").write_text("{")
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_talk is not a cassette: *", "*--agy-record-mode=all"])
    run("--agy-record-mode=all").assert_outcomes(passed=1)


def test_cassette_that_lost_its_header_is_recorded_again(talk, run, suite):
    (suite.path / "cassettes/test_talk/test_talk/header.json").unlink()
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*it has no header.json*", "*--agy-record-mode=all"])
    run("--agy-record-mode=all").assert_outcomes(passed=1)
    run("--agy-record-mode=none").assert_outcomes(passed=1)


def test_agent_of_a_fixture_that_is_another_is_told_in_words(suite, run, told):
    suite.makepyfile(test_fixture=told("WORDS"))
    run().assert_outcomes(passed=1)
    suite.makepyfile(test_fixture=told("Be brief."))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*configuration differs from the recording*", "*--agy-record-mode=all"]
    )
    assert ".py:" not in result.stdout.str().replace("test_fixture.py:", "")
    (suite.path / "cassettes/test_fixture/test_talk/header.json").unlink()
    result = run()
    result.stdout.fnmatch_lines(["*it has no header.json*"])
    assert "echo" not in result.stdout.str()  # nor is a model started in vain


def test_tests_of_unittest_have_cassettes_too(suite, run, cassettes, no_process):
    suite.makepyfile(
        test_unit="""
        import unittest
        import agy_nb as agy
        import pytest

        async def answer(prompt):
            async with agy.Runtime() as runtime:
                return await (await runtime.create_agent()).chat_text(prompt)

        @pytest.mark.agy_cassette
        class TestPlain(unittest.TestCase):
            def test_talk(self):
                self.assertIn("Hello", agy.run(answer("Hello")))

        @pytest.mark.agy_cassette
        class TestAsync(unittest.IsolatedAsyncioTestCase):
            async def test_talk(self):
                self.assertIn("Bye", await answer("Bye"))
        """
    )
    run().assert_outcomes(passed=2)
    names = ["cassettes/test_unit/TestAsync.test_talk", "cassettes/test_unit/TestPlain.test_talk"]
    assert cassettes() == names
    no_process()
    run("--agy-record-mode=none").assert_outcomes(passed=2)
    module = suite.path / "test_unit.py"
    module.write_text(module.read_text().replace('answer("', 'answer("Oh! '))
    result = run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            ">*answer(*Hello*",
            "*pytest test_unit.py::TestPlain::test_talk --agy-record-mode=all",
            ">*answer(*Bye*",
            "*pytest test_unit.py::TestAsync::test_talk --agy-record-mode=all",
        ]
    )


def test_failure_of_a_test_of_unittest_stays_what_it_is(suite, run):
    text = """
        import unittest
        import agy_nb as agy
        import pytest

        async def talk():
            async with agy.Runtime() as runtime:
                agent = await runtime.create_agent()
                await agent.chat_text("Hello")
                assert WELL, "not well"
                await agent.chat_text("Bye")

        @pytest.mark.agy_cassette
        class TestPlain(unittest.TestCase):
            def test_talk(self):
                agy.run(talk())
        """
    suite.makepyfile(test_unit=text.replace("WELL", "True"))
    run().assert_outcomes(passed=1)
    suite.makepyfile(test_unit=text.replace("WELL", "False"))
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*AssertionError: not well"])


def test_cassette_around_several_tests_is_told_apart(suite, run):
    suite.makepyfile(
        test_wide="""
        import agy_nb as agy
        import pytest

        @pytest.fixture(scope="module", autouse=True)
        def wide():
            with agy.use_cassette("wide"):
                yield

        def test_first(): pass

        @pytest.mark.agy_cassette
        def test_second(): pass
        """
    )
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*the cassette wide is in use; cassettes do not nest*"])


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_interrupted_recording_is_not_taken_for_a_whole_one(suite, run_apart, run, cassettes):
    suite.makepyfile(
        test_stop="""
        import os
        import pytest

        @pytest.mark.agy_cassette
        def test_talk(agy_agent):
            agy_agent.sync.chat_text("Hello")
            if "STOP" in os.environ:
                raise KeyboardInterrupt
            agy_agent.sync.chat_text("Bye")
        """
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STOP", "1")
        result = run_apart()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    (partial,) = cassettes()
    assert partial.startswith("cassettes/test_stop/test_talk.partial-")
    run().assert_outcomes(passed=1)
    assert cassettes() == ["cassettes/test_stop/test_talk", partial]


SHARED = """
import pytest
import agy_nb as agy

pytestmark = pytest.mark.agy_cassette("shared")

async def answers(instructions):
    async with agy.Runtime() as runtime:
        agent = await runtime.create_agent({"system_instructions": instructions})
        return await agent.chat_text("Hello")

def test_one():
    assert "Hello" in agy.run(answers("Be brief."))

def test_same_again():
    assert "Hello" in agy.run(answers("Be brief."))

def test_another():
    assert "Hello" in agy.run(answers("Be verbose."))
"""


@pytest.mark.parametrize("mode", ["once", "all"])
def test_tests_that_name_one_cassette_share_it(suite, run, cassettes, no_process, mode):
    suite.makepyfile(test_shared=SHARED)
    run(f"--agy-record-mode={mode}").assert_outcomes(passed=3)
    assert cassettes() == ["cassettes/test_shared/shared"]
    no_process()
    run("--agy-record-mode=none").assert_outcomes(passed=3)
    run("--agy-record-mode=none", "test_shared.py::test_another").assert_outcomes(passed=1)


def loses_sessions(suite, record, *workers):
    suite.makepyfile(test_shared=SHARED)
    loses = "shared cassettes with fewer sessions"
    assert loses not in record().stdout.str()
    part = record("--agy-record-mode=all", "-k", "another", *workers)
    part.assert_outcomes(passed=1)
    part.stdout.fnmatch_lines([
        f"*{loses}*",
        "cassettes/test_shared/shared had ? sessions and has 1 now.",
        "*that did not run are gone. Run all tests*--agy-record-mode=all*",
    ])  # fmt: skip


def test_shared_cassette_that_loses_sessions_is_named(suite, run):
    loses_sessions(suite, run)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_shared_cassette_that_loses_sessions_in_a_worker_is_named(suite, run_apart):
    loses_sessions(suite, run_apart, "-n", "1")


def test_tests_that_share_a_cassette_replay_their_part_of_the_models_side(suite, run):
    suite.makepyfile(test_shared=SHARED.replace('"shared"', '"shared", seam="model"'))
    run().assert_outcomes(passed=3)
    run("--agy-record-mode=none").assert_outcomes(passed=3)
    run("--agy-record-mode=none", "test_shared.py::test_another").assert_outcomes(passed=1)


@pytest.mark.parametrize("name", ["shared", "of/all"])
def test_advice_for_a_shared_cassette_records_it_for_all_who_share_it(suite, run, name):
    text = SHARED.replace('"shared"', f'"{name}"')
    suite.makepyfile(test_shared=text)
    run().assert_outcomes(passed=3)
    suite.makepyfile(test_shared=text.replace("verbose", "very verbose"))
    result = run("--agy-record-mode=none")
    result.assert_outcomes(passed=2, failed=1)
    run(*command_of(result)).assert_outcomes(passed=3)
    run("--agy-record-mode=none").assert_outcomes(passed=3)


def test_advice_names_the_folder_that_the_command_line_named(talk, run):
    result = run("--agy-cassette-dir=elsewhere", "--agy-record-mode=none")
    result.assert_outcomes(failed=1)
    run(*command_of(result)).assert_outcomes(passed=1)
    run("--agy-cassette-dir=elsewhere", "--agy-record-mode=none").assert_outcomes(passed=1)


def test_sharing_can_be_refused(suite, run):
    suite.makepyfile(test_shared=SHARED)
    run().assert_outcomes(passed=3)
    suite.makepyfile(test_shared=SHARED.replace('"shared"', '"shared", allow_unplayed=False'))
    run("--agy-record-mode=none").assert_outcomes(failed=3)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", ["new_episodes", "all"])  # "once": see the next test
def test_workers_lose_no_recording_of_a_shared_cassette(suite, run_apart, run, cassettes, mode):
    suite.makepyfile(
        test_four="""
        import pytest

        @pytest.mark.agy_cassette("shared")
        @pytest.mark.parametrize("number", range(4))
        def test_four(agy_agent, number):
            for again in ("", " again"):
                prompt = f"Hello {number}{again}"
                assert prompt in agy_agent.sync.chat_text(prompt)
        """
    )
    if mode == "all":  # there is a cassette to replace
        run("--agy-record-mode=once", "-p", "no:xdist").assert_outcomes(passed=4)
    run_apart("-n", "2", "--dist=load", f"--agy-record-mode={mode}").assert_outcomes(passed=4)
    assert cassettes() == ["cassettes/test_four/shared"]
    sessions = load(suite.path / "cassettes/test_four/shared").sessions
    assert len(sessions) == 4
    assert all(session.end is not None for session in sessions)
    run(f"--agy-record-mode={mode}", "-p", "no:xdist").assert_outcomes(passed=4)
    assert len(load(suite.path / "cassettes/test_four/shared").sessions) == 4
    left = sorted(path.name for path in (suite.path / "cassettes/test_four").iterdir())
    assert left == ["_shared", "shared"]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_workers_record_and_replay(suite, run_apart, cassettes):
    suite.makepyfile(
        test_many="""
        import pytest
        import agy_nb as agy

        @pytest.mark.agy_cassette
        @pytest.mark.parametrize("number", range(4))
        def test_many(agy_agent, number):
            assert str(number) in agy_agent.sync.chat_text(f"Hello {number}")

        @pytest.mark.agy_cassette("shared")
        @pytest.mark.parametrize("number", range(4))
        def test_shared(agy_agent, number):
            prompt = f"Moin {number % 2}"
            assert prompt in agy_agent.sync.chat_text(prompt)
        """
    )
    workers = ("-n", "2", "--dist=load", "--agy-unused=fail")
    result = run_apart(*workers, "--agy-record-mode=once")
    result.assert_outcomes(passed=8)
    assert result.ret == 0
    names = [f"cassettes/test_many/test_many[{number}]" for number in range(4)]
    assert cassettes() == ["cassettes/test_many/shared", *names]
    shutil.copytree(suite.path / "cassettes/test_many/shared", suite.path / "cassettes/test_gone/a")
    result = run_apart(*workers, "--agy-record-mode=none")
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["*unused cassettes*", "cassettes/test_gone/a"])
    assert result.ret == 1
