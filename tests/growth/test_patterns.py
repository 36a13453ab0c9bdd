"""No regular expression takes more than linear time, whatever text it is applied to."""

import re

import pytest

from tests.growth.attacks import attacks, patterns, searches
from tests.growth.growth import check_growth

PATTERNS = patterns()

SEES_LITTLE = {
    "agy_nb.cassette.redaction.rules.tokens._JOINED": "the 60 characters before a token",
    "agy_nb.cassette.redaction.rules.value_shapes._VERSION": "a whole value, in `fullmatch`",
    "agy_nb.widgets.response.style_sheet._ARGUMENT": "our own style sheet",
    "agy_nb.widgets.response.style_sheet._COMMAS": "our own style sheet",
    "agy_nb.widgets.response.style_sheet._COMMENT": "our own style sheet",
    "agy_nb.widgets.response.style_sheet._RULE": "our own style sheet",
    "agy_nb.widgets.markdown.markdown_stream._NESTED_FENCE": "a line, from its start",
}
"""Expressions that are not searched for in long texts, and what they are applied to."""

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


def check_pattern(pattern, *, search=True):
    end = "!" if isinstance(pattern.pattern, str) else b"!"

    def run(text):
        if search:
            for _ in pattern.finditer(text):
                pass
        pattern.match(text)
        pattern.fullmatch(text)

    for piece in attacks(pattern):
        try:
            check_growth(lambda size, p=piece: (p * (size // len(p) + 1))[:size] + end, run)
        except AssertionError as error:
            raise AssertionError(f"{piece!r}: {error}") from error


@pytest.mark.parametrize("name", PATTERNS)
def test_expression_takes_linear_time(name):
    check_pattern(PATTERNS[name], search=searches(name) and name not in SEES_LITTLE)


def test_all_expressions_are_found():
    assert len(PATTERNS) > 100
    assert SEES_LITTLE.keys() <= PATTERNS.keys()


@pytest.mark.parametrize("quadratic", [r"[a-z]+@", r"(?s)begin.*?end!", r"\s+$x", rb"(?:\d+)+\."])
def test_expression_with_squared_time_is_found(quadratic):
    with pytest.raises(AssertionError, match=r"power|more than"):
        check_pattern(re.compile(quadratic))
