"""The events of one turn, and the readers and views that follow them.

Rule 1: the turn continues without readers, and an unused iterator costs nothing.
Rule 2: an iterator never misses an event and never waits for another iterator.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from agy_nb.errors import WrongLoopError
from agy_nb.kernel.loops.other_loop import is_reachable, run_on
from agy_nb.kernel.short_traceback import shorten, turn_interrupted
from agy_nb.protocol.events import Event
from agy_nb.sdk.patches.user_code.blocking_tools import tools_in_threads

_logger = logging.getLogger("agy_nb.runtime")
_JUST_NOW_S = 0.5
"""Seconds after its cancellation in which a wait still counts.

An interrupt both cancels the cell's wait and notifies the runtime, in any order. The runtime must
still know that the cell waited for this turn.
"""


@dataclass(slots=True, eq=False)
class EventLog:
    """The events of one turn. It belongs to the event loop that creates it.

    Attributes:
        turn_id: Number of the turn.
        check_wait: Called before a wait with the number of events that the reader has, infinity
            for a wait until the end. Raises if the wait could never end.
        events: All events so far, oldest first.
        is_over: Whether the turn is over.
        loop: The turn's event loop.
    """

    turn_id: int
    check_wait: Callable[[float], None]
    events: list[Event] = field(default_factory=list)
    is_over: bool = False
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _waiters: list[asyncio.Future[None]] = field(default_factory=list)
    _watchers: list[Callable[[Event], None]] = field(default_factory=list)
    _cursors: int = 0
    _left_at: float = -math.inf

    def notify(self, event: Event) -> None:
        """Pass a new event to the views, and wake the readers."""
        for watch in tuple(self._watchers):  # a watcher added meanwhile has seen this event
            if watch in self._watchers:
                self._call(watch, event)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def watch(self, watch: Callable[[Event], None]) -> Callable[[], None]:
        """Call a function with each event; see `Response.watch`."""
        seen = 0
        while seen < len(self.events):  # the function may emit events itself
            if not self._call(watch, self.events[seen]):
                break
            seen += 1
        else:
            self._watchers.append(watch)

        def stop() -> None:
            self._watchers = [known for known in self._watchers if known is not watch]

        return stop

    def _call(self, watch: Callable[[Event], None], event: Event) -> bool:
        """Call a function with an event, and return whether it may be called again."""
        try:
            watch(event)
        except Exception:
            _logger.exception("a view of turn %s failed and gets no more events", self.turn_id)
            self._watchers = [known for known in self._watchers if known is not watch]
            return False
        return True

    async def follow(self) -> AsyncIterator[Event]:
        """Iterate over all events, from the first to the last, while the turn runs."""
        position = 0
        # The count is not locked, so only readers on the turn's own loop change it.
        here = int(asyncio.get_running_loop() is self.loop)
        self._cursors += here
        try:
            while True:
                while position < len(self.events):
                    yield self.events[position]
                    position += 1
                if self.is_over:
                    break
                await self.more(position)
        finally:
            self._cursors -= here

    async def more(self, seen: float = math.inf) -> None:
        """Wait until there are more than `seen` events, or the turn is over."""
        if self.is_elsewhere():
            await run_on(self.loop, self.more(seen))
            return
        self.check_wait(seen)
        while len(self.events) <= seen and not self.is_over:
            waiter: asyncio.Future[None] = self.loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError as error:
                shorten(error, turn_interrupted(tools_in_threads(self.events)))
                self._left_at = self.loop.time()
                self._waiters = [known for known in self._waiters if known is not waiter]
                raise

    def is_elsewhere(self) -> bool:
        """Return whether the caller runs on another event loop than the turn.

        Raises:
            WrongLoopError: The turn's event loop cannot be reached from there.
        """
        if asyncio.get_running_loop() is self.loop:
            return False
        if not is_reachable(self.loop):
            msg = (
                "the event loop of this response was closed while the turn ran, by loop.close() or "
                "at the end of asyncio.run; read the answer before that. response.partial_text has "
                "the text so far"
                if self.loop.is_closed()
                else "this response belongs to another event loop; read it on its agent's loop, or "
                "use agent.sync"
            )
            raise WrongLoopError(msg)
        return True

    @property
    def is_followed(self) -> bool:
        """Whether code waits for this turn or iterates over it, or did until just now."""
        just_left = self.loop.time() - self._left_at < _JUST_NOW_S
        return bool(self._waiters) or self._cursors > 0 or just_left
