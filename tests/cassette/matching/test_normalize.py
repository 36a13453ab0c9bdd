"""Values of one run that do not count, because `normalize` names them."""

import re

import pytest

import agy_nb as agy
from agy_nb.cassette import CassetteMismatchError, use_cassette
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.normalize import NORMALIZERS, Normalizer
from agy_nb.errors import InvalidInputError
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting

EQUAL = {
    "uuid": [
        (
            "order 0b9f1c8e-22ad-4c0e-9a57-1f6b0f5a2f10",
            "order 7d444840-9dc0-11d1-b245-5ffdce74fad2",
        ),
        ("run 9f86d081884c7d659a2feaa0c55ad015", "run d41d8cd98f00b204e9800998ecf8427e"),
    ],
    "datetime": [
        ("it is 2026-01-02", "it is 2026-11-27"),
        ("at 2026-01-02T03:04:05.678Z", "at 2026-11-27T13:14:15+02:00"),
        ("at 2026-01-02 03:04", "at 2026-11-27 13:14:15"),
        ("the time is 9:05 pm", "the time is 23:59:59"),
        ("Fri, 02 Jan 2026 03:04:05 GMT", "Mon, 30 Nov 2026 13:14:15 GMT"),
        ("Fri Jan  2 03:04:05 2026", "Mon Nov 30 13:14:15 2027"),
        ("on Friday, January 2, 2026", "on Monday, November 30, 2027"),
        ("on 2 May 2026", "on 30-Nov-2026"),
        ("due 1/2/2026", "due 27/11/2026"),
        (
            "{'at': datetime.datetime(2026, 1, 2, 3, 4, tzinfo=zoneinfo.ZoneInfo(key='UTC'))}",
            "{'at': datetime.datetime(2026, 11, 27, 13, 14, 15)}",
        ),
    ],
    "port": [
        ("see http://127.0.0.1:8123/x", "see http://127.0.0.1:40001/x"),
        ("on localhost:80", "on localhost:65535"),
        ("on [::1]:80", "on [::1]:65535"),
    ],
    "hex_address": [("<object at 0x7f3a2c001d90>", "<object at 0x102f4a3d0>")],
}
DIFFERENT = {
    "uuid": [("order 17", "order 18"), ("commit 9f86d081", "commit d41d8cd9")],
    "datetime": [
        ("version 1.2.3", "version 1.2.4"),
        ("ratio 3:4:5:6", "ratio 3:4:5:7"),
        ("in May 3 people", "in May 4 people"),
        ("shard 1/2/3", "shard 1/2/4"),
    ],
    "port": [("example.org:80", "example.org:81"), ("127.0.0.1:80/a", "127.0.0.1:80/b")],
    "hex_address": [("colour 0xff", "colour 0xfe")],
}


def pairs(table):
    return [(name, *pair) for name, found in table.items() for pair in found]


@pytest.mark.parametrize(("name", "one", "other"), pairs(EQUAL))
def test_values_of_a_run_do_not_count_where_they_are_named(name, one, other):
    assert Comparer(normalize=[name]).first({"text": one}, {"text": other}) is None
    assert Comparer().first({"text": one}, {"text": other}) is not None


@pytest.mark.parametrize(("name", "one", "other"), pairs(DIFFERENT))
def test_other_words_count(name, one, other):
    assert Comparer(normalize=[name]).first({"text": one}, {"text": other}) is not None


def test_rule_of_your_own():
    build = re.compile(r"build \d+")
    assert Comparer(normalize=[build]).first("of build 7", "of build 8") is None
    assert Comparer(normalize=[build]).first("of build 7", "of a build 8") is not None


def test_value_beside_a_secret_does_not_count():
    assert Comparer(normalize=["port"]).first("localhost:1 {{agy:secret}}", "localhost:2 a") is None


def test_key_that_is_a_value_of_the_run_does_not_count_and_its_content_does():
    one, other, third = (f"0b9f1c8e-22ad-4c0e-9a57-1f6b0f5a2f1{digit}" for digit in "012")
    comparer = Comparer(normalize=["uuid"])
    assert comparer.first({one: 1, "n": 2}, {"n": 2, other: 1}) is None
    assert comparer.first({one: 1, other: 2}, {third: 1, one[::-1]: 2}) is not None
    assert comparer.first({one: 1}, {other: 2}).path == one
    assert comparer.first({one: 1}, {other: 1, third: 1}) is not None
    assert Comparer().first({one: 1}, {other: 1}) is not None


def test_unknown_name_is_refused_with_the_names_that_exist():
    with pytest.raises(InvalidInputError, match=r"normalize takes uuid, .*, got 'guid'") as found:
        Normalizer(["guid"])
    assert found.value.field == "normalize"


@pytest.mark.parametrize("name", NORMALIZERS)
def test_long_text_takes_linear_time(name):
    """Each of these stops one of the rules only at its end."""
    for piece in (
        "0123456789abcdef",
        "2026-11-27T",
        "12:",
        "127.0.0.1:",
        "0x",
        "datetime.date((",
        "May 1 ",
    ):
        Normalizer([name])(piece * 20_000)


@pytest.mark.real
@pytest.mark.blocking_allowed
@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_prompt_and_result_with_other_ids_replay(seam, tmp_path):
    def order(name: str) -> str:
        """Look up an order."""
        return f"{name} is on its way since {clock}, see http://127.0.0.1:{port}/"

    async def talk(at, run):
        async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime:
            agent = await runtime.create_agent(at.config(tools=[order]))
            return await agent.chat_text(f"Where is order {run}?")

    clock, port = "2026-01-02 03:04:05", 8123
    run = "0b9f1c8e-22ad-4c0e-9a57-1f6b0f5a2f10"
    script = [call("order", name="the order"), say("It comes today.")]
    async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"):
        assert await talk(Setting(model.base_url, tmp_path / "a"), run) == "It comes today."
    clock, port = "2026-11-27 13:14:15", 40001
    run = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
    at = Setting(NO_MODEL, tmp_path / "b")
    with pytest.raises(CassetteMismatchError):
        async with use_cassette(tmp_path / "c", "none", seam=seam):
            await talk(at, run)
    names = ["uuid", "datetime", "port"]
    async with use_cassette(tmp_path / "c", "none", seam=seam, normalize=names):
        assert await talk(at, run) == "It comes today."


def test_random_name_of_a_workflow_file_never_counts():
    first, second = (
        f"Run `/w/.agy_workflow_my_flow_{random}.py`" for random in ("abcd1234", "a__b9xyz")
    )
    assert Normalizer()(first) == Normalizer()(second)
    assert Normalizer()(first) != Normalizer()(first.replace("my_flow", "your_flow"))
