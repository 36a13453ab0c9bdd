"""The clock of a replayed session, which skips the time that the recording waited.

A turn that timed out after 120 seconds of silence has those seconds between two recorded lines. A
replay without waiting must reach the same timeout, but should not take 120 seconds. So the clock
jumps forward while the recording waits for the client.

Rule 1: the clock never runs slower than real time, and never jumps beyond the recorded time.
Rule 2: it jumps only while the recording waits for the client to act without a request. A running
tool takes its real time.
Rule 3: between two turns it does not jump while a timer of a turn is set, because that turn is
about to begin.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

_SLACK_S = 0.02
"""Seconds that a recorded timer may fire after its time."""
_ROUNDING_S = 1e-6
_order = itertools.count()


@dataclass(slots=True, order=True)
class ReplayTimer:
    """A callback at a time of the clock.

    Attributes:
        when: The time, in seconds of this clock.
        number: Orders timers of the same time by their creation.
        callback: The function to call.
        of_turn: Whether the timer belongs to a turn that runs or is about to begin.
        cancelled: Whether the timer was cancelled.
    """

    when: float
    number: int
    callback: Callable[[], object] = field(compare=False)
    of_turn: bool = field(default=False, compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Do not call the callback."""
        self.cancelled = True


class ReplayClock:
    """Measure the time of a replayed session, and call timers.

    Args:
        has_next_prompt: Returns whether the recording continues with a prompt of the client.
    """

    def __init__(self, has_next_prompt: Callable[[], bool] = lambda: False) -> None:
        self._loop = asyncio.get_running_loop()
        self._has_next_prompt = has_next_prompt
        self._skipped = 0.0
        self._passed_at = self.time()
        self._horizon: float | None = None
        self._in_turn = False
        self._timers: list[ReplayTimer] = []
        self._handle: asyncio.TimerHandle | None = None

    def time(self) -> float:
        """Return the event loop's time plus all skipped time, in seconds."""
        return self._loop.time() + self._skipped

    def call_at(
        self, when: float, callback: Callable[[], object], *, of_turn: bool = False
    ) -> ReplayTimer:
        """Call a function at a time of this clock.

        Args:
            when: The time, in seconds of `time`.
            callback: Called without arguments.
            of_turn: Whether the timer belongs to a turn that runs or is about to begin.
        """
        timer = ReplayTimer(when, next(_order), callback, of_turn)
        self._timers.append(timer)
        self._arm()
        return timer

    def may_skip(self) -> bool:
        """Return whether a pause before a prompt may be skipped: the recording has that prompt."""
        return self._has_next_prompt()

    # -- called by the replay ----------------------------------------------------------------

    def passed(self, seconds: float) -> None:
        """Advance the clock by the recorded duration of released lines.

        Timers are checked in `waits` only, because this method is called for every frame.
        """
        # From the end of the line before, not from now: the time that this run itself took since
        # then is a part of these seconds. A clock that adds both would run ahead of the recording.
        self._skip_to(self._passed_at + seconds)
        self._passed_at = self.time()
        self._horizon = None

    def waits(self, seconds: float | None, *, in_turn: bool) -> None:
        """Allow the clock to jump over the time that the recording waited here.

        Args:
            seconds: The recorded waiting time in seconds; None if the recording does not wait.
            in_turn: Whether a turn runs.
        """
        self._horizon = None if seconds is None else self._passed_at + seconds + _SLACK_S
        self._in_turn = in_turn
        self._arm()

    # -- internals ---------------------------------------------------------------------------

    def _skip_to(self, moment: float) -> None:
        self._skipped += max(0.0, moment - self.time())

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._timers = [timer for timer in self._timers if not timer.cancelled]
        if not self._timers:
            return
        first = min(self._timers).when
        about_to_begin = not self._in_turn and any(timer.of_turn for timer in self._timers)
        if self._horizon is not None and not about_to_begin:
            self._skip_to(min(first, self._horizon))
        # Also after a jump, with no delay: a callback that ran within `call_at` or `waits` would
        # see a caller that has not yet kept the timer, or is in the middle of a release.
        self._handle = self._loop.call_later(max(0.0, first - self.time()), self._go_off)

    def _go_off(self) -> None:
        self._handle = None
        # The two clocks are sums of different floats, so tiny differences must not matter.
        due = sorted(timer for timer in self._timers if timer.when <= self.time() + _ROUNDING_S)
        self._timers = [timer for timer in self._timers if timer not in due]
        for timer in due:
            if not timer.cancelled:
                timer.callback()
        self._arm()
