"""Recorded answers for a client that wants to see what it is asked.

As a rule a client sees nothing of a request that is answered from the recording: its handlers would
ask a person. Our runtime wants to, for its events, and takes the answer from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agy_nb.cassette.replay.machine import SessionMachine
from agy_nb.wire import frames as f


class CassetteAnswers:
    """What a person said while the session was recorded.

    Args:
        machine: Gives the machine that plays the session, None before it is known.
    """

    def __init__(self, machine: Callable[[], SessionMachine | None]) -> None:
        self._machine = machine

    def decision(self, request_id: str) -> dict[str, Any] | None:
        """The recorded `PolicyDecisionResponse`, None if the client decides.

        Args:
            request_id: Of the harness's request.
        """
        return self._answer(f.FrameKey(f.POLICY_RESPONSE, request_id))

    def hook(self, request_id: str) -> dict[str, Any] | None:
        """The recorded `CallHookResponse`, None if the client decides.

        Args:
            request_id: Of the harness's request.
        """
        machine, key = self._machine(), f.FrameKey(f.HOOK_RESPONSE, request_id)
        if machine is None or not machine.decides:
            return None
        frame = machine.recorded_response(key)
        return None if frame is None else frame[key.kind]

    def question(self, trajectory_id: str, step: int) -> dict[str, Any] | None:
        """The recorded `UserQuestionsResponse`, None if the client answers.

        Args:
            trajectory_id: Of the agent that asks.
            step: Number of its step.
        """
        return self._answer(f.FrameKey(f.QUESTION_RESPONSE, f"{trajectory_id}/{step}"))

    def denial(self, call_id: str) -> str | None:
        """Why a subagent's call of a host tool was refused; empty if it was not.

        The harness does not ask about these calls, so there is only the result. One that is an
        error counts as a refusal: what cannot be told is not done.

        Args:
            call_id: Of the harness's call.

        Returns:
            None if the client decides.
        """
        machine = self._machine()
        if machine is None or not machine.decides:
            return None
        return str(machine.recorded_result(call_id).get(f.ERROR_MESSAGE, ""))

    def is_left_to_client(self, call_id: str) -> bool:
        """Whether the client must apply its policies to a call itself.

        Args:
            call_id: Of the harness's call.
        """
        machine = self._machine()
        return machine is not None and machine.left_to_client(call_id)

    def _answer(self, key: f.FrameKey) -> dict[str, Any] | None:
        machine = self._machine()
        frame = None if machine is None else machine.recorded_answer(key)
        return None if frame is None else frame[key.kind]
