"""An option of `use_cassette` with a wrong value is refused at once, in one plain sentence."""

import re

import pytest

import agy_nb as agy

WRONG = {
    "ignore, one text": (
        {"ignore": "a.b"},
        "ignore must be a list, got 'a.b'; write ignore=['a.b']",
    ),
    "ignore, a number in it": ({"ignore": [3]}, "ignore must be a list of texts, got 3 in it"),
    "match_on, one text": (
        {"match_on": "prompt"},
        "match_on must be a list, got 'prompt'; write match_on=['prompt']",
    ),
    "match_on, unknown": ({"match_on": ["colour"]}, "not 'colour'"),
    "redact, one expression": (
        {"redact": re.compile("a")},
        "redact must be a list, got re.compile('a'); write redact=[re.compile('a')]",
    ),
    "redact, one path": ({"redact": "$.a"}, "redact must be a list, got '$.a'"),
    "redact, a mapping": ({"redact": {"a": "b"}}, "redact must be a list, got {'a': 'b'}"),
    "redact, a number in it": ({"redact": [3]}, "JSON paths or functions, got 3"),
    "redact, a function": ({"redact": len}, "redact must be a list, got <built-in function len>"),
    "allow_values, one text": ({"allow_values": "a"}, "allow_values must be a list, got 'a'"),
    "allow_values, a number in it": (
        {"allow_values": [3]},
        "allow_values must be a list of texts or compiled regular expressions, got 3 in it",
    ),
    "ignore, a frame at the model": (
        {"ignore": ["config.models[*].name"], "seam": "model"},
        "Name a place in a request, as a mismatch shows it",
    ),
    "match_on at the model": (
        {"match_on": ["prompt"], "seam": "model"},
        'leave match_on out, name places with ignore=, or use seam="wire"',
    ),
    "record_mode": ({"record_mode": "sometimes"}, "record_mode must be one of once, none, "),
    "seam": ({"seam": "radio"}, "seam must be one of wire, model, got 'radio'"),
    "tools": ({"tools": True}, "tools must be one of check, run, replay, got True"),
    "speed": ({"speed": "fast"}, "speed must be a number >= 0, got 'fast'"),
    "stall_after": ({"stall_after": None}, "stall_after must be a number >= 0, got None"),
    "allow_unplayed": ({"allow_unplayed": "yes"}, "allow_unplayed must be one of True, False"),
    "tool_http": ({"tool_http": None}, "tool_http must be one of True, False, got None"),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG)
def test_wrong_value_is_refused_before_anything_happens(options, said, tmp_path):
    with pytest.raises(agy.errors.InvalidInputError, match=re.escape(said)):
        agy.use_cassette(tmp_path / "c", **options)
    assert list(tmp_path.iterdir()) == []


def test_any_collection_of_values_is_fine(tmp_path):
    agy.use_cassette(tmp_path / "c", match_on={"prompt"}, ignore=("a.b",), redact=iter([len]))
