"""Calls, prompts, answers and token counts as text on one line."""

from __future__ import annotations

import json
from typing import Any

from agy_nb.protocol.amounts import counted, tokens_text
from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    JsonObject,
    MediaPart,
    Prompt,
    SlashCommandPart,
    TokenUsage,
)

WIDTH = 200
"""Characters of a text, an argument or a result that a line shows."""


def shortened(value: Any, length: int | None = None) -> str:
    """Format a value on one line, and cut a long one.

    Args:
        value: A text, or JSON data.
        length: Characters of the whole text, where `value` is only its beginning.
    """
    whole = value if isinstance(value, str) else "" if value is None else _json(value)
    text = " ".join(whole.split())
    length = len(whole) if length is None else length
    if len(text) <= WIDTH and len(whole) == length:
        return text
    return f"{text[: WIDTH - 3]}... ({length:,} characters)"


def call_text(name: str, args: JsonObject) -> str:
    """Format a tool call as Python code.

    Example:
        >>> from agy_nb.wire.summaries.wording import call_text
        >>> call_text("get_weather", {"city": "Rome", "days": 2})
        'get_weather(city="Rome", days=2)'
    """
    written = ", ".join(f"{key}={_json(it)}" if key else _json(it) for key, it in args.items())
    return f"{name}({shortened(written)})"


def prompt_text(prompt: Prompt) -> str:
    """Format a prompt as text; media by their type and size."""
    parts = []
    for part in prompt:
        if isinstance(part, MediaPart):
            parts.append(f"[{part.mime_type}, {counted(len(part.data), 'byte')}]")
        elif isinstance(part, SlashCommandPart):
            parts.append(f"/{part.name}")
        else:
            parts.append(part.text)
    return " ".join(parts)


def answer_text(answer: Answer, asked: AskedQuestion | None) -> str:
    """Format an answer with the words of the chosen options."""
    if answer.skipped:
        return "skipped"
    options = {} if asked is None else {option.id: option.text for option in asked.options}
    chosen = [options.get(key, key) for key in answer.selected]
    return shortened(", ".join(filter(None, (*chosen, answer.text))))


def usage_text(usage: TokenUsage) -> str:
    """Format the tokens of one or more model calls.

    Example:
        >>> from agy_nb.protocol.values import TokenUsage
        >>> from agy_nb.wire.summaries.wording import usage_text
        >>> usage_text(TokenUsage(input_tokens=1200, output_tokens=34, total_tokens=1234))
        '1,234 tokens (1,200 in, 34 out)'
    """
    counts = (
        (usage.input_tokens, "in"),
        (usage.cache_read_tokens, "cached"),
        (usage.tool_use_tokens, "from tools"),
        (usage.output_tokens, "out"),
        (usage.reasoning_tokens, "thinking"),
    )
    words = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    total = "? tokens" if usage.total_tokens is None else tokens_text(usage.total_tokens)
    tier = f", {usage.service_tier}" if usage.service_tier else ""
    return f"{total}{f' ({words}{tier})' if words else ''}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
