"""The answer to one model call: its parts, its settings, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

from agy_nb.protocol.short_repr import short_repr
from agy_nb.testing.errors import InvalidScriptError
from agy_nb.testing.script.script_values import (
    ANY_TEXT,
    check_headers,
    check_json,
    is_duration,
    is_status,
    is_text,
)

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

    __repr__ = short_repr


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

    __repr__ = short_repr


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of a tool by the model.

    Attributes:
        name: The tool's name as declared in the request.
        args: Its arguments, as JSON values.
        id: The call's id. With None, the Gemini form sends no id and the OpenAI form makes one.

    Example:
        >>> call("get_weather", city="Paris").parts
        (FunctionCall(name='get_weather', args={'city': 'Paris'}),)
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not is_text(self.name, ANY_TEXT):
            raise InvalidScriptError(f"a tool's name must be text, got {self.name!r}")
        check_json(self.args, f"{self.name}:")


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
        return f"InlineImage({len(self.data)} bytes, {self.mime_type[:40]!r})"


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

    __repr__ = short_repr


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

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not is_status(self.status):
            raise InvalidScriptError(f"status must be from 400 to 599, got {self.status!r}")
        for name in ("message", "reason"):
            value = getattr(self, name)
            if not isinstance(value, str | None):
                raise InvalidScriptError(f"{name} must be text, got {value!r}")
        for name in ("retry_after", "retry_delay"):
            seconds = getattr(self, name)
            if seconds is not None and not is_duration(seconds):
                raise InvalidScriptError(f"{name} must be seconds from 0, got {seconds!r}")
        if not isinstance(self.body, bytes | None):
            raise InvalidScriptError(f"body must be bytes, got {self.body!r}")
        check_headers(self.headers)


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

    __repr__ = short_repr

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


_PLAIN = ModelTurn()
