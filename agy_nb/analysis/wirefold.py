"""Frames of the wire, folded into the books: one agent's, in both directions.

Rule 1: the counters of the harness only grow; a model call is a difference that is not zero. What a
resumed conversation had counted before is the baseline and no call.
Rule 2: text comes from deltas; a whole text that repeats them adds nothing.
Rule 3: a frame is read and forgotten; nothing keeps its dicts.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from agy_nb.analysis.agentbook import AgentBook
from agy_nb.analysis.threads import Step, Thread
from agy_nb.analysis.tokens import reading_of
from agy_nb.analysis.wiretools import ToolFrames
from agy_nb.errors import TurnDeniedError
from agy_nb.wire.frames import number_of

Frame: TypeAlias = dict[str, Any]

_STATES = {
    "STATE_ACTIVE": "active",
    "STATE_DONE": "done",
    "STATE_WAITING_FOR_USER": "waiting_for_user",
    "STATE_ERROR": "error",
}
_SOURCES = {"SOURCE_MODEL": "model", "SOURCE_USER": "user", "SOURCE_SYSTEM": "system"}
_TARGETS = {"TARGET_USER": "user", "TARGET_ENVIRONMENT": "environment", "TARGET_MODEL": "model"}
_DEEPEST = 1_000_000
"""Levels of subagents; more is in damaged or made-up files only."""
_THREAD_STATES = {
    "STATE_RUNNING": "running",
    "STATE_FULLY_IDLE": "idle",
    "STATE_CANCELLED": "cancelled",
    "STATE_WAITING_FOR_TASKS": "waiting",
    "STATE_WAITING_FOR_SUBAGENTS": "waiting",
}
_ENDPOINTS = {
    "geminiApiEndpoint": "gemini",
    "vertexEndpoint": "vertex",
    "customEndpoint": "openai",
    "gemmaEndpoint": "litert",
}
_LOWEST_HTTP_CODE = 400
ERROR_CODES = {429: "QuotaExceeded"}
"""Status codes of failures that have a class of their own."""
ERROR_LABELS = {
    "The response was blocked by content safety filters. Please try rephrasing your request.": (
        "Safety"
    ),
    "The maximum token limit was reached.": "MaxTokens",
}
"""The harness's own words for failures that have a class of their own."""


class _Failure(NamedTuple):
    """A failed step that nothing has followed yet: should it stay so, it ends the turn."""

    row: int
    error_type: str
    code: int | None


class WireFold:
    """Folds the frames of one connection.

    Args:
        agent: The books of its agent.
    """

    def __init__(self, agent: AgentBook) -> None:
        self._agent = agent
        self._tools = ToolFrames(agent)
        self._halted = self._denied = False
        self._why = ""
        self._failure: _Failure | None = None
        self._metered = False

    # -- from the client ---------------------------------------------------------------------

    def client(self, frame: Frame, at: float | None) -> None:
        """Take a frame of the client."""
        if "userInput" in frame or "automatedTrigger" in frame:
            self._begin(frame, at)
        elif "haltRequest" in frame:
            self._halted = True
        elif "preTurnResult" in (answer := frame.get("callHookResponse") or {}):
            self._denied = answer["preTurnResult"].get("decision") == "DENY"
            self._why = str(answer["preTurnResult"].get("reason") or "")
        elif "config" in frame:
            self._configure(frame["config"])
        else:
            self._tools.client(frame, at)

    def _configure(self, config: Frame) -> None:
        agent = self._agent
        for model in config.get("models") or ():
            kinds = model.get("types") or ("MODEL_TYPE_TEXT",)
            if "MODEL_TYPE_TEXT" in kinds:
                agent.model = model.get("name") or None
                found = (word for key, word in _ENDPOINTS.items() if key in model)
                agent.about(model=agent.model, endpoint=next(found, None))
                break
        if not any(sub.get("model") for sub in config.get("customSubagents") or ()):
            agent.sub_model = (agent.model, "inherited")
        self._tools.host_tools = frozenset(
            str(tool.get("name")) for tool in config.get("tools") or ()
        )
        if config.get("cascadeId"):
            agent.about(conversation_id=config["cascadeId"])

    def _begin(self, frame: Frame, at: float | None) -> None:
        if "userInput" not in frame:
            self._agent.begin_turn(at, kind="trigger")
        else:
            parts = frame["userInput"].get("parts") or ()
            text = "".join(part.get("text") or "" for part in parts)
            self._agent.begin_turn(at, prompt=text)
        self._halted, self._denied, self._failure = False, False, None

    # -- from the harness --------------------------------------------------------------------

    def harness(self, frame: Frame, at: float | None) -> None:
        """Take a frame of the harness."""
        body = frame.get("stepUpdate")
        if body is not None:
            if not self._goes_on(body, at):
                self._step(body, at)
        elif "usageUpdate" in frame:
            self._usage(frame["usageUpdate"], at)
        elif "toolCall" in frame:
            self._tools.called(frame["toolCall"], at)
        elif "trajectoryStateUpdate" in frame:
            self._thread_state(frame["trajectoryStateUpdate"], at)
        elif "policyDecisionRequest" in frame:
            self._tools.policy(frame["policyDecisionRequest"], at)
        elif "initializeConversationResponse" in frame:
            self._initialize(frame["initializeConversationResponse"], at)

    def _initialize(self, body: Frame, at: float | None) -> None:
        agent = self._agent
        conversation = body.get("cascadeId") or None
        history = body.get("history") or ()
        agent.about(conversation_id=conversation, created_at=at, resumed=bool(history))
        if "cumulativeUsage" in body:
            agent.baseline = agent.reported = reading_of(body["cumulativeUsage"]).total
        for entry in body.get("trajectoryUsage") or ():
            thread = agent.thread(str(entry.get("trajectoryId")), at)
            thread.reading = thread.tokens_before = reading_of(entry.get("usage") or {})
        for past in history:  # their steps belong to an earlier session
            thread = agent.thread(
                str(past.get("trajectoryId", "")), at, past.get("parentTrajectoryId")
            )
            thread.closed = max(thread.closed, int(past.get("stepIndex", 0)))

    def _goes_on(self, body: Frame, at: float | None) -> bool:
        """Take one more piece of a text; most frames are that, and say nothing else that is new."""
        delta = body.get("textDelta")
        thread = self._agent.threads.get(body.get("trajectoryId", ""))
        if not delta or thread is None or body.get("state") != "STATE_ACTIVE":
            return False
        step = thread.find(body.get("stepIndex", 0))
        if step is None or not step.is_open_text or "finish" in body or body.get("thinkingDelta"):
            return False
        if body.get("source") != "SOURCE_MODEL" or body.get("target") != "TARGET_USER":
            return False
        if not thread.depth:
            self._failure = None
        self._agent.goes_on(thread, step, at, delta)
        return True

    def _step(self, body: Frame, at: float | None) -> None:
        agent = self._agent
        thread = agent.thread(
            body.get("trajectoryId", ""), at, body.get("parentTrajectoryId") or None
        )
        step = agent.step(thread, body.get("stepIndex", 0), at)
        if step is None:
            return
        state = _STATES.get(body.get("state", ""), "unknown")
        source = _SOURCES.get(body.get("source", ""), "unknown")
        target = _TARGETS.get(body.get("target", ""), "unknown")
        kind = step.kind
        if source == "model" and state != "error":
            self._failure = None if not thread.depth else self._failure
            kind = self._model_step(body, thread, step, at, target, state)
        elif source == "system" and state != "error":
            kind = "compaction" if "compaction" in body else "system"
            delta = body.get("textDelta")
            if delta:
                agent.said(thread, step, at, "system", delta)
        elif source == "user":
            kind = "text"
            step.text_chars = len(body.get("text") or "")
        code = 0
        if state == "error" and step.state != "error":
            code = self._step_failed(body, thread, step, at, source)
        agent.status(thread, step, kind, source, target, state, code)
        if step.tool is not None and state in ("done", "error"):
            self._tools.step_ended(body, thread, step, at, state)

    def _model_step(
        self, body: Frame, thread: Thread, step: Step, at: float | None, target: str, state: str
    ) -> str:
        agent = self._agent
        delta = body.get("thinkingDelta")
        if not delta and state == "done":
            delta = (body.get("thinking") or "")[step.thinking_chars :]
        if delta:
            agent.piece(thread, step, at, "thought", delta)
        if "finish" in body:
            return "finish"
        if target == "user":
            delta = body.get("textDelta")
            if not delta and state == "done":
                delta = (body.get("text") or "")[step.text_chars :]
            if delta:
                agent.piece(thread, step, at, "text", delta)
            return "text" if step.text_chars else "thinking" if step.thinking_chars else step.kind
        if step.tool is None:
            self._tools.step_began(body, thread, step, at)
        if state == "waiting_for_user" and step.state != state:
            self._tools.asks(body, thread, step, at)
        return "tool_call" if step.tool is not None else step.kind

    def _step_failed(
        self, body: Frame, thread: Thread, step: Step, at: float | None, source: str
    ) -> int:
        error = body.get("error") or {}
        code = int(error.get("httpCode") or 0)
        code = code if code >= _LOWEST_HTTP_CODE else 0
        if source == "system":
            label = str(body.get("errorMessage") or "")
            kind = ERROR_CODES.get(code, "BackendError" if code else ERROR_LABELS.get(label))
            row = self._agent.error(
                thread.id,
                at,
                str(error.get("errorMessage") or label),
                step_index=step.index,
                error_type=kind,
                http_code=code or None,
                fatal=False,
            )
            if not thread.depth:
                self._failure = _Failure(row, kind or "BackendError", code or None)
        return code

    def _thread_state(self, body: Frame, at: float | None) -> None:
        agent = self._agent
        told = body.get("depth")
        depth = None if told is None else min(number_of(told), _DEEPEST)
        thread = agent.thread(
            str(body.get("trajectoryId", "")), at, body.get("parentTrajectoryId"), depth
        )
        thread.state = _THREAD_STATES.get(body.get("state", ""), "unknown")
        reason = body.get("stopReason")
        if reason:
            thread.stop_reason = str(reason).removeprefix("STOP_REASON_")
        if thread.depth or thread.state not in ("idle", "cancelled") or agent.turn is None:
            return
        if self._denied:
            error = TurnDeniedError(self._why)
            row = agent.error("", at, str(error), error_type=type(error).__name__, fatal=True)
            self._failure = _Failure(row, type(error).__name__, None)
            self._turn_over(at, "denied", None)
        elif self._halted or thread.state == "cancelled":
            self._turn_over(at, "cancelled", thread.stop_reason)
        else:
            failed = body.get("error") or self._failure is not None
            self._turn_over(at, "error" if failed else "ok", thread.stop_reason)

    def _turn_over(self, at: float | None, status: str, stop_reason: str | None) -> None:
        agent = self._agent
        failure = self._failure if status in ("error", "denied") else None
        if status != "ok":
            agent.cut_tools(at)
        if failure is not None:
            agent.fatal(failure.row)
        agent.end_turn(
            at,
            status,
            stop_reason=stop_reason or "UNSPECIFIED",
            error_type=failure.error_type
            if failure
            else "BackendError"
            if status == "error"
            else None,
            http_code=failure.code if failure else None,
        )

    def _usage(self, body: Frame, at: float | None) -> None:
        agent = self._agent
        self._metered = True
        total = body.get("total")
        entries = body.get("agents")
        if not entries and total:
            root = next((t.id for t in agent.threads.values() if not t.depth), "")
            entries = ({"trajectoryId": root, "usage": total},)
        for entry in entries or ():
            thread = agent.thread(str(entry.get("trajectoryId", "")), None)
            reading = reading_of(entry.get("usage") or {})
            before = thread.reading
            if reading == before:
                continue
            if (reading.total or 0) < (before.total or 0):
                agent.book.problem(
                    "counter_went_back",
                    detail=f"trajectory {thread.id}: {before.total} tokens, then {reading.total}",
                )
            thread.reading = reading
            call = reading.since(before)
            if not call.empty:
                thread.last = at if at is not None else thread.last
                agent.metered(thread, at, call)
        if total:
            agent.reported = reading_of(total).total

    # -- the end -----------------------------------------------------------------------------

    def end(self, at: float | None, by: str | None) -> None:
        """The connection is over.

        Args:
            at: When.
            by: Who ended it; None where the recording just stops.
        """
        agent = self._agent
        if by is None:
            agent.about(state="lost")
        else:
            if agent.turn is not None:
                failed = by != "client" or (self._failure is not None and not self._halted)
                self._turn_over(at, "error" if failed else "cancelled", None)
            agent.close(at)
        said = [thread.reading.total for thread in agent.threads.values() if thread.calls]
        if agent.reported is not None and self._metered:
            every = sum(t.reading.total or 0 for t in agent.threads.values())
            if every != agent.reported:
                agent.book.problem(
                    "totals_differ",
                    detail=f"agent {agent.agent_id}: its trajectories have {every} tokens, "
                    f"the harness tells {agent.reported}",
                )
        elif not said and any(t.n_steps for t in agent.threads.values()):
            agent.book.problem(
                "usage_missing", detail=f"agent {agent.agent_id}: no model call was metered"
            )
