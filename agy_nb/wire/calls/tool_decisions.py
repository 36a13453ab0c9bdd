"""Decisions of hooks and policies on tool calls, and the calls that they refuse.

A call that a hook or a policy refuses never becomes a step with a tool: its name and arguments are
in the request that was answered. If a fixed rule refused it, only the words of the error name
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from agy_nb.protocol.events import Approval, ApprovalState, Event, ToolCall, ToolResult
from agy_nb.wire import frames as f
from agy_nb.wire.calls.call_reader import error_words
from agy_nb.wire.client_config import asks_a_person, denied_tool, rules_of
from agy_nb.wire.frames import Frame
from agy_nb.wire.json_values import arguments_of, object_of, text_of
from agy_nb.wire.reader_state import Announced, Connection, OpenStep, OpenTrajectory

_QUESTION_TOOL = "ask_question"


def refused_step(
    connection: Connection, body: Frame, step: OpenStep, trajectory: OpenTrajectory, at: float
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
        tool = denied_tool(connection.config, label) or "?"
        known = Announced(trajectory, step.call_id, tool, {})
    step.tool, step.call_id = known.tool, known.call_id
    yield from _denied(connection, known, label or words, step.index, at)


def _denied(
    connection: Connection, known: Announced, reason: str, index: int | None, at: float
) -> Iterator[Event]:
    yield ToolCall(
        trajectory=known.trajectory.where,
        call_id=known.call_id,
        name=known.tool,
        args=known.args,
        source=_source(connection, known),
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


def _source(connection: Connection, known: Announced) -> Literal["builtin", "custom", "mcp"]:
    if known.server:
        return "mcp"
    return "custom" if known.tool in connection.host_tools else "builtin"


def hook_asked(connection: Connection, body: Frame) -> None:
    """Remember the call that the harness asks a hook about, if the hook runs before a tool."""
    about = body.get(f.PRE_TOOL_ARGS)
    if isinstance(about, dict):
        _announce(connection, connection.hooks, text_of(body.get(f.REQUEST_ID)), about)


def hook_answered(connection: Connection, body: Frame, at: float) -> Iterator[Event]:
    """Read the answer of a hook; a hook before a tool may refuse the call or change it."""
    request_id = text_of(body.get(f.REQUEST_ID))
    known = connection.hooks.pop(request_id, None)
    verdict = object_of(body.get(f.PRE_TOOL_RESULT))
    failed = text_of(body.get(f.ERROR_MESSAGE))  # a hook that fails refuses the call
    if known is not None and (failed or verdict.get(f.DECISION) == f.HOOK_DENY):
        reason = failed or text_of(verdict.get(f.REASON))
        yield from _refuse_announced(connection, known, request_id, reason, at)


def policy_asks(connection: Connection, body: Frame, at: float) -> Iterator[Event]:
    """Read a request to a policy; it is an approval if the policy asks a person."""
    request_id = text_of(body.get(f.REQUEST_ID))
    about = object_of(body.get(f.TOOL_ARGS))
    known = _announce(connection, connection.policies, request_id, about)
    if connection.hosted or not asks_a_person(connection.config, {f.POLICY_REQUEST: body}):
        return
    if _asks_for_question(connection, body, about):
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
    connection.approvals[request_id] = asked
    yield asked


def _asks_for_question(connection: Connection, body: Frame, about: Frame) -> bool:
    """Return whether the request is about a question to the user, which needs no approval."""
    if about.get(f.TOOL_NAME) != _QUESTION_TOOL or about.get(f.SERVER_NAME):
        return False
    return any(
        rule.get(f.RULE_ID) == body.get(f.RULE_ID) and rule.get("tool") == "*"
        for rule in rules_of(connection.config)
    )


def policy_answered(connection: Connection, body: Frame, at: float) -> Iterator[Event]:
    """Read the decision of a policy."""
    request_id = text_of(body.get(f.REQUEST_ID))
    known = connection.policies.pop(request_id, None)
    allowed = body.get(f.OUTCOME) in (f.ALLOW, f.NO_MATCH)
    reason = text_of(body.get(f.DENY_REASON))
    asked = connection.approvals.pop(request_id, None)
    if asked is not None:
        yield replace(
            asked,
            state=ApprovalState.ALLOWED if allowed else ApprovalState.DENIED,
            reason=reason,
            wait=max(0.0, at - asked.at) if at and asked.at else None,
            at=at,
        )
    if known is not None and not allowed:
        yield from _refuse_announced(connection, known, request_id, reason, at)


def _announce(
    connection: Connection, waiting: dict[str, Announced], request_id: str, about: Frame
) -> Announced:
    trajectory = connection.trajectory(text_of(about.get(f.TRAJECTORY_ID)))
    known = Announced(
        trajectory,
        text_of(about.get(f.CALL_ID)),
        text_of(about.get(f.TOOL_NAME)) or "?",
        arguments_of(about),
        text_of(about.get(f.SERVER_NAME)) or None,
    )
    again = trajectory.begin_announced(known.tool, known.call_id)  # a hook was asked before
    known.call_id = known.call_id or (again.call_id if again is not None else "")
    trajectory.announced.append(known)
    waiting[request_id] = known
    return known


def _refuse_announced(
    connection: Connection, known: Announced, request_id: str, reason: str, at: float
) -> Iterator[Event]:
    trajectory = known.trajectory
    if known in trajectory.announced:
        trajectory.announced.remove(known)
    known.call_id = known.call_id or f"{trajectory.where.id}:{request_id}"
    trajectory.denied.append(known)
    yield from _denied(connection, known, reason, None, at)
