"""Scripts of a model, as frozen data.

Any number of models and tests can share a script. `gemini` and `openai` convert turns to HTTP.

A script is a list of turns. Each turn answers one model call. Add turns to combine their parts:

    >>> script = [
    ...     think("A tool knows that.") + call("get_weather", city="Paris"),
    ...     say("It is sunny in Paris."),
    ...     fail(429, retry_after=2),
    ...     say("Once more: ") + hang(),
    ... ]

The harness repeats a call after a 429 or a 5xx, and each repetition uses a turn. Write
`[fail(503)] * 3` for an outage of three calls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

from agy_nb.testing.errors import InvalidScriptError

FinishReason: TypeAlias = str
"""`STOP`, `MAX_TOKENS`, `SAFETY` and so on, as in the Gemini API; or any other text."""

GARBAGE = b"data: {this is not JSON\r\n\r\n"
HALF_A_CHUNK = b'data: {"candidates":[{"content":{"role":"model","parts":[{"te'


@dataclass(frozen=True, slots=True)
class ScriptText:
    """Text of the answer.

    Attributes:
        chunks: The streamed pieces.

    Example:
        >>> say(["Hel", "lo"]).parts
        (ScriptText(chunks=('Hel', 'lo')),)
    """

    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScriptThought:
    """A summary of the model's thoughts.

    Attributes:
        chunks: The streamed pieces.

    Example:
        >>> think("A tool knows that.").parts
        (ScriptThought(chunks=('A tool knows that.',)),)
    """

    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of a tool by the model.

    Attributes:
        name: The tool's name as declared in the request.
        args: Its arguments, as JSON values.
        id: The call's id. With None, the Gemini form sends no id and the OpenAI form makes one.

    Example:
        >>> call("get_weather", city="Paris").parts
        (FunctionCall(name='get_weather', args={'city': 'Paris'}, id=None),)
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None

    def __post_init__(self) -> None:
        if not _is_text(self.name, _ANY_TEXT):
            raise InvalidScriptError(f"a tool's name must be text, got {self.name!r}")
        _check_json(self.args, f"{self.name}:")


@dataclass(frozen=True, slots=True)
class InlineImage:
    """An image in the answer.

    Attributes:
        data: The bytes of the image file, not base64.
        mime_type: Its type, e.g. `image/png`.

    Example:
        >>> image(b"not really a PNG").parts
        (InlineImage(16 bytes, 'image/png'),)
    """

    data: bytes
    mime_type: str = "image/png"

    def __repr__(self) -> str:
        return f"InlineImage({len(self.data)} bytes, {self.mime_type!r})"


Part: TypeAlias = ScriptText | ScriptThought | FunctionCall | InlineImage


Metering: TypeAlias = Literal["last", "every_chunk", "never"]
"""Chunks of an answer that contain its usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptUsage:
    """The tokens of one model call. None means: count from the length of the texts.

    Attributes:
        prompt: Tokens of the prompt; includes `cached`.
        cached: Tokens of the prompt that came from a cache.
        candidates: Tokens of the answer, without thoughts.
        thoughts: Tokens of the thoughts.

    Example:
        >>> counted = say("Hello", usage=ScriptUsage(prompt=1000, cached=800, candidates=5))
        >>> async with ScriptedModel(counted) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     response = await (await agent.chat("Hi"))
        >>> response.usage.input_tokens, response.usage.cache_read_tokens
        (1000, 800)
    """

    prompt: int | None = None
    cached: int | None = None
    candidates: int | None = None
    thoughts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpError:
    """An HTTP error with Google's JSON body.

    Attributes:
        status: The HTTP status, e.g. 429.
        message: Text of the error; None for the usual text of the status.
        reason: Canonical name, such as `RESOURCE_EXHAUSTED`; None for that of the status.
        retry_after: Seconds for a `Retry-After` header; None for no header.
        retry_delay: Seconds for a `google.rpc.RetryInfo` detail; None for no detail.
        headers: More headers.
        body: The whole body, instead of Google's JSON.

    Example:
        >>> fail(429, retry_after=2).fault.status
        429
    """

    status: int
    message: str | None = None
    reason: str | None = None
    retry_after: float | None = None
    retry_delay: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def __post_init__(self) -> None:
        if not _is_status(self.status):
            raise InvalidScriptError(f"status must be from 400 to 599, got {self.status!r}")
        for name in ("message", "reason"):
            value = getattr(self, name)
            if not isinstance(value, str | None):
                raise InvalidScriptError(f"{name} must be text, got {value!r}")
        for name in ("retry_after", "retry_delay"):
            seconds = getattr(self, name)
            if seconds is not None and not _is_duration(seconds):
                raise InvalidScriptError(f"{name} must be seconds from 0, got {seconds!r}")
        if not isinstance(self.body, bytes | None):
            raise InvalidScriptError(f"body must be bytes, got {self.body!r}")
        _check_headers(self.headers)


@dataclass(frozen=True, slots=True)
class Hang:
    """An answer that does not end until the client disconnects or the server stops."""


@dataclass(frozen=True, slots=True)
class DroppedConnection:
    """A connection that breaks after the parts and the bytes in `data`."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Garbage:
    """An answer that ends with invalid bytes after its parts."""

    data: bytes = GARBAGE


Fault: TypeAlias = HttpError | Hang | DroppedConnection | Garbage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTurn:
    """The answer to one model call.

    Attributes:
        parts: Parts of the answer, in order. Without parts, the answer is empty.
        finish_reason: Finish reason of the last chunk; None for no reason.
        block_reason: Reason for which the prompt is blocked; the answer has no candidate then.
        usage: Tokens. Values that are None are counted from the length of the texts.
        service_tier: Tier that served the call, such as `priority`; None to leave it out.
        metering: Chunks with usage: the last one; every chunk with growing numbers, as in the real
            API; or none.
        delay_s: Seconds before the first byte.
        chunk_delay_s: Seconds before each further chunk.
        byte_delay_s: Seconds before each byte of the body.
        fault: Fault after the parts.

    Example:
        >>> turn = think("A tool knows that.") + say("It is sunny in ") + say("Paris.")
        >>> turn.text, turn.finish_reason
        ('It is sunny in Paris.', 'STOP')
    """

    parts: tuple[Part, ...] = ()
    finish_reason: FinishReason | None = "STOP"
    block_reason: str | None = None
    usage: ScriptUsage = ScriptUsage()
    service_tier: str | None = None
    metering: Metering = "last"
    delay_s: float = 0.0
    chunk_delay_s: float = 0.0
    byte_delay_s: float = 0.0
    fault: Fault | None = None

    def __add__(self, other: ModelTurn) -> ModelTurn:
        """Combine two turns to one answer. Settings of `other` override those of this turn."""
        if not isinstance(other, ModelTurn):
            return NotImplemented
        if self.fault is not None:
            raise InvalidScriptError(
                f"nothing can follow {self.fault!r} in one answer; put the rest into the next turn"
            )
        if other.parts and isinstance(other.fault, HttpError):
            raise InvalidScriptError("an HTTP error has no parts; put the parts into another turn")
        if self.parts and isinstance(other.fault, HttpError):
            raise InvalidScriptError(
                "an HTTP error cannot follow parts of an answer; put it into another turn"
            )
        changed = {
            name: getattr(other, name)
            for name in ScriptSettings.__annotations__
            if getattr(other, name) != getattr(_PLAIN, name)
        }
        return replace(self, parts=self.parts + other.parts, fault=other.fault, **changed)

    def having(self, **settings: Unpack[ScriptSettings]) -> ModelTurn:
        """Return a copy of this turn with other settings.

        Args:
            **settings: Any field of a turn except `parts` and `fault`.

        Returns:
            A new turn. This one does not change.

        Example:
            >>> call("finish", answer=42).having(usage=ScriptUsage(prompt=10)).usage.prompt
            10
        """
        return replace(self, **settings)

    @property
    def text(self) -> str:
        """All text of the answer, without thoughts."""
        return "".join("".join(part.chunks) for part in self.parts if isinstance(part, ScriptText))


class ScriptSettings(TypedDict, total=False):
    """Settings of a turn besides its parts; see `ModelTurn`."""

    finish_reason: FinishReason | None
    block_reason: str | None
    usage: ScriptUsage
    service_tier: str | None
    metering: Metering
    delay_s: float
    chunk_delay_s: float
    byte_delay_s: float


class ErrorDetails(TypedDict, total=False):
    """Fields of an HTTP error besides status and message; see `HttpError`."""

    reason: str | None
    retry_after: float | None
    retry_delay: float | None
    headers: Mapping[str, str]
    body: bytes | None


_PLAIN = ModelTurn()


def _chunks(text: str | Sequence[str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def say(text: str | Sequence[str], **settings: Unpack[ScriptSettings]) -> ModelTurn:
    """Answer with text.

    Args:
        text: The text, as one chunk; or a list of streamed chunks.
        **settings: Any setting of `ModelTurn`, such as `usage=ScriptUsage(prompt=7)` or
        `delay_s=0.1`.

    Returns:
        A turn for a script.

    Example:
        >>> say(["Hel", "lo"]).text
        'Hello'
    """
    return ModelTurn(parts=(ScriptText(_chunks(text)),), **settings)


def words(text: str, **settings: Unpack[ScriptSettings]) -> ModelTurn:
    """Answer with text, streamed word by word.

    Args:
        text: The text; it is split at spaces.
        **settings: Any setting of `ModelTurn`.

    Returns:
        A turn for a script.

    Example:
        >>> words("one two").parts[0].chunks
        ('one', ' two')
    """
    first, *rest = text.split(" ")
    return say([first, *(f" {word}" for word in rest)], **settings)


def think(text: str | Sequence[str], **settings: Unpack[ScriptSettings]) -> ModelTurn:
    """Stream a thought, usually before an answer: `think("...") + say("...")`.

    Args:
        text: The thought, as one chunk; or a list of streamed chunks.
        **settings: Any setting of `ModelTurn`.

    Returns:
        A turn for a script.

    Example:
        >>> async with ScriptedModel([think("Easy.") + say("Four.")]) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     response = await (await agent.chat("2 + 2?"))
        >>> "".join(response.thoughts), response.partial_text
        ('Easy.', 'Four.')
    """
    return ModelTurn(parts=(ScriptThought(_chunks(text)),), **settings)


def call(name: str, args: Mapping[str, Any] | None = None, /, **more: object) -> ModelTurn:
    """Call a tool. To call two tools in one answer, add two calls.

    Args:
        name: The tool's name.
        args: Its arguments, for names that Python does not allow.
        **more: Its arguments.

    Returns:
        A turn for a script.

    Raises:
        InvalidScriptError: An argument is not JSON, e.g. a `datetime` or NaN.

    Example:
        >>> script = [call("get_weather", city="Paris"), say("Sunny.")]
        >>> async with ScriptedModel(script) as model:
        ...     agent = await agy.create_agent(model.config(), tools=[get_weather])
        ...     await agent.chat_text("How is the weather?")
        'Sunny.'
        >>> model.requests[1].tool_results[0].value
        'sunny in Paris'
    """
    return ModelTurn(parts=(FunctionCall(name, {**(args or {}), **more}),))


def image(
    data: bytes, mime_type: str = "image/png", **settings: Unpack[ScriptSettings]
) -> ModelTurn:
    """Answer with an image.

    Args:
        data: The bytes of the image file, not base64.
        mime_type: Its type.
        **settings: Any setting of `ModelTurn`.

    Returns:
        A turn for a script.

    Example:
        >>> say("Here it is:") + image(b"...", "image/webp")
        ModelTurn(parts=(ScriptText(chunks=('Here it is:',)), InlineImage(3 bytes, 'image/webp')),
        ...)
    """
    return ModelTurn(parts=(InlineImage(data, mime_type),), **settings)


def empty(**settings: Unpack[ScriptSettings]) -> ModelTurn:
    """Answer without any parts.

    Args:
        **settings: Any setting of `ModelTurn`.

    Returns:
        A turn for a script.

    Example:
        >>> empty().parts
        ()
    """
    return ModelTurn(**settings)


def block(reason: str = "SAFETY") -> ModelTurn:
    """Block the prompt as Gemini does, without a candidate.

    Args:
        reason: The Gemini API's `blockReason`.

    Returns:
        A turn for a script.

    Example:
        >>> block("BLOCKLIST").block_reason
        'BLOCKLIST'
    """
    return ModelTurn(block_reason=reason)


def fail(status: int, message: str | None = None, **details: Unpack[ErrorDetails]) -> ModelTurn:
    """Answer with an HTTP error.

    Args:
        status: The HTTP status.
        message: Text of the error.
        **details: Any other field of `HttpError`, such as `retry_after=2`.

    Returns:
        A turn for a script.

    Raises:
        InvalidScriptError: The status is not from 400 to 599, or HTTP has no form for a field.

    Example:
        >>> async with ScriptedModel([fail(503), say("Back again.")]) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await agent.chat_text("Hello")  # the harness repeats the call
        'Back again.'
    """
    return ModelTurn(fault=HttpError(status=status, message=message, **details))


def hang(after: str | ModelTurn | None = None) -> ModelTurn:
    """Answer with `after` and never end. Without `after`, the answer has no headers either.

    Args:
        after: Text or a turn before the pause.

    Returns:
        A turn for a script.

    Example:
        >>> async with ScriptedModel(hang("Let me")) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     response = await agent.chat("Hello")
        ...     async for piece in response.text_stream():
        ...         await response.cancel()
        Traceback (most recent call last):
        agy_nb.errors.TurnCancelledError: ...
        >>> response.partial_text
        'Let me'
    """
    return _after(after) + ModelTurn(fault=Hang())


def drop(after: str | ModelTurn | None = None, *, data: bytes = b"") -> ModelTurn:
    """Answer with `after` and break the connection. Without `after`, the call gets no answer.

    Args:
        after: Text or a turn that is sent completely.
        data: Bytes to send before the break, such as `HALF_A_CHUNK`.

    Returns:
        A turn for a script.

    Example:
        >>> drop("It is su").text
        'It is su'
    """
    return _after(after) + ModelTurn(fault=DroppedConnection(data))


def garbage(data: bytes = GARBAGE, *, after: str | ModelTurn | None = None) -> ModelTurn:
    """Answer with `after` and invalid bytes.

    Args:
        data: The bytes.
        after: Text or a turn before the bytes.

    Returns:
        A turn for a script.

    Example:
        >>> garbage(b"data: [}").fault
        Garbage(data=b'data: [}')
    """
    return _after(after) + ModelTurn(fault=Garbage(data))


def _after(after: str | ModelTurn | None) -> ModelTurn:
    if after is None:
        return _PLAIN
    return say(after) if isinstance(after, str) else after


_DEEPEST = 100
_ANY_TEXT = re.compile(r"(?s).+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_SET_BY_SERVER = frozenset({"content-length", "transfer-encoding", "connection"})


def _check_json(value: object, where: str, room: int = _DEEPEST) -> None:
    """Raise an error that names the first value for which JSON has no form."""
    if room < 0:
        raise InvalidScriptError(f"{where} is nested deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                raise InvalidScriptError(f"{where} has the name {name!r}; names must be text")
            _check_json(item, f"{where} {name!r}", room - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_json(item, where, room - 1)
    elif not isinstance(value, str | int | float | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise InvalidScriptError(
            f"{where} must be JSON, got {value!r}; pass what a model sends, e.g. text"
        )


def _is_duration(seconds: object) -> bool:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    return math.isfinite(seconds) and seconds >= 0


def _is_status(status: object) -> bool:
    if isinstance(status, bool) or not isinstance(status, int):
        return False
    return 400 <= status <= 599  # noqa: PLR2004 - HTTP's own numbers


def _is_text(value: object, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _check_headers(headers: object) -> None:
    if not isinstance(headers, Mapping):
        raise InvalidScriptError(f"headers must be a mapping, got {headers!r}")
    for name, value in headers.items():
        if not _is_text(name, _HEADER_NAME):
            raise InvalidScriptError(f"{name!r} is not the name of an HTTP header")
        if name.lower() in _SET_BY_SERVER:
            raise InvalidScriptError(f"the server sets the header {name!r}; leave it out")
        if not _is_text(value, _HEADER_VALUE):
            raise InvalidScriptError(f"the header {name!r} must be one line of text, got {value!r}")
