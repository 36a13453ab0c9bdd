"""Streamed responses in `model.yaml`: their events come back exactly."""

import json

import pytest
from hypothesis import given, strategies as st

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage.model_log import read_model
from agy_nb.cassette.storage.shared.compact_streams import (
    compacted_chunks,
    compacted_events,
    expanded_chunks,
    expanded_events,
)
from agy_nb.cassette.storage.shared.model_yaml import read_model_yaml, write_model_yaml

ENDS = st.sampled_from(["\n\n", "\r\n\r\n", "\n\r\n", ""])
TEXTS = st.text(st.sampled_from('ab":\\{}[],1 -.\n\ré')) | st.text()
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["data: ", "data:", ": ", "event: x\ndata: ", ""]),
        st.builds(
            lambda text, n: json.dumps({"text": text, "n": n, "id": "same"}), TEXTS, st.integers()
        )
        | TEXTS,
        ENDS,
    ).map("".join),
    max_size=6,
).map("".join)


def streamed(*pieces):
    """A response as a model streams it."""
    parts = [
        json.dumps({"parts": [{"text": piece}], "usage": {"total": n}})
        for n, piece in enumerate(pieces)
    ]
    return "".join(f"data: {part}\r\n\r\n" for part in parts)


def exchange(body, chunks=((8, 0.25), (9, 1e-05))):
    return {
        "request": {"method": "POST", "uri": "http://localhost/", "body": "{}", "headers": {}},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {},
            "body": {"string": body},
            "x_agy_chunks": [list(pair) for pair in chunks],
        },
    }


@given(EVENTS)
def test_any_response_comes_back_exactly(text):
    events = compacted_events(text)
    assert events is None or "".join(expanded_events(events)) == text


@given(st.lists(st.tuples(st.integers(0), st.floats(0, 1e9) | st.integers(0)).map(list)))
def test_any_chunks_come_back_exactly(chunks):
    kept = compacted_chunks(chunks)
    found = expanded_chunks(kept) if isinstance(kept, str) else kept
    assert repr(found) == repr(chunks)


def test_events_hold_what_differs():
    first, *rest = compacted_events(streamed("It ", "is ", "sunny."))
    assert first.startswith("data: {")
    assert rest == [{0: '"is "', 1: "1"}, {0: '"sunny."', 1: "2"}]


def test_file_holds_each_event_once_and_is_read_as_it_was(tmp_path):
    made = exchange(streamed(*[f"word{n} " for n in range(50)]))
    file = tmp_path / "model.yaml"
    write_model_yaml(file, [made], share=False)
    assert read_model_yaml(file) == [made]
    text = file.read_text()
    assert text.count('"parts"') + text.count('\\"parts\\"') == 1
    assert len(text) < 50 * 50


@pytest.mark.parametrize(
    "events", [7, [7], [{}, {0: "x"}], ["data: 1\n\n", {5: "x"}], ["a", {"0": "x"}]]
)
def test_damaged_events_are_named(tmp_path, events):
    file = tmp_path / "model.yaml"
    write_model_yaml(file, [exchange("EVENTS")], share=False)
    file.write_text(file.read_text().replace("string: EVENTS", f"events: {json.dumps(events)}"))
    with pytest.raises(CassetteInvalidError, match=r"model\.yaml.* body of a response: .*event"):
        read_model(tmp_path)


def test_events_that_expand_too_far_are_refused():
    bomb = ["data: " + "x" * 10_000 + "1", *[{0: "1"}] * 1_000]
    with pytest.raises(ValueError, match="expand to more than 1 MB"):
        "".join(expanded_events(bomb, 2**20))
