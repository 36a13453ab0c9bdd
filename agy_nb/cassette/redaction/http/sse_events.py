"""Streamed bodies without secrets, also those that lie across several events.

A model streams its answer as events, each a JSON object with the next piece of text. A key cut in
two by an event's end looks like nothing in the body as it stands, so the pieces that belong
together are joined: those at the same place in each event.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from agy_nb.cassette.redaction.split_text import PieceRedactor, clean_pieces
from agy_nb.wire.json_values import dump_json

Chunk: TypeAlias = list[Any]
"""Bytes, and seconds since the chunk before."""

_LINES = re.compile(r"(?<=\n)")
_EVENT = re.compile(r"(data:[ ]?)(.*)", re.DOTALL)
_NOT_JOINED = frozenset(
    {"role", "finishReason", "finish_reason", "modelVersion", "model", "responseId", "id", "object",
     "thoughtSignature", "createTime", "traceId", "type", "mimeType", "name"}
)  # fmt: skip
"""Say the same in every event, or are whole in each."""


class _Leaf(NamedTuple):
    holder: Any
    key: Any
    text: str


def clean_stream(
    body: str,
    chunks: Sequence[Chunk],
    redactor: PieceRedactor,
) -> tuple[str, list[Chunk]]:
    """Return a body without secrets, and its chunks.

    Args:
        body: As it came.
        chunks: Bytes and seconds of each of its chunks.
        redactor: Finds the secrets.

    Returns:
        The body, and its chunks; one chunk where a secret lay across the bounds of lines.
    """
    lines = _LINES.split(body)
    clean = _lines(lines, redactor)
    joined = "".join(clean)
    whole = redactor.text(joined)
    if whole != joined:
        return whole, [[len(whole.encode("utf-8", "replace")), sum(dt for _, dt in chunks)]]
    if joined == body:
        return body, list(chunks)
    # A replay delivers the chunks with their times, so their bounds have to move with the text.
    sizes = _moved(lines, clean, [size for size, _ in chunks])
    return joined, [[size, dt] for size, (_, dt) in zip(sizes, chunks, strict=False)]


def changed_stream(
    body: str, chunks: Sequence[Chunk], change: Callable[[str], str]
) -> tuple[str, list[Chunk]]:
    """Change the data of each event, or the whole of a body that is not a stream.

    Args:
        body: The body.
        chunks: Bytes and seconds of each of its chunks.
        change: Gives the new JSON text.

    Returns:
        The body, and its chunks.
    """
    lines = _LINES.split(body) if _EVENT.match(body) else [body]
    changed = [_with(line, change(_data(line))) for line in lines]
    sizes = _moved(lines, changed, [size for size, _ in chunks])
    return "".join(changed), [[size, dt] for size, (_, dt) in zip(sizes, chunks, strict=False)]


def _data(line: str) -> str:
    match = _EVENT.fullmatch(line)
    return (match[2] if match else line).rstrip("\r\n")


def _lines(lines: list[str], redactor: PieceRedactor) -> list[str]:
    """Clean each line by itself and in its place among the others."""
    clean = list(lines)
    if (array := _array("".join(lines))) is not None:
        if _clean_events(array, redactor):
            return [dump_json(array), *[""] * (len(lines) - 1)]
        return clean
    events = dict(_events(lines))
    if events:
        changed = _clean_events(list(events.values()), redactor)
        for number in [number for number, event in events.items() if id(event) in changed]:
            clean[number] = _with(lines[number], dump_json(events[number]))
    for number, line in enumerate(clean):
        if (known := redactor.text(data := _data(line))) != data:
            clean[number] = _with(line, known)
    return clean


def _with(line: str, data: str) -> str:
    match = _EVENT.fullmatch(line)
    end = line[len(line.rstrip("\r\n")) :]
    return f"{match[1] if match else ''}{data}{end}"


def _events(lines: list[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines):
        match = _EVENT.fullmatch(line)
        if match is not None:
            try:
                yield number, json.loads(match[2])
            except (ValueError, RecursionError):
                continue


def _array(body: str) -> list[Any] | None:
    """Return the events of a body that is one JSON array, as models give it that do not stream."""
    if not body.lstrip().startswith("["):
        return None
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _clean_events(events: list[Any], redactor: PieceRedactor) -> set[int]:
    """Clean pieces that belong together; return the ids of the events that changed."""
    changed: set[int] = set()
    # By their exact place, and by the kind of place: a thought before a text moves it.
    for exact in (True, False):
        groups: dict[tuple[Any, ...], list[tuple[Any, _Leaf]]] = {}
        for event in events:
            for place, leaf in _leaves(event, (), exact=exact):
                groups.setdefault(place, []).append((event, leaf))
        for group in groups.values():
            if len(group) < 2:
                continue
            pieces = [leaf.text for _, leaf in group]
            for (event, leaf), known in zip(group, clean_pieces(pieces, redactor), strict=True):
                if known != leaf.text:
                    leaf.holder[leaf.key] = known
                    changed.add(id(event))
    return changed


def _leaves(
    value: Any,
    place: tuple[Any, ...],
    *,
    exact: bool,
) -> Iterator[tuple[tuple[Any, ...], _Leaf]]:
    if isinstance(value, dict):
        kind = () if exact else (bool(value.get("thought")),)
        for key, item in value.items():
            if isinstance(item, str):
                if key not in _NOT_JOINED:
                    yield (*place, *kind, key), _Leaf(value, key, item)
            else:
                yield from _leaves(item, (*place, key), exact=exact)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, (*place, number) if exact else place, exact=exact)


def _moved(lines: list[str], clean: list[str], sizes: list[int]) -> list[int]:
    """Return the sizes of the chunks after some lines have changed their length."""
    before, after, bounds = 0, 0, [0]
    ends = deque(itertools.accumulate(sizes))
    for old, new in zip(lines, clean, strict=True):
        size, now = len(old.encode()), len(new.encode())
        while ends and ends[0] <= before + size:
            inside = ends.popleft() - before
            # A character must not be cut: inside of a changed line a chunk takes all of it.
            bounds.append(after + (inside if old == new else now))
        before, after = before + size, after + now
    return [b - a for a, b in itertools.pairwise(bounds)]
