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

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from agy_nb.testing.errors import InvalidScriptError
from agy_nb.testing.script.model_turn import (
    GARBAGE,
    DroppedConnection,
    FunctionCall,
    Garbage,
    Hang,
    HttpError,
    InlineImage,
    ModelTurn,
    ScriptSettings,
    ScriptText,
    ScriptThought,
)


class ErrorDetails(TypedDict, total=False):
    """Fields of an HTTP error besides status and message; see `HttpError`."""

    reason: str | None
    retry_after: float | None
    retry_delay: float | None
    headers: Mapping[str, str]
    body: bytes | None


def _chunks(text: str | Sequence[str]) -> tuple[str, ...]:
    chunks: Any = (text,) if isinstance(text, str) else text
    if not isinstance(chunks, Sequence) or not all(isinstance(each, str) for each in chunks):
        raise InvalidScriptError(f"text must be a string or a list of strings, got {text!r:.80}")
    return tuple(chunks)


def say(text: str | Sequence[str], **settings: Unpack[ScriptSettings]) -> ModelTurn:
    """Answer with text.

    Args:
        text: The text, as one chunk; or a list of streamed chunks.
        **settings: Any setting of `ModelTurn`, such as `usage=ScriptUsage(prompt=7)` or
        `delay_s=0.1`.

    Returns:
        A turn for a script.

    Raises:
        InvalidScriptError: The text is not a string or a list of strings.

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

    Raises:
        InvalidScriptError: The text is not a string or a list of strings.

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
        ModelTurn(parts=(ScriptText(chunks=('Here it is:',)), InlineImage(3 bytes, 'image/webp')))
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
        ...     async for piece in response:
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
        return ModelTurn()
    return say(after) if isinstance(after, str) else after
