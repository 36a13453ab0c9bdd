"""Errors as data, and back: what a `Failed` reply and an `Error` event carry."""

from __future__ import annotations

from agy_nb import errors
from agy_nb.protocol.values import ErrorInfo

_CARRIED = (
    "http_code", "retry_after", "duration", "operation", "hinted", "field", "partial_text",
    "reason", "budget", "limit", "used",
)  # fmt: skip
"""Attributes of our errors that travel; where an error has none, it is None."""


def to_info(error: BaseException) -> ErrorInfo:
    """Write an error as data.

    Args:
        error: Any exception; one that is not ours becomes a `BackendError`.

    Example:
        >>> to_info(errors.AgyTimeoutError(3, "send")).operation
        'send'
    """
    if not isinstance(error, errors.AgyError):
        return ErrorInfo(type="BackendError", message=f"{type(error).__name__}: {error}")
    carried = {name: getattr(error, name, None) for name in _CARRIED}
    return ErrorInfo(
        type=type(error).__name__, message=str(error), retryable=error.retryable, **carried
    )


def to_error(info: ErrorInfo) -> errors.AgyError:
    """Create the error that `to_info` wrote; an unknown class becomes a `BackendError`."""
    cls = vars(errors).get(info.type, errors.BackendError)
    if not (isinstance(cls, type) and issubclass(cls, errors.AgyError)):
        cls = errors.BackendError
    error: errors.AgyError = cls.__new__(cls)
    error.args = (info.message,)
    for name in _attributes(cls):
        setattr(error, name, getattr(info, name))
    return error


def _attributes(cls: type[errors.AgyError]) -> tuple[str, ...]:
    """Return the names of the attributes of a class of errors."""
    if issubclass(cls, errors.QuotaExceededError):
        return "http_code", "retryable", "retry_after", "hinted"
    if issubclass(cls, errors.BackendError):
        return "http_code", "retryable"
    if issubclass(cls, errors.AgyTimeoutError):
        return "duration", "operation"
    if issubclass(cls, errors.BudgetExceededError):
        return "budget", "limit", "used"
    if issubclass(cls, errors.InvalidInputError):
        return ("field",)
    if issubclass(cls, errors.TurnDeniedError):
        return ("reason",)
    return ("partial_text",) if issubclass(cls, errors.TurnCancelledError) else ()
