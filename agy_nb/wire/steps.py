"""Step updates: pieces of text and thoughts, and what becomes of a step.

A step update repeats the whole text of the step with each piece. The pieces come from deltas; a
whole text counts only for what no delta has brought.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, cast

from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.events import Error, Event, Step, StructuredOutput, Text, Thought
from agy_nb.wire import frames as f
from agy_nb.wire.calls.call_reader import CallReader, error_words
from agy_nb.wire.calls.tool_decisions import refused_step
from agy_nb.wire.calls.user_questions import asks_user
from agy_nb.wire.client_config import max_retries_of
from agy_nb.wire.construct import constructor_of
from agy_nb.wire.errors import StepFailure, error_of_step, status_code
from agy_nb.wire.frames import (
    ACTIVE,
    FROM_MODEL,
    SOURCE,
    STATE,
    STEP_INDEX,
    TARGET,
    TEXT_DELTA,
    THINKING_DELTA,
    TO_USER,
    TRAJECTORY_ID,
    Frame,
)
from agy_nb.wire.json_values import json_of, number_of, object_of, runs_tool, text_of
from agy_nb.wire.reader_state import Connection, OpenStep, OpenTrajectory

_step = cast("Callable[..., Step]", constructor_of(Step))  # words of the wire are plain text
_text = constructor_of(Text)
_thought = constructor_of(Thought)

_OVER = ("done", "error")
_WORDS: dict[Any, tuple[str, str, str]] = {
    (state, source, target): (f.STEP_STATES[state], f.SOURCES[source], f.TARGETS[target])
    for state, source, target in product(f.STEP_STATES, f.SOURCES, f.TARGETS)
}
_SPECIAL = frozenset(
    {f.CUSTOM_TOOL, f.MCP_TOOL, f.COMPACTION, f.FINISH, f.QUESTIONS_REQUEST, *f.BUILTIN_TOOLS}
)
"""Fields of a step that is more than text."""


class StepReader:
    """Reads the step updates of one connection.

    Args:
        connection: The state of the connection so far.
        calls: Reads the tool calls that steps show.

    Attributes:
        failure: The latest error step of the root agent that no output of it followed, or None.
        failures: How many error steps of the root agent there were in a row.
        longest: Characters of the turn's longest answer or thought, of any agent.
    """

    def __init__(self, connection: Connection, calls: CallReader) -> None:
        self._connection = connection
        self._trajectories = connection.trajectories
        self._calls = calls
        self.failure: StepFailure | None = None
        self.failures: int = 0
        self.longest: int = 0
        self._retries: dict[str, int] = {}

    def next_turn(self) -> None:
        """Forget what the turn before left behind."""
        self._output_seen()
        self._retries.clear()
        self.longest = 0

    def _output_seen(self) -> None:
        self.failure = None
        self.failures = 0

    def read(self, body: Frame, at: float) -> list[Event]:
        """Return the events of one step update."""
        # Most frames are one more piece of a text that streams already. They take this short way:
        # every name is a global here, and nothing is looked at that such a frame does not change.
        delta = body.get(TEXT_DELTA)
        if delta and body.get(STATE) == ACTIVE:
            trajectory = self._trajectories.get(body.get(TRAJECTORY_ID, ""))
            if trajectory is not None:
                step = trajectory.steps.get(body.get(STEP_INDEX, 0))
                if (
                    step is not None
                    and step.streams
                    and body.get(SOURCE) == FROM_MODEL
                    and body.get(TARGET) == TO_USER
                    and not body.get(THINKING_DELTA)
                    and type(delta) is str
                ):
                    step.text += len(delta)
                    if step.text > self.longest:  # noqa: PLR1730 - a call costs as much as the rest
                        self.longest = step.text
                    if self.failure is not None and trajectory.where.is_root:
                        self._output_seen()
                    return [
                        _text(trajectory=trajectory.where, at=at, text=delta, step_index=step.index)
                    ]
        return self._read(body, at)

    def _read(self, body: Frame, at: float) -> list[Event]:
        # The second most frequent frame is a step of nothing but text, begun or done at once. It is
        # read here in one go; everything else takes the long way.
        get = body.get
        found = self._known(get(TRAJECTORY_ID, ""), get(f.PARENT_ID))
        index = get(STEP_INDEX, 0)
        if type(index) is not int or index < 0:
            index = number_of(index, -1)
            if index < 0:
                words = f"{STEP_INDEX} is {body[STEP_INDEX]!r:.60}"
                self._connection.problem("bad_step", words, at)
                return []
        step = found.steps.get(index) or found.step(index)
        if step is None:  # of a turn that is long over
            return []
        state, source, target = _words(body)
        changed, over = state != step.state, state in _OVER
        plain = _SPECIAL.isdisjoint(body)
        brought: list[Event] = []
        if plain and state != "error":
            if source == "model":
                if self.failure is not None and found.where.is_root:
                    self._output_seen()
                brought = self._output(body, step, found, state, at)
        else:
            # What the update brings is read first: only then is the step's tool known.
            brought = [*self._brought(body, step, found, source, state, at)]
        step.state = state
        if not changed:
            return brought
        status = _status(body, step, found, source, target, at, plain=plain)
        if not over:
            return [status, *brought]
        brought.append(status)
        if state == "error" and source == "system":
            brought.append(self._failed(body, step, found, at))
        return brought

    def _known(self, trajectory_id: Any, parent_id: Any) -> OpenTrajectory:
        known = self._trajectories.get(trajectory_id) if type(trajectory_id) is str else None
        if known is not None and (not parent_id or known.where.parent_id is not None):
            return known
        return self._connection.trajectory(text_of(trajectory_id), text_of(parent_id))

    def _brought(
        self,
        body: Frame,
        step: OpenStep,
        trajectory: OpenTrajectory,
        source: str,
        state: str,
        at: float,
    ) -> Iterator[Event]:
        """Return the texts, calls and results of an update."""
        if f.CUSTOM_TOOL in body:
            self._calls.host_step(body, step)
            return
        if source != "model":
            return
        if state != "error":
            self._retries.pop(trajectory.where.id, None)
            if trajectory.where.is_root:
                self._output_seen()
            yield from self._output(body, step, trajectory, state, at)
        elif step.tool is None and not runs_tool(body):
            yield from refused_step(self._connection, body, step, trajectory, at)
            return
        yield from self._calls.harness_step(body, step, trajectory, at)
        if state == "waiting_for_user":
            yield from asks_user(self._connection, body, step, trajectory, at)

    def _output(
        self, body: Frame, step: OpenStep, trajectory: OpenTrajectory, state: str, at: float
    ) -> list[Event]:
        """Return the pieces of text and thoughts that an update of the model's step adds."""
        found: list[Event] = []
        over = state in _OVER
        if THINKING_DELTA in body or f.THINKING in body:
            thought = _new_part(body, THINKING_DELTA, f.THINKING, step.thinking, over=over)
            if thought:
                step.thinking += len(thought)
                self.longest = max(self.longest, step.thinking)
                where = trajectory.where
                found.append(_thought(trajectory=where, text=thought, step_index=step.index, at=at))
        if f.FINISH in body:
            if over and step.state not in _OVER:
                written = object_of(body[f.FINISH]).get(f.OUTPUT_STRING)
                if written:
                    value = json_of(written)
                    found.append(StructuredOutput(trajectory=trajectory.where, value=value, at=at))
            return found
        # A text for the environment announces a tool call. It is not a part of the answer.
        if body.get(TARGET) != TO_USER:
            return found
        if self._calls.mcp_results.waiting:  # the agent goes on without a result
            found[:0] = self._calls.mcp_results.give_up(trajectory.where.id)
        step.streams = state == "active"
        text = _new_part(body, TEXT_DELTA, f.TEXT, step.text, over=over)
        if text:
            step.text += len(text)
            self.longest = max(self.longest, step.text)
            trajectory.last_text_step = step.index
            where = trajectory.where
            found.append(_text(trajectory=where, text=text, step_index=step.index, at=at))
        return found

    def _failed(self, body: Frame, step: OpenStep, trajectory: OpenTrajectory, at: float) -> Error:
        code = number_of(object_of(body.get(f.ERROR)).get(f.HTTP_CODE))
        failure = StepFailure(text_of(body.get(f.ERROR_MESSAGE)), error_words(body), code)
        if trajectory.where.is_root:
            self.failure = failure
            self.failures += 1
        retry = self._retries.get(trajectory.where.id, 0) + 1 if failure.retried else 0
        self._retries[trajectory.where.id] = retry
        # The harness shows a refused answer first, and its error in the next step.
        last = trajectory.last_text_step
        return Error(
            trajectory=trajectory.where,
            error=to_info(error_of_step(failure, "a step failed", retry=retry)),  # may go on
            fatal=False,
            refused_step=last if last is not None and last == step.index - 1 else None,
            retry=retry or None,
            max_retries=max_retries_of(self._connection.config) if retry else None,
            at=at,
        )


def _words(body: Frame) -> tuple[str, str, str]:
    """Return the state, source and target of a step, in the words of events."""
    state, source, target = body.get(STATE), body.get(SOURCE), body.get(TARGET)
    try:
        return _WORDS[state, source, target]
    except (KeyError, TypeError):  # something is missing, new, or not even a text
        return (
            f.STEP_STATES.get(text_of(state), "unknown"),
            f.SOURCES.get(text_of(source), "unknown"),
            f.TARGETS.get(text_of(target), "unknown"),
        )


def _new_part(body: Frame, delta: str, whole: str, given: int, *, over: bool) -> str:
    piece = body.get(delta)
    if piece and type(piece) is str:
        return piece
    return text_of(body.get(whole))[given:] if over else ""


def _status(
    body: Frame,
    step: OpenStep,
    trajectory: OpenTrajectory,
    source: str,
    target: str,
    at: float,
    *,
    plain: bool,
) -> Step:
    error, code, text = "", None, ""
    if step.state == "error":
        error = error_words(body)
        code = status_code(number_of(object_of(body.get(f.ERROR)).get(f.HTTP_CODE)))
    if source != "model":
        text = text_of(body.get(f.TEXT))
    said = plain and source == "model" and step.text and step.tool is None  # nearly always
    kind = "text" if said else _kind(body, step, source, plain=plain)
    return _step(
        trajectory=trajectory.where,
        step_index=step.index,
        kind=kind,
        source=source,
        target=target,
        status=step.state,
        error=error,
        http_code=code,
        text=text,
        tool=step.tool,
        call_id=step.call_id,
        at=at,
    )


def _kind(body: Frame, step: OpenStep, source: str, *, plain: bool) -> str:
    if not plain:
        if f.COMPACTION in body:
            return "compaction"
        if f.FINISH in body:
            return "finish"
        if f.QUESTIONS_REQUEST in body:
            return "tool_call"
    if step.tool is not None:
        return "tool_call"
    if source == "system":
        return "system"
    if step.text or body.get(f.TEXT):
        return "text"
    return "thinking" if step.thinking or body.get(f.THINKING) else "unknown"
