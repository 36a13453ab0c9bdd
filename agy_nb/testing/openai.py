r"""The OpenAI chat-completions form, as `LocalOpenAIAgentConfig` makes the harness use it.

Observed on the wire: `POST {base_url}/v1/chat/completions` (a `/v1` at the end of the base URL
is not doubled) with `stream` and `stream_options.include_usage`; answered by server-sent events
`data: {json}\n\n`, a chunk of usage without choices, and `data: [DONE]`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from agy_nb.testing.gemini import MESSAGES, REASONS
from agy_nb.testing.model_request import DeclaredTool, ModelRequest, SentToolResult
from agy_nb.testing.script.model_turn import (
    FunctionCall,
    HttpError,
    InlineImage,
    ModelTurn,
    ScriptText,
    ScriptThought,
)
from agy_nb.testing.token_estimates import count

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "BLOCKLIST": "content_filter",
}

CREATED = 1_700_000_000  # a fixed time, so that answers are the same in every run


class OpenAIDialect:
    """Reads and writes the OpenAI form."""

    name = "openai"

    def system_text(self, body: Mapping[str, Any]) -> str:
        """See `Dialect`."""
        found = (item for item in _messages(body) if item.get("role") in ("system", "developer"))
        return "\n".join(_content_text(item) for item in found)

    def user_texts(self, body: Mapping[str, Any]) -> list[str]:
        """See `Dialect`."""
        found = (_content_text(item) for item in _messages(body) if item.get("role") == "user")
        return [text for text in found if text]

    def tool_results(self, body: Mapping[str, Any]) -> tuple[SentToolResult, ...]:
        """See `Dialect`."""
        messages = _messages(body)
        names = {
            made.get("id"): (made.get("function") or {}).get("name", "")
            for item in messages
            for made in item.get("tool_calls") or ()
        }
        found: list[SentToolResult] = []
        for item in reversed(messages):
            if item.get("role") == "assistant":
                break
            if item.get("role") == "tool":
                call_id = item.get("tool_call_id", "")
                found.insert(
                    0, SentToolResult(names.get(call_id, ""), _content_text(item), call_id)
                )
        return tuple(found)

    def tools(self, body: Mapping[str, Any]) -> tuple[DeclaredTool, ...]:
        """See `Dialect`."""
        declared = (item.get("function") or {} for item in body.get("tools") or ())
        return tuple(
            DeclaredTool(
                item.get("name", ""), item.get("description", ""), item.get("parameters") or {}
            )
            for item in declared
        )

    def session(self, body: Mapping[str, Any]) -> str:
        """See `Dialect`."""
        return str(body.get("user") or "")

    def chunks(self, turn: ModelTurn, request: ModelRequest) -> Iterator[bytes]:
        """See `Dialect`."""
        head = json.dumps(_envelope(request, "chat.completion.chunk"))[:-1]
        for delta in _deltas(turn, request):
            yield (
                f'data: {head},"choices":[{{"index":0,"delta":{{{delta}}},"finish_reason":null}}]}}'
                "\n\n"
            ).encode()

    def ending(self, turn: ModelTurn, request: ModelRequest) -> bytes:
        """See `Dialect`."""
        envelope = _envelope(request, "chat.completion.chunk")
        choice = {"index": 0, "delta": {}, "finish_reason": _finish_reason(turn)}
        last = json.dumps({**envelope, "choices": [choice]})
        usage = json.dumps({**envelope, "choices": [], **_usage(turn, request)})
        return f"data: {last}\n\ndata: {usage}\n\ndata: [DONE]\n\n".encode()

    def document(self, turn: ModelTurn, request: ModelRequest) -> bytes:
        """See `Dialect`."""
        thoughts = "".join(
            "".join(part.chunks) for part in turn.parts if isinstance(part, ScriptThought)
        )
        message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
        if thoughts:
            message["reasoning_content"] = thoughts
        if calls := _calls(turn, request):
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": _finish_reason(turn)}
        envelope = _envelope(request, "chat.completion")
        return json.dumps({**envelope, "choices": [choice], **_usage(turn, request)}).encode()

    def error(self, error: HttpError) -> bytes:
        """See `Dialect`."""
        message = error.message or MESSAGES.get(error.status, f"HTTP status {error.status}.")
        reason = error.reason or REASONS.get(error.status, "UNKNOWN")
        answer = {"message": message, "type": reason.lower(), "param": None, "code": error.status}
        return json.dumps({"error": answer}).encode()


def _messages(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(body.get("messages") or ())


def _content_text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("text"))


def _envelope(request: ModelRequest, kind: str) -> dict[str, Any]:
    return {
        "id": f"scripted-{request.number}",
        "object": kind,
        "created": CREATED,
        "model": request.model,
    }


def _calls(turn: ModelTurn, request: ModelRequest) -> list[dict[str, Any]]:
    calls = (part for part in turn.parts if isinstance(part, FunctionCall))
    return [
        {
            "id": call.id or f"call_{request.number}_{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(dict(call.args))},
        }
        for index, call in enumerate(calls)
    ]


def _deltas(turn: ModelTurn, request: ModelRequest) -> Iterator[str]:
    """Yield the fields of each chunk's delta, as JSON without the braces."""
    calls = iter(enumerate(_calls(turn, request)))
    for part in turn.parts:
        match part:
            case ScriptText(chunks):
                yield from (f'"role":"assistant","content":{json.dumps(text)}' for text in chunks)
            case ScriptThought(chunks):
                yield from (
                    f'"role":"assistant","reasoning_content":{json.dumps(text)}' for text in chunks
                )
            case FunctionCall():
                index, known = next(calls)
                yield f'"role":"assistant","tool_calls":[{json.dumps({"index": index, **known})}]'
            case InlineImage(data, mime_type):
                url = f"data:{mime_type};base64,{base64.b64encode(data).decode()}"
                picture = json.dumps([{"type": "image_url", "image_url": {"url": url}}])
                yield f'"role":"assistant","images":{picture}'


def _finish_reason(turn: ModelTurn) -> str | None:
    if turn.block_reason is not None:
        return "content_filter"
    if turn.finish_reason is None:
        return None
    if turn.finish_reason == "STOP" and any(isinstance(part, FunctionCall) for part in turn.parts):
        return "tool_calls"
    return FINISH_REASONS.get(turn.finish_reason, turn.finish_reason.lower())


def _usage(turn: ModelTurn, request: ModelRequest) -> dict[str, Any]:
    counts = count(turn, request.size)
    if turn.metering == "never":
        return {}
    usage: dict[str, Any] = {
        "usage": {
            "prompt_tokens": counts.prompt,
            "completion_tokens": counts.candidates + counts.thoughts,
            "total_tokens": counts.total,
            "prompt_tokens_details": {"cached_tokens": counts.cached},
            "completion_tokens_details": {"reasoning_tokens": counts.thoughts},
        }
    }
    if turn.service_tier is not None:
        usage["service_tier"] = turn.service_tier
    return usage
