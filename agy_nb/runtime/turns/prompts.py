"""Convert the user's prompts to the protocol's `Prompt`.

Rule 1: the content of a string is never parsed, also if it looks like JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agy_nb.errors import InvalidPromptError
from agy_nb.protocol.values import MediaPart, Prompt, PromptPart, SlashCommandPart, TextPart

_KINDS = ("image", "document", "audio", "video")


def parse_prompt(content: Any) -> Prompt:
    """Convert text, media or a list of them to a prompt.

    Args:
        content: A string; one of the SDK's `Image`, `Document`, `Audio`, `Video` or `SlashCommand`;
            a part from `agy_nb.protocol.values`; or a sequence of these.

    Raises:
        InvalidPromptError: The prompt is empty or blank, or a part is neither text nor media.

    Example:
        >>> parse_prompt('{"a": 1}')
        (TextPart(text='{"a": 1}'),)
    """
    if isinstance(content, str) and content.strip():
        _must_be_sendable(content, "prompt")
        return (TextPart(text=content),)
    many = isinstance(content, Sequence) and not isinstance(content, str | bytes | bytearray)
    parts = tuple(
        _part(item, index if many else None)
        for index, item in enumerate(content if many else [content])
    )
    if all(isinstance(part, TextPart) and not part.text.strip() for part in parts):
        raise InvalidPromptError(
            "the prompt is empty; pass some text, or a list of text and media",
            field="prompt",
        )
    return parts


def _part(item: Any, index: int | None) -> PromptPart:
    where = "prompt" if index is None else f"prompt[{index}]"
    if isinstance(item, str):
        _must_be_sendable(item, where)
        return TextPart(text=item)
    if isinstance(item, TextPart | MediaPart | SlashCommandPart):
        return item
    kind = type(item).__name__.lower()
    data, mime_type = getattr(item, "data", None), getattr(item, "mime_type", None)
    if kind in _KINDS and isinstance(data, bytes) and isinstance(mime_type, str):
        return MediaPart(
            kind=kind,  # type: ignore[arg-type]
            mime_type=str(mime_type),
            data=data,
            description=getattr(item, "description", None) or None,
        )
    if type(item).__name__ == "SlashCommand":
        return SlashCommandPart(name=str(getattr(item.name, "value", item.name)))
    raise InvalidPromptError(
        f"{where} must be text or media, got {type(item).__name__}; pass a string or the SDK's "
        "Image, Document, Audio or Video (create them with types.from_file(path) or "
        "types.from_bytes(data, mime_type) of google.antigravity)",
        field=where,
    )


def _must_be_sendable(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidPromptError(
            f"{where} holds a lone surrogate {text[error.start]!r} at index {error.start}, which "
            'cannot be encoded; text.encode(errors="replace").decode() replaces it with "?"',
            field=where,
        ) from None
