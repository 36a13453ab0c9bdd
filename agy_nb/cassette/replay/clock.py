"""The time of a replayed session: that of the recording where the recording waits.

A turn that was cut off after 120 seconds of silence holds those seconds between two lines. In a
replay at once nothing happens in them, and nobody should wait for them.

Rule 1: time never runs slower than in reality, and never ahead of the recording.
Rule 2: what lies between two recorded lines is left out only where the recording waits for the
client to begin something: a tool at work takes its own time.
Rule 3: between two turns nothing is left out for a timer of a turn: that turn is about to begin.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

_SLACK_S = 0.02
"""Seconds: a timer that was recorded as it went off is a moment later in the recording."""
_HAIR_S = 1e-6
_order = itertools.count()


@dataclass(slots=True, order=True)
class ReplayTimer:
    """A callback at a moment.

    Attributes:
        when: The moment, of this clock.
        number: Timers of the same moment go off in the order of their making.
        callback: What is called.
        of_turn: Whether it is about a turn that runs, or is about to.
        cancelled: Whether it is not to be called any more.
    """

    when: float
    number: int
    callback: Callable[[], object] = field(compare=False)
    of_turn: bool = field(default=False, compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Do not go off."""
        self.cancelled = True


class ReplayClock:
    """Tells a replayed session's time, and calls back at moments of it.

    Args:
        goes_on: Whether the recording goes on with something that the client begins.
    """

    def __init__(self, goes_on: Callable[[], bool] = lambda: False) -> None:
        self._loop = asyncio.get_running_loop()
        self._goes_on = goes_on
        self._skipped = 0.0
        self._passed_at = self.time()
        self._horizon: float | None = None
        self._in_turn = False
        self._timers: list[ReplayTimer] = []
        self._handle: asyncio.TimerHandle | None = None

    def time(self) -> float:
        """Seconds; of the running loop, and what was left out."""
        return self._loop.time() + self._skipped

    def call_at(
        self, when: float, callback: Callable[[], object], *, of_turn: bool = False
    ) -> ReplayTimer:
        """Have something called at a moment.

        Args:
            when: The moment, as `time` tells it.
            callback: Called without arguments.
            of_turn: Whether it is about a turn that runs, or is about to.
        """
        timer = ReplayTimer(when, next(_order), callback, of_turn)
        self._timers.append(timer)
        self._arm()
        return timer

    def may_skip(self) -> bool:
        """Whether a pause before the next prompt may be left out: the recording has that prompt."""
        return self._goes_on()

    # -- what the replay tells ---------------------------------------------------------------

    def passed(self, seconds: float) -> None:
        """Recorded lines were played that took so long."""
        self._skip_to(self._passed_at + seconds)
        self._passed_at = self.time()
        self._horizon = None  # timers are seen to when the replay waits: this is called often

    def waits(self, seconds: float | None, *, in_turn: bool) -> None:
        """The recording waits for the client, and did so for that long; None if it does not.

        Args:
            seconds: How long.
            in_turn: Whether a turn runs.
        """
        self._horizon = None if seconds is None else self._passed_at + seconds + _SLACK_S
        self._in_turn = in_turn
        self._arm()

    # -- how ---------------------------------------------------------------------------------

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
        self._handle = self._loop.call_later(max(0.0, first - self.time()), self._go_off)

    def _go_off(self) -> None:
        self._handle = None
        # The loop's clock and ours are sums of different numbers: a hair's breadth is nothing.
        due = sorted(timer for timer in self._timers if timer.when <= self.time() + _HAIR_S)
        self._timers = [timer for timer in self._timers if timer not in due]
        for timer in due:
            if not timer.cancelled:
                timer.callback()
        self._arm()
