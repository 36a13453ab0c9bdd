"""Token counters of the wire. They only grow: a model call is the difference of two readings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agy_nb.protocol.events import Event, Usage
from agy_nb.protocol.values import ModalityTokens, TokenUsage
from agy_nb.wire import frames as f
from agy_nb.wire.construct import constructor_of
from agy_nb.wire.frames import Frame
from agy_nb.wire.json_values import number_of, object_of, objects_of, text_of
from agy_nb.wire.reader_state import Connection

_usage = constructor_of(Usage)
_token_usage = constructor_of(TokenUsage)
_LARGEST = 2**63
_SHORT = 18
"""Digits of a count that fits 64 bits for sure, plus one."""
_UNSPECIFIED = "modality_unspecified"


class UsageReader:
    """Reads the token counters of one connection.

    Args:
        connection: The state of the connection so far.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, body: Frame, at: float) -> Iterator[Event]:
        """Yield one event per trajectory that was metered since the last reading."""
        total = object_of(body.get("total"))
        entries = objects_of(body.get("agents"))
        session = self.reading(total, at)
        if not entries and total:
            root = next(
                (key for key, each in self._connection.trajectories.items() if each.where.is_root),
                "",
            )
            entries = [{f.TRAJECTORY_ID: root, "usage": total}]
        for entry in entries:
            trajectory = self._connection.trajectory(text_of(entry.get(f.TRAJECTORY_ID)))
            counts = object_of(entry.get("usage"))
            # An agent alone has the session's counts; they are read once.
            reading = session if counts == total else self.reading(counts, at)
            before = trajectory.reading
            if reading == before:
                continue
            if (reading.total_tokens or 0) < (before.total_tokens or 0):
                self._connection.problem(
                    "counter_went_back",
                    f"trajectory {trajectory.where.id}: {before.total_tokens} tokens, "
                    f"then {reading.total_tokens}",
                    at,
                )
            trajectory.reading = reading
            call = _since(reading, before)
            if not call.is_empty:
                yield _usage(
                    trajectory=trajectory.where,
                    usage=call,
                    trajectory_total=reading,
                    session_total=session,
                    at=at,
                )

    def reading(self, usage: Frame, at: float) -> TokenUsage:
        """Read a counter. An impossible count is unknown, and a problem."""
        count, get, details = self._count, usage.get, self._details
        answer = count(get(f.ANSWER_COUNT), f.ANSWER_COUNT, at)
        thoughts = count(get(f.THOUGHTS_COUNT), f.THOUGHTS_COUNT, at)
        output = None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0)
        tool_use = details(usage, f.TOOL_USE_DETAILS, at)
        n_tool_use = count(get(f.TOOL_USE_COUNT), f.TOOL_USE_COUNT, at)
        if n_tool_use is None and tool_use:
            n_tool_use = sum(each.tokens for each in tool_use)
        return _token_usage(
            input_tokens=count(get(f.PROMPT_COUNT), f.PROMPT_COUNT, at),
            cache_read_tokens=count(get(f.CACHED_COUNT), f.CACHED_COUNT, at),
            output_tokens=output,
            reasoning_tokens=thoughts,
            total_tokens=count(get(f.TOTAL_COUNT), f.TOTAL_COUNT, at),
            service_tier=text_of(get(f.SERVICE_TIER)) or None,
            tool_use_tokens=n_tool_use,
            input_details=details(usage, f.PROMPT_DETAILS, at),
            cache_details=details(usage, f.CACHE_DETAILS, at),
            output_details=details(usage, f.ANSWER_DETAILS, at),
            tool_use_details=tool_use,
        )

    def _details(self, usage: Frame, name: str, at: float) -> tuple[ModalityTokens, ...]:
        if name not in usage:
            return ()
        found = []
        for each in objects_of(usage[name]):
            tokens = self._count(each.get(f.TOKEN_COUNT), f"{name}.{f.TOKEN_COUNT}", at)
            modality = text_of(each.get("modality")).lower() or _UNSPECIFIED
            if tokens is not None:
                found.append(ModalityTokens(modality=modality, tokens=tokens))
        return tuple(found)

    def _count(self, value: Any, name: str, at: float) -> int | None:
        if value is None:
            return None
        if type(value) is str and len(value) < _SHORT and value.isascii() and value.isdigit():
            return int(value)  # as protobuf's JSON writes it
        if isinstance(value, int) and not isinstance(value, bool):
            count = value
        else:
            count = number_of(value, -1) if isinstance(value, str) else -1
        if 0 <= count < _LARGEST:
            return count
        self._connection.problem("bad_count", f"{name} is {str(value)[:60]!r}", at)
        return None


def _since(reading: TokenUsage, before: TokenUsage) -> TokenUsage:
    """Return the tokens between two readings; a count missing from the later is unknown."""

    def less(now: int | None, then: int | None) -> int | None:
        return None if now is None else max(0, now - (then or 0))

    details: dict[str, Any] = {}
    if reading.has_details:
        call = reading - before
        details = {
            "input_details": call.input_details,
            "cache_details": call.cache_details,
            "output_details": call.output_details,
            "tool_use_details": call.tool_use_details,
        }
    return _token_usage(
        input_tokens=less(reading.input_tokens, before.input_tokens),
        cache_read_tokens=less(reading.cache_read_tokens, before.cache_read_tokens),
        output_tokens=less(reading.output_tokens, before.output_tokens),
        reasoning_tokens=less(reading.reasoning_tokens, before.reasoning_tokens),
        total_tokens=less(reading.total_tokens, before.total_tokens),
        service_tier=reading.service_tier,
        tool_use_tokens=less(reading.tool_use_tokens, before.tool_use_tokens),
        **details,
    )
