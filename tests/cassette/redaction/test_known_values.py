"""Values that are known to be secret are found in every spelling, however many there are."""

import base64

import pytest
from hypothesis import example, given, strategies as st

from agy_nb.cassette.redaction.known.known_texts import KnownTexts
from agy_nb.cassette.redaction.known.known_values import KnownValues


def finder(*values):
    known = KnownValues()
    assert known.add(values)
    return known


@example(["abbaaa", "abbaaaa"], "abbaaa")
@given(
    st.lists(st.text("ab", min_size=1, max_size=12), min_size=1, max_size=20),
    st.text("ab", max_size=60),
)
def test_every_place_of_every_text_is_covered(texts, text):
    known = KnownTexts()
    for each in texts:
        known.add(each)
    covered = {n for start, end in known.find(text) for n in range(start, end)}
    expected = {
        n
        for each in texts
        for start in range(len(text))
        if text.startswith(each, start)
        for n in range(start, start + len(each))
    }
    assert covered == expected


@pytest.mark.parametrize("many", [0, 1000])
@pytest.mark.parametrize(
    "written",
    [
        "s3cr3t value",
        "s3cr3t+value",
        "s3cr3t \n   value",
        b"s3cr3t value".hex(),
        b"s3cr3t value".hex(":").upper(),
        base64.b64encode(b"user:s3cr3t value").decode(),
        base64.urlsafe_b64encode(b"ab:s3cr3t value;").decode(),
    ],
)
def test_value_is_found_in_every_spelling(many, written):
    known = finder("s3cr3t value", *(f"other-{n:05}" for n in range(many)))
    before = "\n \t words + words\n\n"
    assert known.find(f"{before}'{written}' and more") == [
        (len(before) + 1, len(before) + 1 + len(written))
    ]


def test_white_space_around_does_not_move_a_place():
    known = finder("a1 b2 c3 d4")
    text = "x  \t y\n\n a1  b2\nc3+d4 \n"
    (place,) = known.find(text)
    assert text[slice(*place)] == "a1  b2\nc3+d4"


def test_short_values_are_found_too():
    known = finder("ab")
    assert known.find("cab") == [(1, 3)]
    assert "ab" in known
    assert not known.add(["ab", ""])
    assert len(known) == 1


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_long_value_is_found_in_other_capitals(change):
    known = KnownValues()
    known.add(["Ab3dEf6hIj9k", "Administrator", "Summer24"])
    assert known.find(f"x {change('Ab3dEf6hIj9k')} y") == [(2, 14)]
    assert known.find(f"{change('Administrator')} in {change('Summer24')}") == []
