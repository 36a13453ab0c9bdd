"""Frames of a recording become the events that a live turn would have had.

Rule 1: a recording may say anything: a frame that makes no sense is told of and harms nothing.
Rule 2: text comes from deltas; a whole text that repeats them adds nothing.
Rule 3: a decision of a person is told of; one that a rule of the program took is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from agy_nb.analysis.tokens import Tokens, reading_of
from agy_nb.analysis.wirefold import ERROR_CODES, ERROR_LABELS
from agy_nb.cassette.format import Frame, Line
from agy_nb.protocol import events as e
from agy_nb.protocol.values import (
    ErrorInfo,
    JsonObject,
    Message,
    Prompt,
    TextPart,
    Trajectory,
)
from agy_nb.widgets.browser_asked import AskedReader
from agy_nb.widgets.browser_values import (
    harness_tool,
    json_of,
    object_of,
    part_of,
    piece_of,
    usage_of,
)
from agy_nb.wire.frames import kind_of

_LOWEST_HTTP_CODE = 400
_OVER = ("STATE_DONE", "STATE_ERROR")
_FIRST_AT = 1.0
"""When a session begins, in seconds: a moment of 0 would stand for an unknown one."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A turn begins.

    Attributes:
        prompt: What was sent.
    """

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Past:
    """What a conversation that goes on had said before."""

    messages: tuple[Message, ...]


Item: TypeAlias = "e.Event | Begin | Past"
"""What a frame tells of."""


@dataclass(slots=True)
class _Step:
    text: int = 0
    thinking: int = 0
    call_id: str = ""
    tool: str = ""
    args: JsonObject = field(default_factory=dict)


class FrameReader:
    """Reads the frames of one session, in their order.

    Attributes:
        elapsed: Seconds from the session's first frame to the latest.

    Example:
        >>> reader = FrameReader()
        >>> reader.elapsed  # nothing was read yet
        0.0
    """

    def __init__(self) -> None:
        self.elapsed = 0.0
        self._running = self._halted = False
        self._failure: ErrorInfo | None = None
        self._threads: dict[str, Trajectory] = {}
        self._steps: dict[tuple[str, int], _Step] = {}
        self._said: dict[str, int] = {}
        self._readings: dict[str, Tokens] = {}
        self._asked = AskedReader(self._where, lambda: self._at)
        self._calls: dict[str, tuple[Trajectory, str]] = {}
        self._client: dict[str, Callable[[Any], Iterator[Item]]] = {
            "userInput": self._begin,
            "automatedTrigger": self._trigger,
            "toolResponse": self._result,
            "policyDecisionResponse": self._asked.decided,
            "questionResponse": self._asked.answered,
        }
        self._harness: dict[str, Callable[[Any], Iterator[Item]]] = {
            "initializeConversationResponse": self._opened,
            "stepUpdate": self._step,
            "usageUpdate": self._usage,
            "toolCall": self._call,
            "trajectoryStateUpdate": self._state,
            "policyDecisionRequest": self._asked.policy,
        }

    def take(self, line: Line) -> list[Item]:
        """What a frame tells of; never raises."""
        self.elapsed += line.dt
        found: list[Item] = []
        try:
            found.extend(self._take(line))
        except Exception as error:  # noqa: BLE001 - see rule 1
            found.append(self._complaint(f"{type(error).__name__}: {error}"))
        return found

    def end(self, how: Frame | None) -> list[Item]:
        """What the end of the session tells of.

        Args:
            how: As `RecordedSession.end`; None where the recording stops before.
        """
        if how is None:
            return [self._complaint("The recording stops here: what came after is missing.")]
        if not self._running:
            return []
        by_client = how.get("by") == "client" and (self._failure is None or self._halted)
        if not by_client and self._failure is None:
            reason = str(how.get("reason") or "")
            words = f"the harness ended the session: {how.get('code', '?')} {reason}".rstrip()
            self._failure = ErrorInfo(type="HarnessError", message=words)
        return list(self._over(failed=not by_client, cancelled=by_client))

    def _take(self, line: Line) -> Iterator[Item]:
        kind = kind_of(line.frame)
        body = line.frame.get(kind)
        if line.direction == "harness":
            known = self._harness.get(kind)
        elif kind == "config":
            self._asked.config = line.frame
            return
        elif kind == "haltRequest":
            self._halted = True
            return
        else:
            known = self._client.get(kind)
        if known is not None:
            yield from known(body)

    @property
    def _at(self) -> float:
        return _FIRST_AT + self.elapsed

    def _complaint(self, words: str) -> e.Error:
        info = ErrorInfo(type="Recording", message=words)
        return e.Error(error=info, fatal=False, at=self._at)

    def _where(self, body: Frame) -> Trajectory:
        key = str(body.get("trajectoryId") or "")
        parent = str(body.get("parentTrajectoryId") or "") or None
        known = self._threads.get(key)
        if known is None or (parent and known.parent_id is None):
            depth = int(body.get("depth") or (1 if parent else 0))
            known = self._threads[key] = Trajectory(id=key, parent_id=parent, depth=depth)
        return known

    # -- turns -------------------------------------------------------------------------------

    def _opened(self, body: Frame) -> Iterator[Item]:
        for entry in body.get("trajectoryUsage") or ():
            self._readings[str(entry.get("trajectoryId"))] = reading_of(entry.get("usage") or {})
        messages = [
            Message(
                role="user" if step.get("source") == "SOURCE_USER" else "model",
                content=str(step["text"]),
                trajectory=self._where(step),
            )
            for step in body.get("history") or ()
            if step.get("text") and step.get("source") in ("SOURCE_USER", "SOURCE_MODEL")
        ]
        if messages:
            yield Past(tuple(messages))

    def _begin(self, body: Frame) -> Iterator[Item]:
        parts = tuple(part_of(part) for part in body.get("parts") or ())
        yield from self._begun(parts or (TextPart(text=""),))

    def _trigger(self, body: Any) -> Iterator[Item]:  # noqa: ANN401 - JSON
        text = body.get("content") if isinstance(body, dict) else body
        yield from self._begun((TextPart(text=f"[trigger] {text or ''}".rstrip()),))

    def _begun(self, prompt: Prompt) -> Iterator[Item]:
        self._running, self._halted, self._failure = True, False, None
        yield Begin(prompt)
        yield e.State(state=e.TurnState.RUNNING, at=self._at)

    def _state(self, body: Frame) -> Iterator[Item]:
        where = self._where(body)
        state = body.get("state")
        if not where.is_root or state not in ("STATE_FULLY_IDLE", "STATE_CANCELLED"):
            return
        failed = bool(body.get("error")) or self._failure is not None
        cancelled = self._halted or state == "STATE_CANCELLED"
        if self._running:
            yield from self._over(failed=failed and not cancelled, cancelled=cancelled)

    def _over(self, *, failed: bool, cancelled: bool) -> Iterator[Item]:
        self._running = False
        state = e.TurnState.CANCELLED if cancelled else e.TurnState.DONE
        if failed:
            state = e.TurnState.FAILED
            info = self._failure or ErrorInfo(type="BackendError", message="the turn failed")
            yield e.Error(error=info, fatal=True, at=self._at)
        yield e.State(state=state, at=self._at)

    # -- steps -------------------------------------------------------------------------------

    def _step(self, body: Frame) -> Iterator[Item]:
        where, index = self._where(body), int(body.get("stepIndex") or 0)
        step = self._steps.setdefault((where.id, index), _Step())
        source, state = body.get("source"), body.get("state")
        if source == "SOURCE_SYSTEM" and state == "STATE_ERROR":
            yield self._failed(body, where, index)
        if source != "SOURCE_MODEL":
            return
        if state == "STATE_ERROR":
            yield from self._tool_step(body, step, where, index)
            return
        if where.is_root:
            self._failure = None
        yield from self._output(body, step, where, index)
        yield from self._tool_step(body, step, where, index)
        if state == "STATE_WAITING_FOR_USER":
            yield from self._asked.asks(body, where)

    def _output(self, body: Frame, step: _Step, where: Trajectory, index: int) -> Iterator[Item]:
        over = body.get("state") in _OVER
        thought = piece_of(body, "thinkingDelta", "thinking", step.thinking, over=over)
        if thought:
            step.thinking += len(thought)
            yield e.Thought(trajectory=where, text=thought, step_index=index, at=self._at)
        if body.get("target") != "TARGET_USER":
            return
        text = piece_of(body, "textDelta", "text", step.text, over=over)
        if text:
            step.text += len(text)
            self._said[where.id] = index
            yield e.Text(trajectory=where, text=text, step_index=index, at=self._at)

    def _failed(self, body: Frame, where: Trajectory, index: int) -> e.Error:
        error = body.get("error") or {}
        code = int(error.get("httpCode") or 0)
        code = code if code >= _LOWEST_HTTP_CODE else 0
        label = str(body.get("errorMessage") or "")
        kind = ERROR_CODES.get(code) or ("BackendError" if code else ERROR_LABELS.get(label))
        info = ErrorInfo(
            type=kind or "BackendError",
            message=str(error.get("errorMessage") or label or "the step failed"),
            http_code=code or None,
        )
        if where.is_root:
            self._failure = info
        said = self._said.get(where.id)
        refused = said if said is not None and said == index - 1 else None
        return e.Error(trajectory=where, error=info, fatal=False, refused_step=refused, at=self._at)

    # -- tools -------------------------------------------------------------------------------

    def _tool_step(self, body: Frame, step: _Step, where: Trajectory, index: int) -> Iterator[Item]:
        """A tool that the harness runs: its step carries the call, and then what came of it."""
        name, args, server = harness_tool(body)
        if name and not step.call_id:
            step.call_id, step.tool, step.args = f"{where.id}:{index}", name, args
            yield e.ToolCall(
                trajectory=where,
                call_id=step.call_id,
                name=name,
                args=args,
                source="mcp" if server else "builtin",
                server=server,
                step_index=index,
                at=self._at,
            )
        if step.call_id and body.get("state") in _OVER:
            result = {key: value for key, value in args.items() if step.args.get(key) != value}
            failed = body.get("state") == "STATE_ERROR"
            yield e.ToolResult(
                trajectory=where,
                call_id=step.call_id,
                name=step.tool,
                result=None if failed else result or str(body.get("text") or "") or None,
                error=str(body.get("errorMessage") or "failed") if failed else None,
                at=self._at,
            )

    def _call(self, body: Frame) -> Iterator[Item]:
        where, call_id = self._where(body), str(body.get("id") or "")
        name = str(body.get("name") or "?")
        self._calls[call_id] = (where, name)
        args = object_of(body.get("argumentsJson"))
        yield e.ToolCall(trajectory=where, call_id=call_id, name=name, args=args, at=self._at)

    def _result(self, body: Frame) -> Iterator[Item]:
        call_id = str(body.get("id") or "")
        where, name = self._calls.get(call_id, (Trajectory(), "?"))
        error = body.get("errorMessage")
        yield e.ToolResult(
            trajectory=where,
            call_id=call_id,
            name=name,
            result=None if error is not None else json_of(body.get("responseJson")),
            error=None if error is None else str(error),
            at=self._at,
        )

    # -- usage -------------------------------------------------------------------------------

    def _usage(self, body: Frame) -> Iterator[Item]:
        total = usage_of(reading_of(body.get("total") or {}))
        for entry in body.get("agents") or ():
            where = self._where(entry)
            reading = reading_of(entry.get("usage") or {})
            call = reading.since(self._readings.get(where.id, Tokens()))
            self._readings[where.id] = reading
            if not call.empty:
                yield e.Usage(
                    trajectory=where,
                    usage=usage_of(call),
                    trajectory_total=usage_of(reading),
                    session_total=total,
                    at=self._at,
                )
