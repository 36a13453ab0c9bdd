"""The cassettes that come with the package replay to their end, offline."""

from pathlib import Path

import pytest

from agy_nb.cassette import use_cassette
from agy_nb.cassette.inspect.session_summary import Summaries
from agy_nb.cassette.inspect.verify import problems
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import read_header, read_lines
from tests.cassette.scenarios import NO_MODEL, SCENARIOS, Setting

# The SDK looks for its binary on the loop, also where none is started.
pytestmark = pytest.mark.blocking_allowed

SHIPPED = sorted((Path(__file__).parents[3] / "cassettes").glob("*/header.json"))


@pytest.mark.parametrize("header", SHIPPED, ids=[path.parent.name for path in SHIPPED])
@pytest.mark.slow
async def test_shipped_cassette_replays(header, tmp_path):
    async with use_cassette(header.parent, "none"):
        await SCENARIOS[header.parent.name].play(Setting(NO_MODEL, tmp_path))


@pytest.mark.parametrize("header", SHIPPED, ids=[path.parent.name for path in SHIPPED])
@pytest.mark.slow
def test_shipped_cassette_is_sound(header):
    assert list(problems(header.parent)) == []
    assert not load(header.parent).partial


@pytest.mark.parametrize("header", SHIPPED, ids=[path.parent.name for path in SHIPPED])
def test_header_of_a_shipped_cassette_says_what_its_frames_say(header):
    summaries = Summaries()
    for line in read_lines(header.parent):
        summaries.add(line)
    assert summaries.all() == read_header(header.parent).sessions


def test_every_scenario_is_shipped():
    assert {path.parent.name for path in SHIPPED} == set(SCENARIOS)
