"""The files that a user attaches to a prompt, as parts of the prompt."""

from __future__ import annotations

from typing import Any

from agy_nb.protocol.values import MediaPart, Prompt, PromptPart, TextPart
from agy_nb.widgets.tree.front_end_messages import AttachedFile

_KINDS = ("image", "audio", "video")
_PDF = "application/pdf"


def part_of(file: AttachedFile, data: Any) -> MediaPart:
    """Convert an attachment; text is sent as text/plain, because the SDK knows few text types."""
    name, mime_type = file.name or "file", file.mime_type
    kind, content = mime_type.partition("/")[0], bytes(data)
    if kind not in _KINDS:
        kind = "document"
        if mime_type != _PDF and _is_text(content):
            mime_type = "text/plain"
    return MediaPart(
        kind=kind,  # type: ignore[arg-type]
        mime_type=mime_type or "application/octet-stream",
        data=content,
        description=name,
    )


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def with_text(prompt: Prompt, text: str) -> list[PromptPart]:
    """Return a prompt with another text; its attachments and slash commands stay."""
    others: list[PromptPart] = [part for part in prompt if not isinstance(part, TextPart)]
    return [TextPart(text=text), *others] if text.strip() else others


def kept_names(prompt: Prompt) -> list[str]:
    """Return names of the parts of a prompt that are not text."""
    return [
        part.description or part.mime_type if isinstance(part, MediaPart) else f"/{part.name}"
        for part in prompt
        if not isinstance(part, TextPart)
    ]
