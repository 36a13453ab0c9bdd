r"""The Gemini API as the harness uses it.

Observed on the wire: `POST /v1beta/models/{model}:streamGenerateContent?alt=sse`, answered by
server-sent events `data: {json}\r\n\r\n`, each a `GenerateContentResponse`; the last one has
the finish reason and the usage. Nothing marks the end.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

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

REASONS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

MESSAGES = {
    400: "Request contains an invalid argument.",
    401: "API keys are not supported by this API.",
    403: "The caller does not have permission.",
    404: "Requested entity was not found.",
    429: "Resource has been exhausted (e.g. check quota).",
    500: "An internal error has occurred.",
    503: "The model is overloaded. Please try again later.",
    504: "Deadline expired before operation could complete.",
}


class GeminiDialect:
    """Reads and writes the Gemini form."""

    name = "gemini"

    def system_text(self, body: Mapping[str, Any]) -> str:
        """See `Dialect`."""
        return "".join(_texts(body.get("systemInstruction") or {}))

    def user_texts(self, body: Mapping[str, Any]) -> list[str]:
        """See `Dialect`."""
        turns = (item for item in _contents(body) if item.get("role") == "user")
        texts = ("\n".join(_texts(item)) for item in turns)
        return [text for text in texts if text]

    def tool_results(self, body: Mapping[str, Any]) -> tuple[SentToolResult, ...]:
        """See `Dialect`."""
        found: list[SentToolResult] = []
        for item in reversed(_contents(body)):
            answers = [
                part["functionResponse"]
                for part in item.get("parts") or ()
                if "functionResponse" in part
            ]
            # The harness sends tool results with the role of the model.
            if not answers and item.get("role") == "model":
                break
            found[:0] = [
                SentToolResult(answer.get("name", ""), _output(answer), answer.get("id", ""))
                for answer in answers
            ]
        return tuple(found)

    def tools(self, body: Mapping[str, Any]) -> tuple[DeclaredTool, ...]:
        """See `Dialect`."""
        return tuple(
            DeclaredTool(
                item.get("name", ""),
                item.get("description", ""),
                item.get("parametersJsonSchema") or item.get("parameters") or {},
            )
            for tool in body.get("tools") or ()
            for item in tool.get("functionDeclarations") or ()
        )

    def session(self, body: Mapping[str, Any]) -> str:
        """See `Dialect`."""
        return str(body.get("sessionId") or "")

    def chunks(self, turn: ModelTurn, request: ModelRequest) -> Iterator[bytes]:
        """See `Dialect`."""
        if turn.block_reason is not None:
            return
        # Most events differ in one text only, so the rest of their JSON is made once.
        tail = f'}}]}},"index":0}}],{json.dumps(_signature(request))[1:-1]}'
        chunks = [chunk for part in turn.parts for chunk in _part_chunks(part)]
        for number, chunk in enumerate(chunks, 1):
            so_far = ""
            if turn.metering == "every_chunk":
                usage = _counts(turn, request)["usageMetadata"]
                output = usage["candidatesTokenCount"] * number // (len(chunks) + 1)
                usage["totalTokenCount"] += output - usage["candidatesTokenCount"]
                usage["candidatesTokenCount"] = output
                so_far = f',"usageMetadata":{json.dumps(usage)}'
            yield (_EVENT_HEAD + chunk + tail + so_far + "}\r\n\r\n").encode()

    def ending(self, turn: ModelTurn, request: ModelRequest) -> bytes:
        """See `Dialect`."""
        last = {**_ending(turn), **_signature(request), **_usage(turn, request)}
        return f"data: {json.dumps(last)}\r\n\r\n".encode()

    def document(self, turn: ModelTurn, request: ModelRequest) -> bytes:
        """See `Dialect`."""
        answer = _ending(turn)
        if turn.block_reason is None:
            parts = [
                json.loads(f"{{{chunk}}}") for part in turn.parts for chunk in _part_chunks(part)
            ]
            answer["candidates"][0]["content"]["parts"] = parts
        return json.dumps({**answer, **_signature(request), **_usage(turn, request)}).encode()

    def error(self, error: HttpError) -> bytes:
        """See `Dialect`."""
        reason = error.reason or REASONS.get(error.status, "UNKNOWN")
        message = error.message or MESSAGES.get(error.status, f"HTTP status {error.status}.")
        details: list[dict[str, Any]] = []
        if error.retry_delay is not None:
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            details.append({"@type": kind, "retryDelay": f"{error.retry_delay:g}s"})
        answer: dict[str, Any] = {"code": error.status, "message": message, "status": reason}
        if details:
            answer["details"] = details
        return json.dumps({"error": answer}).encode()


_EVENT_HEAD = 'data: {"candidates":[{"content":{"role":"model","parts":[{'


def _contents(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(body.get("contents") or ())


def _texts(content: Mapping[str, Any]) -> Iterable[str]:
    return (part["text"] for part in content.get("parts") or () if part.get("text"))


def _output(answer: Mapping[str, Any]) -> str:
    response = answer.get("response") or {}
    output = response.get("output")
    return output if isinstance(output, str) else json.dumps(response)


def _part_chunks(part: object) -> Iterator[str]:
    """Yield the fields of each chunk's part, as JSON without the braces."""
    match part:
        case ScriptText(chunks):
            yield from (f'"text":{json.dumps(chunk)}' for chunk in chunks)
        case ScriptThought(chunks):
            yield from (f'"text":{json.dumps(chunk)},"thought":true' for chunk in chunks)
        case FunctionCall(name, args, call_id):
            known = {"name": name, "args": dict(args)} | ({"id": call_id} if call_id else {})
            yield f'"functionCall":{json.dumps(known)}'
        case InlineImage(data, mime_type):
            known = {"mimeType": mime_type, "data": base64.b64encode(data).decode()}
            yield f'"inlineData":{json.dumps(known)}'


def _ending(turn: ModelTurn) -> dict[str, Any]:
    if turn.block_reason is not None:
        return {"promptFeedback": {"blockReason": turn.block_reason}}
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": []}, "index": 0}
    if turn.finish_reason is not None:
        candidate["finishReason"] = turn.finish_reason
    return {"candidates": [candidate]}


def _signature(request: ModelRequest) -> dict[str, str]:
    return {"modelVersion": request.model, "responseId": f"scripted-{request.number}"}


def _usage(turn: ModelTurn, request: ModelRequest) -> dict[str, Any]:
    return {} if turn.metering == "never" else _counts(turn, request)


def _counts(turn: ModelTurn, request: ModelRequest) -> dict[str, Any]:
    counts = count(turn, request.size)
    usage: dict[str, Any] = {
        "promptTokenCount": counts.prompt,
        "cachedContentTokenCount": counts.cached,
        "candidatesTokenCount": counts.candidates,
        "thoughtsTokenCount": counts.thoughts,
        "totalTokenCount": counts.total,
    }
    if turn.service_tier is not None:
        usage["serviceTier"] = turn.service_tier
    return {"usageMetadata": usage}
