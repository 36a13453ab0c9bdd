"""Every error that agy_nb raises, under one base.

```
AgyError
  + InvalidInput               what you passed cannot be used; `field` names it
  |   + InvalidPrompt          an empty prompt, or a part that is no content
  |   + InvalidConfig          a configuration that the SDK or we refuse
  |   + InvalidMessage         a protocol message that does not fit its type
  + BackendError               the SDK, its harness or the model failed
  |   + HarnessError           the harness is missing, broken or gone
  |   + QuotaExceeded          the model's quota is spent; `retry_after` seconds
  |   + Safety                 the model refused on safety grounds
  |   + MaxTokens              the answer ran into its token limit
  |   + UnsupportedSdk         an SDK version that we were not tested with
  + Timeout                    something took longer than its limit (also a TimeoutError)
  + TurnCancelled              the turn was cancelled; `partial_text` holds what had come
  + AgentNotStarted            the agent was shut down, deleted or disconnected
  + ChannelClosed              the runtime is closed, or closed before it answered
  + WrongLoop                  called from an event loop that is not the runtime's
```

Rule 1: an error says what happened, where, and what to do next.
Rule 2: what a program needs to know is an attribute, never only text.
"""

from __future__ import annotations


class AgyError(Exception):
    """Base of every error of this package."""


class InvalidInput(AgyError):
    """What was passed cannot be used.

    Attributes:
        field: Name of the argument, setting or message field at fault.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidPrompt(InvalidInput):
    """The prompt is empty, or one of its parts is no content."""


class InvalidConfig(InvalidInput):
    """The agent's or the runtime's configuration is refused."""


class InvalidMessage(InvalidInput):
    """A command, reply or event does not fit its type; `field` is the path to it."""


class BackendError(AgyError):
    """The SDK, its harness or the model failed.

    Attributes:
        http_code: Status code of the model's answer, or None where there was none.
    """

    def __init__(self, message: str, *, http_code: int | None = None) -> None:
        super().__init__(message)
        self.http_code = http_code


class HarnessError(BackendError):
    """The harness binary is missing, does not start, or is gone."""


class UnsupportedSdk(BackendError):
    """The installed google-antigravity is outside the versions that were tested."""


class QuotaExceeded(BackendError):
    """The model's quota is spent, also after the retries that were asked for.

    Attributes:
        retry_after: Seconds after which another try makes sense.
        hinted: Whether the model said so; otherwise it is our guess.
    """

    def __init__(
        self,
        retry_after: float,
        *,
        message: str = "",
        http_code: int | None = 429,
        hinted: bool = True,
    ) -> None:
        super().__init__(
            message
            or f"the model's quota is spent; try again in {retry_after:g} s, "
            "or set RuntimeConfig(max_quota_retries=...) to have it tried again for you",
            http_code=http_code,
        )
        self.retry_after = retry_after
        self.hinted = hinted


class Safety(BackendError):
    """The model refused to answer, or to go on, for safety reasons."""


class MaxTokens(BackendError):
    """The answer ran into the model's limit of output tokens."""


class Timeout(AgyError, TimeoutError):
    """Something took longer than its limit.

    Attributes:
        duration: The limit that was passed, in seconds.
        operation: What took too long, e.g. `"chat"`.
    """

    def __init__(self, duration: float, operation: str, *, hint: str = "") -> None:
        super().__init__(
            f"{operation} took longer than {duration:g} s"
            + (f"; {hint}" if hint else "; raise its limit in RuntimeConfig, or cancel() the turn")
        )
        self.duration = duration
        self.operation = operation


class TurnCancelled(AgyError):
    """The turn was cancelled before it was done.

    Attributes:
        partial_text: The root agent's text up to that moment.
    """

    def __init__(self, partial_text: str = "", *, message: str = "") -> None:
        super().__init__(
            message
            or "the turn was cancelled; what had come is in response.partial_text, "
            "and the agent takes the next prompt"
        )
        self.partial_text = partial_text


class AgentNotStarted(AgyError):
    """The agent is not there (any more): it was shut down, deleted or disconnected."""


class ChannelClosed(AgyError):
    """The runtime is closed, or was closed before it answered."""


class WrongLoop(AgyError):
    """Called from an event loop that is not the one the runtime lives on."""
