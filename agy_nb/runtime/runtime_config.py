"""The limits of a runtime, as one frozen value."""

from __future__ import annotations

import math
import os
import re
import warnings
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from agy_nb.errors import InvalidConfigError
from agy_nb.protocol.short_repr import html_fields, short_repr

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
            f"{CHAT_TIMEOUT_VARIABLE} must be a positive number of seconds, got {text!r}; "
            f"using {DEFAULT_CHAT_TIMEOUT_S:g}",
            stacklevel=3,
        )
        return DEFAULT_CHAT_TIMEOUT_S
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """Limits and pauses of a runtime. Durations are in seconds.

    Attributes:
        channel_capacity: Most commands that can wait; while the channel is full, senders wait.
        chat_timeout: Longest silence within a turn, also at its start. The environment variable
            `AGI_CHAT_TIMEOUT_SECS` sets the default. Waiting for the user does not count.
        operation_timeout: Longest round trip of any command, including the wait for a place in the
            channel; None for `chat_timeout` + 120.
        handler_timeout: Limit of `send` and `signal_idle`.
        start_timeout: Limit of an agent's start.
        shutdown_timeout: Limit of the runtime's shutdown, without the exits of agents.
        exit_timeout: Limit of one agent's exit.
        approval_timeout: Time to answer an approval; after that the call is denied.
        chat_pause: Pause between the starts of successive chats, to avoid bursts; 0 for none.
        max_quota_retries: Most retries of a turn after a quota error.
        max_quota_keys: Most API keys whose quota errors are remembered.
        max_model_errors: Blocked or cut-off answers in a row of one agent or subagent after which
            the turn ends; 0 for no limit. The SDK's `retry_config` may end a turn earlier.
        max_empty_answers: Answers in a row of one agent or subagent, with neither text nor a valid
            tool call, after which the turn ends; 0 for no limit. Thoughts do not count as text.
        max_turn_duration: Most seconds per turn, without the time spent waiting for the user; None
            for no limit.
        max_turn_tokens: Most tokens per turn, including subagents; None for no limit.
        max_turn_cost_usd: Most US dollars per turn, including subagents; None for no limit. The
            cost is checked when the usage of a model call arrives. Requests that the harness has
            sent by then still cost money.
        max_session_cost_usd: Most US dollars per agent since its creation; None for no limit. An
            agent that exceeds it accepts no more prompts.
        prices: Prices of model calls for the budgets in US dollars; None for the table of
            `genai-prices`. Without a known price the agent is not created, or the turn ends: a
            budget that cannot be checked is an error.
        keep_frames: Whether to keep all frames between each agent and its harness in memory, for
            `Agent.save_cassette`; None keeps them in notebooks only.
        checkpoints: After which turns to keep a copy of the conversation, for `Agent.fork` and
            `Agent.rewind`: `"all"`, `"last N"` with a number, or `"off"`; None for `"all"` in
            notebooks and `"off"` elsewhere. The copies are private to the user. They are removed
            when the agent and its forks end.
        checkpoint_bytes: Most bytes on disk for the copies of an agent and its forks. The oldest
            copies are dropped for newer ones; the newest one is always kept.

    Raises:
        InvalidConfigError: A value has the wrong type or is out of range; `field` names it.

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
    checkpoints: str | None = None
    checkpoint_bytes: int = 100_000_000

    __repr__ = short_repr
    _repr_html_ = html_fields

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each.name, getattr(self, each.name))
        if self.operation_timeout is None:
            object.__setattr__(self, "operation_timeout", self.chat_timeout + OPERATION_MARGIN_S)

    @property
    def round_trip(self) -> float:
        """The effective `operation_timeout` in seconds."""
        return self.operation_timeout or self.chat_timeout + OPERATION_MARGIN_S

    def kept_checkpoints(self, *, default: str) -> int | None:
        """Read the setting `checkpoints`.

        Args:
            default: The value of `checkpoints` if it is None.

        Returns:
            Most checkpoints per agent; None for all of them, 0 for none.

        Example:
            >>> agy.RuntimeConfig(checkpoints="last 3").kept_checkpoints(default="off")
            3
        """
        words = (self.checkpoints or default).split()
        return {"all": None, "off": 0}[words[0]] if len(words) == 1 else int(words[1])


_BUDGETS = frozenset(
    {"max_turn_duration", "max_turn_tokens", "max_turn_cost_usd", "max_session_cost_usd"}
)
_MAY_BE_NONE = frozenset({"operation_timeout", "keep_frames", "checkpoints", "prices", *_BUDGETS})
_MAY_BE_ZERO = frozenset(
    {"chat_pause", "max_quota_retries", "max_model_errors", "max_empty_answers"}
)
_HIGHEST = 1e9
"""About thirty years in seconds. The operating system rejects much longer timers."""
_COUNTS = frozenset(
    {
        "channel_capacity",
        "max_quota_retries",
        "max_quota_keys",
        "max_model_errors",
        "max_empty_answers",
        "max_turn_tokens",
        "checkpoint_bytes",
    }
)
_CHECKPOINTS = re.compile(r"all|off|last 0*[1-9][0-9]{0,8}")
_DOLLARS = frozenset({"max_turn_cost_usd", "max_session_cost_usd"})


def _check(name: str, value: object) -> None:
    if value is None and name in _MAY_BE_NONE:
        return
    if name == "keep_frames":
        if not isinstance(value, bool):
            raise _refused(name, "True, False or None", value)
        return
    if name == "checkpoints":
        if not isinstance(value, str) or not _CHECKPOINTS.fullmatch(value):
            raise _refused(name, "'all', 'off', 'last N' with a number from 1, or None", value)
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
