"""From the SDK's exceptions to our classes, by structure alone.

Rule 1: type, status code and stop reason decide; a word in a message or a class's name never does.
"""

from __future__ import annotations

from itertools import takewhile

import pydantic
from google.antigravity import types

from agy_nb.errors import AgyError, BackendError, HarnessError, InvalidConfigError
from agy_nb.wire.errors import StepFailure, advice, error_of_step, quota_error

_TYPES = frozenset(each.__name__ for each in (str, int, float, bool, bytes, list, dict))
"""Names of types that pydantic adds to the place of an error in a union."""


def of_config(error: Exception) -> AgyError:
    """Convert the SDK's error of a configuration or a start."""
    if isinstance(error, AgyError):
        return error
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        path = ".".join(map(str, takewhile(_names_a_place, first["loc"])))
        return InvalidConfigError(
            f"the SDK rejects this configuration: {path or error.title}: {first['msg']}", field=path
        )
    if isinstance(error, types.AntigravityValidationError | ValueError | TypeError):
        refused = InvalidConfigError(f"the SDK rejects this configuration: {error}")
        for note in getattr(error, "__notes__", ()):  # what a cassette adds
            refused.add_note(note)
        return refused
    if isinstance(error, OSError | RuntimeError):
        words = str(error).strip().rstrip(".")
        return HarnessError(f"the agent did not start: {words}. Run `agy-nb doctor`")
    return BackendError(f"the agent did not start: {type(error).__name__}: {error}")


def _names_a_place(step: int | str) -> bool:
    """Return whether a step of a path is a field or a number, not a type that was tried there."""
    return isinstance(step, int) or (step.isidentifier() and step not in _TYPES)


def of_turn(
    error: Exception | None, *, failure: StepFailure | None, stop_reason: str, lost: bool
) -> AgyError | None:
    """Return the error that ended a turn, None if it ended normally.

    Args:
        error: What the SDK's stream raised, if it did.
        failure: The error step that nothing followed, if there was one.
        stop_reason: The SDK's stop reason of the turn.
        lost: Whether the connection to the harness broke in the turn.
    """
    if isinstance(error, AgyError):
        return error
    if stop_reason == types.StopReason.QUOTA_EXHAUSTED.value:
        return quota_error(failure)
    if failure is not None:
        return error_of_step(failure)
    if lost:
        what, _, more = str(error or "it closed the connection").partition("\n")
        gone = HarnessError(
            f"the harness has ended: {what.rstrip('.')}. "
            "The next prompt starts another one and resumes the saved conversation",
            retryable=True,
        )
        if more:
            gone.add_note(more)
        return gone
    return None if error is None else BackendError(advice(0, str(error)))
