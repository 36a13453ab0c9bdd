"""Texts that look like marks of a recording are stored so that they are none, and come back."""

import json

from hypothesis import given, strategies as st

from agy_nb.wire.path_map import MARK
from agy_nb.wire.stored.literal_marks import (
    literal,
    literal_pieces,
    literal_value,
    unmarked,
    unmarked_line,
    unmarked_value,
)

PIECES = st.lists(
    st.sampled_from(["{{agy:", "{{agy:^", "}}", "home", "{", "agy:", "^", ":", '"', "\\", "é"])
    | st.text(max_size=3),
    max_size=8,
)
JSON = st.recursive(
    PIECES.map("".join) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(PIECES.map("".join), inner, max_size=3)
        | inner.map(json.dumps)
        | inner.map(lambda value: json.dumps(value).replace("{{", "\\u007b{"))
    ),
    max_leaves=5,
)


def decoded(value):
    """JSON data with the JSON inside its strings decoded."""
    if isinstance(value, str):
        try:
            inner = json.loads(value)
        except ValueError:
            return value
        return decoded(inner) if isinstance(inner, dict | list) else value
    if isinstance(value, dict):
        return {key: decoded(item) for key, item in value.items()}
    return [decoded(item) for item in value] if isinstance(value, list) else value


def texts(value):
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in texts(item))]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


@given(PIECES)
def test_text_comes_back_in_pieces_and_as_a_whole(pieces):
    whole = "".join(pieces)
    stored = literal(whole)
    assert unmarked(stored) == whole
    assert not MARK.search(stored)
    assert unmarked_line(stored.encode("utf-8", "surrogatepass")).decode() == whole
    found = literal_pieces(pieces)
    assert "".join(found) == stored
    assert "".join(map(unmarked, found)) == whole


@given(JSON)
def test_no_text_of_json_is_a_mark(value):
    stored = literal_value(value)
    assert decoded(unmarked_value(stored)) == decoded(value)
    assert not any(MARK.search(text) for text in texts(decoded(stored)))


def test_start_of_a_mark_stays_in_one_piece():
    assert literal_pieces(["a {{ag", "y:ho", "me}} {{agy:x}}"]) == [
        "a ", "{{agy:^ho", "me}} {{agy:^x}}",
    ]  # fmt: skip
