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
INFORMATION = (
    "<user_information>\nThe USER's OS version is x.\nConversation ID: {}\n</user_information>\n"
)


def same_but_marks(recorded, actual):
    """Whether a body is the recorded one, apart from its marks."""
    return first_alike([recorded], actual, lambda body: body, Comparer()) is not None


def system(run, *, words="Be brief.", identity="You are an agent."):
    """The text for the model, in the harness's form."""
    return (
        f"<identity>\n{identity}\n</identity>\n<non_interactive_mode>\nWork.\n"
        f"</non_interactive_mode>\n<user_information>\nThe USER's OS version is os-{run}.\n"
        "Active Workspaces:\n- {{agy:workspace-0}}\n"
        f"App Data Directory: {{{{agy:app-data}}}}\nConversation ID: {run * 32}\n"
        "</user_information>\n<mcp_servers>\n"
        f"Each has a directory {{{{agy:app-data}}}}/brain/{run * 32}/mcp\n</mcp_servers>\n"
        f"<user_system_instructions>\n{words}\n</user_system_instructions>"
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


def host_result(words):
    """What a host tool returns, as the harness reports it."""
    return f"Tool response for add:\n```json\n{json.dumps({'result': words})}\n```"


def output(run, words):
    return f"Created At: 2026-11-2{run}T10:00:00Z\nCompleted At: 2026-11-2{run}T10:00:01Z\n{words}"


def gemini(
    run="1", words="Hello", *, args=None, result="fine", brief="Be brief.", identity="You are.",
    tool="add", more=(),
):  # fmt: skip
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
            "systemInstruction": {"parts": [{"text": system(run, words=brief, identity=identity)}]},
        }
    )  # fmt: skip


def openai(run="1", words="Hello", *, args=None, result="fine", brief="Be brief.",
           identity="You are.", tool="add", more=()):  # fmt: skip
    """The same in the form of OpenAI's API."""
    function = {"name": tool, "arguments": json.dumps(args or {})}
    return json.dumps(
        {
            "messages": [
                {"role": "system", "content": system(run, words=brief, identity=identity)},
                {"role": "user", "content": prompt(run, words)},
                {"role": "assistant", "tool_calls": [{"id": f"call-{run}", "function": function}]},
                {"role": "tool", "name": tool, "tool_call_id": f"call-{run}",
                 "content": output(run, result)},
                *({"role": "user", "content": text} for text in more),
            ]
        }
    )  # fmt: skip


DIALECTS = pytest.mark.parametrize("body", [gemini, openai])


def run(number):
    """What a harness adds in one run, as bodies of both dialects."""
    ids = {"conversationId": f"{number * 31}a"}
    started = (
        f'Created the following subagents:\n{{\n  "conversationId":  "{ids["conversationId"]}",\n'
        '  "logAbsoluteUri":  "file:///x"\n}\nThe subagents will send you a message.'
    )
    idle = message(number, f"Subagent {number * 31}a has gone idle.")
    return started, idle


@DIALECTS
def test_what_the_harness_adds_means_nothing(body):
    def of(number):
        started, idle = run(number)
        return body(
            number, result=f"{started}\n\n{idle}", tool="invoke_subagent",
            more=(idle, prompt(number, "Go on")),
        )  # fmt: skip

    assert body_digest(of("1")) == body_digest(of("2"))
    assert same_but_marks(of("1"), of("2"))


@DIALECTS
def test_background_task_and_message_behind_a_result_mean_nothing(body):
    def of(number, tool, result):
        idle = message(number, "Something has gone idle.")
        return body(number, tool=tool, result=f"{result}\n\n{idle}", brief="None.")

    task = "Tool is running as a background task with task id: {}/task-4\nTask Description: ls"
    for tool, result in (
        ("run_command", task),
        ("add", 'Tool response for add:\n```json\n{{"result": 3}}\n```'),
    ):
        bodies = [of(run, tool, result.format(run * 32)) for run in "12"]
        assert body_digest(bodies[0]) == body_digest(bodies[1]), tool


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
        ("The USER's OS version is 1.", "The USER's OS version is 2."),
        (f'agent (name: "x", id: "{ONE}")', f'agent (name: "x", id: "{TWO}")'),
        (f"task id: {ONE}/task-4", f"task id: {TWO}/task-4"),
        (f"Tool is running as a background task with task id: {ONE}/task-4",
         f"Tool is running as a background task with task id: {TWO}/task-4"),
        (f'"conversationId":  "{ONE}"', f'"conversationId":  "{TWO}"'),
        (INFORMATION.format(ONE), INFORMATION.format(TWO)),
        (f"</identity>\n{INFORMATION.format(ONE)}", f"</identity>\n{INFORMATION.format(TWO)}"),
        (message("1", "x"), message("2", "x")),
        ("Created At: 2026-01-01T10:00:00Z", "Created At: 2026-01-02T10:00:00Z"),
        ("<ADDITIONAL_METADATA>\nThe current local time is: 1.\n</ADDITIONAL_METADATA>",
         "<ADDITIONAL_METADATA>\nThe current local time is: 2.\n</ADDITIONAL_METADATA>"),
    ],
)  # fmt: skip
def test_words_of_users_and_tools_mean_what_they_say(body, then, now):
    for place in ("words", "result", "brief", "identity"):
        bodies = [
            body(**{place: host_result(text) if place == "result" else text})
            for text in (then, now)
        ]
        assert body_digest(bodies[0]) != body_digest(bodies[1]), place
        assert not same_but_marks(*bodies), place
    bodies = [body(args={"id": text}) for text in (then, now)]
    assert body_digest(bodies[0]) != body_digest(bodies[1])
    bodies = [
        json.dumps(json.loads(body()) | {"tools": [{"name": "t", "description": text}]})
        for text in (then, now)
    ]
    assert body_digest(bodies[0]) != body_digest(bodies[1])


@pytest.mark.parametrize("words", [INFORMATION.format(ONE), f"Conversation ID: {ONE}"])
def test_system_text_of_the_users_own_is_compared_as_it_is(words):
    def of(words):
        text = f"<System>\n{words}\n</System>"
        return json.dumps({"systemInstruction": {"parts": [{"text": text}]}})

    assert body_digest(of(words)) != body_digest(of(words.replace(ONE, TWO)))


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
