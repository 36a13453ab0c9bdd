"""The model for those who have no key."""

from __future__ import annotations

import pytest
from google.antigravity import LocalAgentConfig
from google.antigravity.hooks import policy

from agy_nb.testing import EchoModel
from agy_nb.testing.echo import HINT, echo
from agy_nb.testing.echo_prompts import EXAMPLES
from agy_nb.testing.model_request import ModelRequest
from agy_nb.testing.model_server import GEMINI
from agy_nb.testing.script.model_turn import FunctionCall, InlineImage

WEATHER = {
    "name": "get_weather",
    "parametersJsonSchema": {
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "default": 3},
            "toolAction": {"type": "string"},
        },
        "required": ["city", "toolAction"],
    },
}
RUN_COMMAND = {"name": "run_command"}


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def asked(*prompts, tools=(), result=None, **body):
    contents = [{"role": "user", "parts": [{"text": prompt}]} for prompt in prompts]
    if result is not None:
        answer = {"name": "get_weather", "response": {"output": result}}
        contents.append({"role": "model", "parts": [{"functionResponse": answer}]})
    body = {"contents": contents, "tools": [{"functionDeclarations": list(tools)}], **body}
    return ModelRequest(
        number=1,
        path="/",
        model="m",
        headers={},
        body=body,
        streaming=True,
        size=1,
        dialect=GEMINI,
    )


def called(prompt, *tools):
    """The arguments of the call that the prompt leads to, None if there is none."""
    parts = echo(asked(prompt, tools=tools)).parts
    return dict(parts[0].args) if isinstance(parts[0], FunctionCall) else None


def tool(**properties):
    return {
        "name": "tool",
        "parametersJsonSchema": {"properties": properties, "required": list(properties)},
    }


def test_it_repeats_the_prompt():
    assert echo(asked("Hello there")).text.startswith("You said: Hello there")


def test_it_tells_once_why_it_is_there():
    assert HINT in echo(asked("Hello")).text
    assert HINT not in echo(asked("Hello", "again")).text


def test_it_never_answers_with_nothing():
    # The harness asks again and again, without end, after an empty answer.
    assert echo(asked("")).text
    assert echo(asked()).text


def test_it_streams_word_by_word():
    assert len(echo(asked("one two three", "four")).parts[0].chunks) == 3


def test_it_calls_a_tool_that_the_prompt_names():
    args = called("How is get_weather in Paris?", WEATHER)
    assert args == {"city": "Paris", "toolAction": "Calling get_weather"}


def test_it_calls_no_tool_for_half_its_name():
    assert called("How is the weather in Paris?", WEATHER) is None
    assert called("forget_weather", WEATHER) is None


@pytest.mark.parametrize(
    ("prompt", "city"),
    [
        ("get_weather city=Rome", "Rome"),
        ('get_weather for "New York"', "New York"),
        ("get_weather in New York", "New York"),
        ("get_weather somewhere in paris", "paris"),
        ("get_weather", "echo"),
    ],
)
def test_a_text_comes_from_the_prompt(prompt, city):
    assert called(prompt, WEATHER)["city"] == city


def test_an_optional_argument_is_left_out_unless_the_prompt_gives_it():
    assert "days" not in called("get_weather in Paris", WEATHER)
    assert called("get_weather days=5 in Paris", WEATHER)["days"] == 5


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 7),
        ({"type": "number"}, 7.0),
        ({"type": "boolean"}, True),
        ({"type": "string", "enum": ["red", "blue"]}, "blue"),
        ({"type": "string", "enum": ["green"]}, "green"),
        ({"type": "string", "default": "d"}, "d"),
        ({}, "seven"),
    ],
)
def test_an_argument_fits_its_schema(schema, value):
    assert called("tool 7 blue 'seven'", tool(x=schema)) == {"x": value}


def test_a_tool_that_needs_a_list_is_left_alone():
    assert called("tool", tool(x={"type": "array"})) is None


@pytest.mark.parametrize("name", ["run_command", "write_to_file", "invoke_subagent"])
def test_it_leaves_the_machine_alone(name):
    assert called(f"{name} rm", {"name": name}) is None


def test_it_says_what_the_tool_answered():
    text = 'Tool response for get_weather:\n```json\n{"result": "sunny"}\n```'
    assert (
        echo(asked("get_weather", tools=[WEATHER], result=text)).text == "get_weather says: sunny"
    )


def test_it_says_how_the_tool_failed():
    text = "Tool get_weather failed with error message: no"
    assert echo(asked("get_weather", result=text)).text.endswith("error message: no")


def test_it_fills_a_response_schema():
    schema = {"properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert called("Paris", {"name": "finish", "parametersJsonSchema": schema}) == {"city": "Paris"}


def test_it_draws_a_picture_when_asked_for_one():
    request = asked("a dot", generationConfig={"responseModalities": ["image"]})
    assert isinstance(echo(request).parts[0], InlineImage)


@pytest.mark.parametrize("prompt", ["hi", "get_weather in Paris", "get_weather 1 2 3"])
def test_it_says_the_same_in_every_run(prompt):
    assert echo(asked(prompt, tools=[WEATHER])) == echo(asked(prompt, tools=[WEATHER]))


@pytest.mark.parametrize(
    "prompt",
    [
        "I think so",
        "Think about it",
        "Can you ask me?",
        "Run the tests",
        "run away",
        "Run ls and tell me what you see",
        "Run `ls` now",
        "run ``",
        "run",
        "`ls`",
        "Use a subagent for this",
        "Why did it fail?",
        "fail fast",
        "run `ls\nrm notes.txt`",
    ],
)
def test_other_prompts_are_repeated(prompt):
    assert echo(asked("first", prompt, tools=[RUN_COMMAND])).text == f"You said: {prompt}"


@pytest.mark.parametrize("task", ["run ls", "fail", "think"])
def test_message_of_another_agent_is_no_prompt_of_the_user(task):
    # A subagent's commands run without the policies of the agent.
    message = f"<SYSTEM_MESSAGE>\n[Message] sender=a content={task}\n</SYSTEM_MESSAGE>"
    said = echo(asked("first", message, tools=[RUN_COMMAND]))
    assert said.text == f"You said: {task}"


def test_tool_of_the_user_comes_first():
    think = {"name": "think", "parametersJsonSchema": {"properties": {}}}
    assert echo(asked("think", tools=[think])).parts == (FunctionCall("think", {}),)


def test_agent_with_a_response_schema_still_fills_it():
    finish = {"name": "finish", "parametersJsonSchema": {"properties": {}}}
    assert echo(asked("run ls", tools=[finish, RUN_COMMAND])).parts[0].name == "finish"


def test_result_with_backticks_stays_in_its_block():
    body = {"name": "run_command", "response": {"output": "Created At: now\n```\n# x\n```"}}
    request = asked("run ls")
    request.body["contents"].append({"role": "model", "parts": [{"functionResponse": body}]})
    assert echo(request).text == "run_command says:\n\n````\n```\n# x\n```\n````"


@pytest.mark.parametrize("prompt", EXAMPLES)
def test_each_example_of_the_chat_panel_is_known(prompt):
    assert not echo(asked(prompt)).text.startswith("You said")


async def test_a_long_answer_takes_no_longer_than_a_second(client):
    async with EchoModel(word_delay_s=1) as model:
        turn = model._echo(asked("word " * 500))
    assert turn.chunk_delay_s * 500 <= 1


@pytest.mark.blocking_allowed  # the SDK looks for credentials
async def test_it_has_one_name_in_configurations_and_in_the_list_of_models(client):
    async with EchoModel() as model:
        assert {target.name for target in model.config().models} == {"echo-model"}
        assert model.openai_config().model == "echo-model"


@pytest.mark.blocking_allowed  # the SDK looks for credentials
async def test_it_answers_a_program_whose_configuration_otherwise_stays():
    theirs = LocalAgentConfig(
        model="gemini-2.5-pro",
        api_key="a-key",
        system_instructions="Be brief.",
        tools=[get_weather],
        policies=[policy.allow_all()],
        workspaces=["reports"],
    )
    async with EchoModel() as model:
        ours = model.config(theirs, skills_paths=["skills"])
    assert {target.name for target in ours.models} == {"echo-model"}
    assert (ours.model, ours.api_key) == (None, None)
    assert (ours.system_instructions, ours.tools) == ("Be brief.", [get_weather])
    assert (ours.policies, ours.workspaces) == (theirs.policies, theirs.workspaces)
    assert ours.skills_paths == ["skills"]
    assert theirs.model == "gemini-2.5-pro"


async def test_it_takes_any_number_of_calls(client):
    async with EchoModel(word_delay_s=0) as model:
        for _ in range(3):
            *_, last = await client.events(client.gemini(model))
            assert last["usageMetadata"]["candidatesTokenCount"] > 0
