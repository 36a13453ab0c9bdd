"""Correct the rows of `model_calls` with the recorded HTTP requests.

Rows of the wire are inferred (see `builders.call_builder`), and HTTP requests are facts. A request
names its trajectory, but not its agent and turn; these come from the row of the same request. Rows
and requests of a trajectory are in the same order:

1. Metered rows and metered requests belong together if their tokens are equal.
2. Between two such pairs, the other rows and requests belong together in their order.
3. A request without a row becomes a row.
4. A row without a request stays, because the harness can cancel a request before it gets a
   response. A row with unknown usage before a recorded request is dropped: HTTP rules it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from agy_nb.analysis.builders.call_builder import token_columns
from agy_nb.analysis.builders.session_builder import SessionBuilder
from agy_nb.analysis.read.model_requests import RecordedRequest
from agy_nb.analysis.schema import UNREPORTED

Row: TypeAlias = dict[str, Any]
Pair: TypeAlias = tuple[Row | None, RecordedRequest | None]

_COUNTED = ("input_tokens", "output_tokens", "total_tokens")


def merge_requests(session: SessionBuilder, requests: Sequence[RecordedRequest]) -> None:
    """Correct the rows of a session that is complete.

    Args:
        session: The session; its rows are synchronised.
        requests: Its recorded requests, in the order of their ends.
    """
    rows = session.rows("model_calls")
    places = {row["trajectory_id"]: row for row in session.rows("trajectories")}
    threads: dict[str | None, list[RecordedRequest]] = {}
    for request in requests:
        if request.tool is None:
            threads.setdefault(_thread_of(request, rows, places), []).append(request)
    merged: list[Row] = []
    for thread in dict.fromkeys([*(row["trajectory_id"] for row in rows), *threads]):
        mine = [row for row in rows if row["trajectory_id"] == thread and row["tool"] is None]
        pairs = list(_pairs(mine, threads.get(thread, [])))
        merged += _thread_rows(pairs, thread, places)
        _name_model(session, thread, pairs)
        _report(session, thread, pairs)
    by_tools = [request for request in requests if request.tool is not None]
    merged += _tool_rows(session, [row for row in rows if row["tool"] is not None], by_tools)
    merged.sort(key=lambda row: row["call_index"])
    _write(session, merged)


def _thread_of(request: RecordedRequest, rows: list[Row], places: dict[Any, Row]) -> str | None:
    """Return the trajectory of a request; by its tokens if the request does not name it."""
    if request.conversation is not None:
        return request.conversation
    key = _tokens(request)
    found = next((row for row in rows if key is not None and _row_tokens(row) == key), None)
    if found is not None:
        thread: str | None = found["trajectory_id"]
        return thread
    return next((name for name, row in places.items() if not row["depth"]), None)


# -- pairs ---------------------------------------------------------------------------------------


def _pairs(rows: list[Row], requests: list[RecordedRequest]) -> Iterable[Pair]:
    """Yield rows with their requests, in order."""
    row_at = request_at = 0
    for place, number in [*_equal_pairs(rows, requests), (len(rows), len(requests))]:
        for row, request in _between(rows[row_at:place], requests[request_at:number]):
            impossible = request is None and row is not None and row["status"] == "usage_unknown"
            if not impossible or place == len(rows):
                yield row, request
        if place < len(rows):
            yield rows[place], requests[number]
        row_at, request_at = place + 1, number + 1


def _equal_pairs(rows: list[Row], requests: list[RecordedRequest]) -> Iterable[tuple[int, int]]:
    """Yield the places of metered rows and requests with equal tokens."""
    start = 0
    for number, request in enumerate(requests):
        key = _tokens(request)
        if key is None:
            continue
        for place in range(start, len(rows)):
            if _row_tokens(rows[place]) == key:
                yield place, number
                start = place + 1
                break


def _between(rows: list[Row], requests: list[RecordedRequest]) -> Iterable[Pair]:
    """Yield rows and requests that follow each other, with a refusal on both sides or on none."""
    left = list(rows)
    for request in requests:
        refused = request.status == "refused"
        found = next((row for row in left if (row["status"] == "refused") == refused), None)
        if found is not None:
            while left[0] is not found:
                yield left.pop(0), None
            left.pop(0)
        yield found, request
    for row in left:
        yield row, None


def _tokens(request: RecordedRequest) -> tuple[Any, ...] | None:
    usage = request.usage
    if usage is None:
        return None
    return usage.input_tokens or 0, usage.output_tokens or 0, usage.total_tokens or 0


def _row_tokens(row: Row) -> tuple[Any, ...] | None:
    if row["total_tokens"] is None:
        return None
    return tuple(row[name] or 0 for name in _COUNTED)


# -- rows ----------------------------------------------------------------------------------------


def _thread_rows(pairs: list[Pair], thread: str | None, places: dict[Any, Row]) -> list[Row]:
    found: list[Row] = []
    attempt, turn = 1, None
    known = [row for row, _ in pairs]
    for number, (wire_row, request) in enumerate(pairs):
        row = wire_row
        if row is None:
            near = next(filter(None, known[number:]), None)
            before = next(filter(None, reversed(known[:number])), None)
            row = _new_row(near or before or places.get(thread, {}), thread)
            row["call_index"] = _place(near, before)
        if row["turn_id"] != turn:
            attempt, turn = 1, row["turn_id"]
        found.append(_corrected(row, request) | {"attempt": attempt})
        attempt = attempt + 1 if found[-1]["status"] in ("refused", "cut") else 1
    return found


def _place(near: Row | None, before: Row | None) -> float:
    """Return a number between those of two rows, to sort by."""
    if near is not None:
        return float(near["call_index"]) - 0.5
    return float(before["call_index"]) + 0.5 if before is not None else float("inf")


def _new_row(near: Row, thread: str | None) -> Row:
    keep = ("session_id", "agent_id", "turn_id", "depth")
    return {
        **{name: near.get(name) for name in keep},
        "trajectory_id": thread,
        "tool": None,
        "status": "usage_unknown",
        "timing": "wire",
        "at": near.get("at"),
    }


def _corrected(row: Row, request: RecordedRequest | None) -> Row:
    """Return a row with the facts of its request."""
    if request is None:
        return row
    usage_is_known = request.usage is not None or row["status"] != "metered"
    found = row | {
        "status": request.status if usage_is_known else "metered",
        "http_status": request.http_status,
        "finish_reason": request.finish_reason,
        "model_version": request.model_version,
        "n_searches": request.n_searches,
        "requested_tier": request.requested_tier or row.get("requested_tier"),
        "request_bytes": request.request_bytes,
        "response_bytes": request.response_bytes,
    }
    if request.model is not None:
        found |= {"model": request.model, "model_source": "http"}
    if request.usage is not None:
        counts = token_columns(request.usage).items()
        found |= {name: value for name, value in counts if value is not None}
    if request.started_at is not None and request.ended_after is not None:
        first = request.first_after
        end = request.started_at + request.ended_after
        found |= {
            "started_at": request.started_at,
            "first_token_at": None if first is None else request.started_at + first,
            "ended_at": end,
            "at": end,
            "duration": request.ended_after,
            "ttft": first,
            "timing": "http",
        }
    return found


def _tool_rows(
    session: SessionBuilder, rows: list[Row], requests: list[RecordedRequest]
) -> list[Row]:
    """Pair the requests of built-in tools with the rows of these tools, in their order."""
    left, found = list(rows), []
    agents = session.rows("agents")
    for request in requests:
        mine = [row for row in left if row["tool"] == request.tool]
        if mine:
            left.remove(mine[0])
            found.append(_corrected(mine[0], request))
        else:
            near = {"session_id": session.session_id}
            if len(agents) == 1:
                near["agent_id"] = agents[0]["agent_id"]
            row = _new_row(near, None) | {"call_index": float("inf"), "tool": request.tool}
            found.append(_corrected(row, request))
    tokens = sum(each.usage.total_tokens or 0 for each in requests if each.usage is not None)
    if tokens:
        tools = ", ".join(sorted({str(each.tool) for each in requests}))
        detail = f"{tools}: {tokens} tokens that the harness does not count"
        session.problem("http_differs", detail=detail)
    return found + left


def _name_model(session: SessionBuilder, thread: str | None, pairs: list[Pair]) -> None:
    """Take the model of a trajectory from its requests, if the wire does not name it."""
    models = [request.model for _, request in pairs if request is not None and request.model]
    for place, row in enumerate(session.rows("trajectories") if models else ()):
        if row["trajectory_id"] == thread and row["model"] is None:
            session.update("trajectories", place, {"model": models[-1], "model_source": "http"})


def _report(session: SessionBuilder, thread: str | None, pairs: list[Pair]) -> None:
    """Note that the harness and the HTTP requests of a trajectory do not agree."""
    if all(request is None for _, request in pairs):
        return
    wire = [row["total_tokens"] or 0 for row, _ in pairs if row and _row_tokens(row) is not None]
    http = [r.usage.total_tokens or 0 for _, r in pairs if r is not None and r.usage is not None]
    if (len(wire), sum(wire)) != (len(http), sum(http)):
        detail = (
            f"trajectory {thread}: the harness counts {sum(wire)} tokens in {len(wire)} requests, "
            f"HTTP has {sum(http)} in {len(http)}"
        )
        session.problem("http_differs", detail=detail)


# -- the tables ----------------------------------------------------------------------------------


def _write(session: SessionBuilder, rows: list[Row]) -> None:
    """Replace the rows of a session, and the numbers and counts that depend on them."""
    # By the old numbers, which `tool_calls` still has; new rows have a fraction between two of
    # them.
    numbers = {row["call_index"]: number for number, row in enumerate(rows)}
    session.replace("model_calls", [row | {"call_index": n} for n, row in enumerate(rows)])
    for place, row in enumerate(session.rows("tool_calls")):
        if row["read_by_call"] is not None:
            session.update("tool_calls", place, {"read_by_call": numbers.get(row["read_by_call"])})
    for name, keys in (
        ("turns", ("agent_id", "turn_id")),
        ("trajectories", ("agent_id", "trajectory_id")),
    ):
        counts: dict[tuple[Any, ...], dict[str, int]] = {}
        for row in rows:
            one = counts.setdefault(tuple(row.get(key) for key in keys), dict.fromkeys(_COUNTS, 0))
            one["n_requests"] += 1
            one["n_model_calls"] += row["status"] == "metered"
            one["n_refused"] += row["status"] == "refused"
            one["n_usage_unknown"] += row["status"] in UNREPORTED
        for place, row in enumerate(session.rows(name)):
            key = tuple(row[each] for each in keys)
            session.update(name, place, counts.get(key, dict.fromkeys(_COUNTS, 0)))
    session.about(n_model_calls=sum(row["status"] == "metered" for row in rows))


_COUNTS = ("n_model_calls", "n_requests", "n_refused", "n_usage_unknown")
