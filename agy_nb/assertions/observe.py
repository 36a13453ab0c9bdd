"""Read what an agent did, from responses, from recorded sessions, and from answers of the SDK."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias, cast

from agy_nb.analysis.live.turn_fold import fold_turns
from agy_nb.analysis.metrics.turn_cost import Cost, TurnPricing, total_cost, turn_cost
from agy_nb.analysis.tables import Tables
from agy_nb.assertions.observation import (
    Observation,
    Observed,
    ObservedCall,
    ObservedMessage,
    Spent,
)
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.events import Event
from agy_nb.protocol.turn_numbers import number_or_none

_Row: TypeAlias = dict[str, Any]
_UNPAID = frozenset({"refused"})
_NOT_COUNTED = "a model call ended without reporting its tokens"
_NO_USAGE = "the SDK's chunks have no tokens; pass a response of an agent of agy_nb"
_NOT_PRICED = "a model call has no price, or did not report its tokens"
READ_FIRST = "wait for it first: `await response.wait()`"
CHUNKS = "of the SDK's ChatResponse, pass `[chunk async for chunk in response.chunks]`"


class FinishedTurn(Protocol):
    """The attributes of an `agy.Response` that are read."""

    @property
    def agent_id(self) -> int:
        """Whose turn it is."""
        ...

    @property
    def turn_id(self) -> int:
        """Number of the turn."""
        ...

    @property
    def event_log(self) -> Sequence[Event]:
        """Its events."""
        ...

    @property
    def done(self) -> bool:
        """Whether the turn is over."""
        ...

    @property
    def partial_text(self) -> str:
        """The answer."""
        ...

    @property
    def pricing(self) -> TurnPricing | None:
        """Prices of its model calls."""
        ...


def observe(subject: object, *, turn: int | None = None) -> Observation:
    """Return what an agent did.

    Args:
        subject: A response, several of them, recorded sessions or their tables, or the chunks of
            an answer of the SDK's own agent.
        turn: Number of the turn of recorded sessions, from 1; all turns by default.

    Raises:
        InvalidInputError: `subject` has another type, its turn still runs, or the turn does not
            exist.
    """
    turn = number_or_none("turn", turn)
    if isinstance(subject, Tables):
        return _of_tables(subject, turn)
    if turn is not None:
        msg = f"turn= selects a turn of recorded sessions, not of {type(subject).__name__}"
        raise InvalidInputError(msg, field="turn")
    if _is_turn(subject):
        return _of_turns([cast("FinishedTurn", subject)])
    if isinstance(subject, Iterable) and not isinstance(subject, str | bytes | Mapping):
        items = list(subject)
        if items and all(map(_is_turn, items)):
            return _of_turns(items)
        if items and all(map(_is_chunk, items)):
            return _of_chunks(items)
    hint = f"; {CHUNKS}" if hasattr(subject, "chunks") else ""
    msg = (
        "expect() takes a response, a list of responses, sessions from agy.load(), or a list of "
        f"the SDK's chunks, got {_name_of(subject)}{hint}"
    )
    raise InvalidInputError(msg, field="subject")


def cost_of(subject: object, *, turn: int | None = None) -> Spent:
    """Return what the model calls cost, in US dollars.

    Args:
        subject: As for `observe`.
        turn: As for `observe`.
    """
    if isinstance(subject, Tables):
        rows = [row for row in _rows(subject, "model_calls") if turn in (None, row["turn_id"])]
        return _spent(
            Cost(row["cost_usd"], row["cost_usd"] is None and row["status"] not in _UNPAID)
            for row in rows
        )
    turns: list[Any] = [subject] if _is_turn(subject) else list(cast("Iterable[Any]", subject))
    if not all(map(_is_turn, turns)):
        return Spent(None, why=_NO_USAGE)
    costs = []
    for each in turns:
        if each.pricing is None:
            return Spent(None, why="its agent has no prices")
        costs.append(turn_cost(each, each.pricing))
    return _spent(costs)


def _spent(costs: Iterable[Cost]) -> Spent:
    total = total_cost(costs)
    return Spent(total.usd, total.is_lower_bound, _NOT_PRICED if total.is_lower_bound else "")


def _is_turn(value: object) -> bool:
    return hasattr(value, "event_log") and hasattr(value, "turn_id") and hasattr(value, "pricing")


def _of_turns(turns: Sequence[FinishedTurn]) -> Observation:
    for each in turns:
        if not each.done:
            msg = f"turn {each.turn_id} of agent {each.agent_id} still runs; {READ_FIRST}"
            raise InvalidInputError(msg, field="subject")
    columns = fold_turns(turns, text=True)
    tables = {name: _records(columns[name].data) for name in _TABLES}
    texts = [each.partial_text for each in turns]
    return _of_rows(tables, "\n\n".join(texts))


def _of_tables(tables: Tables, turn: int | None) -> Observation:
    rows = {name: _rows(tables, name) for name in _TABLES}
    if turn is not None:
        rows = {
            name: [row for row in found if row.get("turn_id", turn) == turn]
            for name, found in rows.items()
        }
        if not rows["turns"]:
            known = sorted({row["turn_id"] for row in _rows(tables, "turns")})
            msg = (
                f"turn {turn} does not exist; the turns are {', '.join(map(str, known)) or 'none'}"
            )
            raise InvalidInputError(msg, field="turn")
    answers = [row for row in rows["messages"] if row["role"] == "model"]
    depth = _depths(rows["trajectories"])
    texts = [row["text"] for row in answers if not depth.get(row["trajectory_id"])]
    known_texts = [text for text in texts if text is not None]
    has_texts = len(known_texts) == len(texts)
    return _of_rows(rows, "\n\n".join(known_texts) if has_texts else None)


_TABLES = ("turns", "messages", "tool_calls", "approvals", "model_calls", "trajectories")


def _of_rows(rows: Mapping[str, list[_Row]], text: str | None) -> Observation:
    depth = _depths(rows["trajectories"])
    decisions = {
        (row["session_id"], row["approval_id"]): row["decision"] for row in rows["approvals"]
    }
    found: list[tuple[Any, Observed]] = []
    for row in rows["messages"]:
        if row["role"] in ("user", "model"):
            is_subagents = bool(depth.get(row["trajectory_id"]))
            message = ObservedMessage(row["role"], row.get("text"), is_subagents)
            found.append((_moment(row, row["at"]), message))
    for row in rows["tool_calls"]:
        call = ObservedCall(
            row["tool"] or "",
            _arguments(row["args_json"]),
            row["status"],
            row["error"] or "",
            decisions.get((row["session_id"], row["approval_id"])),
            bool(depth.get(row["trajectory_id"])),
        )
        found.append((_moment(row, row["started_at"]), call))
    found.sort(key=lambda pair: pair[0])
    calls = [row for row in rows["model_calls"] if row["status"] not in _UNPAID]
    tokens = [row["total_tokens"] for row in calls if row["total_tokens"] is not None]
    low = len(tokens) < len(calls)
    spent = Spent(sum(tokens) if tokens else None, low, _NOT_COUNTED if low else "")
    return Observation(tuple(step for _, step in found), len(rows["turns"]), text, spent)


def _moment(row: _Row, at: Any) -> tuple[str, int, float, int]:
    """Return the sort key of a row: its moment."""
    seconds = at.timestamp() if isinstance(at, datetime) else at
    step = row["step_index"]
    return (
        row["session_id"],
        row["turn_id"] or 0,
        math.inf if seconds is None else seconds,
        -1 if step is None else step,
    )


def _depths(trajectories: Iterable[_Row]) -> dict[str | None, int]:
    return {row["trajectory_id"]: row["depth"] or 0 for row in trajectories}


def _arguments(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return dict(value) if isinstance(value, Mapping) else {}


def _records(columns: Mapping[str, Sequence[Any]]) -> list[_Row]:
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _rows(tables: Tables, name: str) -> list[_Row]:
    import pandas as pd

    table = tables.frame(name)
    return [
        {str(key): None if _is_missing(pd, value) else value for key, value in row.items()}
        for row in table.to_dict("records")
    ]


def _is_missing(pd: Any, value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _is_chunk(value: object) -> bool:
    return hasattr(value, "step_index") or _is_call(value) or _is_result(value)


def _is_call(value: object) -> bool:
    return hasattr(value, "name") and hasattr(value, "args")


def _is_result(value: object) -> bool:
    return hasattr(value, "name") and hasattr(value, "result")


def _name_of(subject: object) -> str:
    return f"an empty {type(subject).__name__}" if subject in ([], ()) else type(subject).__name__


def _of_chunks(chunks: Sequence[Any]) -> Observation:
    """Read the chunks that the SDK yields. They say nothing of approvals and tokens."""
    results = {chunk.id or chunk.name: chunk for chunk in chunks if _is_result(chunk)}
    steps: list[Observed] = []
    text: list[str] = []
    for chunk in chunks:
        if _is_call(chunk):
            result = results.get(chunk.id or chunk.name)
            error = "" if result is None else result.error or ""
            status = None if result is None else "error" if error else "ok"
            steps.append(ObservedCall(str(chunk.name), dict(chunk.args or {}), status, error))
        elif type(chunk).__name__ == "Text":
            text.append(chunk.text)
    answer = "".join(text)
    if answer:
        steps.append(ObservedMessage("model", answer))
    spent = Spent(None, why=_NO_USAGE)
    return Observation(tuple(steps), 1, answer, spent, knows_approvals=False)
