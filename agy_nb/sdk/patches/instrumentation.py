"""Apply agy_nb's changes to the SDK's objects of one session.

Rule 1: an error in code that decides on a call denies the call, with the error as the reason.
Rule 2: requests reach the deciding code by context variables of the task that answers; see
`session_socket`.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from google.antigravity.connections.local.event_processor import json_format
from google.antigravity.hooks import hooks, policy
from google.antigravity.proto import localharness_pb2

from agy_nb.protocol import events
from agy_nb.protocol.encodable import encodable_text
from agy_nb.protocol.values import Trajectory
from agy_nb.sdk.converters import questions_of
from agy_nb.sdk.interfaces.approval_request import ApprovalDecision
from agy_nb.sdk.interfaces.harness_socket import ReplaySocket, Socket
from agy_nb.sdk.patches.approval_context import PendingApproval, PriorDecision, deciding
from agy_nb.sdk.patches.question_hook import asking
from agy_nb.sdk.patches.replayed_decisions import ReplayedDecisions
from agy_nb.sdk.patches.session_socket import SessionSocket
from agy_nb.sdk.patches.user_code.guard import contained_wait, words_of
from agy_nb.sdk.patches.user_code.hooks import contain_hooks
from agy_nb.sdk.patches.user_code.host_tools import Note, ToolGuard, contain_tools
from agy_nb.sdk.patches.user_code.triggers import begin_turns_when_sent
from agy_nb.sdk.process import launch
from agy_nb.sdk.process.observed_socket import OnEnd, OnFrame
from agy_nb.wire import frames

if TYPE_CHECKING:
    from google.antigravity import types

_wire: Any = localharness_pb2  # its names are made at run time
_NO_TURN = hooks.TurnContext(hooks.SessionContext())

_ASKS = (*frames.REQUESTS, frames.QUESTIONS_REQUEST)
_ANSWERS = (*frames.ANSWERS, *frames.STEP_ANSWERS)

_call: contextvars.ContextVar[Any] = contextvars.ContextVar("agy_nb_tool_call", default=None)
"""The frame of the call to a host tool that the running task answers."""


class Instrumentation:
    """The changes to the SDK's objects of one session.

    Args:
        policies: The agent's, for the calls that the harness does not ask about.
        trajectory_of: Finds a trajectory by its id.
        note: Takes facts that never cross the wire.
        on_frame: Called with every frame.
        on_end: Called once, when the connection ends.
        on_activity: Called for each trigger that is sent.

    Attributes:
        decided: Decisions that a hook has asked for already, by the call's id.
        denial: Why a pre-turn hook has denied the prompt of the turn, None where none has.
        recorded: What the replay says; nothing where there is none.
        socket: The session's, None before the start.
        replay: The replay that plays the session, None where a real harness does.
    """

    def __init__(
        self,
        policies: Sequence[policy.Policy],
        *,
        trajectory_of: Callable[[str], Trajectory],
        note: Note,
        on_frame: OnFrame,
        on_end: OnEnd,
        on_activity: Callable[[], None],
    ) -> None:
        self.decided: dict[str, PriorDecision] = {}
        self.recorded: ReplayedDecisions = ReplayedDecisions(None)
        self.denial: str | None = None
        self._policy = _enforced(policies)
        self._trajectory_of = trajectory_of
        self._note = note
        self._on_frame = on_frame
        self._on_end = on_end
        self._on_activity = on_activity
        self._denials: dict[str, str] = {}
        self._requested: dict[str, str] = {}
        self._allowed: set[str] = set()
        self.replay: ReplaySocket | None = None
        self.socket: SessionSocket | None = None
        self._tools: ToolGuard | None = None
        self._processor: Any = None

    # -- where it is put in ------------------------------------------------------------------

    def watch_runners(self, tool_runner: Any, hook_runner: Any) -> None:
        """Change the SDK's runners, before the connection gets them."""
        contain_tools(tool_runner)
        self._tools = ToolGuard(tool_runner, self._denial_of, self._note)
        contain_hooks(hook_runner, self._recorded_answers, self._note_denial, self._tools.raised)

    def wrap_socket(self, socket: Socket, replay: ReplaySocket | None) -> SessionSocket:
        """Wrap the socket of a start."""
        self.replay = replay
        self.socket = SessionSocket(
            socket,
            self._on_frame,
            on_received=self._on_received,
            rewrite=self._with_our_words,
            is_answer=_is_answer,
            on_end=self._on_end,
            keep=(launch.current, launch.recorded_results),
        )
        return self.socket

    def watch_connection(self, connection: Any) -> None:
        """Change the SDK's connection, before anything was read from it."""
        replay = self.replay
        self.recorded = ReplayedDecisions(None if replay is None else replay.show_requests())
        self._processor = getattr(connection, "_processor", None)
        if self._processor is not None:
            begin_turns_when_sent(connection, self._processor, self._on_activity)

    def keep_note(self, note: events.Event) -> None:
        """Have a recording of the session keep a fact that never crosses the wire."""
        if self.socket is not None:
            self.socket.note(note)

    # -- while it runs -----------------------------------------------------------------------

    def begin_turn(self) -> None:
        """Have tools, hooks and handlers run in the caller's context: their prints go there."""
        self.denial = None
        if self._tools is not None:
            self._tools.turn_is_cancelled = False
        if self.socket is not None:
            self.socket.run_in(contextvars.copy_context())

    @property
    def announces_turns(self) -> bool:
        """Whether `expect_turn` works with this SDK."""
        return self._processor is not None

    def expect_turn(self) -> None:
        """Mark the connection as busy: the harness has begun a turn by itself."""
        if self._tools is not None:
            self._tools.turn_is_cancelled = False
        if self._processor is not None:
            self._processor.is_idle.clear()

    def _note_denial(self, reason: str) -> None:
        self.denial = reason

    def cancel_tools(self) -> None:
        """Cancel the host tools that run; their results are not wanted any more."""
        if self._tools is not None:
            self._tools.cancel()

    async def abandon(self) -> None:
        """End all that is decided, asked or run for a harness that is gone."""
        if self._processor is not None:
            await self._processor.cancel_background_tasks()

    # -- requests ----------------------------------------------------------------------------

    def _on_received(self, message: str | bytes) -> None:
        """Leave in the reader's context what the task that answers this frame must know."""
        # Forget the request of the frame before: the reader has one context for all frames, and the
        # tasks that it starts inherit it.
        deciding.set(None)
        if not _mentions(message, _ASKS):
            return
        try:
            event = json_format.Parse(message, _wire.OutputEvent(), ignore_unknown_fields=True)
        except json_format.ParseError:  # the reader of the SDK reports it
            return
        if event.HasField("policy_decision_request"):
            request = event.policy_decision_request
            if not self.asks_for(request.tool_args).is_root:
                self._requested[request.request_id] = request.tool_args.call_id
            deciding.set(PendingApproval(self, request.request_id, request.tool_args))
        elif event.HasField("call_hook_request"):
            request = event.call_hook_request
            if request.HasField("pre_tool_args"):
                deciding.set(
                    PendingApproval(self, request.request_id, request.pre_tool_args, by="hook")
                )
        elif event.HasField("tool_call"):
            _call.set(event.tool_call)
        elif event.step_update.HasField("questions_request"):
            asking.set(self._question(event.step_update))

    def _question(self, update: Any) -> events.Question:
        return events.Question(
            trajectory=self._trajectory_of(update.trajectory_id),
            question_id=f"{update.trajectory_id}:{update.step_index}",
            questions=questions_of(update),
        )

    def asks_for(self, tool_args: Any) -> Trajectory:
        """Return which trajectory makes a call."""
        return self._trajectory_of(tool_args.trajectory_id)

    # -- decisions ---------------------------------------------------------------------------

    def recorded_decision(self, asked: PendingApproval) -> ApprovalDecision | None:
        """Return the recorded decision on a request; None to decide it now."""
        if asked.by == "hook":
            return self.recorded.decision_in_hook(asked.request_id, asked.tool_args)
        if asked.by == "none":
            return self.recorded.decision_on_call(asked.request_id)
        return self.recorded.decision(asked.request_id)

    def recorded_match(self, asked: PendingApproval) -> bool | None:
        """Return whether a rule's predicate matched in the recording; None to decide it now."""
        return self.recorded.match(asked.request_id) if asked.by == "policy" else None

    def deny_with(self, asked: PendingApproval, reason: str) -> None:
        """Add the reason to the denial of a request."""
        if asked.by != "hook":  # a hook sends the reason itself
            self._denials[asked.request_id] = encodable_text(reason)

    def _with_our_words(self, message: str | bytes) -> str | bytes:
        """Return an outgoing frame; add the reason to a denial, which the SDK's handlers cannot."""
        if not (self._denials or self._requested):
            return message
        if not _mentions(message, (frames.POLICY_RESPONSE,)):
            return message
        event = json_format.Parse(message, _wire.InputEvent(), ignore_unknown_fields=True)
        response = event.policy_decision_response
        call_id = self._requested.pop(response.request_id, "")
        if call_id and response.outcome == _wire.POLICY_EVALUATION_OUTCOME_ALLOW:
            self._allowed.add(call_id)
        reason = self._denials.pop(response.request_id, "")
        if not reason:
            return message
        response.deny_reason = reason
        return str(json_format.MessageToJson(event))

    async def _denial_of(self, tool_call: types.ToolCall) -> str | None:
        """Return why a call of a host tool is not allowed; None if it is.

        Measured: the harness asks about the calls of the root agent and of its clones (`self`). It
        does not ask about those of a subagent with a name, so this enforces the policies.
        """
        call = _call.get()
        if call is None or call.id != tool_call.id:
            return None
        was_asked_about = call.id in self._allowed
        self._allowed.discard(call.id)
        is_root = self._trajectory_of(call.trajectory_id).is_root
        if was_asked_about or (is_root and not self.recorded.is_left_to_us(call.id)):
            return None
        deciding.set(PendingApproval(self, call.id, call, by="none"))
        try:
            asked = self._policy.run(hooks.OperationContext(_NO_TURN), tool_call)
            verdict = await contained_wait(asked)
        except Exception as error:
            return f"the policy failed: {words_of(error)}"
        reason = self._denials.pop(call.id, "")
        return None if verdict.allow else reason or verdict.message or "denied by policy"

    def _recorded_answers(self) -> types.QuestionHookResult | None:
        question = asking.get()
        return None if question is None else self.recorded.answers(question.question_id)


def _enforced(policies: Sequence[policy.Policy]) -> hooks.PreToolCallDecideHook:
    """Return the policies as a hook that denies calls that none of them allows.

    Measured: the harness denies what no rule allows; the SDK's own check would allow it.
    """
    checked = policy.enforce(policies, mcp_servers=[])
    if not policies or any(getattr(rule, "auto", False) for rule in policies):
        return checked
    rules = getattr(checked, "_policies", None)
    if rules is None:  # a rule that denies all comes before one that allows all then
        return policy.enforce([*policies, policy.deny_all()], mcp_servers=[])
    rules.append(policy.deny_all())
    return checked


def _mentions(message: str | bytes, names: tuple[str, ...]) -> bool:
    """Return whether a frame may be of one of these kinds; a cheap test without misses."""
    text = message if isinstance(message, str) else message.decode(errors="replace")
    for name in names:  # noqa: SIM110 - for each frame; a generator costs as much as the search
        if name in text:
            return True
    return False


def _is_answer(message: str | bytes) -> bool:
    return _mentions(message, _ANSWERS)
