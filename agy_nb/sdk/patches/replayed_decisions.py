"""Convert a cassette's recorded answers to the SDK's objects.

A cassette's socket answers in place of the user who was asked while recording. It hides these
requests from other clients. `Instrumentation` receives them, so that they become events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from google.antigravity import types
from google.antigravity.connections.local import struct_converter
from google.antigravity.connections.local.event_processor import json_format
from google.antigravity.proto import localharness_pb2

from agy_nb.sdk.interfaces.approval_request import ApprovalDecision
from agy_nb.sdk.interfaces.harness_socket import RecordedAnswers
from agy_nb.wire.frames import (
    ALLOW,
    DENY_REASON,
    ERROR_MESSAGE,
    NO_MATCH,
    OUTCOME,
    OUTCOME_DENY,
    RESPONSE_JSON,
)

_wire: Any = localharness_pb2  # its names are made at run time
_Handler = TypeVar("_Handler")


@dataclass(frozen=True, slots=True)
class ReplayedDecisions:
    """What a connection's cassette says; nothing where it has none.

    Args:
        answers: The cassette's; None where there is none.
    """

    _answers: RecordedAnswers | None

    def outcome(self, request_id: str) -> tuple[Any, str] | None:
        """Return the answer to a policy request: the wire's outcome and a denial's reason."""
        frame = None if self._answers is None else self._answers.decision(request_id)
        if frame is None:
            return None
        outcome = _wire.PolicyEvaluationOutcome.Value(frame.get(OUTCOME, OUTCOME_DENY))
        return outcome, str(frame.get(DENY_REASON, ""))

    def match(self, request_id: str) -> bool | None:
        """Return whether the predicate of the rule that a request is about matched.

        Returns:
            None if that is decided now.
        """
        found = self.outcome(request_id)
        return None if found is None else found[0] != _wire.PolicyEvaluationOutcome.Value(NO_MATCH)

    def decision(self, request_id: str) -> ApprovalDecision | None:
        """Return the recorded decision of a person; None to decide now."""
        found = self.outcome(request_id)
        if found is None:
            return None
        allowed = found[0] == _wire.PolicyEvaluationOutcome.Value(ALLOW)
        return ApprovalDecision(allowed=allowed, reason=found[1], decided_by="cassette")

    def decision_in_hook(self, request_id: str, tool_args: Any) -> ApprovalDecision | None:
        """Return the recorded decision of a person in a hook; None to decide now.

        Args:
            request_id: Of the harness's request to the hooks.
            tool_args: The call that it is about.
        """
        frame = None if self._answers is None else self._answers.hook(request_id)
        if frame is None:
            return None
        response = json_format.ParseDict(
            frame, _wire.CallHookResponse(), ignore_unknown_fields=True
        )
        said = response.pre_tool_result
        if said.decision != _wire.PreToolResult.Decision.ALLOW:
            return ApprovalDecision(allowed=False, reason=said.reason, decided_by="cassette")
        args: Any = None
        if said.HasField("modified_args"):
            args = struct_converter.to_json_fallback(said.modified_args)
            if args == json.loads(tool_args.arguments_json or "{}"):
                args = None
        return ApprovalDecision(allowed=True, decided_by="cassette", args=args)

    def decision_on_call(self, call_id: str) -> ApprovalDecision | None:
        """Return the recorded decision on a subagent's call; the harness does not ask about it."""
        denial = None if self._answers is None else self._answers.denial(call_id)
        if denial is None:
            return None
        return ApprovalDecision(allowed=not denial, reason=denial, decided_by="cassette")

    def is_left_to_us(self, call_id: str) -> bool:
        """Return whether a replay passed a call on without a look at the policies."""
        return self._answers is not None and self._answers.is_left_to_client(call_id)

    def answers(self, question_id: str) -> types.QuestionHookResult | None:
        """Return the recorded answers to questions; None to ask them now.

        Args:
            question_id: The trajectory that asks and the number of its step, with a colon between.
        """
        if self._answers is None:
            return None
        trajectory_id, _, step = question_id.rpartition(":")
        frame = self._answers.question(trajectory_id, int(step))
        if frame is None:
            return None
        answers = json_format.ParseDict(frame, _wire.UserQuestionsResponse()).response.answers
        return types.QuestionHookResult(responses=[_response_of(answer) for answer in answers])


def _response_of(answer: Any) -> types.QuestionResponse:
    choice = answer.multiple_choice_answer
    return types.QuestionResponse(
        selected_option_ids=[str(index + 1) for index in choice.selected_choice_indices] or None,
        freeform_response=choice.freeform_response,
        skipped=answer.unanswered,
    )


def result_fields(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the SDK's `ToolResult` for a recorded `ToolResponse`."""
    if ERROR_MESSAGE in response:
        return {"error": response[ERROR_MESSAGE]}
    try:
        value = json.loads(response.get(RESPONSE_JSON) or "null")
    except ValueError:
        value = response.get(RESPONSE_JSON)
    if isinstance(value, dict) and set(value) == {"result"}:
        value = value["result"]
    return {"result": value}


def asks_gate(handler: _Handler) -> _Handler:
    """Mark a policy's handler as one of ours, which asks the gate."""
    handler._agy_gate = True  # type: ignore[attr-defined]
    return handler


def is_asked_of_gate(rule: Any) -> bool:
    """Return whether a policy's handler is one of ours."""
    return getattr(getattr(rule, "ask_user", None), "_agy_gate", False)
