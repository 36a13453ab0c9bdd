"""Text and numbers that the wire can hold."""

import json

import pytest
from hypothesis import given, strategies as st

import agy_nb as agy
from agy_nb.protocol.encodable import encodable, encodable_text

TEXT = st.text(st.characters(categories=None))  # halves of surrogate pairs, too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@given(JSON)
def test_everything_can_be_written_as_json_and_utf_8(value):
    json.dumps(encodable(value), allow_nan=False, ensure_ascii=False).encode("utf-8")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_that_utf_8_holds_stays_as_it_is(text):
    assert encodable_text(text) == text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("caf\ud800é", "caf\ufffdé"),
        ("\ud83d\ude00", "😀"),  # a pair is one character
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        ({"a": [1.5, float("nan")]}, {"a": [1.5, "NaN"]}),
    ],
)
def test_what_cannot_be_written_is_replaced(value, written):
    assert encodable(value) == written


def test_decision_holds_what_can_be_sent():
    decision = agy.ApprovalDecision(allowed=False, reason="\udfff", args={"x": float("inf")})
    assert (decision.reason, decision.args) == ("\ufffd", {"x": "Infinity"})
