"""Take out of a request to a model what the harness adds to it.

The harness adds ids of the session, of conversations and of calls, times, and the version of the
operating system. As measured with SDK 0.1.22, each has one place:

- in the system's text: the block `<user_information>` behind the identity,
- in a prompt: the first line of the metadata at its end,
- in a message of the system: its head,
- in the output of a tool: the times at its start, the ids that `invoke_subagent` and `run_command`
  report, and the heads of messages of the system at its end.

A text at any other place consists of words of the user, a tool or the configuration, also if it
looks the same. In doubt a text counts as theirs: an identity that contains the line `</identity>`
makes the whole of a system's text theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

_SESSION_FIELDS = frozenset({"sessionId", "session_id"})
_SYSTEM_FIELDS = ("systemInstruction", "system_instruction")
_SYSTEM_ROLES = frozenset({"system", "developer"})
_ID = "([0-9a-f]{32})"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S{0,16}"
_IDENTITY = re.compile(r"\A<(identity|System)>\n")
_IDENTITY_END = re.compile(r"(?m)^</(identity|System)>$")
_INFORMATION = re.compile(
    r"(?m)^<user_information>\n(?:The USER's OS version is (?P<os>.+)\n)?"
    rf"(?:(?!</?user_information>|Conversation ID: ).*\n)*+Conversation ID: {_ID}\n"
    r"(?:(?!</?user_information>).*\n)*+</user_information>$"
)
_METADATA, _METADATA_END = "<ADDITIONAL_METADATA>\n", "</ADDITIONAL_METADATA>"
_LOCAL_TIME = re.compile(r"\A(<ADDITIONAL_METADATA>\nThe current local time is: ).+")
_MESSAGE = (
    r"The following is a <SYSTEM_MESSAGE> not actually sent by the user\.[^\n]*\n\n"
    rf"<SYSTEM_MESSAGE>\n\[Message\] timestamp=(?P<time>{_TIME}) sender=(?:{_ID}\b)?"
)
_PROMPTING_MESSAGE = re.compile(rf"\A{_MESSAGE}")
_LATER_MESSAGE = re.compile(rf"\n\n{_MESSAGE}")
_TOOL_TIMES = re.compile(rf"\ACreated At: {_TIME}(?:\nCompleted At: {_TIME})?\n")
_HOST_RESULT = re.compile(r"Tool response for [^\n]*:\n```json\n(?P<json>[^\n]*)\n```")
_REPORTED_IDS = {
    "invoke_subagent": (
        "Created the following subagents:\n",
        re.compile(rf"(?m)^\{{\n  \"conversationId\": +\"{_ID}\""),
    ),
    "run_command": (
        "Tool is running as a background task with task id: ",
        re.compile(rf"\A[^\n]* task id: {_ID}/"),
    ),
}
"""The outputs of tools that report ids: how they begin, and where the ids are."""
_NO_IDS = ("", re.compile(r"(?!)"))
TIMES = "<times>\n"
"""Replaces the times above the output of a tool."""


def without_harness_parts(data: Any) -> Any:
    """Return a request's body with constants in the place of what the harness adds.

    Ids are numbered by their first place, so that the same id is the same number everywhere.

    Args:
        data: The JSON data of a body of Gemini's or OpenAI's API; it is not changed.
    """
    return _HarnessParts().taken_out(data)


class _HarnessParts:
    def __init__(self) -> None:
        self._calls: dict[str, str] = {}
        self._conversations: dict[str, str] = {}

    def taken_out(self, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = {name: item for name, item in data.items() if name not in _SESSION_FIELDS}
        for name in _SYSTEM_FIELDS:
            if name in data:
                data[name] = self._changed(data[name], "parts", self._system_part)
        data = self._changed(data, "contents", self._content)
        data = self._changed(data, "messages", self._message)
        if not self._conversations:
            return data
        # Last, because an id is known only by the place where the harness writes it, and occurs in
        # other texts before that place.
        ids = re.compile("|".join(self._conversations))
        return in_strings(data, lambda text: ids.sub(lambda m: self._conversations[m[0]], text))

    @staticmethod
    def _changed(holder: Any, name: str, change: Callable[[Any], Any]) -> Any:
        """Return an object with each item of one of its lists changed, or its one text."""
        if not isinstance(holder, dict) or name not in holder:
            return holder
        value = holder[name]
        if isinstance(value, list):
            return holder | {name: [change(item) for item in value]}
        return holder | {name: change(value)}

    # -- Gemini's form -----------------------------------------------------------------------

    def _system_part(self, part: Any) -> Any:
        return self._texts(part, self._system)

    def _content(self, content: Any) -> Any:
        if isinstance(content, dict) and content.get("role", "user") == "user":
            content = self._changed(content, "parts", partial(self._texts, change=self._prompt))
        return self._changed(content, "parts", self._call_part)

    def _call_part(self, part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        found = dict(part)
        for name in ("functionCall", "functionResponse"):
            if isinstance(item := part.get(name), dict):
                found[name] = self._numbered(item, "id")
        response = found.get("functionResponse")
        if isinstance(response, dict) and isinstance(response.get("response"), dict):
            change = partial(self._output, tool=response.get("name"))
            answer = self._texts(response["response"], change, "output")
            found["functionResponse"] = response | {"response": answer}
        return found

    # -- OpenAI's form -----------------------------------------------------------------------

    def _message(self, message: Any) -> Any:
        if not isinstance(message, dict):
            return message
        role = message.get("role")
        message = self._numbered(message, "tool_call_id")
        message = self._changed(message, "tool_calls", lambda call: self._numbered(call, "id"))
        change: Callable[[str], str] | None = None
        if role in _SYSTEM_ROLES:
            change = self._system
        elif role == "user":
            change = self._prompt
        elif role == "tool":
            change = partial(self._output, tool=message.get("name"))
        if change is None:
            return message
        return self._changed(message, "content", partial(self._texts, change=change))

    # -- both --------------------------------------------------------------------------------

    @staticmethod
    def _texts(part: Any, change: Callable[[str], str], name: str = "text") -> Any:
        """Change a text, or the text in a part."""
        if isinstance(part, str):
            return change(part)
        if isinstance(part, dict) and isinstance(part.get(name), str):
            return part | {name: change(part[name])}
        return part

    def _numbered(self, holder: Any, name: str) -> Any:
        """Number the id of a call."""
        if not isinstance(holder, dict) or not isinstance(holder.get(name), str):
            return holder
        call_id = holder[name]
        return holder | {name: self._calls.setdefault(call_id, f"<call {len(self._calls)}>")}

    def _learn(self, conversation: str | None) -> None:
        if conversation:
            number = len(self._conversations)
            self._conversations.setdefault(conversation, f"<conversation {number}>")

    def _system(self, text: str) -> str:
        start = _IDENTITY.match(text)
        # More than one end means that the identity, which the user writes, holds one itself. Where
        # the harness's part begins is then unknown.
        ends = [end for end in _IDENTITY_END.finditer(text) if start and end[1] == start[1]]
        block = _INFORMATION.search(text, ends[0].end()) if len(ends) == 1 else None
        if block is None:
            return text
        self._learn(block[2])
        if block["os"] is None:
            return text
        return f"{text[: block.start('os')]}<os>{text[block.end('os') :]}"

    def _prompt(self, text: str) -> str:
        if head := _PROMPTING_MESSAGE.match(text):
            return self._head(head) + text[head.end() :]
        if text.endswith(_METADATA_END) and (start := text.rfind(_METADATA)) >= 0:
            return text[:start] + _LOCAL_TIME.sub(r"\1<time>", text[start:])
        return text

    def _head(self, head: re.Match[str]) -> str:
        """Return the head of a message without its time."""
        self._learn(head[2])
        start, end = (place - head.start() for place in head.span("time"))
        return f"{head[0][:start]}<time>{head[0][end:]}"

    def _output(self, text: str, tool: object) -> str:
        times = _TOOL_TIMES.match(text)
        if times is None:
            return text
        text = text[times.end() :]
        result = _HOST_RESULT.match(text)
        start, ids = _REPORTED_IDS.get(str(tool), _NO_IDS)
        for match in ids.finditer(text) if text.startswith(start) else ():
            self._learn(match[1])
        # The result of a host tool is JSON in one line, so a message behind it is the harness's.
        at = result.end() if result else 0
        return TIMES + _with_sorted_keys(result) + _LATER_MESSAGE.sub(self._head, text[at:])


def _with_sorted_keys(result: re.Match[str] | None) -> str:
    """Return the result of a host tool; the SDK writes its JSON, in the order of a dict's keys."""
    if result is None:
        return ""
    try:
        written = json.dumps(json.loads(result["json"]), sort_keys=True)
    except (ValueError, RecursionError):
        return result[0]
    start, end = (place - result.start() for place in result.span("json"))
    return f"{result[0][:start]}{written}{result[0][end:]}"


def in_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return JSON data with each string in it changed, apart from keys."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: in_strings(item, change) for name, item in value.items()}
    return [in_strings(item, change) for item in value] if isinstance(value, list) else value
