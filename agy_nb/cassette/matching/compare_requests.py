"""Compare requests to a model by what they ask, without what the harness adds.

The harness adds to a request's body, as measured with SDK 0.1.22: the ids of the session, of
conversations and of calls, the time below a prompt, above a tool's output and in a system message,
and the operating system's version. These are recognised by their place. The words of the user, of
tools and of the configuration must be equal, also if they look like an id or a time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

from agy_nb.cassette.matching.compare_frames import Comparer

T = TypeVar("T")
_SESSION_FIELDS = frozenset({"sessionId", "session_id"})
_CALLS = frozenset({"functionCall", "tool_calls"})
_SYSTEM_FIELDS = frozenset({"systemInstruction", "system_instruction"})
_SYSTEM_ROLES = frozenset({"system", "developer"})
_METADATA, _METADATA_END = "<ADDITIONAL_METADATA>\n", "</ADDITIONAL_METADATA>"
_MESSAGE = "The following is a <SYSTEM_MESSAGE> not actually sent by the user."
_LOCAL_TIME = re.compile(r"(?m)^(The current local time is: ).+$")
_MESSAGE_TIME = re.compile(r"(?m)^(\[Message\] timestamp=)\S+")
_TOOL_TIMES = re.compile(r"\ACreated At: .+(?:\nCompleted At: .+)?")
_OS = re.compile(r"(?m)^(The USER's OS version is ).+$")
_ID = "([0-9a-f]{32})"
_OWN_ID = re.compile(rf"(?m)^Conversation ID: {_ID}$|\bagent \(name: \"[^\"\n]*\", id: \"{_ID}\"\)")
_SENDER = re.compile(rf"(?m)^\[Message\] timestamp=\S+ sender={_ID}\b")
_TOOL_ID = re.compile(rf"\"conversationId\": +\"{_ID}\"|\btask id: {_ID}/")
_COMMAND = "run_command"
_TIME = re.compile(
    r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z| ?[+-]\d\d:?\d\d)?"
    r"|\b\d{1,9}(?:\.\d{1,9})? ?(?:ms|µs|s)\b"
)


def canonical_body(body: bytes | str | None) -> Any:
    """Return a request's body without what the harness adds; the text itself if it is not JSON."""
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body or b""
    try:
        data = json.loads(raw)
        return _HarnessParts().taken_out(data)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")


@lru_cache(maxsize=2048)
def body_digest(body: bytes | str | None) -> str:
    """Return a digest of what a body asks, so that each body is read once."""
    text = json.dumps(canonical_body(body), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def first_alike(
    recorded: Iterable[T],
    actual: bytes | str | None,
    body_of: Callable[[T], bytes | str | None],
    comparer: Comparer,
) -> T | None:
    """Return the first request whose body is like another one, None if there is none.

    Redaction marks in a recorded body stand for any text. Times and durations in the output of
    commands do not count either: commands run again.

    Args:
        recorded: The recorded requests.
        actual: The body that came.
        body_of: Returns the body of a recorded request.
        comparer: Compares them.
    """
    now = _without_command_times(canonical_body(actual))
    for each in recorded:
        then = _without_command_times(canonical_body(body_of(each)))
        if comparer.first(then, now) is None:
            return each
    return None


class _HarnessParts:
    """Takes out of one body what the harness added, and numbers its ids by their first place."""

    def __init__(self) -> None:
        self._calls: dict[str, str] = {}
        self._conversations: dict[str, str] = {}

    def taken_out(self, data: Any) -> Any:
        if isinstance(data, dict):
            data = {name: item for name, item in data.items() if name not in _SESSION_FIELDS}
        data = self._walk(data, in_system=False)
        if not self._conversations:
            return data
        ids = re.compile("|".join(self._conversations))
        return _in_strings(data, lambda text: ids.sub(lambda m: self._conversations[m[0]], text))

    def _walk(self, value: Any, *, in_system: bool) -> Any:
        if isinstance(value, str):
            return self._text(value, in_system=in_system)
        if isinstance(value, list):
            return [self._walk(item, in_system=in_system) for item in value]
        if not isinstance(value, dict):
            return value
        in_system = in_system or value.get("role") in _SYSTEM_ROLES
        found: dict[str, Any] = {}
        for name, item in sorted(value.items()):
            if name == "tool_call_id" and isinstance(item, str):
                found[name] = self._call(item)
            elif name in _CALLS:  # their arguments are the model's words
                found[name] = self._numbered(item)
            else:
                clean = self._walk(item, in_system=in_system or name in _SYSTEM_FIELDS)
                found[name] = self._numbered(clean) if name == "functionResponse" else clean
        return found

    def _numbered(self, call: Any) -> Any:
        if isinstance(call, list):
            return [self._numbered(each) for each in call]
        if isinstance(call, dict) and isinstance(call.get("id"), str):
            return call | {"id": self._call(call["id"])}
        return call

    def _call(self, call_id: str) -> str:
        return self._calls.setdefault(call_id, f"<call {len(self._calls)}>")

    def _learn(self, ids: re.Pattern[str], text: str) -> None:
        for match in ids.finditer(text):
            number = len(self._conversations)
            self._conversations.setdefault(match[match.lastindex or 0], f"<conversation {number}>")

    def _text(self, text: str, *, in_system: bool) -> str:
        if in_system:
            self._learn(_OWN_ID, text)
            return _OS.sub(r"\1<os>", text)
        if text.startswith(_MESSAGE):
            self._learn(_SENDER, text)
            return _MESSAGE_TIME.sub(r"\1<time>", text)
        if match := _TOOL_TIMES.match(text):
            self._learn(_TOOL_ID, text)
            return f"<times>{text[match.end() :]}"
        if text.endswith(_METADATA_END) and (start := text.rfind(_METADATA)) >= 0:
            return text[:start] + _LOCAL_TIME.sub(r"\1<time>", text[start:])
        return text


def _in_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _in_strings(item, change) for name, item in value.items()}
    return [_in_strings(item, change) for item in value] if isinstance(value, list) else value


def _without_command_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_command_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("name") == _COMMAND:
        return _in_strings(value, lambda text: _TIME.sub("<time>", text))
    return {name: _without_command_times(item) for name, item in value.items()}
