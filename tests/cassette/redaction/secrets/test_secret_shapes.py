"""What goes by a secret's name is taken out whatever its shape, and known from then on."""

import json

import pytest

from agy_nb.cassette.redaction import SECRET, Redactor
from agy_nb.cassette.storage.format import WireRecord


def cleaned(*frames, **environ):
    redactor = Redactor(environ=environ, places={})
    kept = [
        redactor.line(WireRecord(0, "client", 0.0, {"config": frame})).frame for frame in frames
    ]
    return [frame["config"] for frame in kept]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("correct-horse", SECRET),
        (12345, SECRET),
        (1.5, SECRET),
        (["correct-horse", 7], [SECRET, SECRET]),
        ({"of": {"the": "correct-horse"}}, {"of": {"the": SECRET}}),
        (True, True),
        (None, None),
        ("", ""),
    ],
)
def test_everything_under_a_secrets_name_is_taken_out(value, kept):
    assert cleaned({"password": value}) == [{"password": kept}]


def test_argument_after_a_secrets_option_is_taken_out():
    command = ["run", "--api-key", "correct-horse", "--verbose", "--api-key=x", "there"]
    [frame] = cleaned({"args": command})
    assert frame["args"][:4] == ["run", "--api-key", SECRET, "--verbose"]
    assert frame["args"][-1] == "there"


def test_pair_of_name_and_value_counts_as_one_under_that_name():
    [frame] = cleaned({"settings": [{"name": "API_TOKEN", "value": "correct-horse"}]})
    assert frame["settings"] == [{"name": "API_TOKEN", "value": SECRET}]


def test_value_that_was_seen_under_a_secrets_name_is_known_everywhere_after():
    _, later = cleaned({"password": "correct-horse-battery"}, {"note": "a correct-horse-battery!"})
    assert later == {"note": f"a {SECRET}!"}


def test_number_that_is_a_secret_of_the_environment_is_taken_out():
    [frame] = cleaned({"pin": 8675309123, "other": 5}, SERVICE_PASSWORD="8675309123")
    assert frame == {"pin": SECRET, "other": 5}


def test_frame_deeper_than_anybody_sends_is_taken_out_at_its_bottom():
    deep = {"note": "text"}
    for _ in range(200):
        deep = {"in": deep}
    [frame] = cleaned(deep)
    while isinstance(frame, dict):
        (frame,) = frame.values()
    assert frame == SECRET


def test_texts_within_texts_are_no_way_around_the_limit_of_depth():
    text = "ghp_" + "x1Y2" * 9
    for _ in range(19):
        value = text
        for _ in range(28):
            value = [value]
        text = json.dumps(value)
    cleaned = Redactor(environ={}).frame({"text": text})
    assert "x1Y2" not in cleaned["text"]
    assert "{{agy:secret}}" in cleaned["text"]
