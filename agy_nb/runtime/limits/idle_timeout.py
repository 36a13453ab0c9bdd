"""Limits on a turn's time: on silence within it, and on all of it. Asking the user stops both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agy_nb.sdk.interfaces import Clock, LoopClock, Timer


class Watch(Protocol):
    """A limit on a turn's time."""

    def touch(self) -> None:
        """Something happened in the turn."""
        ...

    def hold(self) -> None:
        """The user is asked: stop the time."""
        ...

    def release(self) -> None:
        """The user has answered: let the time go on."""
        ...


class SilenceWatch:
    """Calls `on_silence` once nothing touched it for `limit` seconds.

    A touch is one assignment; the timer is set anew only when it goes off too early. While it is
    held (a person is asked), no time passes.

    Args:
        limit: Seconds.
        on_silence: Called once.
        clock: Tells the time; the loop's by default.
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
        """Something happened."""
        self._last = self._clock.time()

    def hold(self) -> None:
        """Stop the time until `release`; counts."""
        self._holds += 1

    def release(self) -> None:
        """Let the time go on; it starts anew."""
        self._holds -= 1
        self.touch()

    def stop(self) -> None:
        """Never fire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        moment = self._clock.time()
        # A moment, not a rest: what rounding leaves of a rest may be too short to move the clock.
        deadline = (moment if self._holds else self._last) + self._limit
        if moment < deadline:
            self._timer = self._clock.call_at(deadline, self._check, of_turn=True)
            return
        self._timer = None
        self._on_silence()


class DurationWatch:
    """Calls `on_over` once `limit` seconds have passed, but for those in which it was held.

    Args:
        limit: Seconds.
        on_over: Called once.
        clock: Tells the time; the loop's by default.
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
        """Something happened; the time goes on all the same."""

    def hold(self) -> None:
        """Stop the time until `release`; counts."""
        if not self._holds:
            self._held_at = self._clock.time()
        self._holds += 1

    def release(self) -> None:
        """Let the time go on."""
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
