"""A script is plain data that adds up."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re

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
from agy_nb.testing.script.model_turn import (
    DroppedConnection,
    FunctionCall,
    Garbage,
    Hang,
    HttpError,
)


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


@pytest.mark.parametrize("make", [say, think])
@pytest.mark.parametrize("text", [5, None, b"x", ["a", None]])
def test_text_that_is_not_text_is_refused(make, text):
    with pytest.raises(InvalidScriptError, match="text must be a string or a list of strings"):
        make(text)


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


@pytest.mark.parametrize(
    "wrong",
    [
        dt.datetime(2026, 1, 1),  # noqa: DTZ001
        float("nan"),
        float("inf"),
        b"bytes",
        {1, 2},
        object(),
        {1: "a name that is a number"},
        [{"deep": [float("-inf")]}],
    ],
)
def test_argument_that_is_not_json_is_refused_with_its_name(wrong):
    with pytest.raises(InvalidScriptError, match="get_weather: 'when'"):
        call("get_weather", when=wrong)
    with pytest.raises(InvalidScriptError, match="get_weather: 'when'"):
        FunctionCall("get_weather", {"when": wrong})


def test_argument_without_end_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(InvalidScriptError, match="deeper than 100 levels"):
        call("get_weather", when=endless)


def test_arguments_may_be_any_json():
    args = {"a": [1, 2.5, None, True, "x"], "b": {"c": ({"d": []},)}, "big": 10**30}
    assert call("f", args).parts[0].args == args


@pytest.mark.parametrize("wrong", ["", None, 5])
def test_tool_without_a_name_is_refused(wrong):
    with pytest.raises(InvalidScriptError, match="name must be text"):
        call(wrong)


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"retry_after": "soon"}, "retry_after must be seconds from 0, got 'soon'"),
        ({"retry_after": -1}, "retry_after must be seconds"),
        ({"retry_delay": float("nan")}, "retry_delay must be seconds"),
        ({"retry_delay": True}, "retry_delay must be seconds"),
        ({"headers": ["X-A"]}, "headers must be a mapping"),
        ({"headers": {"X A": "1"}}, "'X A' is not the name of an HTTP header"),
        ({"headers": {"": "1"}}, "'' is not the name"),
        ({"headers": {5: "1"}}, "5 is not the name"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "header 'X-A' must be one line of text"),
        ({"headers": {"X-A": 5}}, "header 'X-A' must be one line of text, got 5"),
        ({"headers": {"X-A": "\ud800"}}, "header 'X-A' must be one line of text"),
        ({"headers": {"Content-Length": "5"}}, "the server sets the header 'Content-Length'"),
        ({"body": "text"}, "body must be bytes, got 'text'"),
        ({"message": 5}, "message must be text, got 5"),
        ({"reason": 5}, "reason must be text, got 5"),
    ],
)
def test_failure_that_http_cannot_hold_is_refused(details, said):
    with pytest.raises(InvalidScriptError, match=re.escape(said)):
        fail(429, **details)


@pytest.mark.parametrize("status", [200, 600, "429", None, True, 429.0])
def test_status_that_is_no_failure_is_refused(status):
    with pytest.raises(InvalidScriptError, match="status must be from 400 to 599"):
        fail(status)
