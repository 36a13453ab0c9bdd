"""Compute the back-off after quota errors: one state per API key, one registry per runtime.

Rule 1: this module never waits. It computes durations from a clock and a random source.
Rule 2: only a successful model call clears a key, and only of hits before that call began.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

DEFAULT_BACKOFF_S = 2.0
"""Seconds to back off after a hit without a hint."""
LONGEST_BACKOFF_S = 120.0
"""Upper limit of the exponential back-off in seconds, before jitter."""
DEADLINE_JITTER_S = 5.0
"""Most seconds of jitter on a deadline, so that processes that share a key do not act together."""
WAITER_JITTER_S = (0.5, 2.0)
"""Seconds of jitter per waiter, so that agents with the same deadline do not wake together."""

LONGEST_HINT_S = 3600.0
"""Longest hint in seconds: the hint comes from the model's service and may have any value."""

_CAP_EXPONENT = 7
"""2 to this power is above the cap, so larger powers need not be computed."""

TimeSource = Callable[[], float]


class QuotaStatus(NamedTuple):
    """The state of all keys of a registry.

    Attributes:
        worst_hits: The most quota errors in a row of any key.
        throttled: Whether a turn with any of the keys must wait now.
    """

    worst_hits: int
    throttled: bool


@dataclass(slots=True)
class QuotaState:
    """The quota errors of one API key.

    Attributes:
        hits: Quota errors in a row.
        deadline: Clock time before which no request should be sent, in seconds.
        recorded: All quota errors so far. Compare two values to detect an error between them.
    """

    clock: TimeSource = time.monotonic
    dice: random.Random = random.Random()  # noqa: S311, RUF009 - jitter need not be secret
    hits: int = 0
    deadline: float = 0.0
    recorded: int = 0

    def record_hit(self, retry_after: float | None = None) -> float:
        """Record a quota error and move the deadline.

        Args:
            retry_after: Seconds that the model asked for, capped at `LONGEST_HINT_S`; None if it
                did not ask for a time.

        Returns:
            Seconds until the deadline.
        """
        self.hits += 1
        self.recorded += 1
        exponential = min(2.0 ** min(self.hits, _CAP_EXPONENT), LONGEST_BACKOFF_S)
        hint = (
            DEFAULT_BACKOFF_S if retry_after is None else min(max(0.0, retry_after), LONGEST_HINT_S)
        )
        wait = max(hint, exponential + self.dice.uniform(0, DEADLINE_JITTER_S))
        self.deadline = max(self.deadline, self.clock() + wait)
        return self.deadline - self.clock()

    def record_success(self, recorded: int | None = None) -> None:
        """Clear the key after a successful model call.

        Args:
            recorded: The value of `recorded` when the call began. If another agent had a quota
                error since then, that is newer information, and the key is not cleared. None always
                clears.
        """
        if recorded is None or recorded == self.recorded:
            self.hits = 0
            self.deadline = 0.0

    @property
    def throttled(self) -> bool:
        """Whether the deadline is in the future."""
        return self.clock() < self.deadline

    def wait_s(self) -> float:
        """Return the seconds that a new attempt should wait; 0 when the key is free."""
        if not self.throttled:
            return 0.0
        return self.deadline - self.clock() + self.dice.uniform(*WAITER_JITTER_S)


class QuotaRegistry:
    """The states of a runtime's keys, with a limit on their number.

    Args:
        capacity: Most keys to remember. Keys without quota errors are forgotten first.
        clock: Returns monotonic seconds.
        dice: Random source of the jitter.
    """

    def __init__(
        self,
        capacity: int = 100,
        *,
        clock: TimeSource = time.monotonic,
        dice: random.Random | None = None,
    ) -> None:
        self._capacity = capacity
        self._clock = clock
        self._dice = dice or random.Random()  # noqa: S311 - jitter need not be secret
        self._states: dict[str, QuotaState] = {}

    def state(self, key: str) -> QuotaState:
        """Return the state of a key, and create it if the key is new."""
        state = self._states.get(key)
        if state is None:
            self._make_room()
            state = self._states[key] = QuotaState(self._clock, self._dice)
        return state

    def _make_room(self) -> None:
        if len(self._states) < self._capacity:
            return
        idle = [key for key, state in self._states.items() if state.hits == 0]
        for key in idle or [min(self._states, key=lambda key: self._states[key].deadline)]:
            del self._states[key]

    def status(self) -> QuotaStatus:
        """Return the most hits in a row of any key, and whether any key is throttled."""
        states = self._states.values()
        return QuotaStatus(
            max((state.hits for state in states), default=0),
            any(state.throttled for state in states),
        )

    def __len__(self) -> int:
        return len(self._states)
