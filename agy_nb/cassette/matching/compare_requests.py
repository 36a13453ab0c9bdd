"""Compare requests to a model by what they ask, without what the harness adds.

`harness_parts` knows what the harness adds. The words of the user, of tools and of the
configuration must be equal, also if they look like an id or a time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.harness_parts import TIMES, in_strings, without_harness_parts

T = TypeVar("T")
_COMMAND = "run_command"
_HOST_RESULT = (f"{TIMES}Tool response for ", f"{TIMES}Tool {_COMMAND} failed with error ")
_TIME = re.compile(
    r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z| ?[+-]\d\d:?\d\d)?"
    r"|\b\d{1,9}(?:\.\d{1,9})? ?(?:ms|µs|s)\b"
)


def canonical_body(body: bytes | str | None) -> Any:
    """Return a request's body without what the harness adds; the text itself if it is not JSON."""
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body or b""
    try:
        data = json.loads(raw)
        return without_harness_parts(data)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")


@lru_cache(maxsize=2048)
def body_digest(body: bytes | str | None) -> str:
    """Return a digest of what a body asks, so that each body is read once."""
    text = json.dumps(canonical_body(body), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def first_alike(
    recorded: Iterable[T],
    actual: bytes | str | None,
    body_of: Callable[[T], bytes | str | None],
    comparer: Comparer,
) -> T | None:
    """Return the first request whose body is like another one, None if there is none.

    Redaction marks in a recorded body stand for any text. Times and durations in the output of
    commands do not count either: commands run again.

    Args:
        recorded: The recorded requests.
        actual: The body that came.
        body_of: Returns the body of a recorded request.
        comparer: Compares them.
    """
    now = _without_command_times(canonical_body(actual))
    for each in recorded:
        then = _without_command_times(canonical_body(body_of(each)))
        if comparer.first(then, now) is None:
            return each
    return None


def _without_command_times(value: Any) -> Any:
    """Replace times in the outputs of the harness's commands by a constant."""
    if isinstance(value, list):
        return [_without_command_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("name") == _COMMAND:
        return in_strings(value, _without_times)
    return {name: _without_command_times(item) for name, item in value.items()}


def _without_times(text: str) -> str:
    if not text.startswith(TIMES) or text.startswith(_HOST_RESULT):
        return text  # arguments of a call, or the result of a host tool with that name
    return _TIME.sub("<time>", text)
