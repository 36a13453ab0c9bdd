"""Give the model's side of a re-recording the ids and times of the old recording.

Rule 1: an exchange is the old one only if it asks and answers the same.
Rule 2: a changed request keeps the old ids and times, if its meaning is the same.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

from agy_nb.cassette.http.response_fields import CHUNKS, HEADERS_AFTER, STARTED
from agy_nb.cassette.matching.compare_requests import canonical_body
from agy_nb.cassette.record.stable_lines import RenamedIds
from agy_nb.cassette.storage.shared.vcr_file import Interaction

_OF_A_RUN = re.compile(
    r"((?:The current local time is: |Created At: |Completed At: |\[Message\] timestamp="
    r'|"sessionId": ?"))(-?\d[\w:.+-]*\w)'
)
"""Times and the id of the session, which the harness adds to requests."""
_RESPONSE_ID = re.compile(r'("responseId": ?")[^"]*"')
_EVENT_END = re.compile(rb"\r?\n\r?\n")
_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?")
_TIMES = (STARTED, HEADERS_AFTER)


def stable_exchanges(
    old: Sequence[Interaction], new: Sequence[Interaction], ids: RenamedIds
) -> list[Interaction]:
    """Return the exchanges of a re-recording, with what did not change from the old recording.

    Args:
        old: The exchanges of the old recording.
        new: Those of the new one.
        ids: The ids of both recordings.
    """
    renamed = [_renamed(made, ids) for made in new]
    one, other = [_asks(made) for made in old], [_asks(made) for made in renamed]
    if one != other and Counter(one) == Counter(other):  # requests of agents that run side by side
        same: dict[str, deque[Interaction]] = {}
        for asked, made in zip(other, renamed, strict=True):
            same.setdefault(asked, deque()).append(made)
        renamed, other = [same[asked].popleft() for asked in one], one
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    found: list[Interaction] = []
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        before, after = old[start:end], renamed[new_start:new_end]
        if tag == "equal":
            found += [_same_request(*pair) for pair in zip(before, after, strict=True)]
        else:
            found += _changed(before, after)
    return found


def _renamed(made: Interaction, ids: RenamedIds) -> Interaction:
    request, response = made["request"], made["response"]
    return made | {
        "request": request | {"body": ids.value(request.get("body"))},
        "response": response | {"body": ids.value(response["body"])},
    }


def _asks(made: Interaction) -> str:
    request = made["request"]
    asked = [request.get("method"), request.get("uri"), canonical_body(request.get("body"))]
    return json.dumps(asked, sort_keys=True, default=str)


def _same_request(old: Interaction, new: Interaction) -> Interaction:
    return old | {"response": _response(old["response"], new["response"])}


def _changed(old: Sequence[Interaction], new: Sequence[Interaction]) -> Iterator[Interaction]:
    for number, made in enumerate(new):
        if number >= len(old):
            yield made
            continue
        before = old[number]
        yield made | {
            "request": _request(before["request"], made["request"]),
            "response": _response(before["response"], made["response"]),
        }


def _request(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    body = new.get("body")
    if isinstance(body, str) and isinstance(old.get("body"), str):
        values = iter(found[2] for found in _OF_A_RUN.finditer(old["body"]))
        kept = _OF_A_RUN.sub(lambda found: found[1] + next(values, found[2]), body)
        # Old values are paired with new ones by their order. If a request has more or fewer of them
        # than before, a pair may be wrong, or a value may be a word of the user: the meaning tells.
        body = kept if canonical_body(kept) == canonical_body(body) else body
    headers = {
        name: _header(old["headers"].get(name), item) for name, item in new["headers"].items()
    }
    return new | {"body": body, "headers": headers}


def _header(old: Any, new: Any) -> Any:
    """Return a header, the old one if only its port differs."""
    one, other = (_LOOPBACK.sub("<loopback>", json.dumps(each, default=str)) for each in (old, new))
    return old if one == other else new


def _response(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    if _answers(old) == _answers(new):
        return old
    kept = {name: old[name] for name in _TIMES if name in old and name in new}
    headers = {
        name: old["headers"].get(name, item) if name.lower() == "date" else item
        for name, item in new["headers"].items()
    }
    if chunks := _cut_alike(old, new):
        kept[CHUNKS] = chunks
    return new | kept | {"headers": headers}


def _cut_alike(old: dict[str, Any], new: dict[str, Any]) -> list[list[float]] | None:
    """Return the chunks of a response, cut and timed as the old ones; None if they are too unlike.

    How many events one chunk has is chance: the network joins those that are sent together.
    """
    before, after = old.get(CHUNKS), new.get(CHUNKS)
    if not isinstance(before, list) or not isinstance(after, list):
        return None
    one, other = _event_ends(old), _event_ends(new)
    if len(one) == len(other):
        moved = dict(zip(one, other, strict=True))
        ends = [0, *(moved.get(end, -1) for end in accumulate(size for size, _ in before))]
        if -1 not in ends:
            sizes = [end - start for start, end in pairwise(ends)]
            return [[size, dt] for size, (_, dt) in zip(sizes, before, strict=True)]
    if len(before) != len(after):
        return None
    return [[size, dt] for (size, _), (_, dt) in zip(after, before, strict=True)]


def _event_ends(response: dict[str, Any]) -> list[int]:
    body = response["body"]["string"]
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return [found.end() for found in _EVENT_END.finditer(raw)]


def _answers(response: dict[str, Any]) -> Any:
    """Return what a response says, without its times, chunks and ids."""
    headers = {k.lower(): v for k, v in response["headers"].items() if k.lower() != "date"}
    body = response["body"]["string"]
    text = _RESPONSE_ID.sub(r"\1", body) if isinstance(body, str) else body
    if "content-length" in headers and text != body:
        del headers["content-length"]
    rest = {
        name: item
        for name, item in response.items()
        if name not in (CHUNKS, *_TIMES, "headers", "body")
    }
    return headers, text, rest
