"""From the labels and status codes of failed steps to the classes of `agy_nb.errors`.

Rule 1: the label and the status code decide. A word in a message never does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agy_nb.errors import AgyError, BackendError, MaxTokensError, QuotaExceededError, SafetyError

QUOTA_CODE = 429
LOWEST_HTTP_CODE = 100
"""Below it the harness's code is not an HTTP status: 2 stands for everything without one."""
LOWEST_SERVER_CODE = 500
"""From it on, an HTTP status says that the server is at fault."""
DEFAULT_RETRY_AFTER_S = 120.0
"""Seconds named to the user when a spent quota comes without a hint."""
LONGEST_RETRY_AFTER_S = 86_400.0
"""Seconds that an error names at most: the hint comes from the model's service, and may be
anything."""

_RETRIED_PREFIX = "Encountered retryable error from model provider: "
"""The harness puts this before the label of an error if it repeats the request. It sends the step
with the new request, and nothing during the wait before it."""
_NETWORK_LABEL = "There was a network issue connecting to the server, please try again."

SAFETY_LABELS = frozenset(
    {
        "The response was blocked by content safety filters. Please try rephrasing your request.",
        # The Gemini API's BlockReason, which the harness passes on as it is.
        "SAFETY",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "IMAGE_SAFETY",
        "JAILBREAK",
        "MODEL_ARMOR",
    }
)
TOKEN_LABELS = frozenset({"The maximum token limit was reached."})
_RETRY_INFO = re.compile(
    r"@type:type\.googleapis\.com/google\.rpc\.RetryInfo retryDelay:(\d{1,9}(?:\.\d{1,9})?)s\b"
)


@dataclass(frozen=True, slots=True)
class StepFailure:
    """An error that the harness shows as a step.

    Attributes:
        label: The harness's name for the error, one of a fixed set.
        message: The harness's words.
        http_code: Status code of the model's answer. 0 where there was none; 2 where the connection
            to the model broke, the context does not fit, or an MCP server does not start.
    """

    label: str
    message: str
    http_code: int = 0

    @property
    def retried(self) -> bool:
        """Whether the harness sends the request again."""
        return self.label.startswith(_RETRIED_PREFIX)

    @property
    def disconnected(self) -> bool:
        """Whether the connection to the model broke."""
        return self.label.removeprefix(_RETRIED_PREFIX) == _NETWORK_LABEL


def status_code(code: int) -> int | None:
    """Return the HTTP status code of a failure, None if its code is not one."""
    return code if code >= LOWEST_HTTP_CODE else None


def error_of_step(
    failure: StepFailure, what: str = "the turn failed", *, retry: int = 0
) -> AgyError:
    """Convert a failed step to an error.

    Args:
        failure: The step.
        what: Description of the failure, for a step without a message.
        retry: Number of the harness's retry of this request, 0 if not known.
    """
    again = ""
    if failure.retried:
        again = f"the harness repeats the request{f' (retry {retry})' if retry else ''}"
    if failure.http_code == QUOTA_CODE:
        return quota_error(failure, again)
    if failure.label in SAFETY_LABELS and not failure.http_code:
        return SafetyError(
            f"the model did not answer for safety reasons; rephrase the prompt: {failure.message}"
        )
    if failure.label in TOKEN_LABELS and not failure.http_code:
        return MaxTokensError(
            "the answer reached the token limit; ask for a shorter answer, or raise "
            f"max_output_tokens: {failure.message}"
        )
    code = status_code(failure.http_code)
    if again:
        reason = f"HTTP {code}" if code else "the connection to the model broke"
        words = f"{what} ({reason}); {again}: {failure.message}"
    else:
        words = advice(failure.http_code, failure.message, what)
    retryable = True if failure.retried or failure.disconnected else None
    return BackendError(words, http_code=code, retryable=retryable)


def quota_error(failure: StepFailure | None, again: str = "") -> QuotaExceededError:
    """Create the error of an exceeded quota, with the model's hint when to try again.

    Args:
        failure: The step, None if there was none.
        again: Description of the harness's retry; empty if it does not retry.
    """
    hint = _RETRY_INFO.search(failure.message) if failure else None
    return QuotaExceededError(
        min(float(hint[1]), LONGEST_RETRY_AFTER_S) if hint else DEFAULT_RETRY_AFTER_S,
        message=f"the model's quota is exceeded (HTTP {QUOTA_CODE}); {again}" if again else "",
        http_code=(failure.http_code or None) if failure else None,
        hinted=hint is not None,
    )


def advice(code: int, words: str, what: str = "the turn failed") -> str:
    """Return an error message: the problem, the next step, and the harness's words."""
    known = {
        2: "the harness got no answer; check that the model and the MCP servers are running",
        400: "the model rejected the request (HTTP 400); check the configuration and the prompt",
        401: "the model did not accept the API key (HTTP 401); set a valid GEMINI_API_KEY",
        403: "this API key may not use the model (HTTP 403); choose another model or key",
        404: "the model does not exist (HTTP 404); check its name in the configuration",
        408: "the model was too slow (HTTP 408); try again, or ask for a shorter answer",
        413: "the prompt is too large for the model (HTTP 413); send a shorter prompt",
    }.get(code)
    if code >= LOWEST_SERVER_CODE:
        known = f"{what} (HTTP {code}); the model's service has a problem, try again later"
    if known:
        return f"{known}: {words}"
    return f"{what}{f' (HTTP {code})' if code else ''}: {words or 'no reason was given'}"
