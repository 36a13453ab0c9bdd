"""Prompts to which the echo model reacts: it runs a command, asks, thinks, delegates or fails.

The whole prompt must match, so a sentence that contains the same words is still repeated. The echo
model only requests a tool call. The agent's policies and approvals decide, as for any model.
"""

from __future__ import annotations

import re

from agy_nb.testing.model_request import ModelRequest, SentToolResult
from agy_nb.testing.script.model_turn import ModelTurn
from agy_nb.testing.script.script_turns import call, fail, think, words

EXAMPLES = ("Run ls", "Ask me", "Think", "Use a subagent", "Fail")
"""One prompt of each kind, as the chat panel offers them."""

_COMMAND, _QUESTION, _SUBAGENT = "run_command", "ask_question", "invoke_subagent"
_TASK = "Say hello to the user."
_WAIT_MS = 10_000  # then the harness lets the command continue in the background

_RUN = re.compile(r"run (?:(ls)|`([^`\n]+)`)", re.IGNORECASE)
_FOLDER = re.compile(r"^Command Working Directory: (.+)$", re.MULTILINE)
_SUBAGENTS = re.compile(r"^Available subagents:\n((?:- .*\n)+)", re.MULTILINE)
_OWN_TYPES = ("research", "self")  # of the harness
_SYSTEM_MESSAGE = "<SYSTEM_MESSAGE>"  # the harness or another agent wrote the text, not the user
_IDLE = re.compile(r"Subagent \w+ has gone idle\..*? most recent response: (.*)", re.DOTALL)
_TIMES = re.compile(r"\A(?:(?:Created|Completed) At: .*\n)+")
_ERROR = "Encountered error in step execution: "
_NO_APPROVER = 'policy "confirm_run_command"'  # the SDK's default without an approver
_TO_BE_ASKED = "In a notebook, a card asks you. Elsewhere, pass a function as `ask_user=`."
_SKIPPED = "User Skipped"
_ANSWER = re.compile(r"^A\d+: ", re.MULTILINE)

_ALLOW = {
    _COMMAND: "This agent cannot run commands. Create one whose `capabilities` enable the tool "
    "`run_command`, as they do by default.",
    _QUESTION: """\
This agent cannot ask questions. Create one that can:

```python
from google.antigravity import types

agent = await agy.create_agent(
    capabilities=types.CapabilitiesConfig(
        agent_behavior="interactive", enabled_tools=list(types.BuiltinTools)
    )
)
```""",
    _SUBAGENT: "This agent cannot start subagents. Create one whose `capabilities` have "
    "`enable_subagents=True` and enable the tool `invoke_subagent`, as they do by default.",
}
_THOUGHT = re.findall(
    r"\S+ ?",
    "The user wants to see a thought. A thought streams before the answer, and it is not part of "
    "the answer. So I think a few words first.",
)


def answer(request: ModelRequest) -> ModelTurn | None:
    """Return the answer to one of the prompts, or to a message of a subagent.

    Args:
        request: A model call that has no tool results.

    Returns:
        The answer; None for any other prompt.
    """
    text = request.user_text.strip()
    if _SYSTEM_MESSAGE in "".join(request.dialect.user_texts(request.body)[-1:]):
        return _answer_to_agent(text)
    prompt = text.rstrip(" .!?\u2026")
    if found := _RUN.fullmatch(prompt):
        return _run(found[2] or "ls", request)
    match prompt.lower():
        case "ask me":
            return _ask(request)
        case "think":
            return think(_THOUGHT) + words("I have thought about it.")
        case "use a subagent":
            return _delegate(request)
        case "fail":  # not a status that the harness tries again
            return fail(400, "You asked the echo model to fail. The next prompt works.")
        case _:
            return None


def report(result: SentToolResult) -> str | None:
    """Return what the user should know about the result of a tool that this module calls.

    Args:
        result: The result of any tool.

    Returns:
        The text; None for the result of another tool.
    """
    if result.name not in _ALLOW:
        return None
    text = _TIMES.sub("", result.text).replace("\r\n", "\n").strip()
    if text.startswith(_ERROR):
        hint = f"\n\n{_TO_BE_ASKED}" if _NO_APPROVER in text else ""
        return f"{result.name} did not run: {text.removeprefix(_ERROR)}{hint}"
    if result.name == _QUESTION:
        said = _ANSWER.sub("", text)
        return "You skipped the question." if said == _SKIPPED else f"Your answer: {said}"
    if result.name == _SUBAGENT:
        return "The subagent has started. I wait for its answer."
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{result.name} says:\n\n{fence}\n{text}\n{fence}"


def _answer_to_agent(text: str) -> ModelTurn | None:
    if text == _TASK:
        return words("Hello from the subagent.")
    found = _IDLE.fullmatch(text)
    return words(f"The subagent answered: {found[1]}") if found else None


def _run(command: str, request: ModelRequest) -> ModelTurn:
    folder = _FOLDER.search(request.system_text)
    return _called(
        request,
        _COMMAND,
        CommandLine=command,
        Cwd=folder[1] if folder else ".",
        WaitMsBeforeAsync=_WAIT_MS,
    )


def _ask(request: ModelRequest) -> ModelTurn:
    options = ["Red", "Green", "Blue"]
    question = {"question": "Which colour do you like?", "options": options}
    return _called(request, _QUESTION, questions=[question | {"is_multi_select": False}])


def _delegate(request: ModelRequest) -> ModelTurn:
    listed = _SUBAGENTS.search(request.system_text)
    types = re.findall(r"^- ([\w.-]+):", listed[1], re.MULTILINE) if listed else []
    own = [name for name in types if name not in _OWN_TYPES]
    name = next(iter(own or types), _OWN_TYPES[0])
    task = {"TypeName": name, "Role": "Greeter", "Prompt": _TASK}
    return _called(request, _SUBAGENT, Subagents=[task])


def _called(request: ModelRequest, tool: str, **args: object) -> ModelTurn:
    if tool not in request.tool_names:
        return words(_ALLOW[tool])
    return call(tool, args, toolAction=f"Calling {tool}", toolSummary=f"{tool} call")
