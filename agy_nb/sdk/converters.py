"""The SDK's values in our words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from google.antigravity import types
from pydantic_core import to_jsonable_python

from agy_nb.errors import InvalidPromptError
from agy_nb.protocol.values import (
    AskedQuestion,
    MediaPart,
    Message,
    Prompt,
    QuestionOption,
    TextPart,
    TokenUsage,
    Trajectory,
)

_ROLES = {"MODEL": "model", "USER": "user", "SYSTEM": "system"}
_MEDIA = {
    "image": types.Image,
    "document": types.Document,
    "audio": types.Audio,
    "video": types.Video,
}


def token_usage(usage: types.UsageMetadata | None) -> TokenUsage | None:
    """Return token counts, None if nothing is known."""
    if usage is None or usage.total_token_count is None:
        return None
    output = None
    if usage.candidates_token_count is not None or usage.thoughts_token_count is not None:
        output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return TokenUsage(
        input_tokens=usage.prompt_token_count,
        cache_read_tokens=usage.cached_content_token_count,
        output_tokens=output,
        reasoning_tokens=usage.thoughts_token_count,
        total_tokens=usage.total_token_count,
        service_tier=usage.service_tier.value if usage.service_tier else None,
    )


def messages_of(
    history: Sequence[types.Step], trajectory_of: Callable[[str], Trajectory]
) -> tuple[Message, ...]:
    """Return the last state of every step with text, oldest first.

    Args:
        history: The SDK's steps.
        trajectory_of: Returns a trajectory by its id.
    """
    latest: dict[tuple[str, int], types.Step] = {}
    for step in history:
        if step.content:
            latest[step.trajectory_id, step.step_index] = step
    return tuple(
        Message(
            role=_ROLES.get(step.source.value, "unknown"),  # type: ignore[arg-type]
            content=step.content,
            trajectory=trajectory_of(step.trajectory_id),
        )
        for step in latest.values()
    )


def last_answer(history: Sequence[types.Step]) -> str | None:
    """Return the text of the root agent's latest complete answer, None if there is none."""
    for step in reversed(history):
        if step.is_complete_response and not step.parent_trajectory_id:
            return step.content
    return None


def as_json(value: Any) -> Any:
    """Return a value in a form for JSON; parts without such a form become text."""
    try:
        return to_jsonable_python(
            value, fallback=str, inf_nan_mode="strings", bytes_mode="base64", by_alias=False
        )
    except Exception:
        return str(value)


def questions_of(update: Any) -> tuple[AskedQuestion, ...]:
    """Return the questions to the user in a step update of the harness."""
    return tuple(
        AskedQuestion(
            question=question.multiple_choice.question,
            options=tuple(
                QuestionOption(id=str(number), text=choice)
                for number, choice in enumerate(question.multiple_choice.choices, 1)
            ),
            multiple=question.multiple_choice.is_multi_select,
        )
        for question in update.questions_request.questions
    )


def content_of(prompt: Prompt) -> Any:
    """Convert a prompt to the SDK's content.

    Raises:
        InvalidPromptError: It holds media of a type that the SDK does not take.
    """
    parts: list[Any] = []
    for part in prompt:
        if isinstance(part, TextPart):
            parts.append(part.text)
        elif isinstance(part, MediaPart):
            parts.append(_media_of(part))
        else:
            parts.append(types.SlashCommand(name=types.BuiltinSlashCommandName(part.name)))
    return parts[0] if len(parts) == 1 else parts


def _media_of(part: MediaPart) -> Any:
    media = _MEDIA[part.kind]
    try:
        return media(data=part.data, mime_type=part.mime_type, description=part.description)
    except ValueError:
        named = f" ({part.description})" if part.description else ""
        raise InvalidPromptError(
            f"the SDK takes no {part.kind} of the type {part.mime_type!r}{named}; "
            "send it in another format, or as text",
            field="prompt",
        ) from None
