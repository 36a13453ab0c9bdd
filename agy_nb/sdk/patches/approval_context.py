"""Give the whole request to code that decides on a tool call; the SDK passes name and arguments.

`Instrumentation` stores the request in a context variable of the task that answers it. A policy's
handler and our hooks run in that task and read it from there.
"""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from google.antigravity.connections.local.local_connection_config import (
    WIRE_PATH_ARGUMENT_KEYS,
    normalize_wire_path,
)

from agy_nb.protocol.values import JsonObject, Trajectory
from agy_nb.sdk.converters import as_json
from agy_nb.sdk.interfaces.approval_request import ApprovalDecision, ApprovalRequest

if TYPE_CHECKING:
    from google.antigravity import types


class Listener(Protocol):
    """The object that receives the requests of one connection: `Instrumentation`.

    Attributes:
        decided: Decisions that were made before the harness asked for them, by the call's id.
    """

    decided: dict[str, PriorDecision]

    def asks_for(self, tool_args: Any) -> Trajectory:
        """Return which trajectory makes a call."""
        ...

    def recorded_decision(self, asked: PendingApproval) -> ApprovalDecision | None:
        """Return the recorded decision on a request; None to decide it now."""
        ...

    def recorded_match(self, asked: PendingApproval) -> bool | None:
        """Return whether a rule's predicate matched in the recording; None to decide it now."""
        ...

    def deny_with(self, asked: PendingApproval, reason: str) -> None:
        """Add a reason to the denial of a request."""
        ...


@dataclass(frozen=True, slots=True)
class PriorDecision:
    """A decision that was made in a hook, for the request of the harness that follows.

    Attributes:
        args: What the call would run with.
        decision: It.
    """

    args: JsonObject
    decision: ApprovalDecision


@dataclass(slots=True)
class PendingApproval:
    """What the running task is to answer.

    Attributes:
        listener: Of the connection that it came on.
        request_id: Of the harness's request, or of the call that the harness does not ask about.
        tool_args: The call, in the form of the wire.
        by: Who asked: a policy, a hook, or none of them. The harness does not ask about calls of
            subagents.
        decision: The decision of the gate, None before that and if the gate was not asked.
    """

    listener: Listener
    request_id: str
    tool_args: Any
    by: str = "policy"
    decision: ApprovalDecision | None = None

    @property
    def call_id(self) -> str:
        """Return the call's id, which is also in its events."""
        return str(self.request_id if self.by == "none" else self.tool_args.call_id)


deciding: contextvars.ContextVar[PendingApproval | None] = contextvars.ContextVar(
    "agy_nb_deciding", default=None
)
"""What the running task, and those that it creates, answer; None where that is not known."""


def request_of(call: types.ToolCall, reason: str) -> ApprovalRequest:
    """Return the request that the running policy handler decides on."""
    asked = deciding.get()
    return ApprovalRequest(
        tool=str(call.name),
        args=as_json(call.args),
        server=call.server_name or None,
        reason=reason,
        trajectory=Trajectory() if asked is None else asked.listener.asks_for(asked.tool_args),
        editable=asked is not None and asked.by == "hook",
        call_id="" if asked is None else asked.call_id,
    )


def recorded_decision() -> ApprovalDecision | None:
    """Return the recorded decision on the request of the running policy handler."""
    asked = deciding.get()
    return None if asked is None else asked.listener.recorded_decision(asked)


def recorded_match() -> bool | None:
    """Return whether the predicate that runs now matched when the session was recorded.

    Returns:
        None if that is decided now.
    """
    asked = deciding.get()
    return None if asked is None else asked.listener.recorded_match(asked)


def deny_with(reason: str) -> None:
    """Add a reason to the denial of the running policy handler."""
    if reason and (asked := deciding.get()) is not None:
        asked.listener.deny_with(asked, reason)


def note_decision(decision: ApprovalDecision) -> None:
    """Note that the gate has decided on the request of the running task."""
    if (asked := deciding.get()) is not None:
        asked.decision = decision


def decided_in_hook(call: types.ToolCall) -> ApprovalDecision | None:
    """Return the decision made on this call before the harness asked, None if there was none.

    It holds for the arguments that were decided on, and once.
    """
    asked = deciding.get()
    if asked is None or asked.by != "policy":
        return None
    known = asked.listener.decided.pop(asked.tool_args.call_id, None)
    if known is None or known.args != as_comparable(call.args):
        return None
    return known.decision


def as_comparable(args: Mapping[str, Any]) -> JsonObject:
    """Return arguments with their paths written as the SDK shows them to hooks."""
    written: JsonObject = as_json(args)
    for name in WIRE_PATH_ARGUMENT_KEYS:
        path = written.get(name)
        if isinstance(path, str):
            written[name] = normalize_wire_path(path)
    return written
