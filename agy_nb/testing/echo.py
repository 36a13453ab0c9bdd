"""A model without a script, which repeats the prompt.

An answer depends on the request only. So it is the same in every run, and any number of agents and
subagents can share one model. The model calls tools of the user. It calls tools of the harness
(a command, a question, a subagent) only for the few prompts of `echo_prompts`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agy_nb.testing import echo_prompts
from agy_nb.testing.model_request import DeclaredTool, ModelRequest, SentToolResult
from agy_nb.testing.model_server import ECHO
from agy_nb.testing.script.model_turn import ModelTurn
from agy_nb.testing.script.script_turns import (
    call,
    image,
    say,
    words,
)
from agy_nb.testing.scripted_model import ScriptedModel

HINT = "(I am the echo model: with a key in GEMINI_API_KEY, Gemini answers instead.)"
FINISH = "finish"  # the harness's tool for structured answers

# Observed. The model treats a tool that a later harness adds as one of the user.
HARNESS_TOOLS = frozenset(
    {
        "ask_question",
        "define_subagent",
        FINISH,
        "find_by_name",
        "generate_image",
        "grep_search",
        "invoke_subagent",
        "list_dir",
        "manage_subagents",
        "manage_task",
        "multi_replace_file_content",
        "read_url_content",
        "replace_file_content",
        "run_command",
        "run_workflow",
        "schedule",
        "search_web",
        "send_message",
        "view_file",
        "write_to_file",
    }
)

MAX_STREAM_S = 1.0

_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_QUOTED = re.compile(r"[\"'\u201c\u2018]([^\"'\u201d\u2019]+)[\"'\u201d\u2019]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NAME = re.compile(r"\b[A-Z][\w-]*(?: [A-Z][\w-]*)*")
_WORD = re.compile(r"[\w-]+")


class EchoModel(ScriptedModel):
    """A loopback model that repeats the prompt, word by word. It needs no key.

    If the prompt names one of the user's tools, the model calls that tool once, and then repeats
    the result. If the agent has a response schema, the model fills it. Token counts come from the
    length of the texts.

    The arguments of a call come from the prompt:

    - `name=value`, for any argument
    - for a choice, the choice that the prompt names, or the first one
    - for a number, the next number of the prompt, or 1
    - for text, the next quoted text, else the next capitalised words after the tool's name, else
      the last word

    The model leaves out optional arguments. It does not call a tool that requires a list or an
    object.

    A prompt that consists only of one of these texts shows a feature of agents:

    - "Run ls", or "Run" and a command in backticks: requests the command, which the agent's
      policies and approvals then allow or deny
    - "Ask me": asks a question, if the agent's capabilities allow questions
    - "Think": streams a thought before the answer
    - "Use a subagent": starts a subagent
    - "Fail": the model call fails, and the next prompt works

    Args:
        word_delay_s: Seconds between two words. Long answers use a shorter delay, so that an answer
            takes one second at most.

    Example:
        >>> async with EchoModel() as model:
        ...     agent = await agy.create_agent(model.config(), tools=[get_weather])
        ...     await agent.chat_text("Use get_weather for Paris")
        'get_weather says: sunny in Paris'
    """

    _name = ECHO

    def __init__(self, *, word_delay_s: float = 0.01) -> None:
        super().__init__(self._echo, keep_requests=100)
        self._word_delay_s = word_delay_s

    def _echo(self, request: ModelRequest) -> ModelTurn:
        turn = echo(request)
        count = turn.text.count(" ") or 1
        return turn.having(chunk_delay_s=min(self._word_delay_s, MAX_STREAM_S / count))


def echo(request: ModelRequest) -> ModelTurn:
    """Return the echo model's answer to a call."""
    if "image" in str(request.body.get("generationConfig", {}).get("responseModalities")).lower():
        return image(_PIXEL)
    if results := request.tool_results:
        return words("\n".join(_reported(result) for result in results))
    text = request.user_text.strip()
    if tool := _asked_for(text, request.tools):
        return _called(tool, text)
    if turn := echo_prompts.answer(request):
        return turn
    if not text:
        return say("You said nothing.")
    hint = f"\n\n{HINT}" if len(request.user_texts) == 1 else ""
    return words(f"You said: {text}{hint}")


def _reported(result: SentToolResult) -> str:
    if said := echo_prompts.report(result):
        return said
    value = result.value
    return f"{result.name} says: {result.text.strip() if value is None else value}"


def _asked_for(text: str, tools: tuple[DeclaredTool, ...]) -> DeclaredTool | None:
    """Return the user's tool that the text names first, else the tool for structured answers."""
    named = [
        (found.start(), tool)
        for tool in tools
        if tool.name not in HARNESS_TOOLS and _is_simple(tool)
        if (found := re.search(rf"\b{re.escape(tool.name)}\b", text))
    ]
    if named:
        return min(named, key=lambda item: item[0])[1]
    return next((tool for tool in tools if tool.name == FINISH), None)


def _is_simple(tool: DeclaredTool) -> bool:
    schemas = _properties(tool)
    return not any(
        schemas.get(name, {}).get("type") in ("array", "object") for name in _required(tool)
    )


def _called(tool: DeclaredTool, text: str) -> ModelTurn:
    schemas = _properties(tool)
    given = dict(re.findall(r"\b(\w+)\s*=\s*[\"']?([^\"',;\s]+)", text))
    _, named, after = text.partition(tool.name)
    rest = after if named else text
    numbers, texts = iter(_NUMBER.findall(rest)), _texts(rest)
    args: dict[str, Any] = {}
    for name, schema in schemas.items():
        if name in given:
            args[name] = _converted(given[name], schema)
        elif name in _required(tool):
            args[name] = _made_up(name, schema, tool, rest, numbers, texts)
    return call(tool.name, args)


def _texts(rest: str) -> Iterator[str]:
    found = _QUOTED.findall(rest) or _NAME.findall(rest) or _WORD.findall(rest)[-1:]
    yield from found
    while True:
        yield found[-1] if found else "echo"


def _made_up(
    name: str,
    schema: Mapping[str, Any],
    tool: DeclaredTool,
    rest: str,
    numbers: Iterator[str],
    texts: Iterator[str],
) -> Any:
    if name in ("toolAction", "toolSummary"):  # the harness requires these in every call
        return {"toolAction": f"Calling {tool.name}", "toolSummary": f"{tool.name} call"}[name]
    if "default" in schema:
        return schema["default"]
    if choices := schema.get("enum"):
        return next((choice for choice in choices if str(choice) in rest), choices[0])
    match schema.get("type"):
        case "integer" | "number":
            return _converted(next(numbers, "1"), schema)
        case "boolean":
            return True
        case "array":
            return []
        case "object":
            return {}
        case _:
            return next(texts)


def _converted(text: str, schema: Mapping[str, Any]) -> Any:
    try:
        match schema.get("type"):
            case "integer":
                return int(float(text))
            case "number":
                return float(text)
            case "boolean":
                return text.lower() in ("true", "yes", "1", "on")
    except ValueError:
        pass
    return text


def _properties(tool: DeclaredTool) -> Mapping[str, Mapping[str, Any]]:
    return tool.parameters.get("properties") or {}


def _required(tool: DeclaredTool) -> tuple[str, ...]:
    return tuple(tool.parameters.get("required") or ())
