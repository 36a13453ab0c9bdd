"""Two cassettes side by side: what is said of two that differ."""

import pytest

from agy_nb.cassette.inspect.session_digests import differences, digest_of


def told(one, other, **options):
    return list(differences(one, other, names=("before", "after"), **options))


@pytest.fixture
def pair(cassette, hello):
    """A cassette, and a function that makes another one to compare it with."""
    return cassette(hello, name="one"), lambda *sessions: cassette(*sessions, name="two")


def test_equal_sessions_differ_in_nothing(pair, hello):
    one, another = pair
    assert told(one, another(hello)) == []


def test_session_or_turn_that_only_one_has_is_named(pair, hello, frames):
    one, another = pair
    assert told(one, another(hello, hello)) == ["session 1: only in after"]
    longer = [*hello, frames.prompt("more"), frames.step("yes", index=2), frames.idle()]
    assert "session 0, turn 2: only in after" in told(one, another(longer))
    assert "session 0, turn 2: only in before" in told(another(longer), one)


def test_prompt_and_answers_that_differ_are_shown_side_by_side(pair, hello, frames):
    one, another = pair
    other = [
        frames.prompt("hallo") if frame == frames.prompt("hello") else frame for frame in hello
    ]
    found = told(one, another(other))
    assert found[0] == "session 0, turn 1: prompt differs"
    assert any(line.startswith("  -") and "hello" in line for line in found)
    assert any(line.startswith("  +") and "hallo" in line for line in found)
    assert told(one, another(other), parts=("usage",)) == []


def test_configuration_and_usage_that_differ_are_told(pair, hello, frames):
    one, another = pair
    other = [frames.config(tools=[{"name": "new"}]), *hello[1:-2], frames.usage(7), hello[-1]]
    found = told(one, another(other))
    assert any(line.startswith("session 0: config.") for line in found)
    assert "session 0: usage differs" in found
    assert told(one, another(other), parts=()) == []


def test_order_of_frames_changes_nothing(session_of, hello):
    other = [*hello[:6], *reversed(hello[6:8]), hello[8]]
    assert digest_of(session_of(*hello)) == digest_of(session_of(*other))


@pytest.mark.parametrize("index", ["x", None, -1, [], 2**80])
def test_step_with_an_index_that_cannot_be_one_is_added_up_as_well(session_of, frames, index):
    session = session_of(frames.config(), frames.prompt("go"), frames.step("hi", index=index))
    (turn,) = digest_of(session)["turns"]
    assert turn["agents"][0][0]["text"] == "hi"
