"""The stand-ins for what a harness gives: an in-memory socket and a process that is none.

Rule 1: an error of the replay comes out where the SDK cannot swallow it: of the reader, where it
ends the turn, and of every `send` that a user's call waits for. Answers are sent by tasks that
nobody waits for; an error there would only be noise.
Rule 2: frames are handed over a few at a time, and the loop turns in between; it always turns after
one that sets the client to work. What follows the end of a turn comes with it, so that a late frame
never depends on who runs first.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Protocol

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.replay.cassette_answers import CassetteAnswers
from agy_nb.cassette.replay.clock import ReplayClock
from agy_nb.cassette.replay.machine import Release, SessionMachine
from agy_nb.cassette.storage.format import Frame, parse_frame
from agy_nb.wire.frames import SESSION_END, SESSION_ENDED, TURN_KINDS, key_of, kind_of

_IN_A_ROW = 8
"""Frames handed over without a turn of the loop: about a millisecond of the SDK's work."""
GOODBYE = json.dumps({SESSION_ENDED: {}})
"""What the SDK waits for with no limit of time once it has asked for a session's end."""


class Dealer(Protocol):
    """Gives an agent its recorded session; see `deck.SessionMatcher`."""

    @property
    def is_left(self) -> bool:
        """Whether a recorded session was not dealt yet."""
        ...

    def deal(self, config: Frame, *, any_model: bool = False) -> SessionMachine:
        """The machine for an agent that sends this configuration; see `SessionMatcher.deal`."""
        ...

    def settle(self, machine: SessionMachine, frame: Frame) -> None:
        """Change sessions with another agent if the first prompt says so."""
        ...


class CassetteSocket:
    """What the SDK takes for its WebSocket.

    Args:
        deck: Deals the recorded session once the configuration comes.
        speed: 0 for no waiting, 1 for the recorded pace, 2 for twice that pace.
        stall_after: Seconds after which a session in which nothing can move is an error.
        closed: Makes the error for a connection that the harness closed, from its code and reason.
        on_deal: Told of the machine.
        any_model: Whether the agent leaves it open which model it has.
    """

    def __init__(
        self,
        deck: Dealer,
        *,
        speed: float = 0,
        stall_after: float = 10.0,
        closed: Callable[[int, str], Exception] = ConnectionError,
        on_deal: Callable[[SessionMachine], None] | None = None,
        any_model: bool = False,
    ) -> None:
        self._deck = deck
        self._speed = speed
        self._stall_after = stall_after
        self._closed_error = closed
        self._on_deal = on_deal
        self._any_model = any_model
        self._machine: SessionMachine | None = None
        self._error: Exception | None = None
        self._told = False
        self._closed = False
        self._saying_goodbye = False
        self._at_rest = False
        self._in_a_row = 0
        self._news = asyncio.Event()
        self._elapsed = 0.0
        self._clock: ReplayClock | None = None

    # -- what the SDK calls ------------------------------------------------------------------

    async def send(self, message: str | bytes) -> None:
        """Take a frame of the client.

        Raises:
            CassetteMismatchError: This frame, or one before, is not what was recorded.
        """
        frame = parse_frame(message)
        is_answer = bool(key_of(frame).about)
        if self._error is not None:
            if is_answer:
                return
            raise self._error
        if self._closed:
            raise self._closed_error(1000, "")
        try:
            if self._machine is None:
                self._machine = self._deck.deal(frame, any_model=self._any_model)
                if self._on_deal is not None:
                    self._on_deal(self._machine)
            else:
                if self._machine.at_start and kind_of(frame) in TURN_KINDS:
                    self._deck.settle(self._machine, frame)
                self._machine.receive(frame)
        except CassetteMismatchError as error:
            self._fail(error)
            if is_answer:
                return
            raise
        self._saying_goodbye = self._saying_goodbye or SESSION_END in frame
        self._news.set()

    async def recv(self) -> str | bytes:
        """The next frame of the harness.

        Raises:
            CassetteMismatchError: The client did not do what was recorded.
        """
        while True:
            if self._error is not None:
                if self._saying_goodbye:  # the SDK waits for this one with no limit of time
                    self._saying_goodbye = False
                    return GOODBYE
                self._told = True
                raise self._error
            if self._closed:
                raise self._closed_error(1000, "")
            try:
                release = self._machine.release() if self._machine else None
            except CassetteMismatchError as error:
                self._fail(error)
                self._told = True
                raise
            if self._clock is not None:
                self._tell_clock(self._clock)
            if release is not None:
                return await self._pace(release)
            self._raise_if_over()
            await self._wait()

    def __aiter__(self) -> CassetteSocket:
        return self

    async def __anext__(self) -> str | bytes:
        if self._closed and self._error is None:
            raise StopAsyncIteration
        return await self.recv()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the session.

        Raises:
            CassetteMismatchError: The client did not do what was recorded, and nobody was told yet.
        """
        del code, reason
        self._closed = True
        self._news.set()
        if self._error is not None and not self._told:
            self._told = True
            raise self._error

    @property
    def error(self) -> Exception | None:
        """Why nothing comes any more; the SDK would keep only the text of it."""
        return self._error

    @property
    def clock(self) -> ReplayClock | None:
        """The session's time; None at a pace, where that of the loop holds."""
        if self._clock is None and not self._speed:  # most clients never ask
            self._clock = ReplayClock(self._goes_on)
            if (machine := self._machine) is not None:
                self._elapsed = machine.elapsed
                self._clock.waits(machine.waited, in_turn=machine.in_turn)
        return self._clock

    def reveal_requests(self) -> CassetteAnswers:
        """Let requests come that the recording answers; for a client that asks here before it acts.

        Our runtime calls this, so that its events are those of the recording.
        """
        if self._machine is not None:
            self._machine.reveal()
        return CassetteAnswers(lambda: self._machine)

    # -- how ---------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._news.set()

    async def _pace(self, release: Release) -> str | bytes:
        if self._speed:
            await asyncio.sleep(release.delay / self._speed)
        elif self._in_a_row >= _IN_A_ROW and not self._at_rest:
            self._in_a_row = 0
            await asyncio.sleep(0)
        self._in_a_row = _IN_A_ROW if release.asks else self._in_a_row + 1
        self._at_rest = release.ends_turn or (self._at_rest and not self._in_turn())
        return release.message

    def _tell_clock(self, clock: ReplayClock) -> None:
        elapsed = 0.0 if self._machine is None else self._machine.elapsed
        before, self._elapsed = self._elapsed, elapsed
        if elapsed > before:
            clock.passed(elapsed - before)

    def _goes_on(self) -> bool:
        """Whether the next thing that the recording has is a prompt, here or in a new session."""
        machine = self._machine
        if machine is None:
            return False
        return machine.prompt_is_next or (not machine.in_turn and self._deck.is_left)

    def _in_turn(self) -> bool:
        return self._machine is not None and self._machine.in_turn

    def _raise_if_over(self) -> None:
        machine = self._machine
        if machine is None or not machine.exhausted:
            return
        end = machine.session.end
        if end is not None and end.get("by") == "harness":
            self._told = True  # nothing went wrong here: it died in the recording
            self._error = self._closed_error(int(end.get("code", 1006)), str(end.get("reason", "")))
            raise self._error
        if end is None and machine.in_turn:
            self._error = machine.ended()
            self._told = True
            raise self._error

    async def _wait(self) -> None:
        self._news.clear()
        machine = self._machine
        if self._clock is not None and machine is not None:
            self._clock.waits(machine.waited, in_turn=machine.in_turn)
        if machine is None or not machine.waits_for_the_client:
            await self._news.wait()
            return
        try:
            async with asyncio.timeout(self._stall_after):
                await self._news.wait()
        except TimeoutError:
            if not self._news.is_set():  # what came in the same moment came in time
                self._fail(machine.stalled(self._stall_after))


class FakeProcess:
    """What the SDK takes for the harness process. It starts nothing, and exits well."""

    def __init__(self) -> None:
        self.stdin = _Pipe()
        self.stdout = _Pipe()
        self.stderr = _Pipe()
        self.pid = 0
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, None while it "runs"."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Exit at once."""
        del timeout
        self.returncode = 0
        return 0

    def kill(self) -> None:
        """Exit at once."""
        self.returncode = 0

    terminate = kill

    def send_signal(self, number: int) -> None:
        """Exit at once."""
        del number
        self.kill()


class _Pipe:
    """A pipe with nothing in it."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def read(self, size: int = -1) -> bytes:
        """Nothing."""
        del size
        return b""

    def write(self, data: bytes) -> int:
        """Forget it."""
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
        self.closed = True
