"""The recorded HTTP requests to the model, with the usage and status of their responses.

A cassette has them in `model.yaml`, or in `model.jsonl` after a crash. Bodies are those that were
recorded, after redaction. Responses are read as far as they can be; a part that makes no sense
counts as missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from agy_nb.analysis.builders.subagent_types import TOOL as SUBAGENT_TOOL
from agy_nb.protocol.values import TokenUsage
from agy_nb.wire import frames as f
from agy_nb.wire.json_values import json_of, object_of, objects_of, text_of
from agy_nb.wire.parsing import json_parser
from agy_nb.wire.reader_state import Connection
from agy_nb.wire.token_counters import UsageReader

Status: TypeAlias = Literal["metered", "refused", "usage_unknown", "cut"]

_CONVERSATION = re.compile(r"Conversation ID: ([0-9a-f]{32})\b")
_INSTRUCTION = '"systemInstruction":'
_MODEL = re.compile(r"/models/([^/:?]+)")
_OPENAI_MODEL = re.compile(r'"model":\s*"([^"\\]+)"')
_TIER = re.compile(r'"service_?[tT]ier":\s*"([^"\\]+)"')
_TIER_HEADER = "x-gemini-service-tier"
_TELLING = (
    "usageMetadata",
    '"usage"',
    f'"{SUBAGENT_TOOL}"',
    "finishReason",
    "finish_reason",
    "groundingMetadata",
)
_FIRST_FAILURE = 400
_NEVER_SENT = re.compile(r"connection refused|cannot connect|name or service", re.IGNORECASE)

_parse = json_parser()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One recorded request to the model.

    Attributes:
        conversation: Id of the trajectory that asked, None for a request of a built-in tool.
        tool: The built-in tool that asked, None for an agent or a subagent.
        prompt: Text of a built-in tool's request.
        model: Name of the model.
        http_status: HTTP status, None without a response.
        status: How it ended, as in `model_calls`.
        usage: Reported tokens, None if there are none. Those of a request that was cut are the
            tokens so far.
        finish_reason: Why the model stopped.
        model_version: Model that answered, as it reports.
        n_searches: Web searches of the model.
        requested_tier: Service tier that the request asks for.
        subagents: Arguments of the calls in the answer that start subagents.
        started_at: Start, in seconds since the Unix epoch; None in older recordings.
        first_after: Seconds from the start to the first byte of the body.
        ended_after: Seconds from the start to the end.
        request_bytes: Length of the request's body.
        response_bytes: Length of the response's body.
    """

    conversation: str | None
    tool: str | None
    prompt: str
    model: str | None
    http_status: int | None
    status: Status
    usage: TokenUsage | None
    finish_reason: str | None
    model_version: str | None
    n_searches: int | None
    requested_tier: str | None
    subagents: tuple[f.Frame, ...]
    started_at: float | None
    first_after: float | None
    ended_after: float | None
    request_bytes: int
    response_bytes: int


def read_requests(folder: Path) -> list[RecordedRequest]:
    """Read the recorded requests of a cassette, in the order of their ends.

    Raises:
        CassetteInvalidError: A file cannot be read.
    """
    from agy_nb.cassette.storage.model_log import has_model, read_model

    return [_request(each) for each in read_model(folder)] if has_model(folder) else []


def _request(interaction: Mapping[str, Any]) -> RecordedRequest:
    from agy_nb.cassette.http.response_fields import END

    request, response = interaction["request"], interaction["response"]
    body, size = _text(request.get("body"))
    conversation = _conversation(body)
    tool = None if conversation else _tool(body)
    answer, answer_size = _text(response["body"]["string"])
    code, end = int(response["status"]["code"]), response.get(END, "ok")
    told = _Answer(answer, _header(response, _TIER_HEADER))
    asked_tier = _TIER.search(body)
    started, first, ended = _times(response)
    return RecordedRequest(
        conversation=conversation,
        tool=tool,
        prompt=body if tool else "",
        model=_model(str(request["uri"]), body),
        http_status=code or None,
        status=_status(code, end, told, str(response["status"].get("message"))),
        usage=_with_tier(told.usage, told.tier) if code < _FIRST_FAILURE else None,
        finish_reason=told.finish_reason,
        model_version=told.model_version,
        n_searches=told.n_searches,
        subagents=told.subagents,
        requested_tier=None if asked_tier is None else asked_tier[1],
        started_at=started,
        first_after=first,
        ended_after=ended,
        request_bytes=size,
        response_bytes=answer_size,
    )


def _status(code: int, end: str, told: _Answer, words: str) -> Status:
    if code >= _FIRST_FAILURE or (not code and _NEVER_SENT.search(words)):
        return "refused"
    if end != "ok" and (told.finish_reason is None or told.usage is None):
        return "cut"
    return "usage_unknown" if told.usage is None else "metered"


def _text(body: Any) -> tuple[str, int]:
    if isinstance(body, bytes):
        return body.decode(errors="replace"), len(body)
    text = body or ""
    return text, len(text.encode(errors="replace"))


def _conversation(body: str) -> str | None:
    """Return the trajectory of a request: the harness names it in the system instruction.

    A prompt can quote such a line too, so look behind the prompts first.
    """
    place = body.rfind(_INSTRUCTION)
    if place < 0 and '"messages":' not in body:  # as OpenAI's, which begins with the instruction
        return None
    found = _CONVERSATION.search(body, max(0, place))
    return None if found is None else found[1]


def _tool(body: str) -> str | None:
    try:
        data = object_of(_parse(body))
    except (ValueError, RecursionError):
        return None
    if any("googleSearch" in tool for tool in objects_of(data.get("tools"))):
        return "search_web"
    kinds = object_of(data.get("generationConfig")).get("responseModalities")
    is_image = isinstance(kinds, list) and any(str(kind).lower() == "image" for kind in kinds)
    return "generate_image" if is_image else None


def _model(uri: str, body: str) -> str | None:
    found = _MODEL.search(unquote(urlsplit(uri).path)) or _OPENAI_MODEL.search(body)
    return None if found is None else found[1]


def _times(response: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    """Return the start, and the seconds until the first byte and the end."""
    from agy_nb.cassette.http.response_fields import CHUNKS, HEADERS_AFTER, STARTED

    try:
        started = float(response[STARTED])
        waited = float(response[HEADERS_AFTER])
        pauses = [float(dt) for _, dt in response.get(CHUNKS) or ()]
    except (KeyError, TypeError, ValueError):
        return None, None, None
    return started, waited + pauses[0] if pauses else None, waited + sum(pauses)


class _Answer:
    """What a response reports: the latest of each value, because usage is cumulative."""

    def __init__(self, body: str, tier: str | None = None) -> None:
        self.usage: TokenUsage | None = None
        self.tier = tier
        self.subagents: tuple[f.Frame, ...] = ()
        self.finish_reason: str | None = None
        self.model_version: str | None = None
        self.n_searches: int | None = None
        for event in _events(body):
            self.tier = _tier(event) or self.tier
            self._read(event)

    def _read(self, event: f.Frame) -> None:
        counts = event.get("usageMetadata")
        if isinstance(counts, dict) and counts:
            self.usage = UsageReader(Connection()).reading(counts, 0.0)
        elif isinstance(event.get("usage"), dict):
            self.usage = _openai_usage(event["usage"])
        version = event.get("modelVersion") or event.get("model")
        self.model_version = text_of(version) or self.model_version
        feedback = object_of(event.get("promptFeedback"))
        reason = text_of(feedback.get("blockReason"))
        for each in (*objects_of(event.get("candidates")), *objects_of(event.get("choices"))):
            reason = text_of(each.get("finishReason") or each.get("finish_reason")) or reason
            self.subagents += tuple(_subagents(each))
            searches = object_of(each.get("groundingMetadata")).get("webSearchQueries")
            if isinstance(searches, list):
                self.n_searches = len(searches)
        self.finish_reason = reason or self.finish_reason


def _subagents(candidate: f.Frame) -> Iterator[f.Frame]:
    """Yield the arguments of calls that start subagents."""
    for part in objects_of(object_of(candidate.get("content")).get("parts")):
        call = object_of(part.get("functionCall"))
        if call.get("name") == SUBAGENT_TOOL:
            yield object_of(call.get("args"))
    for call in objects_of(object_of(candidate.get("message")).get("tool_calls")):
        function = object_of(call.get("function"))
        if function.get("name") == SUBAGENT_TOOL:
            yield object_of(json_of(function.get("arguments")))


def _tier(event: f.Frame) -> str | None:
    """Return the service tier that a response reports beside the counts that all models have."""
    counts = object_of(event.get("usageMetadata"))
    return text_of(counts.get("trafficType")) or text_of(event.get("service_tier")) or None


def _with_tier(usage: TokenUsage | None, tier: str | None) -> TokenUsage | None:
    if usage is None or usage.service_tier or not tier:
        return usage
    return replace(usage, service_tier=tier)


def _header(response: Mapping[str, Any], name: str) -> str | None:
    headers = response.get("headers")
    for key, value in headers.items() if isinstance(headers, Mapping) else ():
        if str(key).lower() == name:
            return text_of(value[0] if isinstance(value, list) and value else value) or None
    return None


def _events(body: str) -> Iterator[f.Frame]:
    """Yield the JSON objects of a body that say more than a piece of text."""
    stream = body.lstrip().startswith("data:")
    pieces = [line[5:] for line in body.splitlines() if line.startswith("data:")]
    for piece in pieces if stream else [body]:
        if not stream or piece is pieces[-1] or any(word in piece for word in _TELLING):
            try:
                data = _parse(piece)
            except (ValueError, RecursionError):
                continue
            yield from objects_of(data if isinstance(data, list) else [data])


def _openai_usage(counts: f.Frame) -> TokenUsage:
    def count(name: str, place: f.Frame = counts) -> int | None:
        value = place.get(name)
        return value if type(value) is int and value >= 0 else None

    cached = object_of(counts.get("prompt_tokens_details"))
    thoughts = object_of(counts.get("completion_tokens_details"))
    return TokenUsage(
        input_tokens=count("prompt_tokens"),
        cache_read_tokens=count("cached_tokens", cached),
        output_tokens=count("completion_tokens"),
        reasoning_tokens=count("reasoning_tokens", thoughts),
        total_tokens=count("total_tokens"),
    )
