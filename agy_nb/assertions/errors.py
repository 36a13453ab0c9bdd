"""The error of a failed assertion."""

from __future__ import annotations

from agy_nb.errors import AgyError


class ExpectationError(AgyError, AssertionError):
    """The agent did not do what a test expects. The message lists its steps.

    What to do: compare the marked step with the expected one. Either the agent or the test is
    wrong.

    Example:
        >>> sessions = agy.load("cassettes/plain_chat", text=True)
        >>> agy.expect(sessions, turn=1).called("get_weather")
        Traceback (most recent call last):
        agy_nb.assertions.errors.ExpectationError: get_weather was not called
        ...
    """
