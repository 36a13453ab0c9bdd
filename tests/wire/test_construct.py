"""The fast way to make an event makes the same event as the class itself."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given, strategies as st

from agy_nb.protocol import events as e
from agy_nb.protocol.values import TokenUsage, Trajectory
from agy_nb.wire.construct import constructor_of

ROOT = Trajectory(id="a" * 32)


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (e.Text, {"text": "Hello", "step_index": 2}),
        (e.ToolCall, {"call_id": "1", "name": "add"}),
        (e.ToolCall, {"call_id": "1", "name": "add", "args": {"x": 1}}),
        (e.State, {"state": e.TurnState.DONE, "at": 3.5}),
        (TokenUsage, {"input_tokens": 7}),
    ],
)
def test_it_makes_what_the_class_makes(cls, values):
    made, usual = constructor_of(cls)(**values), cls(**values)
    assert type(made) is cls
    assert made == usual
    assert repr(made) == repr(usual)
    for field in fields(cls):
        assert getattr(made, field.name) == getattr(usual, field.name)


@given(st.text(), st.integers(min_value=0), st.floats(allow_nan=False))
def test_every_value_arrives(text, index, at):
    made = constructor_of(e.Text)(trajectory=ROOT, text=text, step_index=index, at=at)
    assert (made.trajectory, made.text, made.step_index, made.at) == (ROOT, text, index, at)


def test_the_object_is_frozen():
    made = constructor_of(e.Text)(text="Hello")
    with pytest.raises(FrozenInstanceError):
        made.text = "Bye"
    with pytest.raises(FrozenInstanceError):
        del made.text


def test_a_default_object_is_new_each_time():
    make = constructor_of(e.ToolCall)
    assert make(call_id="1", name="add").args is not make(call_id="2", name="add").args


def test_a_missing_field_is_an_error():
    with pytest.raises(TypeError, match="text"):
        constructor_of(e.Text)()
