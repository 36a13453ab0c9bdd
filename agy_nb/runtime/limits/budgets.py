"""Count the events of a turn against its budgets. This module uses no clock and no I/O.

A turn has two kinds of limits. Failed answers in a row are counted per trajectory, because the
harness asks the model again after each of them, in most cases without a limit of its own. Tokens
and US dollars are sums over all trajectories, checked when the usage of a model call arrives.

Why count failed answers instead of error steps? The harness also writes an error step when the
model's service does not answer and the harness repeats the request. Such an outage costs nothing,
and the SDK's `retry_config` limits it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from agy_nb.errors import AgyError, BudgetExceededError
from agy_nb.protocol.error_codec import to_error
from agy_nb.protocol.events import Error, Event, Text, Thought, ToolCall, ToolResult, Usage
from agy_nb.protocol.values import ErrorInfo
from agy_nb.runtime.runtime_config import RuntimeConfig

CostOf: TypeAlias = Callable[[Usage], float | None]
"""Returns the cost of one model call in US dollars, None if its price is not known."""

_ROUNDING = 1 + 1e-9
"""Tolerance, so that rounding in a sum of prices does not exceed a budget that it equals."""


@dataclass(slots=True)
class _Answers:
    """The failed answers of one trajectory since its last good one.

    Attributes:
        failed: Answers that were blocked, cut off, or refused after some text.
        empty: Answers with neither text nor a tool call.
        text_step: Index of the step that holds the current answer's text, None before its text.
    """

    failed: int = 0
    empty: int = 0
    text_step: int | None = None

    def reset(self) -> None:
        """Start the counts again after an accepted answer."""
        self.failed = self.empty = 0
        self.text_step = None


@dataclass(slots=True)
class AnswerCounter:
    """Counts failed answers in a row, for each trajectory.

    Args:
        most_failed: Failed answers in a row that end the turn; 0 for no limit.
        most_empty: Empty answers in a row that end the turn; 0 for no limit.
    """

    most_failed: int
    most_empty: int
    _answers: dict[str, _Answers] = field(default_factory=dict)

    def add(self, event: Event) -> AgyError | None:
        """Count an event; return the error that ends the turn, None while it may continue."""
        if not isinstance(event, Text | Thought | ToolCall | ToolResult | Error):
            return None
        answers = self._answers.setdefault(event.trajectory.id, _Answers())
        match event:
            case Error():
                return self._add_error(answers, event)
            case ToolCall() | ToolResult():  # the harness acts on accepted answers only
                answers.reset()
            case Text() | Thought():
                if answers.text_step not in (None, event.step_index):
                    answers.reset()  # another answer begins, and no error came between
                if isinstance(event, Text):
                    answers.text_step = event.step_index
        return None

    def _add_error(self, answers: _Answers, event: Error) -> AgyError | None:
        info = event.error
        if event.fatal or info.retryable or info.http_code is not None:
            answers.text_step = None
            return None
        empty = answers.text_step is None and info.type == "BackendError"
        answers.text_step = None
        if empty:
            answers.empty += 1
            return _too_many("empty", answers.empty, self.most_empty, "max_empty_answers", info)
        answers.failed += 1
        return _too_many("failed", answers.failed, self.most_failed, "max_model_errors", info)


def _too_many(what: str, count: int, most: int, setting: str, info: ErrorInfo) -> AgyError | None:
    if not most or count < most:
        return None
    error = to_error(info)  # keeps its class: `SafetyError`, `MaxTokensError`, `BackendError`
    words = (
        f"{count} {what} answers of the model in a row ended the turn "
        f"(RuntimeConfig({setting}={most})). The latest: {info.message}"
    )
    error.args = (words,)
    return error


@dataclass(slots=True)
class Spending:
    """The cost of an agent's model calls since its creation.

    Attributes:
        usd: The cost in US dollars.
    """

    usd: float = 0.0


class TurnBudget:
    """Counts one turn against the limits of a runtime.

    Args:
        config: The limits.
        spending: The agent's session, which the turn adds to.
        cost_of: Returns the price of one model call; None without a budget in US dollars.

    Example:
        >>> from agy_nb.protocol.events import Usage
        >>> from agy_nb.protocol.values import TokenUsage
        >>> from agy_nb.runtime.limits.budgets import Spending, TurnBudget
        >>> budget = TurnBudget(agy.RuntimeConfig(max_turn_tokens=100), Spending())
        >>> call = TokenUsage(total_tokens=101)
        >>> budget.add(Usage(usage=call, trajectory_total=call, session_total=call)).used
        101
    """

    def __init__(
        self, config: RuntimeConfig, spending: Spending, cost_of: CostOf | None = None
    ) -> None:
        self._config = config
        self._spending = spending
        self._cost_of = cost_of
        self._answers = AnswerCounter(config.max_model_errors, config.max_empty_answers)
        self._tokens = 0
        self._usd = 0.0

    def add(self, event: Event) -> AgyError | None:
        """Count an event.

        Args:
            event: Any event of the turn, of any trajectory.

        Returns:
            The error that ends the turn, None while it may continue.
        """
        if isinstance(event, Usage):
            return self._add_usage(event)
        return self._answers.add(event)

    def _add_usage(self, call: Usage) -> AgyError | None:
        self._tokens += call.usage.total_tokens or 0
        limit = self._config.max_turn_tokens
        if limit is not None and self._tokens > limit:
            return BudgetExceededError(
                f"the turn was ended: it used {self._tokens:,} tokens, more than "
                f"RuntimeConfig(max_turn_tokens={limit}) allows",
                budget="max_turn_tokens",
                limit=limit,
                used=self._tokens,
            )
        return None if self._cost_of is None else self._add_cost(self._cost_of(call))

    def _add_cost(self, usd: float | None) -> AgyError | None:
        config = self._config
        per_turn = config.max_turn_cost_usd
        if usd is None:
            name = "max_session_cost_usd" if per_turn is None else "max_turn_cost_usd"
            return BudgetExceededError(
                f"the turn was ended: RuntimeConfig({name}=...) needs the price of each model "
                "call, and the price of the last one is not known. Set it with "
                "RuntimeConfig(prices=agy_nb.analysis.Prices(own=...))",
                budget=name,
                limit=getattr(config, name),
                used=None,
            )
        self._usd += usd
        self._spending.usd += usd
        if per_turn is not None and self._usd > per_turn * _ROUNDING:
            return _too_dear("turn", "max_turn_cost_usd", per_turn, self._usd)
        return session_spent(config, self._spending)


def budget_in_dollars(config: RuntimeConfig) -> str | None:
    """Return the name of the budget in US dollars that is set, None if there is none.

    Args:
        config: The limits.
    """
    if config.max_turn_cost_usd is not None:
        return "max_turn_cost_usd"
    return None if config.max_session_cost_usd is None else "max_session_cost_usd"


def session_spent(config: RuntimeConfig, spending: Spending) -> BudgetExceededError | None:
    """Return the error for an agent whose session exceeded its budget, None while it has not.

    Args:
        config: The limits.
        spending: The cost of the agent's session so far.
    """
    limit = config.max_session_cost_usd
    if limit is None or spending.usd <= limit * _ROUNDING:
        return None
    return _too_dear("session", "max_session_cost_usd", limit, spending.usd)


def _too_dear(what: str, budget: str, limit: float, used: float) -> BudgetExceededError:
    return BudgetExceededError(
        f"the turn was ended: the {what} cost {used:.6g} US dollars, more than "
        f"RuntimeConfig({budget}={limit:g}) allows",
        budget=budget,
        limit=limit,
        used=used,
    )


def turn_too_long(limit: float) -> BudgetExceededError:
    """Return the error of a turn that takes longer than `max_turn_duration`.

    Args:
        limit: The budget, in seconds.
    """
    return BudgetExceededError(
        f"the turn was ended: it took longer than RuntimeConfig(max_turn_duration={limit:g}) "
        "allows, in seconds. Time spent waiting for your answer does not count",
        budget="max_turn_duration",
        limit=limit,
        used=limit,
    )
