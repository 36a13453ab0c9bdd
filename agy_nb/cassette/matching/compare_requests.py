"""Requests to a model, compared by meaning.

What differs from run to run in a request's body, as measured: the session's id, the local time, ids
of the conversation and of calls, folders, the operating system's version, times in tool results.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from agy_nb.cassette.redaction import MARK

_VOLATILE_FIELDS = frozenset({"sessionId", "id", "tool_call_id", "session_id"})
_CHANCE = re.compile(
    r"(?P<id>\b[0-9a-f]{32}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<now>(?<=The current local time is: )[^\n]+)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z| ?[+-]\d\d:?\d\d)?)"
    r"|(?P<took>\b\d+(?:\.\d+)?(?:ms|µs|s)\b)"
    r"|(?P<os>(?i:(?<=OS version is )|(?<=operating system is )|(?<=OS: ))[^\n]+)"
)


def canonical_body(body: bytes | str | None) -> Any:
    """A request's body without what differs from run to run; text as it is if it is no JSON."""
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body or b""
    try:
        return _clean(json.loads(raw))
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")


@lru_cache(maxsize=2048)
def body_digest(body: bytes | str | None) -> str:
    """A digest of a body's meaning; comparing bodies costs one hash each, once."""
    text = json.dumps(canonical_body(body), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items() if k not in _VOLATILE_FIELDS}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, str):
        return MARK.sub("<mark>", _CHANCE.sub(lambda match: f"<{match.lastgroup}>", value))
    return value


class PathTranslation:
    """A session's folders, and the marks that stand for them in the recording.

    Args:
        paths: The folders by what they are for, as `wire.frames.paths_of` gives them.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._pairs: list[tuple[str, str]] = []
        for name, path in sorted(paths.items(), key=lambda item: -len(item[1])):
            form, mark = path, name.replace(":", "-")
            for _ in range(3):  # as it is, in JSON, and in JSON inside JSON
                if form not in (known for known, _ in self._pairs):
                    self._pairs.append((form, "{{agy:" + mark + "}}"))
                form, mark = json.dumps(form)[1:-1], f"{mark}-json"
        self._pairs.sort(key=lambda pair: -len(pair[0]))

    def to_marks(self, text: str) -> str:
        """A text fit for the recording."""
        for path, mark in self._pairs:
            text = text.replace(path, mark)
        return text

    def to_paths(self, text: str) -> str:
        """A recorded text in this session's words."""
        for path, mark in self._pairs:
            text = text.replace(mark, path)
        return text
