"""From the SDK's exceptions and error steps to our classes, by structure alone.

Rule 1: type, status code and stop reason decide; a word in a message or a class's name never does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile

import pydantic
from google.antigravity import types

from agy_nb.errors import (
    AgyError,
    BackendError,
    HarnessError,
    InvalidConfig,
    MaxTokens,
    QuotaExceeded,
    Safety,
)

QUOTA_CODE = 429
LOWEST_HTTP_CODE = 100
"""Below it the harness's code is no HTTP status: 2 is whatever it has no code for."""
LOWEST_SERVER_CODE = 500
"""From it on an HTTP status says that the other side is at fault."""
DEFAULT_RETRY_AFTER_S = 120.0
"""Seconds named to the user when a spent quota comes without a hint."""

_SAFETY_LABELS = frozenset(
    {
        "The response was blocked by content safety filters. Please try rephrasing your request.",
        # the Gemini API's BlockReason, which the harness hands on as it is
        "SAFETY",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "IMAGE_SAFETY",
        "JAILBREAK",
        "MODEL_ARMOR",
    }
)
_TOKEN_LABELS = frozenset({"The maximum token limit was reached."})
_RETRY_INFO = re.compile(
    r"@type:type\.googleapis\.com/google\.rpc\.RetryInfo retryDelay:(\d+(?:\.\d+)?)s\b"
)

_TYPES = frozenset(each.__name__ for each in (str, int, float, bool, bytes, list, dict))
"""As pydantic names what was tried where several types will do."""


@dataclass(frozen=True, slots=True)
class StepFailure:
    """An error that the SDK only shows as a step.

    Attributes:
        label: The harness's own name for the error, one of a fixed set.
        message: The harness's words.
        http_code: Status code of the model's answer; 0 where there was none, 2 where the connection
            to the model broke, the context does not fit, or an MCP server does not start.
    """

    label: str
    message: str
    http_code: int


def of_config(error: Exception) -> AgyError:
    """What a refused configuration is to the user."""
    if isinstance(error, AgyError):
        return error
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        path = ".".join(map(str, takewhile(_names_a_place, first["loc"])))
        return InvalidConfig(
            f"the SDK refuses this configuration: {path or error.title}: {first['msg']}", field=path
        )
    if isinstance(error, types.AntigravityValidationError | ValueError | TypeError):
        return InvalidConfig(f"the SDK refuses this configuration: {error}")
    if isinstance(error, OSError | RuntimeError):
        words = str(error).strip().rstrip(".")
        return HarnessError(f"the agent did not start: {words}. Run `agy-nb doctor`")
    return BackendError(f"the agent did not start: {type(error).__name__}: {error}")


def _names_a_place(step: int | str) -> bool:
    """Whether a step of a path is a field or a number, not a type that was tried there."""
    return isinstance(step, int) or (step.isidentifier() and step not in _TYPES)


def of_turn(
    error: Exception | None, *, failure: StepFailure | None, stop_reason: str, lost: bool
) -> AgyError | None:
    """What ended a turn, None if it ended well.

    Args:
        error: What the SDK's stream raised, if it did.
        failure: The error step that nothing followed, if there was one.
        stop_reason: The SDK's stop reason of the turn.
        lost: Whether the connection to the harness broke in the turn.
    """
    if isinstance(error, AgyError):
        return error
    if stop_reason == types.StopReason.QUOTA_EXHAUSTED.value:
        return _quota(failure)
    if failure is not None:
        return of_step(failure)
    if lost:
        what, _, more = str(error or "it closed the connection").partition("\n")
        gone = HarnessError(
            f"the harness is gone: {what.rstrip('.')}. "
            "The next prompt starts another one and takes the conversation up where it was saved"
        )
        if more:
            gone.add_note(more)
        return gone
    return None if error is None else BackendError(_advice(0, str(error)))


def of_step(failure: StepFailure, what: str = "the turn failed") -> AgyError:
    """What an error step is, should nothing follow it.

    Args:
        failure: The step.
        what: What failed, where its own words do not tell.
    """
    if failure.http_code == QUOTA_CODE:
        return _quota(failure)
    if failure.label in _SAFETY_LABELS and not failure.http_code:
        return Safety(
            f"the model did not answer for safety reasons; rephrase the prompt: {failure.message}"
        )
    if failure.label in _TOKEN_LABELS and not failure.http_code:
        return MaxTokens(
            "the answer ran into the token limit; ask for less at once, or raise "
            f"max_output_tokens: {failure.message}"
        )
    code = failure.http_code if failure.http_code >= LOWEST_HTTP_CODE else None
    return BackendError(_advice(failure.http_code, failure.message, what), http_code=code)


def _quota(failure: StepFailure | None) -> QuotaExceeded:
    hint = _RETRY_INFO.search(failure.message) if failure else None
    return QuotaExceeded(
        float(hint[1]) if hint else DEFAULT_RETRY_AFTER_S,
        http_code=(failure.http_code or None) if failure else None,
        hinted=hint is not None,
    )


def _advice(code: int, words: str, what: str = "the turn failed") -> str:
    advice = {
        2: "the harness got no answer; see that the model, or an MCP server that it names, is up",
        400: "the model refused the request (HTTP 400); look at the configuration and the prompt",
        401: "the model did not accept the API key (HTTP 401); set a valid GEMINI_API_KEY",
        403: "this API key may not use the model (HTTP 403); choose another model or key",
        404: "there is no such model (HTTP 404); see how it is spelled in the configuration",
        408: "the model was too slow (HTTP 408); try again, or ask for less at once",
        413: "the prompt is too large for the model (HTTP 413); send less at once",
    }.get(code)
    if code >= LOWEST_SERVER_CODE:
        advice = f"{what} (HTTP {code}); the model's service is at fault, try again later"
    if advice:
        return f"{advice}: {words}"
    return f"{what}{f' (HTTP {code})' if code else ''}: {words or 'no reason was given'}"
