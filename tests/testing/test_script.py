"""A script is plain data that adds up."""

from __future__ import annotations

import dataclasses

import pytest

from agy_nb.testing import (
    InvalidScriptError,
    ModelTurn,
    ScriptError,
    ScriptText,
    ScriptThought,
    ScriptUsage,
    call,
    drop,
    empty,
    fail,
    garbage,
    hang,
    image,
    say,
    think,
    words,
)
from agy_nb.testing.script import DroppedConnection, FunctionCall, Garbage, Hang, HttpError


def test_say_takes_one_text_or_its_chunks():
    assert say("Hello").parts == (ScriptText(("Hello",)),)
    assert say(["Hel", "lo"]).parts == (ScriptText(("Hel", "lo")),)


@pytest.mark.parametrize("text", ["one two  three", "", " leading", "one"])
def test_words_lose_nothing_of_the_text(text):
    assert words(text).text == text


def test_words_stream_one_word_a_chunk():
    assert words("a b c").parts == (ScriptText(("a", " b", " c")),)


def test_turns_add_up_to_one_answer():
    turn = think("hm") + say("Let me look.") + call("look", at="sky") + call("look", at="sea")
    assert turn.parts == (
        ScriptThought(("hm",)),
        ScriptText(("Let me look.",)),
        FunctionCall("look", {"at": "sky"}),
        FunctionCall("look", {"at": "sea"}),
    )


def test_settings_of_the_later_turn_win():
    turn = say("a", delay_s=1, service_tier="flex") + say("b", service_tier="priority")
    assert (turn.delay_s, turn.service_tier) == (1, "priority")


def test_call_takes_arguments_that_are_no_python_names():
    assert call("f", {"class": 1, "name": 2}, other=3).parts[0].args == {
        "class": 1,
        "name": 2,
        "other": 3,
    }


def test_a_fault_comes_after_what_was_said():
    assert hang("so far") == say("so far") + hang()
    assert drop("so far").fault == DroppedConnection()
    assert garbage(b"\x00", after="so far").fault == Garbage(b"\x00")
    assert hang().fault == Hang()


def test_nothing_follows_a_fault():
    with pytest.raises(InvalidScriptError, match="nothing can follow"):
        _ = hang() + say("more")


def test_an_http_error_follows_nothing():
    with pytest.raises(InvalidScriptError, match="HTTP error"):
        _ = say("so far") + fail(500)


def test_fail_keeps_its_details():
    error = fail(429, "slow down", retry_after=2, retry_delay=3).fault
    assert error == HttpError(status=429, message="slow down", retry_after=2, retry_delay=3)


@pytest.mark.parametrize("status", [200, 302, 600, 0])
def test_fail_takes_error_statuses_only(status):
    with pytest.raises(InvalidScriptError, match="400 to 599"):
        fail(status)


def test_having_changes_settings_only():
    turn = call("finish", x=1)
    changed = turn.having(usage=ScriptUsage(prompt=7))
    assert (changed.parts, changed.usage.prompt) == (turn.parts, 7)


def test_a_turn_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        say("a").finish_reason = "STOP"  # type: ignore[misc]


def test_an_empty_turn_says_nothing():
    assert empty() == ModelTurn()
    assert empty().text == ""


def test_the_repr_of_an_image_is_short():
    assert len(repr(image(b"x" * 10_000))) < 300


def test_every_script_error_is_one_of_ours():
    from agy_nb.errors import AgyError

    assert issubclass(ScriptError, AgyError)
