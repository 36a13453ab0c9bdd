"""What a person was asked while a session was recorded, and what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from agy_nb.cassette.format import Frame
from agy_nb.protocol import events as e
from agy_nb.protocol.values import Answer, Trajectory
from agy_nb.widgets.browser_values import answer_of, object_of, question_id, question_of
from agy_nb.wire.frames import asks_a_person

_ALLOWING = ("POLICY_EVALUATION_OUTCOME_ALLOW", "POLICY_EVALUATION_OUTCOME_NO_MATCH")
_QUESTION = "ask_question"


class AskedReader:
    """Approvals and questions of one session, in the order of its frames.

    Args:
        where: Gives the trajectory that a frame is about.
        at: Gives the moment of the frame that is read.

    Attributes:
        config: The frame with the session's configuration, empty before it came.
    """

    def __init__(self, where: Callable[[Frame], Trajectory], at: Callable[[], float]) -> None:
        self.config: Frame = {}
        self._where = where
        self._at = at
        self._asked: dict[str, e.Approval] = {}
        self._questions: dict[str, e.Question] = {}

    def policy(self, body: Frame) -> Iterator[e.Event]:
        """The harness asks a policy; one that asks a person is told of."""
        about = body.get("toolArgs") or {}
        if not asks_a_person(self.config, {"policyDecisionRequest": body}):
            return
        if self._is_question(body, about):
            return
        number = str(body.get("requestId"))
        asked = e.Approval(
            trajectory=self._where(about),
            approval_id=f"approval-{number}",
            tool=str(about.get("toolName") or "?"),
            args=object_of(about.get("argumentsJson")),
            server=str(about.get("serverName") or "") or None,
            state=e.ApprovalState.PENDING,
            at=self._at(),
        )
        self._asked[number] = asked
        yield asked

    def _is_question(self, body: Frame, about: Frame) -> bool:
        """Whether it is a question to the user, under a rule about all tools: no approval."""
        if about.get("toolName") != _QUESTION or about.get("serverName"):
            return False
        rules = (self.config.get("config") or {}).get("policyConfig", {}).get("rules", ())
        return any(
            rule.get("ruleId") == body.get("ruleId") and rule.get("tool") == "*"
            for rule in rules
            if isinstance(rule, dict)
        )

    def decided(self, body: Frame) -> Iterator[e.Event]:
        """A policy was answered."""
        asked = self._asked.pop(str(body.get("requestId")), None)
        if asked is not None:
            allowed = body.get("outcome") in _ALLOWING
            yield replace(
                asked,
                state=e.ApprovalState.ALLOWED if allowed else e.ApprovalState.DENIED,
                reason=str(body.get("denyReason") or ""),
                wait=max(0.0, self._at() - asked.at),
                at=self._at(),
            )

    def asks(self, body: Frame, where: Trajectory) -> Iterator[e.Event]:
        """The model asks a question, told of once."""
        request = body.get("questionsRequest")
        key = question_id(body)
        if not isinstance(request, dict) or key in self._questions:
            return
        question = e.Question(
            trajectory=where,
            question_id=key,
            questions=tuple(map(question_of, request.get("questions") or ())),
            at=self._at(),
        )
        self._questions[key] = question
        yield question

    def answered(self, body: Frame) -> Iterator[e.Event]:
        """A question was answered."""
        question = self._questions.get(question_id(body))
        if question is not None:
            given = (body.get("response") or {}).get("answers") or ()
            answers = tuple(map(answer_of, given)) or (Answer(skipped=True),)
            yield replace(question, answers=answers, at=self._at())
