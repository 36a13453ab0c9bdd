"""Prompts, results and workspaces in `tmp_path`, whose name differs in each run."""

import pytest

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HEAD = """
import asyncio
import pytest
import agy_nb as agy

{mark}

def note(name: str) -> str:
    "Write a note."
    return "written to " + str(FOLDER / name)

async def talk(folder, instructions=""):
    global FOLDER
    FOLDER = folder
    async with agy.Runtime() as runtime:
        config = {{"system_instructions": f"Work in {{folder}}.{{instructions}}"}}
        agent = await runtime.create_agent(config, tools=[note])
        return await agent.chat_text(f"Use note for Today, in {{folder}}/notes")

@pytest.fixture
def early():
    "It comes first in the list of arguments."
"""
TESTS = """
def test_with_a_name_that_pytest_cuts_after_thirty_characters_a(early, tmp_path):
    assert str(tmp_path) in asyncio.run(talk(tmp_path))

def test_with_a_name_that_pytest_cuts_after_thirty_characters_b(early, tmp_path):
    assert str(tmp_path) in asyncio.run(talk(tmp_path))
"""


def write(suite, mark="pytestmark = pytest.mark.agy_cassette", tests=TESTS):
    suite.makepyfile(test_a=HEAD.format(mark=mark) + tests)


def test_folder_of_the_test_has_a_mark_and_comes_back_as_the_new_folder(suite, run, no_process):
    write(suite)
    run("--basetemp", str(suite.path / "one")).assert_outcomes(passed=2)
    for wire in suite.path.rglob("wire.jsonl"):
        text = wire.read_text()
        assert "{{agy:tmppath}}/notes" in text
        assert str(suite.path) not in text
    no_process()
    run("--basetemp", str(suite.path / "two"), "--agy-record-mode=none").assert_outcomes(passed=2)


def test_one_test_of_several_replays_alone(suite, run, no_process):
    """Alone it has another number at the end of its folder."""
    write(suite)
    run().assert_outcomes(passed=2)
    no_process()
    run("--agy-record-mode=none", "-k", "characters_b").assert_outcomes(passed=1, deselected=1)


def test_folder_of_the_run_has_a_mark_in_the_cassette_of_a_module(suite, run, no_process):
    tests = """
@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("work")

def test_one(folder):
    assert str(folder) in asyncio.run(talk(folder))
"""
    write(suite, 'pytestmark = pytest.mark.agy_cassette(scope="module")', tests)
    run("--basetemp", str(suite.path / "one")).assert_outcomes(passed=1)
    (wire,) = suite.path.rglob("wire.jsonl")
    assert "{{agy:basetemp}}/work0/notes" in wire.read_text()
    no_process()
    run("--basetemp", str(suite.path / "two"), "--agy-record-mode=none").assert_outcomes(passed=1)


def test_ini_setting_names_values_that_do_not_count(suite, run, no_process):
    tests = """
import uuid

def test_one(tmp_path):
    asyncio.run(talk(tmp_path, f" Run {uuid.uuid4()}."))
"""
    write(suite, tests=tests)
    run().assert_outcomes(passed=1)
    no_process()
    run("--agy-record-mode=none").assert_outcomes(failed=1)
    run("--agy-record-mode=none", "-o", "agy_normalize=uuid port").assert_outcomes(passed=1)
