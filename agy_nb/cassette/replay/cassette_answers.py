"""Recorded answers of the user, for a client that receives all requests.

Most clients do not receive requests that the recording answers, because their handlers would ask
the user. agy_nb's runtime receives them for its events, and gets the answers from this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agy_nb.cassette.replay.machine import SessionMachine
from agy_nb.wire import frames as f

Tools: TypeAlias = Literal["check", "run", "replay"]
Answers: TypeAlias = Literal["replay", "ask", "run"]
"""Whether the user's answers come from the recording; `run` is an older name of `ask`."""


@dataclass(frozen=True, slots=True)
class CassetteAnswers:
    """Look up the user's recorded answers.

    Args:
        machine: Returns the machine that replays the session, None before it is known.
    """

    _machine: Callable[[], SessionMachine | None]

    def decision(self, request_id: str) -> dict[str, Any] | None:
        """Return the recorded `PolicyDecisionResponse`, None if the client decides.

        Args:
            request_id: Id of the harness's request.
        """
        return self._answer(f.FrameKey(f.POLICY_RESPONSE, request_id))

    def hook(self, request_id: str) -> dict[str, Any] | None:
        """Return the recorded `CallHookResponse`, None if the client decides.

        Args:
            request_id: Id of the harness's request.
        """
        machine, key = self._machine(), f.FrameKey(f.HOOK_RESPONSE, request_id)
        if machine is None or not machine.decides:
            return None
        frame = machine.recorded_response(key)
        return None if frame is None else frame[key.kind]

    def question(self, trajectory_id: str, step: int) -> dict[str, Any] | None:
        """Return the recorded `UserQuestionsResponse`, None if the client answers.

        Args:
            trajectory_id: Trajectory of the agent that asks.
            step: Number of the step.
        """
        return self._answer(f.FrameKey(f.QUESTION_RESPONSE, f"{trajectory_id}/{step}"))

    def denial(self, call_id: str) -> str | None:
        """Return why a subagent's call of a host tool was denied; empty if it was allowed.

        The harness does not ask about these calls, so the recording holds only the result. A result
        with an error counts as a denial: it cannot be distinguished from a tool that failed.

        Args:
            call_id: Id of the harness's call.

        Returns:
            The recorded error; None if the client decides.
        """
        machine = self._machine()
        if machine is None or not machine.decides:
            return None
        result = machine.recorded_response(f.FrameKey(f.TOOL_RESPONSE, call_id)) or {}
        return str(result.get(f.TOOL_RESPONSE, {}).get(f.ERROR_MESSAGE, ""))

    def is_left_to_client(self, call_id: str) -> bool:
        """Return whether the client must apply its policies to a call itself.

        Args:
            call_id: Id of the harness's call.
        """
        machine = self._machine()
        return machine is not None and machine.left_to_client(call_id)

    def _answer(self, key: f.FrameKey) -> dict[str, Any] | None:
        machine = self._machine()
        frame = None if machine is None else machine.recorded_answer(key)
        return None if frame is None else frame[key.kind]
