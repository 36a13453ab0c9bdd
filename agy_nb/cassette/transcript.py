"""A session as a person reads it, and two sessions side by side."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from agy_nb.cassette.fold import Fold, fold
from agy_nb.cassette.format import Line, read_lines
from agy_nb.cassette.recording import load
from agy_nb.wire.frames import kind_of

_WIDTH = 200


def transcript(path: Path) -> Iterator[str]:
    """What was said and done, a line each, read frame by frame.

    Raises:
        CassetteInvalid: A line is damaged.
    """
    session = None
    for line in read_lines(path):
        if line.session != session:
            session = line.session
            yield f"session {session}"
        text = _client(line) if line.direction == "client" else _harness(line)
        if text:
            yield f"  {text}"


def _client(line: Line) -> str:
    kind = kind_of(line.frame)
    body = line.frame.get(kind)
    match kind:
        case "config" if isinstance(body, dict):
            models = [str(model.get("name")) for model in body.get("models") or ()]
            tools = [str(tool.get("name")) for tool in body.get("tools") or ()]
            return f"config   models: {', '.join(models)}; tools: {', '.join(tools) or 'none'}"
        case "userInput":
            parts = body.get("parts", ()) if isinstance(body, dict) else ()
            return f"user     {_short(' '.join(map(_part, parts)))}"
        case "toolResponse" if isinstance(body, dict):
            return f"result   {_short(body.get('errorMessage') or body.get('responseJson'))}"
        case "policyDecisionResponse" if isinstance(body, dict):
            outcome = str(body.get("outcome", "")).rpartition("OUTCOME_")[2]
            return f"decision {outcome.lower()} {body.get('denyReason') or ''}".rstrip()
        case "haltRequest":
            return "cancel"
        case "questionResponse":
            return f"answer   {_short(json.dumps(body))}"
    return ""


def _harness(line: Line) -> str:
    kind = kind_of(line.frame)
    body = line.frame.get(kind)
    if line.direction == "end":
        return f"end      by the {line.frame.get('by', '?')}"
    if not isinstance(body, dict):
        return ""
    match kind:
        case "stepUpdate" if body.get("state") in ("STATE_DONE", "STATE_ERROR"):
            return _step(body)
        case "toolCall":
            return f"call     {body.get('name')}({_short(body.get('argumentsJson'))})"
        case "usageUpdate":
            total = body.get("total") or {}
            return f"usage    {total.get('totalTokenCount', '?')} tokens in all"
    return ""


def _step(body: dict[str, Any]) -> str:
    who = "subagent" if body.get("parentTrajectoryId") else "model   "
    if body.get("state") == "STATE_ERROR":
        error = body.get("errorMessage") or (body.get("error") or {}).get("errorMessage")
        return f"error    {_short(error)}"
    if body.get("source") != "SOURCE_MODEL" or "customTool" in body:
        return ""
    thought = f"({_short(body['thinking'])}) " if body.get("thinking") else ""
    return f"{who} {thought}{_short(body.get('text'))}"


PARTS = ("config", "prompt", "agents", "calls", "answers", "state", "usage", "end")
"""What a session's fold is made of; `agents` is what they said and did, step by step."""


def differences(
    one: Path,
    other: Path,
    *,
    parts: Collection[str] = PARTS,
    names: tuple[str, str] | None = None,
) -> Iterator[str]:
    """Where two cassettes differ in what they add up to, by session and turn.

    Args:
        one: A cassette's folder.
        other: Another's.
        parts: What to compare, of `PARTS`.
        names: What to call the two; their folders by default.

    Raises:
        CassetteError: One of them cannot be read.
    """
    called = (str(one), str(other)) if names is None else names
    sessions = zip_longest(load(one).sessions, load(other).sessions)
    for number, (left, right) in enumerate(sessions):
        if left is None or right is None:
            yield f"session {number}: only in {called[right is not None]}"
            continue
        yield from _session(number, fold(left), fold(right), called, parts)


def _session(
    number: int, left: Fold, right: Fold, names: tuple[str, str], parts: Collection[str]
) -> Iterator[str]:
    if "config" in parts and left["config"] != right["config"]:
        yield f"session {number}: the configurations differ"
    for turn, (a, b) in enumerate(zip_longest(left["turns"], right["turns"])):
        where = f"session {number}, turn {turn}"
        if a is None or b is None:
            yield f"{where}: only in {names[0] if b is None else names[1]}"
            continue
        for part in ("prompt", "agents", "calls", "answers", "state"):
            if part in parts and a.get(part) != b.get(part):
                yield f"{where}: {part} differ" if part != "prompt" else f"{where}: prompt differs"
                yield from _diff(a.get(part), b.get(part), names)
    for part in ("usage", "end"):
        if part in parts and left[part] != right[part]:
            yield f"session {number}: {part} differs"
            yield from _diff(left[part], right[part], names)


def _diff(a: Any, b: Any, names: tuple[str, str]) -> Iterator[str]:  # noqa: ANN401 - JSON
    one, other = (
        json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
        for value in (a, b)
    )
    for line in difflib.unified_diff(one, other, *names, lineterm="", n=1):
        yield f"  {line}"


def _part(part: Any) -> str:  # noqa: ANN401 - JSON
    if not isinstance(part, dict):
        return "?"
    if "text" in part:
        return str(part["text"])
    media = part.get("media")
    return f"[{media.get('mimeType', 'media')}]" if isinstance(media, dict) else "[part]"


def _short(value: Any) -> str:  # noqa: ANN401 - anything
    text = " ".join(str(value if value is not None else "").split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
