"""From the SDK's steps to our events. No I/O: steps go in, events come out.

Rule 1: text comes from deltas; a whole text that repeats them adds nothing.
Rule 2: a step is told of when its status changes, not at each delta.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

from google.antigravity import types

from agy_nb.protocol import events
from agy_nb.protocol.failures import to_info
from agy_nb.protocol.values import JsonObject, Trajectory
from agy_nb.sdk.base import now
from agy_nb.sdk.wire import as_json
from agy_nb.wire.errors import LOWEST_HTTP_CODE, StepFailure, error_of_step

_KINDS = {
    "TEXT_RESPONSE": "text",
    "THINKING": "thinking",
    "TOOL_CALL": "tool_call",
    "SYSTEM_MESSAGE": "system",
    "COMPACTION": "compaction",
    "FINISH": "finish",
}
_SOURCES = ("model", "user", "system")
_TARGETS = ("user", "environment", "model")
_STATUSES = ("active", "done", "waiting_for_user", "error", "canceled")
_OVER = frozenset({types.StepStatus.DONE, types.StepStatus.ERROR})


class _Seen:
    """What has been told of one step so far."""

    __slots__ = ("args", "call_id", "status", "text", "thinking")

    def __init__(self) -> None:
        self.status: types.StepStatus | None = None
        self.text = 0
        self.thinking = 0
        self.call_id: str | None = None
        self.args: JsonObject = {}


class StepReader:
    """Reads the steps of one connection, of all its trajectories.

    Args:
        custom_tools: Names of the host functions.

    Attributes:
        failure: The latest error step of the root agent that no output of it followed, or None.
        failures: How many error steps of the root agent there were in a row.
        longest: Characters of the turn's longest answer or thought, of any agent.
    """

    def __init__(self, custom_tools: frozenset[str]) -> None:
        self.failure: StepFailure | None = None
        self.failures = 0
        self.longest = 0
        self._texts: dict[str, int] = {}
        self._custom_tools = custom_tools
        self._seen: dict[tuple[str, int], _Seen] = {}
        self._retries: dict[str, int] = {}
        self._trajectories: dict[str, Trajectory] = {}
        self._callers: dict[str, Trajectory] = {}

    def begin_turn(self) -> None:
        """Forget what the turn before left behind."""
        self._output_seen()
        self.longest = 0
        self._retries.clear()
        self._seen.clear()

    def _output_seen(self) -> None:
        self.failure = None
        self.failures = 0

    def trajectory(self, trajectory_id: str, parent_id: str = "", depth: int = 0) -> Trajectory:
        """A trajectory by its id, with the most that has been said of it."""
        known = self._trajectories.get(trajectory_id)
        if known is None or (parent_id and known.parent_id is None):
            known = Trajectory(id=trajectory_id, parent_id=parent_id or None, depth=depth)
            self._trajectories[trajectory_id] = known
        return known

    def note_caller(self, call_id: str, where: Trajectory) -> None:
        """Take note of who made a call to a host function."""
        self._callers[call_id] = where

    def caller(self, call_id: str) -> Trajectory:
        """Which trajectory made a call to a host function; asked once, for its result."""
        return self._callers.pop(call_id, Trajectory())

    def read(self, step: types.Step, label: str = "") -> Iterator[events.Event]:
        """The events of one update of a step.

        Args:
            step: The update.
            label: The harness's own name for an error, one of a fixed set.
        """
        at = now()
        where = self.trajectory(step.trajectory_id, step.parent_trajectory_id, step.depth)
        if step.tool_calls and step.tool_calls[0].name in self._custom_tools:
            call = step.tool_calls[0]
            self.note_caller(call.id or "", where)
            yield _call(call, where, call.id or "", "custom", None, at)
            return
        key = (step.trajectory_id, step.step_index)
        seen = self._seen.setdefault(key, _Seen())
        changed, seen.status = seen.status is not step.status, step.status
        over = step.status in _OVER
        if changed and not over:
            yield _status(step, where, at)
        if step.source is types.StepSource.MODEL and step.status is not types.StepStatus.ERROR:
            self._retries.pop(where.id, None)
            if where.is_root:
                self._output_seen()
            yield from self._output(step, seen, where, at)
            if seen.text:
                self._texts[step.trajectory_id] = step.step_index
        for call in step.tool_calls:
            yield from _harness_call(step, call, seen, where, at)
        if changed and over:
            yield _status(step, where, at)
            if step.status is types.StepStatus.ERROR and step.source is types.StepSource.SYSTEM:
                yield self._failure(step, label, where, at)

    def _output(
        self, step: types.Step, seen: _Seen, where: Trajectory, at: float
    ) -> Iterator[events.Event]:
        for event in _output(step, seen, where, at):
            self.longest = max(self.longest, seen.text, seen.thinking)
            yield event

    def _failure(self, step: types.Step, label: str, where: Trajectory, at: float) -> events.Error:
        failure = StepFailure(label, step.error, int(getattr(step, "http_code", 0) or 0))
        retry = self._retries.get(where.id, 0) + 1 if failure.retried else 0
        self._retries[where.id] = retry
        if where.is_root:
            self.failure = failure
            self.failures += 1
        said = self._texts.get(step.trajectory_id)
        return events.Error(
            trajectory=where,
            error=to_info(
                error_of_step(failure, "a step failed", retry=retry)
            ),  # the turn may go on
            fatal=False,
            refused_step=said if said == step.step_index - 1 else None,
            at=at,
        )


def _output(step: types.Step, seen: _Seen, where: Trajectory, at: float) -> Iterator[events.Event]:
    thinking = _new_part(step.thinking_delta, step.thinking, seen.thinking, step.status)
    if thinking:
        seen.thinking += len(thinking)
        yield events.Thought(trajectory=where, text=thinking, step_index=step.step_index, at=at)
    if step.target is not types.StepTarget.USER:
        return
    text = _new_part(step.content_delta, step.content, seen.text, step.status)
    if text:
        seen.text += len(text)
        yield events.Text(trajectory=where, text=text, step_index=step.step_index, at=at)


def _new_part(delta: str, whole: str, told: int, status: types.StepStatus) -> str:
    if delta:
        return delta
    return whole[told:] if status in _OVER and len(whole) > told else ""


def _harness_call(
    step: types.Step, call: types.ToolCall, seen: _Seen, where: Trajectory, at: float
) -> Iterator[events.Event]:
    """A tool that the harness runs: its step carries the call, and then what came of it."""
    args = as_json(call.args)
    if seen.call_id is None:
        seen.call_id = call.id or step.id
        seen.args = args
        source: Literal["mcp", "builtin"] = "mcp" if call.server_name else "builtin"
        yield _call(call, where, seen.call_id, source, step.step_index, at)
    if step.status in _OVER:
        result = {key: value for key, value in args.items() if seen.args.get(key) != value}
        yield events.ToolResult(
            trajectory=where,
            call_id=seen.call_id,
            name=str(call.name),
            result=result or step.content or None,
            error=(step.error or "failed") if step.status is types.StepStatus.ERROR else None,
            at=at,
        )


def _call(
    call: types.ToolCall,
    where: Trajectory,
    call_id: str,
    source: Literal["builtin", "custom", "mcp"],
    step_index: int | None,
    at: float,
) -> events.ToolCall:
    return events.ToolCall(
        trajectory=where,
        call_id=call_id,
        name=str(call.name),
        args=as_json(call.args),
        source=source,
        server=call.server_name or None,
        step_index=step_index,
        at=at,
    )


def _status(step: types.Step, where: Trajectory, at: float) -> events.Step:
    return events.Step(
        trajectory=where,
        step_index=step.step_index,
        kind=cast("Any", _KINDS.get(step.type.value, "unknown")),
        source=cast("Any", _known(step.source, _SOURCES)),
        target=cast("Any", _known(step.target, _TARGETS)),
        status=cast("Any", _known(step.status, _STATUSES)),
        error=step.error,
        http_code=_http_code(step),
        at=at,
    )


def _http_code(step: types.Step) -> int | None:
    code = int(getattr(step, "http_code", 0) or 0)
    return code if code >= LOWEST_HTTP_CODE else None


def _known(value: Any, words: tuple[str, ...]) -> str:
    word = str(value.value).lower().removeprefix("target_")
    return word if word in words else "unknown"
