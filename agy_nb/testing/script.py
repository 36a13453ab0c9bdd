"""What a scripted model says, as plain data.

Rule 1: everything here is frozen; a script can be shared by any number of models and tests.
Rule 2: this file knows neither HTTP nor JSON; `gemini` and `openai` put it on the wire.

A script is a list of turns, each the answer to one model call. Turns add up:

    >>> script = [
    ...     think("A tool knows that.") + call("get_weather", city="Paris"),
    ...     say("It is sunny in Paris."),
    ...     fail(429, retry_after=2),
    ...     say("Once more: ") + hang(),
    ... ]

The harness tries again by itself after a 429 or a 5xx, and each try takes a turn: write
`[fail(503)] * 3` for an outage of three calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

from agy_nb.testing.errors import InvalidScriptError

FinishReason: TypeAlias = str
"""`STOP`, `MAX_TOKENS`, `SAFETY`, ... as the Gemini API spells them; any other string goes too."""

GARBAGE = b"data: {this is no JSON\r\n\r\n"
HALF_A_CHUNK = b'data: {"candidates":[{"content":{"role":"model","parts":[{"te'


@dataclass(frozen=True, slots=True)
class ScriptText:
    """Text of the answer.

    Attributes:
        chunks: The pieces that it is streamed in.

    Example:
        >>> say(["Hel", "lo"]).parts
        (ScriptText(chunks=('Hel', 'lo')),)
    """

    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScriptThought:
    """A summary of what the model thinks.

    Attributes:
        chunks: The pieces that it is streamed in.

    Example:
        >>> think("A tool knows that.").parts
        (ScriptThought(chunks=('A tool knows that.',)),)
    """

    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The model asks for a tool.

    Attributes:
        name: The tool's name as declared in the request.
        args: Its arguments; anything that JSON takes.
        id: The call's id. None: the Gemini form sends none, the OpenAI form makes one.

    Example:
        >>> call("get_weather", city="Paris").parts
        (FunctionCall(name='get_weather', args={'city': 'Paris'}, id=None),)
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True, slots=True)
class InlineImage:
    """An image in the answer.

    Attributes:
        data: The encoded image, not base64.
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
"""Which chunks of an answer carry its usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptUsage:
    """The tokens of one model call. None: counted from the length of the texts.

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
    """The call is refused with a status and Google's JSON error form.

    Attributes:
        status: The HTTP status, e.g. 429.
        message: What went wrong; None: a word fitting the status.
        reason: The error's canonical name, e.g. `RESOURCE_EXHAUSTED`; None: fitting the status.
        retry_after: Seconds for a `Retry-After` header; None: no such header.
        retry_delay: Seconds for a `google.rpc.RetryInfo` detail; None: no such detail.
        headers: More headers.
        body: The whole body instead, as it is.

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


@dataclass(frozen=True, slots=True)
class Hang:
    """After its parts, the answer never ends: until the client goes or the server stops."""


@dataclass(frozen=True, slots=True)
class DroppedConnection:
    """After its parts, and the beginning of another chunk, the connection breaks."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Garbage:
    """After its parts, the answer ends with bytes that are no answer."""

    data: bytes = GARBAGE


Fault: TypeAlias = HttpError | Hang | DroppedConnection | Garbage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTurn:
    """The answer to one model call.

    Attributes:
        parts: What the model says, in order. None of them: an empty answer.
        finish_reason: Why the model stopped; None: the last chunk tells no reason.
        block_reason: Set: the prompt itself was blocked, and there is no candidate.
        usage: Tokens; what is None in it is counted from the length of the texts.
        service_tier: The tier that served the call, e.g. `priority`; None: not told.
        metering: Which chunks carry the usage: the last one; every chunk, counting up, as the real
            API sends it; or none.
        delay_s: Seconds before the first byte.
        chunk_delay_s: Seconds before each further chunk.
        byte_delay_s: Seconds before each byte, headers aside: a line that only drips.
        fault: What goes wrong after the parts.

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
        """Say this and then that, in one answer; the settings of `other` win where it has any."""
        if not isinstance(other, ModelTurn):
            return NotImplemented
        if self.fault is not None:
            raise InvalidScriptError(
                f"nothing can follow {self.fault!r} in one answer; make it the next turn"
            )
        if other.parts and isinstance(other.fault, HttpError):
            raise InvalidScriptError(
                "an HTTP error has no parts; make what is said a turn of its own"
            )
        if self.parts and isinstance(other.fault, HttpError):
            raise InvalidScriptError(
                "an HTTP error cannot follow what was said; make it a turn of its own"
            )
        changed = {
            name: getattr(other, name)
            for name in ScriptSettings.__annotations__
            if getattr(other, name) != getattr(_PLAIN, name)
        }
        return replace(self, parts=self.parts + other.parts, fault=other.fault, **changed)

    def having(self, **settings: Unpack[ScriptSettings]) -> ModelTurn:
        """The same turn with other settings.

        Args:
            **settings: Any field of a turn but `parts` and `fault`.

        Returns:
            Another turn; this one stays as it is.

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
    """What can be set on a turn besides its parts; see `ModelTurn`."""

    finish_reason: FinishReason | None
    block_reason: str | None
    usage: ScriptUsage
    service_tier: str | None
    metering: Metering
    delay_s: float
    chunk_delay_s: float
    byte_delay_s: float


class ErrorDetails(TypedDict, total=False):
    """What can be told of an HTTP error besides status and message; see `HttpError`."""

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
        text: The text, in one chunk; or the chunks that it is streamed in.
        **settings: Any setting of `ModelTurn`, e.g. `usage=Usage(prompt=7)`, `delay_s=0.1`.

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
        text: The text; it is cut at its spaces.
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
    """Think; most of the time followed by what the model says: `think("...") + say("...")`.

    Args:
        text: The thought, in one chunk; or the chunks that it is streamed in.
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
    """Ask for a tool; for two tools in one answer, add two of these.

    Args:
        name: The tool's name.
        args: Its arguments, for those that are no Python names.
        **more: Its arguments.

    Returns:
        A turn for a script.

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
        data: The encoded image, not base64.
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
    """Answer with nothing at all.

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
    """Refuse the prompt, as Gemini does: no candidate, only feedback on the prompt.

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
    """Refuse the call with an HTTP error.

    Args:
        status: The HTTP status.
        message: What went wrong.
        **details: Any other field of `HttpError`, e.g. `retry_after=2`.

    Returns:
        A turn for a script.

    Raises:
        InvalidScriptError: The status is no error.

    Example:
        >>> async with ScriptedModel([fail(503), say("Back again.")]) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await agent.chat_text("Hello")  # the harness tries again by itself
        'Back again.'
    """
    if not 400 <= status <= 599:  # noqa: PLR2004 - HTTP's own numbers
        raise InvalidScriptError(f"an HTTP error has a status from 400 to 599, not {status!r}")
    return ModelTurn(fault=HttpError(status=status, message=message, **details))


def hang(after: str | ModelTurn | None = None) -> ModelTurn:
    """Say `after`, and then nothing more, for ever. Alone, not even headers come.

    Args:
        after: What is said before, text or a turn.

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
    """Say `after`, and then break the connection. Alone, the call gets no answer.

    Args:
        after: What comes whole before that.
        data: What else is sent, as it is, e.g. `HALF_A_CHUNK` to break off in the middle of one.

    Returns:
        A turn for a script.

    Example:
        >>> drop("It is su").text
        'It is su'
    """
    return _after(after) + ModelTurn(fault=DroppedConnection(data))


def garbage(data: bytes = GARBAGE, *, after: str | ModelTurn | None = None) -> ModelTurn:
    """Say `after`, and then send bytes that are no answer.

    Args:
        data: The bytes.
        after: What is said before, text or a turn.

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
