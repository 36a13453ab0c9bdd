"""A difference in a few lines, whatever its size."""

import pytest

from agy_nb.cassette.matching.compare_frames import MISSING, Difference
from agy_nb.cassette.matching.text_diff import MOST_LINES, diff_of

RULES = "\n".join(f"Rule {n}: answer politely and briefly." for n in range(40))
ESSAY = "You are a helpful assistant. " * 9


def lines(expected, actual):
    return diff_of(Difference("x", expected, actual)).splitlines()


def test_short_text_is_a_unified_diff():
    assert lines("Hello", "Good bye")[-2:] == ["-Hello", "+Good bye"]


def test_changed_words_are_shown_in_their_context():
    (line,) = lines(f"{ESSAY}Be brief. {ESSAY}", f"{ESSAY}Be long and kind. {ESSAY}")[2:]
    assert line == (
        "... You are a helpful assistant. Be [-brief.-] {+long and kind.+} You are a helpful "
        "assistant. You ..."
    )


def test_many_changed_lines_are_counted():
    found = lines(RULES, RULES.replace(" and briefly", ""))
    assert found[:3] == [
        "--- recorded [-removed-]",
        "+++ now {+added+}",
        "line 1: Rule 0: answer [-politely and briefly.-] {+politely.+}",
    ]
    assert found[-1] == "... 31 more lines differ"
    assert len(found) == MOST_LINES


def test_added_and_removed_lines_are_marked():
    found = lines(f"{ESSAY}\n{RULES}\nOne more.", f"First.\n{ESSAY}\n{RULES}")
    assert found[2:] == ["line 1: {+First.+}", "line 42: [-One more.-]"]


def test_spaces_that_differ_are_visible():
    (line,) = lines(f"{ESSAY}a  b", f"{ESSAY}a b")[2:]
    assert line.startswith("[-'You are a helpful")
    assert "{+'You are" in line


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (RULES, "Nothing"),
        ("x" * 100_000, "y" * 100_000),
        (RULES * 50, RULES[::-1] * 50),
        ({"a": list(range(500))}, {"a": list(range(499, -1, -1))}),
        (RULES, MISSING),
        (MISSING, {"a": 1}),
        ("", ESSAY),
    ],
)
def test_any_difference_is_short(expected, actual):
    found = lines(expected, actual)
    assert 2 < len(found) <= MOST_LINES
    assert max(map(len, found)) < 2_000
