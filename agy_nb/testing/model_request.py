"""One model call as the server got it, with what a test asks of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agy_nb.testing.script import HttpError, ModelTurn

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-goog-api-key"})
SECRET_QUERY = re.compile(r"([?&]key=)[^&]*")

# The harness wraps what the user wrote, and what one agent tells another, and adds the time.
_USER_REQUEST = re.compile(r"<USER_REQUEST>\n?(.*?)\n?</USER_REQUEST>", re.DOTALL)
_SYSTEM_MESSAGE = re.compile(r"<SYSTEM_MESSAGE>.*? content=(.*?)\n?</SYSTEM_MESSAGE>", re.DOTALL)
_TOOL_RESPONSE = re.compile(r"Tool response for [^\n]*:\n```json\n(.*)\n```", re.DOTALL)
# The one name of a conversation that both wire forms carry, unless a custom prompt replaced it.
_CONVERSATION_ID = re.compile(r"Conversation ID: ([0-9a-f-]{8,})")


@dataclass(frozen=True, slots=True)
class SentToolResult:
    """What a tool answered, as the model sees it.

    Attributes:
        name: The tool's name.
        text: All that the harness tells the model, times of the call included.
        id: The call's id.

    Example:
        >>> async with ScriptedModel([call("get_weather", city="Rome"), say("Sunny.")]) as model:
        ...     agent = await agy.create_agent(model.config(), tools=[get_weather])
        ...     await agent.chat_text("How is Rome?")
        'Sunny.'
        >>> result = model.requests[1].tool_results[0]
        >>> result.name, result.value
        ('get_weather', 'sunny in Rome')
    """

    name: str
    text: str
    id: str = ""

    @property
    def value(self) -> Any:  # noqa: ANN401 - whatever the tool returned
        """What a host tool returned, parsed; None for the harness's own tools and for errors."""
        found = _TOOL_RESPONSE.search(self.text)
        if found is None:
            return None
        try:
            value = json.loads(found.group(1))
        except ValueError:
            return None
        # The SDK wraps what is no object.
        return value["result"] if isinstance(value, dict) and value.keys() == {"result"} else value


@dataclass(frozen=True, slots=True)
class DeclaredTool:
    """A tool that the request offers to the model.

    Attributes:
        name: Its name.
        description: What it is for.
        parameters: The JSON schema of its arguments.

    Example:
        >>> async with ScriptedModel(say("Hello.")) as model:
        ...     agent = await agy.create_agent(model.config(), tools=[get_weather])
        ...     await agent.chat_text("Hi")
        'Hello.'
        >>> [tool.description for tool in model.requests[0].tools if tool.name == "get_weather"]
        ['Tell the weather of a city.']
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Dialect(Protocol):
    """A wire form: how to read a request's body, and how to write an answer."""

    name: str

    def system_text(self, body: Mapping[str, Any]) -> str:
        """The system instruction."""
        ...

    def user_texts(self, body: Mapping[str, Any]) -> list[str]:
        """What stands in the user's messages, oldest first, without tool results."""
        ...

    def tool_results(self, body: Mapping[str, Any]) -> tuple[SentToolResult, ...]:
        """The tool results after the model's last message."""
        ...

    def tools(self, body: Mapping[str, Any]) -> tuple[DeclaredTool, ...]:
        """The tools that the model may call."""
        ...

    def session(self, body: Mapping[str, Any]) -> str:
        """The wire form's own name of the session; empty where it has none."""
        ...

    def chunks(self, turn: ModelTurn, request: ModelRequest) -> Iterator[bytes]:
        """What the turn says as server-sent events, one a chunk."""
        ...

    def ending(self, turn: ModelTurn, request: ModelRequest) -> bytes:
        """The event, or events, that end the answer: finish reason and usage."""
        ...

    def document(self, turn: ModelTurn, request: ModelRequest) -> bytes:
        """The turn as one JSON document."""
        ...

    def error(self, error: HttpError) -> bytes:
        """The JSON body of an HTTP error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One model call. Its repr shows no key and no prompt.

    Attributes:
        number: Which call of the server it is, counted from 1.
        path: Path and query.
        model: Name of the model that is asked for.
        headers: HTTP headers, names in lower case; as they came, keys too.
        body: The parsed JSON body; take it as read-only.
        streaming: Whether the answer is to be streamed.
        size: Length of the body in bytes.
        dialect: The wire form.

    Example:
        >>> async with ScriptedModel(say("Hello.")) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await agent.chat_text("Hi")
        'Hello.'
        >>> request = model.requests[0]
        >>> request.number, request.api, request.user_text
        (1, 'gemini', 'Hi')
    """

    number: int
    path: str
    model: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    streaming: bool
    size: int
    dialect: Dialect

    @property
    def api(self) -> str:
        """The wire form's name: `gemini` or `openai`."""
        return self.dialect.name

    @property
    def system_text(self) -> str:
        """The system instruction."""
        return self.dialect.system_text(self.body)

    @property
    def user_texts(self) -> list[str]:
        """What the user wrote so far, oldest first, without what the harness adds to it."""
        return [_unwrapped(text) for text in self.dialect.user_texts(self.body)]

    @property
    def user_text(self) -> str:
        """What the user wrote last, or another agent told this one."""
        texts = self.user_texts
        return texts[-1] if texts else ""

    @property
    def first_user_text(self) -> str:
        """What the user wrote first; a subagent's first user text is its task."""
        texts = self.user_texts
        return texts[0] if texts else ""

    @property
    def tool_results(self) -> tuple[SentToolResult, ...]:
        """What the tools answered since the model last spoke; empty: the user speaks."""
        return self.dialect.tool_results(self.body)

    @property
    def tools(self) -> tuple[DeclaredTool, ...]:
        """The tools that the model may call."""
        return self.dialect.tools(self.body)

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The names of the tools that the model may call."""
        return tuple(tool.name for tool in self.tools)

    @property
    def conversation_key(self) -> str:
        """The same for all calls of one conversation; each subagent has its own.

        It is the harness's conversation id. Where a custom system prompt hides that: the wire
        form's session, and last a digest of the first user text.
        """
        if found := _CONVERSATION_ID.search(self.system_text):
            return found.group(1)
        if session := self.dialect.session(self.body):
            return session
        first = next(iter(self.dialect.user_texts(self.body)), "")
        return hashlib.sha256(first.encode()).hexdigest()[:32]

    def __repr__(self) -> str:
        headers = {
            name: "[redacted]" if name in SECRET_HEADERS else value
            for name, value in self.headers.items()
        }
        path = SECRET_QUERY.sub(r"\1[redacted]", self.path)
        return (
            f"ModelRequest(#{self.number}, {path!r}, model={self.model!r}, {self.size} bytes, "
            f"{headers=})"
        )


def _unwrapped(text: str) -> str:
    found = _USER_REQUEST.search(text) or _SYSTEM_MESSAGE.search(text)
    return found.group(1) if found else text
