"""The clock of an agent whose harness, and so whose recording, may be replaced in a turn.

A turn after a lost connection starts another harness. In a replay, each connection has a clock of
its own, which skips the time that its recording waited. The turn's limits were set before that, so
their timers move to the new clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agy_nb.sdk.interfaces.agent_clock import Clock, Timer


@dataclass(slots=True, eq=False)
class _MovingTimer:
    """A timer that can move to another clock.

    Attributes:
        when: The time, in seconds of `ConnectionClock`.
        callback: The function to call.
        of_turn: See `Clock.call_at`.
        pending: The timers that have not fired, which this one leaves.
        inner: The timer of the present clock.
    """

    when: float
    callback: Callable[[], object]
    of_turn: bool
    pending: set[_MovingTimer] = field(repr=False)
    inner: Timer | None = None

    def fire(self) -> None:
        self.pending.discard(self)
        self.callback()

    def cancel(self) -> None:
        """Do not call the callback."""
        self.pending.discard(self)
        if self.inner is not None:
            self.inner.cancel()


class ConnectionClock:
    """The clock of an agent's present connection; see `agent_clock.Clock`.

    Args:
        clock: The clock of the first connection.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = 0.0
        self._pending: set[_MovingTimer] = set()

    def time(self) -> float:
        """Return the time in seconds. It goes on where it was when the connection is replaced."""
        return self._clock.time() + self._offset

    def call_at(
        self, when: float, callback: Callable[[], object], *, of_turn: bool = False
    ) -> Timer:
        """Call a function at a time of this clock."""
        timer = _MovingTimer(when, callback, of_turn, self._pending)
        self._pending.add(timer)
        self._set(timer)
        return timer

    def may_skip(self) -> bool:
        """Return whether a pause before a prompt may be skipped."""
        return self._clock.may_skip()

    def follow(self, clock: Clock) -> None:
        """Continue the clock of another connection. Timers keep their remaining time."""
        if clock is self._clock:
            return
        moment = self.time()
        self._clock, self._offset = clock, moment - clock.time()
        for timer in sorted(self._pending, key=lambda each: each.when):
            if timer.inner is not None:
                timer.inner.cancel()
            self._set(timer)

    def _set(self, timer: _MovingTimer) -> None:
        timer.inner = self._clock.call_at(
            timer.when - self._offset, timer.fire, of_turn=timer.of_turn
        )
