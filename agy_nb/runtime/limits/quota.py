"""Back-off after a spent quota: one state for each API key, one registry for each runtime.

Rule 1: this file does no waiting; it says how long, from the clock and the dice that it is given.
Rule 2: only a model call that succeeded clears a key, and only of hits that it came after.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

DEFAULT_BACKOFF_S = 2.0
"""Seconds to back off after a hit that came without a hint."""
LONGEST_BACKOFF_S = 120.0
"""Where the exponential back-off stops growing, before jitter."""
DEADLINE_JITTER_S = 5.0
"""A hit's deadline moves by up to this, so that several processes on one key part."""
WAITER_JITTER_S = (0.5, 2.0)
"""Each waiter adds this much, so that agents behind one deadline do not wake together."""

LONGEST_HINT_S = 3600.0
"""Seconds that a hint may hold up a key: it comes from the model's service, and may be anything."""

_CAP_EXPONENT = 7
"""2 to this power is above the cap; no need to raise 2 to the hundredth."""

TimeSource = Callable[[], float]


class QuotaStatus(NamedTuple):
    """What a registry knows of all its keys.

    Attributes:
        worst_hits: The longest row of hits of any key.
        throttled: Whether any key must wait now.
    """

    worst_hits: int
    throttled: bool


@dataclass(slots=True)
class QuotaState:
    """How one API key stands.

    Attributes:
        hits: Quota errors in a row.
        deadline: The clock's reading before which nothing should be sent.
        recorded: Quota errors ever; tells whether there was one since.
    """

    clock: TimeSource = time.monotonic
    dice: random.Random = random.Random()  # noqa: S311, RUF009 - jitter is no secret
    hits: int = 0
    deadline: float = 0.0
    recorded: int = 0

    def record_hit(self, retry_after: float | None = None) -> float:
        """Take note of a quota error.

        Args:
            retry_after: Seconds that the model asked for, None where it did not say; more than
                `LONGEST_HINT_S` counts as that.

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
        """Clear the key: a model call succeeded.

        Args:
            recorded: What `recorded` was when the call began. A hit since then, of another agent,
                says more about the key than the call does, and stays. None clears in any case.
        """
        if recorded is None or recorded == self.recorded:
            self.hits = 0
            self.deadline = 0.0

    @property
    def throttled(self) -> bool:
        """Whether the deadline is still ahead."""
        return self.clock() < self.deadline

    def wait_s(self) -> float:
        """Seconds that a new attempt should wait; 0 when the key is free."""
        if not self.throttled:
            return 0.0
        return self.deadline - self.clock() + self.dice.uniform(*WAITER_JITTER_S)


class QuotaRegistry:
    """The states of a runtime's keys, bounded.

    Args:
        capacity: Keys remembered; beyond it idle ones (no hit in a row) go first.
        clock: Gives seconds; monotonic.
        dice: Source of the jitter.
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
        self._dice = dice or random.Random()  # noqa: S311 - jitter is no secret
        self._states: dict[str, QuotaState] = {}

    def state(self, key: str) -> QuotaState:
        """The state of a key, made if it is new."""
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
        """The worst row of hits, and whether anything is throttled."""
        states = self._states.values()
        return QuotaStatus(
            max((state.hits for state in states), default=0),
            any(state.throttled for state in states),
        )

    def __len__(self) -> int:
        return len(self._states)
