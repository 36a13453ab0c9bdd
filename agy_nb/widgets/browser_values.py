"""Values of the wire, which are JSON that may say anything, as values of the protocol."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from agy_nb.analysis.tokens import Tokens
from agy_nb.analysis.wiretools import BUILTIN
from agy_nb.cassette.format import Frame
from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    JsonObject,
    MediaPart,
    PromptPart,
    QuestionOption,
    SlashCommandPart,
    TextPart,
    TokenUsage,
)


def usage_of(tokens: Tokens) -> TokenUsage:
    """A reading of the harness's counter."""
    return TokenUsage(
        input_tokens=tokens.input,
        cache_read_tokens=tokens.cached,
        output_tokens=tokens.output,
        reasoning_tokens=tokens.reasoning,
        total_tokens=tokens.total,
        service_tier=tokens.tier,
    )


def piece_of(body: Frame, delta: str, whole: str, told: int, *, over: bool) -> str:
    """What a step update adds to a text: its delta, or at the end what no delta had told."""
    piece = str(body.get(delta) or "")
    return piece or (str(body.get(whole) or "")[told:] if over else "")


def harness_tool(body: Frame) -> tuple[str, JsonObject, str | None]:
    """The tool that the harness runs in a step: name (empty if none), arguments, MCP server."""
    mcp = body.get("mcpTool")
    if isinstance(mcp, dict):
        server = str(mcp.get("serverName") or "mcp")
        return str(mcp.get("toolName") or "?"), object_of(mcp.get("argumentsJson")), server
    for key, tool in BUILTIN.items():
        if key in body:
            return tool, object_of(body[key]), None
    return "", {}, None


def json_of(text: Any) -> Any:  # noqa: ANN401 - JSON
    """What a JSON text says; the text itself where it is none."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text


def object_of(value: Any) -> JsonObject:  # noqa: ANN401 - JSON
    """Arguments, as an object or as the JSON text of one."""
    found = json_of(value)
    if isinstance(found, dict):
        return found
    return {} if found is None else {"": found}


def question_id(body: Frame) -> str:
    """What ties answers to their questions."""
    return f"question-{body.get('trajectoryId', '')}:{body.get('stepIndex', 0)}"


def question_of(body: Frame) -> AskedQuestion:
    """One question of the model."""
    asked = body.get("multipleChoice") or {}
    choices = asked.get("choices") or ()
    return AskedQuestion(
        question=str(asked.get("question") or ""),
        options=tuple(
            QuestionOption(id=str(number), text=str(choice))
            for number, choice in enumerate(choices, 1)
        ),
        multiple=bool(asked.get("isMultiSelect")),
    )


def answer_of(body: Frame) -> Answer:
    """The answer to one question."""
    given = body.get("multipleChoiceAnswer") or {}
    selected = tuple(str(int(index) + 1) for index in given.get("selectedChoiceIndices") or ())
    text = str(given.get("freeformResponse") or "")
    return Answer(selected=selected, text=text, skipped=not (selected or text))


def part_of(part: Frame) -> PromptPart:
    """One part of a prompt."""
    media = part.get("media")
    if isinstance(media, dict):
        mime_type = str(media.get("mimeType") or "application/octet-stream")
        kind = mime_type.partition("/")[0]
        return MediaPart(
            kind=kind if kind in ("image", "audio", "video") else "document",  # type: ignore[arg-type]
            mime_type=mime_type,
            data=_bytes(media.get("data")),
            description=str(media.get("description") or "") or None,
        )
    command = part.get("slashCommand")
    if isinstance(command, dict):
        return SlashCommandPart(name=str(command.get("name") or "?"))
    return TextPart(text=str(part.get("text") or ""))


def _bytes(data: Any) -> bytes:  # noqa: ANN401 - JSON
    try:
        return base64.b64decode(str(data or ""))
    except (ValueError, binascii.Error):
        return b""
