"""A recorded call tells a test what it wants to know, in both wire forms."""

from __future__ import annotations

import json

import pytest

from agy_nb.testing import ModelRequest, SentToolResult
from agy_nb.testing.model_server import GEMINI, OPENAI

SYSTEM = "You are kind.\nConversation ID: 0123456789abcdef0123456789abcdef\n"
TIME = "<ADDITIONAL_METADATA>\nThe current local time is: now.\n</ADDITIONAL_METADATA>"
ASKED = f"<USER_REQUEST>\nWeather?\n</USER_REQUEST>\n{TIME}"
ANSWERED = 'Created At: now\nTool response for get_weather:\n```json\n{"result": "sunny"}\n```'
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}

GEMINI_BODY = {
    "systemInstruction": {"parts": [{"text": SYSTEM}]},
    "sessionId": "-7",
    "tools": [
        {
            "functionDeclarations": [
                {"name": "get_weather", "description": "d", "parametersJsonSchema": SCHEMA}
            ]
        }
    ],
    "contents": [
        {"role": "user", "parts": [{"text": ASKED}]},
        {
            "role": "model",
            "parts": [{"functionCall": {"name": "get_weather", "args": {}, "id": "c1"}}],
        },
        {
            "role": "model",  # sic: the harness gives tool results this role
            "parts": [
                {
                    "functionResponse": {
                        "name": "get_weather",
                        "id": "c1",
                        "response": {"output": ANSWERED},
                    }
                }
            ],
        },
    ],
}
OPENAI_BODY = {
    "model": "m",
    "stream": True,
    "tools": [
        {
            "type": "function",
            "function": {"name": "get_weather", "description": "d", "parameters": SCHEMA},
        }
    ],
    "messages": [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": ASKED},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "function": {"name": "get_weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": ANSWERED},
    ],
}


def make_request(dialect, body, **changes):
    fields = {
        "number": 1,
        "path": "/v1beta/models/m:streamGenerateContent?alt=sse&key=SECRET",
        "model": "m",
        "headers": {"x-goog-api-key": "SECRET", "authorization": "SECRET", "user-agent": "u"},
        "body": body,
        "streaming": True,
        "size": len(json.dumps(body)),
        "dialect": dialect,
    }
    return ModelRequest(**fields | changes)


@pytest.fixture(params=["gemini", "openai"])
def request_(request):
    if request.param == "gemini":
        return make_request(GEMINI, GEMINI_BODY)
    return make_request(OPENAI, OPENAI_BODY)


def test_the_users_text_comes_without_what_the_harness_adds(request_):
    assert request_.user_text == "Weather?"
    assert request_.first_user_text == "Weather?"


def test_the_system_text_is_all_of_it(request_):
    assert request_.system_text == SYSTEM


def test_tool_results_are_those_since_the_model_spoke(request_):
    assert request_.tool_results == (SentToolResult("get_weather", ANSWERED, "c1"),)
    assert request_.tool_results[0].value == "sunny"


def test_the_value_of_an_error_or_a_harness_tool_is_unknown():
    assert SentToolResult("t", "Tool t failed with error message: no").value is None
    assert SentToolResult("t", "Tool response for t:\n```json\n{broken\n```").value is None


def test_a_tool_value_that_is_an_object_stays_one():
    text = 'Tool response for t:\n```json\n{"result": 1, "more": 2}\n```'
    assert SentToolResult("t", text).value == {"result": 1, "more": 2}


def test_tools_come_with_their_schemas(request_):
    assert request_.tool_names == ("get_weather",)
    assert request_.tools[0].parameters == SCHEMA


def test_the_conversation_is_the_harness_s(request_):
    assert request_.conversation_key == "0123456789abcdef0123456789abcdef"


def test_without_the_id_the_session_is_the_conversation():
    body = {**GEMINI_BODY, "systemInstruction": {"parts": [{"text": "custom"}]}}
    assert make_request(GEMINI, body).conversation_key == "-7"


def test_without_both_the_first_user_text_is_the_conversation():
    first = make_request(OPENAI, {"messages": OPENAI_BODY["messages"][1:]})
    later = make_request(OPENAI, {"messages": OPENAI_BODY["messages"][1:2]})
    other = make_request(OPENAI, {"messages": [{"role": "user", "content": "Other"}]})
    assert first.conversation_key == later.conversation_key != other.conversation_key


def test_a_subagents_task_is_its_user_text():
    told = (
        "The following is a <SYSTEM_MESSAGE> not actually sent by the user.\n\n<SYSTEM_MESSAGE>\n"
        "[Message] timestamp=2026-01-01T00:00:00Z sender=abc priority=MESSAGE_PRIORITY_HIGH "
        "content=look into cats\n</SYSTEM_MESSAGE>"
    )
    body = {"contents": [{"role": "user", "parts": [{"text": told}]}]}
    assert make_request(GEMINI, body).user_text == "look into cats"


@pytest.mark.parametrize("dialect", [GEMINI, OPENAI])
def test_an_empty_body_is_no_problem(dialect):
    request = make_request(dialect, {})
    assert (request.user_text, request.system_text, request.tool_names) == ("", "", ())
    assert request.tool_results == ()
    assert request.conversation_key


def test_the_repr_shows_no_key_and_no_prompt(request_):
    shown = repr(request_)
    assert "SECRET" not in shown
    assert "Weather" not in shown
