"""A model call as the server received it, with properties for tests."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agy_nb.protocol.short_repr import html_fields, html_table, short_repr
from agy_nb.testing.script.model_turn import HttpError, ModelTurn

SECRET_QUERY = re.compile(r"([?&]key=)[^&]*")

# The harness wraps prompts of the user and messages between agents, and adds the time.
_USER_REQUEST = re.compile(r"\A(?>.*?<USER_REQUEST>)\n?(.*?)\n?</USER_REQUEST>", re.DOTALL)
_SYSTEM_MESSAGE = re.compile(
    r"\A(?>(?>.*?<SYSTEM_MESSAGE>).*? content=)(.*?)\n?</SYSTEM_MESSAGE>", re.DOTALL
)
_TOOL_RESPONSE = re.compile(
    r"\A(?>.*?(?<![^\n])Tool response for [^\n]*:\n```json\n)(.*)\n```", re.DOTALL
)
# Both wire forms have this id of a conversation, unless a custom prompt replaces it.
_CONVERSATION_ID = re.compile(r"Conversation ID: ([0-9a-f-]{8,})")


@dataclass(frozen=True, slots=True)
class SentToolResult:
    """The result of a tool, as the model receives it.

    Attributes:
        name: The tool's name.
        text: The whole text for the model, with the times of the call.
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

    __repr__ = short_repr
    _repr_html_ = html_fields

    @property
    def value(self) -> Any:
        """The parsed result of a host tool; None for the harness's tools and for errors."""
        found = _TOOL_RESPONSE.search(self.text)
        if found is None:
            return None
        try:
            value = json.loads(found.group(1))
        except ValueError:
            return None
        # The SDK wraps values other than objects.
        return value["result"] if isinstance(value, dict) and value.keys() == {"result"} else value


@dataclass(frozen=True, slots=True)
class DeclaredTool:
    """A tool that the request offers to the model.

    Attributes:
        name: Its name.
        description: Its description.
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

    __repr__ = short_repr
    _repr_html_ = html_fields


class Dialect(Protocol):
    """A wire form: reads the body of a request, and writes an answer."""

    name: str

    def system_text(self, body: Mapping[str, Any]) -> str:
        """Return the system instruction."""
        ...

    def user_texts(self, body: Mapping[str, Any]) -> list[str]:
        """Return the texts of the user's messages, oldest first, without tool results."""
        ...

    def tool_results(self, body: Mapping[str, Any]) -> tuple[SentToolResult, ...]:
        """Return the tool results after the model's last message."""
        ...

    def tools(self, body: Mapping[str, Any]) -> tuple[DeclaredTool, ...]:
        """Return the tools that the model may call."""
        ...

    def session(self, body: Mapping[str, Any]) -> str:
        """Return the id of the session in this wire form, or an empty text."""
        ...

    def chunks(self, turn: ModelTurn, request: ModelRequest) -> Iterator[bytes]:
        """Yield the turn's parts as server-sent events, one per chunk."""
        ...

    def ending(self, turn: ModelTurn, request: ModelRequest) -> bytes:
        """Return the last events of an answer: finish reason and usage."""
        ...

    def document(self, turn: ModelTurn, request: ModelRequest) -> bytes:
        """Return the turn as one JSON document."""
        ...

    def error(self, error: HttpError) -> bytes:
        """Return the JSON body of an HTTP error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One model call. Its repr shows no key and no prompt; a notebook shows the prompt, too.

    Attributes:
        number: Number of the call to this server, from 1.
        path: Path and query.
        model: Name of the requested model.
        headers: HTTP headers with names in lower case. They include keys.
        body: The parsed JSON body. Do not change it.
        streaming: Whether the client wants a streamed answer.
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
        """Texts of the user so far, oldest first, without additions of the harness."""
        return [_unwrapped(text) for text in self.dialect.user_texts(self.body)]

    @property
    def user_text(self) -> str:
        """Latest text of the user, or of another agent."""
        texts = self.user_texts
        return texts[-1] if texts else ""

    @property
    def first_user_text(self) -> str:
        """First text of the user. For a subagent this is its task."""
        texts = self.user_texts
        return texts[0] if texts else ""

    @property
    def tool_results(self) -> tuple[SentToolResult, ...]:
        """Tool results since the model's last message; empty if the user wrote the last message."""
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
        """Key of the conversation: the same for all of its calls. Each subagent has its own.

        The key is the harness's conversation id. If a custom system prompt hides it, the key is the
        session of the wire form, or a digest of the first user text.
        """
        if found := _CONVERSATION_ID.search(self.system_text):
            return found.group(1)
        if session := self.dialect.session(self.body):
            return session
        first = next(iter(self.dialect.user_texts(self.body)), "")
        return hashlib.sha256(first.encode()).hexdigest()[:32]

    def _repr_html_(self) -> str:
        """Show what the model was asked in a notebook, without headers: they include keys."""
        rows = [
            ("Call", repr(self)),
            ("Prompt", self.user_text),
            ("Tool results", [{result.name: result.text} for result in self.tool_results]),
            ("Tools", self.tool_names),
            ("System instruction", self.system_text),
        ]
        return html_table((), [row for row in rows if row[1]])

    def __repr__(self) -> str:
        path = SECRET_QUERY.sub(r"\1[redacted]", self.path)
        return f"<ModelRequest {self.number}: {path:.40}, {self.model:.24}, {self.size} bytes>"


def _unwrapped(text: str) -> str:
    found = _USER_REQUEST.search(text) or _SYSTEM_MESSAGE.search(text)
    return found.group(1) if found else text
