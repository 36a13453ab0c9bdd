"""Limit a turn's silence and its duration. Both clocks stop while the user is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agy_nb.sdk.interfaces.agent_clock import Clock, LoopClock, Timer


class Watch(Protocol):
    """A limit on a turn's time."""

    def touch(self) -> None:
        """Record activity in the turn."""
        ...

    def hold(self) -> None:
        """Stop the clock while the user is asked."""
        ...

    def release(self) -> None:
        """Let the clock run again after the user's answer."""
        ...


class SilenceWatch:
    """Call `on_silence` after `limit` seconds without a touch.

    A turn is touched for each event, so a touch must be cheap: it only stores the time. The timer
    is not moved. When it fires too early, it is set again for the rest of the time.

    Args:
        limit: Seconds without activity.
        on_silence: Called once.
        clock: The clock to use; the event loop's by default.
    """

    def __init__(
        self, limit: float, on_silence: Callable[[], None], clock: Clock | None = None
    ) -> None:
        self._limit = limit
        self._on_silence = on_silence
        self._clock = LoopClock() if clock is None else clock
        self._last = self._clock.time()
        self._holds = 0
        self._timer: Timer | None = self._clock.call_at(
            self._last + limit, self._check, of_turn=True
        )

    def touch(self) -> None:
        """Record activity: the time starts again at 0."""
        self._last = self._clock.time()

    def hold(self) -> None:
        """Stop the clock until as many calls of `release` as of `hold`."""
        self._holds += 1

    def release(self) -> None:
        """Let the clock run again, from 0."""
        self._holds -= 1
        self.touch()

    def stop(self) -> None:
        """Never fire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        moment = self._clock.time()
        # An absolute deadline: a small rest can round to 0, and the timer would fire again at once.
        deadline = (moment if self._holds else self._last) + self._limit
        if moment < deadline:
            self._timer = self._clock.call_at(deadline, self._check, of_turn=True)
            return
        self._timer = None
        self._on_silence()


class DurationWatch:
    """Call `on_over` after `limit` seconds, without the time in which it was held.

    Args:
        limit: Seconds.
        on_over: Called once.
        clock: The clock to use; the event loop's by default.
    """

    def __init__(
        self, limit: float, on_over: Callable[[], None], clock: Clock | None = None
    ) -> None:
        self._on_over = on_over
        self._clock = LoopClock() if clock is None else clock
        self._deadline = self._clock.time() + limit
        self._held_at: float | None = None
        self._holds = 0
        self._timer: Timer | None = None
        self._set()

    def touch(self) -> None:
        """Ignore activity: it does not extend the duration."""

    def hold(self) -> None:
        """Stop the clock until as many calls of `release` as of `hold`."""
        if not self._holds:
            self._held_at = self._clock.time()
        self._holds += 1

    def release(self) -> None:
        """Let the clock run again from where it stopped."""
        self._holds -= 1
        if not self._holds and self._held_at is not None:
            self._deadline += self._clock.time() - self._held_at
            self._held_at = None
            self._set()

    def stop(self) -> None:
        """Never fire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self.stop()
        self._timer = self._clock.call_at(self._deadline, self._check, of_turn=True)

    def _check(self) -> None:
        self._timer = None
        if not self._holds:  # `release` sets it again
            self._on_over()
