"""Every limit of a runtime, as one frozen value."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from agy_nb.errors import InvalidConfigError

if TYPE_CHECKING:
    from agy_nb.analysis.metrics.cost import Prices  # noqa: TC004 - heavy, and an annotation only

CHAT_TIMEOUT_VARIABLE = "AGI_CHAT_TIMEOUT_SECS"
DEFAULT_CHAT_TIMEOUT_S = 120.0
OPERATION_MARGIN_S = 120.0


def _chat_timeout() -> float:
    text = os.environ.get(CHAT_TIMEOUT_VARIABLE)
    if text is None:
        return DEFAULT_CHAT_TIMEOUT_S
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        warnings.warn(
            f"{CHAT_TIMEOUT_VARIABLE}={text!r} is no positive number of seconds; "
            f"{DEFAULT_CHAT_TIMEOUT_S:g} is used",
            stacklevel=3,
        )
        return DEFAULT_CHAT_TIMEOUT_S
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """Limits and pauses of a runtime. Durations are in seconds.

    Attributes:
        channel_capacity: Commands that may wait; a sender waits while the channel is full.
        chat_timeout: Longest silence within a turn, and longest start of one; the environment's
            `AGI_CHAT_TIMEOUT_SECS` sets the default. Waiting for the user does not count.
        operation_timeout: Longest round trip of any command, waiting for a place in the channel
            included; None is `chat_timeout` + 120.
        handler_timeout: Limit of `send` and `signal_idle`.
        start_timeout: Limit of an agent's start.
        shutdown_timeout: Limit of the runtime's shutdown, beside the agents' exits.
        exit_timeout: Limit of one agent's exit.
        approval_timeout: Time to answer an approval; then it is a denial.
        chat_pause: Pause between the starts of successive chats, against bursts; 0 is none.
        max_quota_retries: Times that a turn which hit the quota is tried again.
        max_quota_keys: API keys whose quota is remembered.
        max_model_errors: Answers in a row of one agent or subagent that are blocked or cut off, and
            end the turn; 0 for no limit. The SDK's `retry_config` may end a turn after fewer.
        max_empty_answers: Answers in a row of one agent or subagent that give neither text nor a
            valid tool call, thoughts apart, and end the turn; 0 for no limit.
        max_turn_duration: Seconds that a turn may take from its start, in which waiting for the
            user does not count; None for no limit.
        max_turn_tokens: Tokens that a turn may use, its subagents' included; None for no limit.
        max_turn_cost_usd: US dollars that a turn may cost, its subagents' calls included; None for
            no limit. Checked when the usage of a model call arrives; a request that the harness had
            sent by then still costs.
        max_session_cost_usd: US dollars that an agent may cost from its creation on; None for no
            limit. After that it takes no further prompts.
        prices: How model calls are priced for the budgets in US dollars; None for the table of
            `genai-prices`. Where a price is not known, the agent is not created, or the turn ends:
            a budget that cannot be kept is an error, never silent.
        keep_frames: Whether what each agent and its harness say to each other is held in memory,
            for `Agent.save_cassette`; None holds it in notebooks only.

    Raises:
        InvalidConfigError: A value is out of its range; `field` names it.

    Example:
        >>> agy.RuntimeConfig(chat_timeout=30).operation_timeout
        150.0
    """

    channel_capacity: int = 64
    chat_timeout: float = field(default_factory=_chat_timeout)
    operation_timeout: float | None = None
    handler_timeout: float = 60.0
    start_timeout: float = 60.0
    shutdown_timeout: float = 10.0
    exit_timeout: float = 10.0
    approval_timeout: float = 600.0
    chat_pause: float = 0.5
    max_quota_retries: int = 0
    max_quota_keys: int = 100
    max_model_errors: int = 3
    max_empty_answers: int = 3
    max_turn_duration: float | None = None
    max_turn_tokens: int | None = None
    max_turn_cost_usd: float | None = None
    max_session_cost_usd: float | None = None
    prices: Prices | None = None
    keep_frames: bool | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each.name, getattr(self, each.name))
        if self.operation_timeout is None:
            object.__setattr__(self, "operation_timeout", self.chat_timeout + OPERATION_MARGIN_S)

    @property
    def round_trip(self) -> float:
        """`operation_timeout`, resolved."""
        return self.operation_timeout or self.chat_timeout + OPERATION_MARGIN_S


_BUDGETS = frozenset(
    {"max_turn_duration", "max_turn_tokens", "max_turn_cost_usd", "max_session_cost_usd"}
)
_MAY_BE_NONE = frozenset({"operation_timeout", "keep_frames", "prices", *_BUDGETS})
_MAY_BE_ZERO = frozenset(
    {"chat_pause", "max_quota_retries", "max_model_errors", "max_empty_answers"}
)
_HIGHEST = 1e9
"""Beyond thirty years a timer of the event loop is an error of the operating system."""
_COUNTS = frozenset(
    {
        "channel_capacity",
        "max_quota_retries",
        "max_quota_keys",
        "max_model_errors",
        "max_empty_answers",
        "max_turn_tokens",
    }
)
_DOLLARS = frozenset({"max_turn_cost_usd", "max_session_cost_usd"})


def _check(name: str, value: object) -> None:
    if value is None and name in _MAY_BE_NONE:
        return
    if name == "keep_frames":
        if not isinstance(value, bool):
            raise _refused(name, "True, False or None", value)
        return
    if name == "prices":
        if not callable(getattr(value, "of", None)):
            raise _refused(name, "an agy_nb.analysis.Prices or None", value)
        return
    kind = int if name in _COUNTS else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind):
        unit = "a number of US dollars" if name in _DOLLARS else "a number of seconds"
        raise _refused(name, "a whole number" if name in _COUNTS else unit, value)
    lowest = 0 if name in _MAY_BE_ZERO else 1 if name in _COUNTS else None
    fits = value >= lowest if lowest is not None else value > 0
    if not (fits and value <= _HIGHEST):
        wanted = f"at least {lowest}" if lowest is not None else "above 0"
        raise _refused(name, f"{wanted} and at most {_HIGHEST:g}", value)


def _refused(name: str, wanted: str, value: object) -> InvalidConfigError:
    return InvalidConfigError(
        f"RuntimeConfig({name}=...) must be {wanted}, got {value!r}", field=name
    )
