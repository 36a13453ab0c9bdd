"""Requests to the model: what the harness adds means nothing, the words of the user do."""

import json

import pytest

from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.compare_requests import (
    body_digest,
    canonical_body,
    first_alike,
)

ONE, TWO = "1" * 32, "2" * 32
UUIDS = "12345678-1234-1234-1234-123456789abc", "99995678-1234-1234-1234-123456789abc"
SECRET = "{{agy:secret}}"


def same_but_marks(recorded, actual):
    """Whether a body is the recorded one, apart from its marks."""
    return first_alike([recorded], actual, lambda body: body, Comparer()) is not None


def system(run, *, words="Be brief."):
    return (
        f"{words}\n<user_information>\nThe USER's OS version is os-{run}.\n</user_information>\n"
        f"App Data Directory: {{{{agy:app-data}}}}\nConversation ID: {run * 32}\n"
        f"Artifacts: {{{{agy:app-data}}}}/brain/{run * 32}\n"
    )


def prompt(run, words):
    return (
        f"<USER_REQUEST>\n{words}\n</USER_REQUEST>\n<ADDITIONAL_METADATA>\n"
        f"The current local time is: 2026-11-2{run}T10:00:00Z.\n</ADDITIONAL_METADATA>"
    )


def message(run, words):
    return (
        "The following is a <SYSTEM_MESSAGE> not actually sent by the user. It is important.\n\n"
        f"<SYSTEM_MESSAGE>\n[Message] timestamp=2026-11-2{run}T10:00:00Z sender={run * 32} "
        f"priority=HIGH content={words}\n</SYSTEM_MESSAGE>"
    )


def output(run, words):
    return f"Created At: 2026-11-2{run}T10:00:00Z\nCompleted At: 2026-11-2{run}T10:00:01Z\n{words}"


def gemini(
    run="1", words="Hello", *, args=None, result="fine", brief="Be brief.", tool="add", more=()
):
    """A body of Gemini's API; `run` is in what the harness adds."""
    call_id = f"call-of-run-{run}"
    answer = {"id": call_id, "name": tool, "response": {"output": output(run, result)}}
    return json.dumps(
        {
            "contents": [
                {"role": "user", "parts": [{"text": prompt(run, words)}]},
                {"role": "model", "parts": [{"functionCall": {"id": call_id, "name": tool,
                                                              "args": args or {}}}]},
                {"role": "model", "parts": [{"functionResponse": answer}]},
                *({"role": "user", "parts": [{"text": text}]} for text in more),
            ],
            "sessionId": f"-{run}",
            "systemInstruction": {"parts": [{"text": system(run, words=brief)}]},
        }
    )  # fmt: skip


def openai(run="1", words="Hello", *, args=None, result="fine", brief="Be brief.", tool="add",
           more=()):  # fmt: skip
    """The same in the form of OpenAI's API."""
    function = {"name": tool, "arguments": json.dumps(args or {})}
    return json.dumps(
        {
            "messages": [
                {"role": "system", "content": system(run, words=brief)},
                {"role": "user", "content": prompt(run, words)},
                {"role": "assistant", "tool_calls": [{"id": f"call-{run}", "function": function}]},
                {"role": "tool", "name": tool, "tool_call_id": f"call-{run}",
                 "content": output(run, result)},
                *({"role": "user", "content": text} for text in more),
            ]
        }
    )  # fmt: skip


DIALECTS = pytest.mark.parametrize("body", [gemini, openai])


@DIALECTS
def test_what_the_harness_adds_means_nothing(body):
    def of(run):
        started = f'Created the following subagents:\n{{\n  "conversationId":  "{run * 31}a"\n}}'
        return body(
            run,
            result=started,
            more=(message(run, f"Subagent {run * 31}a has gone idle."), prompt(run, "Go on")),
        )

    assert body_digest(of("1")) == body_digest(of("2"))
    assert same_but_marks(of("1"), of("2"))


@DIALECTS
@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("Cancel order 1111", "Cancel order 9999"),
        UUIDS,
        (ONE, TWO),
        ("at 2026-01-01 10:00", "at 2026-01-01 11:00"),
        ("within 5s", "within 50s"),
        ("The current local time is: noon", "The current local time is: midnight"),
        ("Conversation ID: " + ONE, "Conversation ID: " + TWO),
        ("OS version is 1", "OS version is 2"),
        ("Created At: 2026-01-01T10:00:00Z", "Created At: 2026-01-02T10:00:00Z"),
        ("<ADDITIONAL_METADATA>\nThe current local time is: 1.\n</ADDITIONAL_METADATA>",
         "<ADDITIONAL_METADATA>\nThe current local time is: 2.\n</ADDITIONAL_METADATA>"),
    ],
)  # fmt: skip
def test_words_of_users_and_tools_mean_what_they_say(body, then, now):
    for place in ("words", "result", "brief"):
        if place == "brief" and then.startswith("Conversation ID"):
            continue  # a line that is the harness's own
        bodies = [body(**{place: text}) for text in (then, now)]
        assert body_digest(bodies[0]) != body_digest(bodies[1]), place
        assert not same_but_marks(*bodies), place
    bodies = [body(args={"id": text}) for text in (then, now)]
    assert body_digest(bodies[0]) != body_digest(bodies[1])


def test_same_ids_stay_the_same_and_others_do_not():
    def asks(caller):
        return gemini(more=(message("2", f"ask {caller}"),))

    assert body_digest(asks(TWO)) != body_digest(asks(ONE))
    assert body_digest(asks(TWO)) == body_digest(
        gemini("2", more=(message("1", f"ask {ONE}"),)).replace("26-11-22", "26-11-21")
    )


@DIALECTS
def test_mark_in_the_recording_stands_for_any_text(body):
    recorded = body(words=f"Log in with {SECRET}, please", result=f'{{"key": "{SECRET}"}}')
    now = body("2", words="Log in with hunter2, please", result='{"key": "other"}')
    assert body_digest(recorded) != body_digest(now)
    assert same_but_marks(recorded, now)
    assert not same_but_marks(now, recorded)
    assert not same_but_marks(recorded, body("2", words="Log in with hunter2!", result="{}"))


def test_output_of_a_command_may_have_other_times():
    def of(tool, seconds):
        return gemini(tool=tool, result=f"3 passed in {seconds}s at 2026-01-01 10:00:{seconds}")

    assert body_digest(of("run_command", 10)) != body_digest(of("run_command", 11))
    assert same_but_marks(of("run_command", 10), of("run_command", 11))
    assert not same_but_marks(of("host_tool", 10), of("host_tool", 11))


def test_body_that_is_not_json_is_compared_as_it_is():
    assert canonical_body(b"no json") == "no json"
    assert canonical_body(None) == ""
    assert body_digest(b'{"text": "a"}') != body_digest(b'{"text": "b"}')
