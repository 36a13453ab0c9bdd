"""Tool calls, decisions on them, and questions to the user.

The harness runs built-in and MCP tools itself: a step shows the call and its result. A host tool is
called with a frame of its own, and the client answers with another. A call that a hook or a policy
refuses never becomes a step with a tool: its name and arguments are in the request that was
answered, or, where a fixed rule refused it, only in the words of the error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from agy_nb.protocol.events import (
    Approval,
    ApprovalState,
    Event,
    Question,
    ToolCall,
    ToolException,
    ToolResult,
)
from agy_nb.protocol.values import Answer, AskedQuestion, QuestionOption
from agy_nb.wire import frames as f
from agy_nb.wire.calls.mcp_results import McpResults
from agy_nb.wire.client_config import asks_a_person, denied_tool, rules_of
from agy_nb.wire.frames import Frame
from agy_nb.wire.json_values import (
    arguments_of,
    builtin_of,
    list_of,
    number_of,
    object_of,
    objects_of,
    response_of,
    text_of,
)
from agy_nb.wire.reader_state import Announced, Connection, OpenStep, OpenTrajectory

_QUESTION_TOOL = "ask_question"


class _HostCall:
    """A call of a host function that has not been answered."""

    __slots__ = ("name", "step_index", "trajectory")

    def __init__(self, name: str, trajectory: OpenTrajectory, step_index: int | None) -> None:
        self.name = name
        self.trajectory = trajectory
        self.step_index = step_index


class CallReader:
    """Reads the frames about the tools of one connection.

    Args:
        connection: The state of the connection so far.

    Attributes:
        mcp_results: What MCP tools returned, which comes apart from their calls.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._host_calls: dict[str, _HostCall] = {}
        self._step_of_call: dict[str, int] = {}
        self._refused: set[str] = set()
        self._raised: dict[str, ToolException] = {}
        self._policies: dict[str, Announced] = {}
        self._hooks: dict[str, Announced] = {}
        self._approvals: dict[str, Approval] = {}
        self._questions: dict[str, Question] = {}
        self.mcp_results: McpResults = McpResults()

    def next_turn(self) -> None:
        """Forget what belongs to the turn before."""
        self._step_of_call.clear()
        self._refused.clear()
        self._raised.clear()
        self.mcp_results.early.clear()

    # -- host tools --------------------------------------------------------------------------

    def called(self, body: Frame, at: float) -> Iterator[Event]:
        """The harness calls a host function."""
        call_id = text_of(body.get(f.ID))
        name = text_of(body.get(f.NAME)) or "?"
        trajectory = self._connection.trajectory(text_of(body.get(f.TRAJECTORY_ID)))
        index = self._step_of_call.pop(call_id, None)
        self._host_calls[call_id] = _HostCall(name, trajectory, index)
        self._begun(trajectory, name, call_id)
        yield ToolCall(
            trajectory=trajectory.where,
            call_id=call_id,
            name=name,
            args=arguments_of(body),
            source="custom",
            step_index=index,
            at=at,
        )

    def answered_call(self, body: Frame, at: float) -> Iterator[Event]:
        """The client answers a call of a host function."""
        call_id = text_of(body.get(f.ID))
        known = self._host_calls.pop(call_id, None)
        error = body.get(f.ERROR_MESSAGE)
        failed = isinstance(error, str) and error != ""
        raised = self._raised.pop(call_id, None) if failed else None
        if known is None:
            self._connection.problem("unknown_call", f"the answer to call {call_id!r}", at)
        where = self._connection.trajectory("").where if known is None else known.trajectory.where
        yield ToolResult(
            trajectory=where,
            call_id=call_id,
            name="?" if known is None else known.name,
            result=None if failed else response_of(body),
            error=_with_type(str(error), raised) if failed else None,
            denied=failed and call_id in self._refused,
            error_type=None if raised is None else raised.error_type,
            traceback="" if raised is None else raised.traceback,
            at=at,
        )

    def refuse(self, call_id: str) -> None:
        """The answer to a call will be a refusal."""
        self._refused.add(call_id)

    def raised(self, note: ToolException) -> None:
        """The answer to a call will be the text of this exception."""
        self._raised[note.call_id] = note

    def host_step(self, body: Frame, step: OpenStep) -> None:
        """A step shows a call of a host function."""
        shown = object_of(body.get(f.CUSTOM_TOOL))
        call = object_of(shown.get(f.TOOL_CALL)) or shown
        step.tool = text_of(call.get(f.NAME)) or "?"
        step.call_id = text_of(call.get(f.ID)) or None
        if step.call_id and step.call_id not in self._host_calls and step.state != "done":
            self._step_of_call[step.call_id] = step.index

    # -- tools of the harness ----------------------------------------------------------------

    def harness_step(
        self, body: Frame, step: OpenStep, trajectory: OpenTrajectory, at: float
    ) -> Iterator[Event]:
        """A step runs a built-in or an MCP tool: the call at first, its result at the end."""
        found = _harness_tool(body)
        if found is None:
            return
        tool, args, server = found
        if step.tool is None:
            known = self._begun(trajectory, tool, "")
            if not args and known is not None:
                args = known.args
            step.tool, step.args, step.server = tool, args, server
            step.call_id = f"{trajectory.where.id}:{step.index}"
            step.label = text_of(body.get(f.TEXT))
            yield ToolCall(
                trajectory=trajectory.where,
                call_id=step.call_id,
                name=tool,
                args=args,
                source="mcp" if f.MCP_TOOL in body else "builtin",
                server=server,
                step_index=step.index,
                at=at,
            )
        state = body.get(f.STATE)
        if state in (f.DONE, f.FAILED) and step.state not in ("done", "error"):
            ended = self._harness_result(body, step, trajectory, args, at)
            if f.MCP_TOOL in body and ended.result is None:
                yield from self.mcp_results.called(ended, server, self._connection.config)
            else:
                yield ended

    def _harness_result(
        self, body: Frame, step: OpenStep, trajectory: OpenTrajectory, args: Frame, at: float
    ) -> ToolResult:
        """What the end of a step says that its beginning did not."""
        failed = body.get(f.STATE) == f.FAILED
        added = {key: value for key, value in args.items() if step.args.get(key) != value}
        words = text_of(body.get(f.TEXT))
        return ToolResult(
            trajectory=trajectory.where,
            call_id=step.call_id or "",
            name=step.tool or "?",
            result=None if failed else added or (words if words != step.label else "") or None,
            error=error_words(body) or "failed" if failed else None,
            at=at,
        )

    def _begun(self, trajectory: OpenTrajectory, tool: str, call_id: str) -> Announced | None:
        """A call begins: it is not announced any more."""
        for known in trajectory.announced:
            if (call_id and known.call_id == call_id) or (not call_id and known.tool == tool):
                trajectory.announced.remove(known)
                return known
        return None

    # -- calls that are refused --------------------------------------------------------------

    def refused_step(
        self, body: Frame, step: OpenStep, trajectory: OpenTrajectory, at: float
    ) -> Iterator[Event]:
        """Report a refused call from its step, unless an answer has reported it before."""
        if trajectory.denied:
            known = trajectory.denied.popleft()
            step.tool, step.call_id = known.tool, known.call_id
            return
        words = error_words(body)
        if f.DENIED_BEFORE_TOOL not in words:
            return
        label = text_of(body.get(f.ERROR_MESSAGE))
        step.call_id = f"{trajectory.where.id}:{step.index}"
        if trajectory.announced:  # a hook let it pass before a rule refused it
            known = trajectory.announced.popleft()
            known.call_id = known.call_id or step.call_id
        else:
            tool = denied_tool(self._connection.config, label) or "?"
            known = Announced(trajectory, step.call_id, tool, {})
        step.tool, step.call_id = known.tool, known.call_id
        yield from self._denied(known, label or words, step.index, at)

    def _denied(
        self, known: Announced, reason: str, index: int | None, at: float
    ) -> Iterator[Event]:
        yield ToolCall(
            trajectory=known.trajectory.where,
            call_id=known.call_id,
            name=known.tool,
            args=known.args,
            source=self._source(known),
            server=known.server,
            step_index=index,
            at=at,
        )
        yield ToolResult(
            trajectory=known.trajectory.where,
            call_id=known.call_id,
            name=known.tool,
            error=reason or "denied",
            denied=True,
            at=at,
        )

    def _source(self, known: Announced) -> Literal["builtin", "custom", "mcp"]:
        if known.server:
            return "mcp"
        return "custom" if known.tool in self._connection.host_tools else "builtin"

    # -- hooks and policies ------------------------------------------------------------------

    def hook_asks(self, body: Frame) -> Iterator[Event]:
        """The harness asks a hook: one before a tool names the call, one after has the result."""
        about = body.get(f.PRE_TOOL_ARGS)
        if isinstance(about, dict):
            self._announce(self._hooks, text_of(body.get(f.REQUEST_ID)), about)
        result = body.get(f.POST_TOOL_ARGS)
        if isinstance(result, dict):
            yield from self.mcp_results.reported(result)

    def hook_answered(self, body: Frame, at: float) -> Iterator[Event]:
        """A hook was answered; one before a tool may refuse the call, or change it."""
        request_id = text_of(body.get(f.REQUEST_ID))
        known = self._hooks.pop(request_id, None)
        verdict = object_of(body.get(f.PRE_TOOL_RESULT))
        failed = text_of(body.get(f.ERROR_MESSAGE))  # a hook that fails refuses the call
        if known is not None and (failed or verdict.get(f.DECISION) == f.HOOK_DENY):
            reason = failed or text_of(verdict.get(f.REASON))
            yield from self._refuse_announced(known, request_id, reason, at)

    def policy_asks(self, body: Frame, at: float) -> Iterator[Event]:
        """The harness asks a policy of the client; one that asks a person is an approval."""
        request_id = text_of(body.get(f.REQUEST_ID))
        about = object_of(body.get(f.TOOL_ARGS))
        known = self._announce(self._policies, request_id, about)
        connection = self._connection
        if connection.hosted or not asks_a_person(connection.config, {f.POLICY_REQUEST: body}):
            return
        if self._asks_for_question(body, about):
            return
        asked = Approval(
            trajectory=known.trajectory.where,
            approval_id=f"approval-{request_id}",
            tool=known.tool,
            args=known.args,
            server=known.server,
            state=ApprovalState.PENDING,
            reason=text_of(body.get(f.REASON)),
            call_id=known.call_id,
            at=at,
        )
        self._approvals[request_id] = asked
        yield asked

    def _asks_for_question(self, body: Frame, about: Frame) -> bool:
        """Whether it is a question to the user, under a rule about all tools: no approval."""
        if about.get(f.TOOL_NAME) != _QUESTION_TOOL or about.get(f.SERVER_NAME):
            return False
        return any(
            rule.get(f.RULE_ID) == body.get(f.RULE_ID) and rule.get("tool") == "*"
            for rule in rules_of(self._connection.config)
        )

    def policy_answered(self, body: Frame, at: float) -> Iterator[Event]:
        """A policy of the client has decided."""
        request_id = text_of(body.get(f.REQUEST_ID))
        known = self._policies.pop(request_id, None)
        allowed = body.get(f.OUTCOME) in (f.ALLOW, f.NO_MATCH)
        reason = text_of(body.get(f.DENY_REASON))
        asked = self._approvals.pop(request_id, None)
        if asked is not None:
            yield replace(
                asked,
                state=ApprovalState.ALLOWED if allowed else ApprovalState.DENIED,
                reason=reason,
                wait=max(0.0, at - asked.at) if at and asked.at else None,
                at=at,
            )
        if known is not None and not allowed:
            yield from self._refuse_announced(known, request_id, reason, at)

    def _announce(self, waiting: dict[str, Announced], request_id: str, about: Frame) -> Announced:
        trajectory = self._connection.trajectory(text_of(about.get(f.TRAJECTORY_ID)))
        known = Announced(
            trajectory,
            text_of(about.get(f.CALL_ID)),
            text_of(about.get(f.TOOL_NAME)) or "?",
            arguments_of(about),
            text_of(about.get(f.SERVER_NAME)) or None,
        )
        again = self._begun(trajectory, known.tool, known.call_id)  # by a hook, then by a policy
        known.call_id = known.call_id or (again.call_id if again is not None else "")
        trajectory.announced.append(known)
        waiting[request_id] = known
        return known

    def _refuse_announced(
        self, known: Announced, request_id: str, reason: str, at: float
    ) -> Iterator[Event]:
        trajectory = known.trajectory
        if known in trajectory.announced:
            trajectory.announced.remove(known)
        known.call_id = known.call_id or f"{trajectory.where.id}:{request_id}"
        trajectory.denied.append(known)
        yield from self._denied(known, reason, None, at)

    # -- questions ---------------------------------------------------------------------------

    def asks_user(
        self, body: Frame, step: OpenStep, trajectory: OpenTrajectory, at: float
    ) -> Iterator[Event]:
        """The model asks the user; a step does so once."""
        request = body.get(f.QUESTIONS_REQUEST)
        if not isinstance(request, dict) or step.asked:
            return
        step.asked = True
        key = f"{trajectory.where.id}:{step.index}"
        question = Question(
            trajectory=trajectory.where,
            question_id=key,
            questions=tuple(map(_question, objects_of(request.get(f.QUESTIONS)))),
            at=at,
        )
        self._questions[key] = question
        yield question

    def answered_question(self, body: Frame, at: float) -> Iterator[Event]:
        """The user answered."""
        index = number_of(body.get(f.STEP_INDEX))
        key = f"{text_of(body.get(f.TRAJECTORY_ID))}:{index}"
        question = self._questions.pop(key, None)
        if question is None:
            self._connection.problem("unknown_question", f"the answer to question {key!r}", at)
            return
        given = objects_of(object_of(body.get(f.RESPONSE)).get("answers"))
        answers = tuple(map(_answer, given)) or (Answer(skipped=True),)
        yield replace(question, answers=answers, at=at)


def _with_type(words: str, raised: ToolException | None) -> str:
    """Put the exception's class before its text, which alone may say little: `'customer 17'`."""
    if raised is None or words.startswith(raised.error_type):
        return words
    return f"{raised.error_type}: {words}"


def error_words(body: Frame) -> str:
    """What the harness says of an error of a step."""
    error = object_of(body.get(f.ERROR))
    return text_of(error.get(f.ERROR_MESSAGE)) or text_of(body.get(f.ERROR_MESSAGE))


def _harness_tool(body: Frame) -> tuple[str, Frame, str | None] | None:
    mcp = body.get(f.MCP_TOOL)
    if isinstance(mcp, dict):
        server = text_of(mcp.get(f.SERVER_NAME)) or None
        return text_of(mcp.get(f.TOOL_NAME)) or "?", arguments_of(mcp), server
    found = builtin_of(body)
    return None if found is None else (*found, None)


def _question(body: Frame) -> AskedQuestion:
    asked = object_of(body.get(f.MULTIPLE_CHOICE))
    return AskedQuestion(
        question=text_of(asked.get("question")),
        options=tuple(
            QuestionOption(id=str(number), text=str(choice))
            for number, choice in enumerate(list_of(asked.get("choices")), 1)
        ),
        multiple=bool(asked.get(f.MULTI_SELECT)),
    )


def _answer(body: Frame) -> Answer:
    given = object_of(body.get(f.MULTIPLE_CHOICE_ANSWER))
    indices = list_of(given.get(f.SELECTED))
    selected = tuple(str(number_of(index, -1) + 1) for index in indices)
    text = text_of(given.get(f.FREEFORM))
    return Answer(selected=selected, text=text, skipped=not (selected or text))
