"""Turns as spans, with the names of OpenTelemetry's conventions for generative AI.

```
invoke_agent                 a turn
  chat gemini-2.5-flash      a model call
  execute_tool get_weather   a tool call
  invoke_agent               a subagent, with its own calls below it
```

Rule 1: a turn is a trace. Ids come from what a span is and when: a second export is the same one.
Rule 2: a token is on one span, that of its model call; nothing that sums spans counts it twice.
Rule 3: unknown attributes are left out. The start of a model call is inferred and marked so.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from agy_nb.analysis.metrics.groups import Source

Value: TypeAlias = str | int | float | bool
Row: TypeAlias = dict[str, Any]

_PROVIDERS = {
    "gemini": "gcp.gemini",
    "interactions": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "openai": "openai",
    "litert": "litert",
}
_ANY_PROVIDER = "gcp.gen_ai"
_TOOL_TYPES = {"host": "function", "builtin": "extension", "mcp": "extension"}
_USAGE = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cache_read_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
    "agy.cost.usd": "cost_usd",
}

_MOMENTS = ("first_at", "last_at", "at", "started_at", "ended_at", "asked_at", "decided_at")
"""Columns with the end of an operation."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened within a span.

    Attributes:
        name: What.
        at: When (nanoseconds since the Unix epoch).
        attributes: Its known attributes.
    """

    name: str
    at: int
    attributes: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Span:
    """A span, before anything of OpenTelemetry.

    Attributes:
        name: By the conventions: the operation, and on what.
        kind: Whether another process did it.
        trace_id: Of its turn; 128 bits.
        span_id: Its own; 64 bits.
        parent_id: Of the span that it is part of, None for a turn.
        start: When it began (nanoseconds since the Unix epoch).
        end: When it was over; not before `start`.
        attributes: Its known attributes.
        error: Why it failed, None where it did not; may be empty.
        moments: What happened within.
    """

    name: str
    kind: Literal["internal", "client"]
    trace_id: int
    span_id: int
    parent_id: int | None
    start: int
    end: int
    attributes: Mapping[str, Value]
    error: str | None = None
    moments: tuple[Moment, ...] = field(default=())


def spans_of(source: Source, *, arguments: bool = False) -> Iterator[Span]:
    """Yield the spans of each turn that is over and whose times are known, turn by turn.

    Args:
        source: Tables.
        arguments: Whether the arguments of tools go along, as far as tables hold them.
    """
    agents = {(row["session_id"], row["agent_id"]): row for row in _rows(source, "agents")}
    threads: defaultdict[tuple[Any, ...], dict[str, Row]] = defaultdict(dict)
    for row in _rows(source, "trajectories"):
        threads[row["session_id"], row["agent_id"]][row["trajectory_id"]] = row
    below = {
        name: _by_turn(source, name) for name in ("model_calls", "tool_calls", "approvals", "steps")
    }
    for turn in _rows(source, "turns"):
        if "started_at" in turn and "ended_at" in turn:
            key = turn["session_id"], turn["agent_id"]
            found = {name: rows[*key, turn["turn_id"]] for name, rows in below.items()}
            made = _Turn(turn, agents.get(key, {}), threads[key], found, arguments=arguments)
            yield from made.spans()


def _rows(source: Source, name: str) -> list[Row]:
    """Yield the rows of a table without unknown values; times are in nanoseconds."""
    import pandas as pd

    known = source.frame(name).astype(object)
    return [
        {
            str(column): cell.value if isinstance(cell, pd.Timestamp | pd.Timedelta) else cell
            for column, cell in row.items()
            if not pd.isna(cell)
        }
        for row in known.to_dict("records")
    ]


def _by_turn(source: Source, name: str) -> defaultdict[tuple[Any, ...], list[Row]]:
    found: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in _rows(source, name):
        found[row["session_id"], row["agent_id"], row.get("turn_id")].append(row)
    return found


def _id(bits: int, *what: object) -> int:
    text = "\n".join(map(str, what)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=bits // 8).digest()) or 1


class _Turn:
    """Makes the spans of one turn."""

    def __init__(
        self,
        turn: Row,
        agent: Row,
        threads: Mapping[str, Row],
        below: Mapping[str, list[Row]],
        *,
        arguments: bool,
    ) -> None:
        self._turn = turn
        self._agent = agent
        self._below = below
        self._arguments = arguments
        # The time, too: recordings of one name in two folders are two sessions to a receiver.
        names = ("session_id", "agent_id", "turn_id", "started_at")
        self._key = tuple(turn[name] for name in names)
        self._trace = _id(128, *self._key)
        self._root = self._span_id("turn")
        self._subagents: dict[str, Row] = {}
        self._times: dict[str, list[int]] = {}
        self._read: dict[int, int] = {}
        self._look(threads)

    def _look(self, threads: Mapping[str, Row]) -> None:
        """Find the subagents of this turn with their times, and what each model call had read."""
        for rows in self._below.values():
            for row in rows:
                name = row.get("trajectory_id", "")
                if threads.get(name, {}).get("depth"):
                    self._subagents[name] = threads[name]
                    times = self._times.setdefault(name, self._begun(threads[name]))
                    times += [row[column] for column in _MOMENTS if column in row]
        for row in self._below["tool_calls"]:
            if "ended_at" in row and "read_by_call" in row:
                call = row["read_by_call"]
                self._read[call] = max(self._read.get(call, 0), row["ended_at"])

    def _begun(self, thread: Row) -> list[int]:
        mine = thread.get("turn_id") == self._turn["turn_id"] and "started_at" in thread
        return [thread["started_at"]] if mine else []

    def spans(self) -> Iterator[Span]:
        """Yield all spans, parents first."""
        yield self._of_turn()
        for name in self._subagents:
            yield self._of_subagent(name)
        yield from map(self._of_tool, self._below["tool_calls"])
        before: dict[str, int] = {}
        for call in self._below["model_calls"]:
            if call.get("status") == "metered":
                yield self._of_call(call, before)

    # -- what every span has -----------------------------------------------------------------

    def _span_id(self, *what: object) -> int:
        return _id(64, *self._key, *what)

    def _thread(self, name: str | None) -> int:
        """Return the span of a trajectory in this turn."""
        return self._span_id("thread", name) if name in self._subagents else self._root

    def _about(self, operation: str, **more: Value | None) -> dict[str, Value]:
        endpoint = str(self._agent.get("endpoint", ""))
        every: dict[str, Value | None] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _PROVIDERS.get(endpoint, _ANY_PROVIDER),
            "gen_ai.conversation.id": self._agent.get("conversation_id"),
            "agy.session.id": self._turn["session_id"],
            "agy.turn.id": self._turn["turn_id"],
            **more,
        }
        return {name: value for name, value in every.items() if value is not None}

    # -- each of them ------------------------------------------------------------------------

    def _of_turn(self) -> Span:
        turn = self._turn
        failed = turn.get("status") in ("error", "timeout")
        attributes = self._about(
            "invoke_agent",
            **{
                "gen_ai.agent.id": f"{turn['session_id']}/{turn['agent_id']}",
                "gen_ai.request.model": self._agent.get("model"),
                "agy.turn.status": turn.get("status"),
                "agy.turn.refused_requests": turn.get("n_refused"),
                "agy.turn.requests_with_unknown_usage": turn.get("n_usage_unknown"),
                "error.type": turn.get("error_type", turn.get("status")) if failed else None,
            },
        )
        return Span(
            "invoke_agent", "internal", self._trace, self._root, None, turn["started_at"],
            max(turn["started_at"], turn["ended_at"]), attributes, "" if failed else None,
            tuple(self._waits(None)),
        )  # fmt: skip

    def _of_subagent(self, name: str) -> Span:
        row = self._subagents[name]
        times = self._times[name] or [self._turn["started_at"]]
        attributes = self._about(
            "invoke_agent",
            **{"gen_ai.agent.id": name, "gen_ai.request.model": row.get("model")},
        )
        return Span(
            "invoke_agent", "internal", self._trace, self._span_id("thread", name),
            self._thread(row.get("parent_trajectory_id")), min(times), max(times),
            attributes, moments=tuple(self._waits(name)),
        )  # fmt: skip

    def _waits(self, thread: str | None) -> Iterator[Moment]:
        for row in self._below["approvals"]:
            name = row.get("trajectory_id")
            if "asked_at" in row and (name if name in self._subagents else None) == thread:
                about = {"agy.approval.kind": row.get("kind"), "gen_ai.tool.name": row.get("tool")}
                about["agy.approval.decision"] = row.get("decision")
                if "wait" in row:
                    about["agy.approval.wait_seconds"] = row["wait"] / 1e9
                known = {key: value for key, value in about.items() if value is not None}
                yield Moment("agy.approval", row["asked_at"], known)

    def _of_tool(self, row: Row) -> Span:
        status = row.get("status")
        start: Any = row.get("started_at", row.get("ended_at", self._turn["started_at"]))
        end: Any = row.get("ended_at", start if status == "denied" else self._turn["ended_at"])
        error = row.get("error", "") if status in ("error", "denied") else None
        kind = {"error": "_OTHER"}.get(str(status), status) if error is not None else None
        tool = row.get("tool", "")
        attributes = self._about(
            "execute_tool",
            **{
                "gen_ai.tool.name": tool,
                "gen_ai.tool.call.id": row.get("tool_call_id"),
                "gen_ai.tool.type": _TOOL_TYPES.get(row.get("kind", "")),
                "gen_ai.tool.call.arguments": row.get("args_json") if self._arguments else None,
                "agy.tool.status": status,
                "error.type": kind,
            },
        )
        return Span(
            f"execute_tool {tool}".strip(), "internal", self._trace,
            self._span_id("tool", row["tool_index"]), self._thread(row.get("trajectory_id")),
            start, max(start, end), attributes, error,
        )  # fmt: skip

    def _of_call(self, row: Row, before: dict[str, int]) -> Span:
        """Return the span of a model call: it began after the previous call and its tools."""
        thread = row.get("trajectory_id", "")
        at: int = row["at"] if "at" in row else self._turn["ended_at"]
        times = self._times.get(thread) or [self._turn["started_at"]]
        began = max(min(times), before.get(thread, 0), self._read.get(row["call_index"], 0))
        before[thread] = at
        model = row.get("model")
        usage = {name: row.get(column) for name, column in _USAGE.items()}
        inferred = {"agy.start_is_inferred": True, "agy.end_is_inferred": "at" not in row or None}
        attributes = self._about("chat", **{"gen_ai.request.model": model, **usage, **inferred})
        return Span(
            f"chat {model or ''}".strip(), "client", self._trace,
            self._span_id("call", row["call_index"]), self._thread(thread),
            min(began, at), at, attributes,
        )  # fmt: skip
