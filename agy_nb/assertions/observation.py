"""What an agent did, as the assertions see it. Frozen data without a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class ObservedCall:
    """A tool call.

    Attributes:
        tool: Name of the tool.
        args: Its arguments.
        status: How it ended; None if that is not known.
        error: The error that the model got, empty if there was none.
        decision: The decision on its approval; None if it needed none.
        is_subagents: Whether a subagent made it.
    """

    tool: str
    args: Mapping[str, Any] = field(default_factory=dict)
    status: str | None = None
    error: str = ""
    decision: str | None = None
    is_subagents: bool = False


@dataclass(frozen=True, slots=True)
class ObservedMessage:
    """A prompt or an answer.

    Attributes:
        role: `"user"` or `"model"`.
        text: Its text; None where the source does not keep texts.
        is_subagents: Whether a subagent wrote or got it.
    """

    role: str
    text: str | None
    is_subagents: bool = False


Observed: TypeAlias = ObservedCall | ObservedMessage


@dataclass(frozen=True, slots=True)
class Spent:
    """An amount of tokens or of US dollars.

    Attributes:
        amount: The amount; None if nothing is known.
        is_lower_bound: Whether more may have been used.
        why: The reason why the amount is not exact, empty if it is.
    """

    amount: float | None
    is_lower_bound: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What an agent did in one or several turns.

    Attributes:
        steps: Messages and tool calls, oldest first.
        n_turns: Number of turns.
        text: The root agent's answers, with a blank line between two; None where the source does
            not keep texts.
        tokens: Tokens of all model calls.
        knows_approvals: Whether the source says which calls needed approval.
    """

    steps: tuple[Observed, ...]
    n_turns: int
    text: str | None
    tokens: Spent
    knows_approvals: bool = True

    @property
    def calls(self) -> tuple[ObservedCall, ...]:
        """The tool calls, oldest first."""
        return tuple(step for step in self.steps if isinstance(step, ObservedCall))
