"""The time of an agent: that of the event loop, or that of a replayed recording."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


def now() -> float:
    """Return the current time in seconds since the Unix epoch, as in an event's `at`."""
    return datetime.now(UTC).timestamp()


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> None:
        """Do not call the callback."""
        ...


class Clock(Protocol):
    """The clock of one agent: the event loop's, or that of a replayed recording."""

    def time(self) -> float:
        """Return the time in seconds; only differences are meaningful."""
        ...

    def call_at(
        self, when: float, callback: Callable[[], object], *, of_turn: bool = False
    ) -> Timer:
        """Call a function at a time of this clock.

        Args:
            when: The time, in seconds of `time`.
            callback: Called without arguments.
            of_turn: Whether the timer belongs to a turn that runs or is about to begin.
        """
        ...

    def may_skip(self) -> bool:
        """Return whether a pause before a prompt may be skipped, as in a replay."""
        ...


class LoopClock:
    """The clock of the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        """See `Clock`."""
        return self._loop.time()

    def call_at(
        self, when: float, callback: Callable[[], object], *, of_turn: bool = False
    ) -> Timer:
        """See `Clock`."""
        del of_turn  # only used in a replay
        return self._loop.call_at(when, callback)

    def may_skip(self) -> bool:
        """See `Clock`."""
        return False


def clock_of(session: object) -> Clock:
    """Return a session's clock, or the event loop's if the session has none."""
    clock: Clock | None = getattr(session, "clock", None)
    return LoopClock() if clock is None else clock
