"""Comparing tool calls with expected ones, without an agent."""

import re
from unittest.mock import ANY

import pytest
from hypothesis import given, strategies as st

from agy_nb.assertions.expected_calls import ExpectedCall, expected_call, first_difference
from agy_nb.assertions.observation import ObservedCall
from agy_nb.errors import InvalidInputError


def made(*calls):
    return [ObservedCall(name, args) for name, args in calls]


def wanted(*patterns):
    return [expected_call(pattern) for pattern in patterns]


A, B = ("a", {"x": 1}), ("b", {})


@pytest.mark.parametrize(
    ("expected", "got", "fits"),
    [
        ({"x": 1}, {"x": 1, "y": 2}, True),
        ({"x": 1}, {"x": 1.0}, True),
        ({"x": 1}, {"x": True}, False),
        ({"x": True}, {"x": True}, True),
        ({"x": True}, {"x": 1}, False),
        ({"x": None}, {}, False),
        ({"x": None}, {"x": None}, True),
        ({"x": ANY}, {"x": [1]}, True),
        ({"x": re.compile("^Par")}, {"x": "Paris"}, True),
        ({"x": re.compile("^Par")}, {"x": 5}, False),
        ({"x": pytest.approx(0.3)}, {"x": 0.1 + 0.2}, True),
        ({"x": {"y": re.compile("s$")}}, {"x": {"y": "as"}}, True),
        ({"x": {"y": 1}}, {"x": {"y": 1, "z": 2}}, False),
        ({"x": [1, ANY]}, {"x": [1, 2]}, True),
        ({"x": (1, 2)}, {"x": [1, 2]}, True),
        ({"x": [1]}, {"x": [1, 2]}, False),
        ({"x": "1"}, {"x": 1}, False),
    ],
)
def test_arguments_that_are_named_must_be_equal(expected, got, fits):
    assert ExpectedCall("a", expected).fits(ObservedCall("a", got)) is fits


@pytest.mark.parametrize(
    ("order", "expected", "message", "index"),
    [
        ("exact", [A, B], None, None),
        ("exact", ["a", "b"], None, None),
        ("exact", ["a"], "expected 1 call, got 2", 1),
        ("exact", ["a", "b", "b"], "b was not called at the end", None),
        ("exact", ["b", "a"], "call 1 differs from b()", 0),
        ("exact", [("a", {"x": 2}), "b"], "call 1 differs from a(x=2)", 0),
        ("in_order", ["b"], None, None),
        ("in_order", ["a", "b"], None, None),
        ("in_order", ["b", "a"], "a was not called after a call of b", None),
        ("in_order", [("a", {"x": 2})], "no call matches a(x=2)", 0),
        ("any_order", ["b", "a"], None, None),
        ("any_order", ["b", "b"], "b was not called 2 times", 1),
        ("any_order", [], None, None),
        ("exact", [], "expected 0 calls, got 2", 0),
    ],
)
def test_orders(order, expected, message, index):
    found = first_difference(made(A, B), wanted(*expected), order)
    assert (None, None) if found is None else (found.message, found.index) == (message, index)
    assert (found is None) is (message is None)


def test_call_that_fits_two_expected_ones_moves_to_the_other():
    calls = made(("a", {"x": 1}), ("a", {"x": 2}))
    assert first_difference(calls, wanted("a", ("a", {"x": 1})), "any_order") is None


def test_nearest_call_is_the_one_that_is_marked():
    calls = made(("a", {"x": 0, "y": 0}), ("a", {"x": 1, "y": 0}))
    found = first_difference(calls, wanted(("a", {"x": 1, "y": 1})), "any_order")
    assert (found.index, found.details) == (1, ("y: expected 1, got 0",))


def test_argument_that_is_not_there_is_named():
    found = first_difference(made(("a", {})), wanted(("a", {"x": 1})), "exact")
    assert found.details == ("x: expected 1, got no such argument",)


@pytest.mark.parametrize("pattern", [1, ("a",), ("a", 1), (1, {}), ("a", {}, {}), None])
def test_pattern_that_is_no_call_is_refused(pattern):
    with pytest.raises(InvalidInputError, match="a call is a tool's name or a pair"):
        expected_call(pattern)


def test_unknown_order_is_refused():
    with pytest.raises(InvalidInputError, match=r"order must be 'exact', .* got 'sorted'"):
        first_difference([], [], "sorted")


NAMES = st.lists(st.sampled_from("abc"), max_size=7)


@given(NAMES, st.data())
def test_orders_allow_more_and_more(names, data):
    calls = made(*((name, {}) for name in names))
    assert first_difference(calls, wanted(*names), "exact") is None
    kept = data.draw(st.lists(st.booleans(), min_size=len(names), max_size=len(names)))
    some = [name for name, keep in zip(names, kept, strict=True) if keep]
    assert first_difference(calls, wanted(*some), "in_order") is None
    assert (first_difference(calls, wanted(*some), "exact") is None) is all(kept)
    mixed = data.draw(st.permutations(some))
    assert first_difference(calls, wanted(*mixed), "any_order") is None


@given(NAMES, NAMES)
def test_any_order_counts(names, expected):
    calls = made(*((name, {}) for name in names))
    enough = all(expected.count(name) <= names.count(name) for name in expected)
    assert (first_difference(calls, wanted(*expected), "any_order") is None) is enough
