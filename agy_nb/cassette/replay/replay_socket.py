"""Replace the harness's socket by an in-memory socket that replays a recorded session.

Rule 1: a mismatch raises where the SDK cannot swallow it: in `recv`, where it ends the turn, and in
every `send` that a user's call waits for. The SDK sends answers in background tasks; an error there
would only be logged as a task exception, so `send` of an answer does not raise.
Rule 2: `recv` returns a few frames, then lets the event loop run other tasks. It always does so
after a request, so that the client's work starts as early as with a real harness.
Rule 3: frames after the end of a turn are returned without such a pause. Otherwise it would depend
on the scheduling of tasks whether the client sees a late frame before its next prompt.
Rule 4: without waiting, a turn does not end before the client has read its messages. A client
that polls `is_idle` would otherwise find an idle agent at its first look, and take it for one that
did not answer. A client that reads nothing gets the end after half a second.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Protocol

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.replay.cassette_answers import CassetteAnswers
from agy_nb.cassette.replay.clock import ReplayClock
from agy_nb.cassette.replay.machine import Release, SessionMachine
from agy_nb.cassette.replay.restored_files import FileRestorer
from agy_nb.cassette.storage.format import Frame, parse_frame
from agy_nb.wire.frames import SESSION_END, SESSION_ENDED, TURN_KINDS, key_of, kind_of
from agy_nb.wire.summaries.beginning import Beginning

_UNREAD_S = 0.5
"""Seconds for which the end of a turn waits for a client that does not read."""
_POLL_S = 0.002
_FRAMES_IN_A_ROW = 8
"""Frames that `recv` returns before other tasks run: about a millisecond of the SDK's work."""
SESSION_ENDED_MESSAGE = json.dumps({SESSION_ENDED: {}})
"""The frame that the SDK waits for, without a timeout, after it has asked to end the session."""


class SessionSource(Protocol):
    """Assigns recorded sessions; see `session_matcher.SessionMatcher`."""

    @property
    def is_left(self) -> bool:
        """Whether any recorded session is still free."""
        ...

    def acquire(
        self, config: Frame, *, any_model: bool = False, begins: Beginning | None = None
    ) -> SessionMachine:
        """Assign a session to an agent; see `SessionMatcher.acquire`."""
        ...

    def rematch(self, machine: SessionMachine, frame: Frame) -> None:
        """Exchange sessions if the first prompt requires it; see `SessionMatcher.rematch`."""
        ...


class CassetteSocket:
    """Replay a session through the interface of the SDK's WebSocket.

    Args:
        matcher: Assigns the recorded session when the configuration arrives.
        speed: 0 for no waiting, 1 for the recorded pace, 2 for twice that pace.
        stall_after: Seconds without progress after which the replay raises an error.
        closed: Creates the error for a connection that the harness closed, from code and reason.
        on_acquire: Called with the machine after the assignment.
        any_model: Whether the agent's configuration does not name a model.
        begins: Where the agent's conversation begins; None where it is not known.
        restore_files: Whether to write the files that the harness wrote in the recording.
    """

    def __init__(
        self,
        matcher: SessionSource,
        *,
        speed: float = 0,
        stall_after: float = 10.0,
        closed: Callable[[int, str], Exception] = ConnectionError,
        on_acquire: Callable[[SessionMachine], None] | None = None,
        any_model: bool = False,
        begins: Beginning | None = None,
        restore_files: bool = False,
    ) -> None:
        self._matcher = matcher
        self._speed = speed
        self._stall_after = stall_after
        self._closed_error = closed
        self._on_acquire = on_acquire
        self._any_model = any_model
        self._begins = begins
        self._restore_files = restore_files
        self._restorer: FileRestorer | None = None
        self._machine: SessionMachine | None = None
        self._error: Exception | None = None
        self._error_raised = False
        self._closed = False
        self._end_requested = False
        self._after_turn = False
        self._in_a_row = 0
        self._changed = asyncio.Event()
        self._elapsed = 0.0
        self._clock: ReplayClock | None = None
        self._is_read: Callable[[], bool] | None = None
        self._sent = 0

    # -- called by the SDK -------------------------------------------------------------------

    async def send(self, message: str | bytes) -> None:
        """Match a frame of the client.

        Raises:
            CassetteMismatchError: This frame or an earlier one does not match the recording.
        """
        frame = parse_frame(message)
        is_answer = bool(key_of(frame).request_id)
        self._sent += 1
        if self._error is not None:
            if is_answer:
                return
            raise self._error
        if self._closed:
            raise self._closed_error(1000, "")
        try:
            if self._machine is None:
                self._machine = self._matcher.acquire(
                    frame, any_model=self._any_model, begins=self._begins
                )
                if self._on_acquire is not None:
                    self._on_acquire(self._machine)
                if self._restore_files:
                    self._restorer = FileRestorer(frame)
            else:
                if self._machine.at_start and kind_of(frame) in TURN_KINDS:
                    self._matcher.rematch(self._machine, frame)
                self._machine.receive(frame)
        except CassetteMismatchError as error:
            self._fail(error)
            if is_answer:
                return
            raise
        self._end_requested = self._end_requested or SESSION_END in frame
        self._changed.set()

    def leave_if_new(self, frame: Frame) -> SessionMachine | None:
        """Leave the session if this frame is a first prompt that no free session begins with.

        Returns:
            The machine of the session, which another agent can replay; None to continue.
        """
        machine = self._machine
        if machine is None or self._error is not None or self._closed or not machine.at_start:
            return None
        if kind_of(frame) not in TURN_KINDS:
            return None
        self._matcher.rematch(machine, frame)
        if machine.starts_with(frame):
            return None
        self._machine = None
        return machine

    def end(self) -> None:
        """End `recv`, which may wait; another socket takes over."""
        self._closed = True
        self._changed.set()

    async def recv(self) -> str | bytes:
        """Return the next frame of the harness.

        Raises:
            CassetteMismatchError: The client's frames do not match the recording.
        """
        while True:
            if self._error is not None:
                if self._end_requested:  # the SDK waits for this frame without a timeout
                    self._end_requested = False
                    return SESSION_ENDED_MESSAGE
                self._error_raised = True
                raise self._error
            if self._closed:
                raise self._closed_error(1000, "")
            try:
                release = self._machine.release() if self._machine else None
            except CassetteMismatchError as error:
                self._fail(error)
                self._error_raised = True
                raise
            # Also without a release: client lines that arrived have their recorded time, too.
            if self._clock is not None:
                self._advance_clock(self._clock)
            if release is not None:
                if self._restorer is not None and self._restorer.concerns(release.message):
                    # Before the step is returned: code that reacts to the step may read the file.
                    await asyncio.to_thread(self._restorer.restore, release.message)
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
            CassetteMismatchError: The client's frames do not match the recording, and no call has
                raised this before.
        """
        del code, reason
        self._closed = True
        self._changed.set()
        if self._error is not None and not self._error_raised:
            self._error_raised = True
            raise self._error

    @property
    def error(self) -> Exception | None:
        """The error that ended the session, as an object; the SDK keeps its text only."""
        return self._error

    @property
    def stderr(self) -> str:
        """What the harness wrote to stderr in the recording."""
        return "" if self._machine is None else self._machine.stderr

    @property
    def clock(self) -> ReplayClock | None:
        """The session's clock; None with a `speed`, when the event loop's clock is used."""
        if self._clock is None and not self._speed:  # most clients never use it
            self._clock = ReplayClock(self._has_next_prompt)
            if (machine := self._machine) is not None:
                self._elapsed = machine.elapsed
                self._clock.waits(machine.waited, in_turn=machine.in_turn)
        return self._clock

    def show_requests(self) -> CassetteAnswers:
        """Release requests that the recording answers, and return the recorded answers.

        agy_nb's runtime calls this, so that its events are the same as while recording. It looks up
        the recorded answer before it asks the user.
        """
        if self._machine is not None:
            self._machine.show_requests()
        return CassetteAnswers(lambda: self._machine)

    def read_through(self, is_read: Callable[[], bool]) -> None:
        """Let turns end when the client has read their steps.

        Args:
            is_read: Returns whether it has read all steps that it was sent.
        """
        self._is_read = is_read

    # -- internals ---------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._changed.set()

    async def _pace(self, release: Release) -> str | bytes:
        if self._speed:
            await asyncio.sleep(release.delay / self._speed)
        elif release.ends_turn and self._is_read is not None:
            await self._until_read(self._is_read)
        elif self._in_a_row >= _FRAMES_IN_A_ROW and not self._after_turn:
            self._in_a_row = 0
            await asyncio.sleep(0)
        self._in_a_row = _FRAMES_IN_A_ROW if release.asks else self._in_a_row + 1
        self._after_turn = release.ends_turn or (self._after_turn and not self._in_turn())
        return release.message

    async def _until_read(self, is_read: Callable[[], bool]) -> None:
        """Wait until the client has read the steps of the turn, sends something, or does neither.

        Args:
            is_read: Returns whether it has read all steps.
        """
        sent, time = self._sent, asyncio.get_running_loop().time
        began = time()
        await asyncio.sleep(0)
        while not is_read() and self._sent == sent and not self._closed:
            waited = time() - began
            if waited > _UNREAD_S:
                return
            # Each turn of a replay waits here, and most clients have read after a few rounds of the
            # loop: a first sleep of 2 ms would slow every turn. Rounds without a sleep for half a
            # second would keep a processor busy.
            await asyncio.sleep(0 if waited < _POLL_S else _POLL_S)

    def _advance_clock(self, clock: ReplayClock) -> None:
        elapsed = 0.0 if self._machine is None else self._machine.elapsed
        before, self._elapsed = self._elapsed, elapsed
        if elapsed > before:
            clock.passed(elapsed - before)

    def _has_next_prompt(self) -> bool:
        """Return whether the recording continues with a prompt, here or in a new session."""
        machine = self._machine
        if machine is None:
            return False
        return machine.prompt_is_next or (not machine.in_turn and self._matcher.is_left)

    def _in_turn(self) -> bool:
        return self._machine is not None and self._machine.in_turn

    def _raise_if_over(self) -> None:
        machine = self._machine
        if machine is None or not machine.exhausted:
            return
        end = machine.session.end
        if end is not None and end.get("by") == "harness":
            self._error_raised = True  # not a mismatch: the harness also ended in the recording
            self._error = self._closed_error(int(end.get("code", 1006)), str(end.get("reason", "")))
            raise self._error
        if end is None and machine.in_turn:
            self._error = machine.ended()
            self._error_raised = True
            raise self._error

    async def _wait(self) -> None:
        # `recv` must not `await` between its look at the machine and this line: a frame that
        # arrived in between would be forgotten, and the replay would stall.
        self._changed.clear()
        machine = self._machine
        if self._clock is not None and machine is not None:
            self._clock.waits(machine.waited, in_turn=machine.in_turn)
        if machine is None or not machine.waits_for_the_client:
            await self._changed.wait()
            return
        try:
            async with asyncio.timeout(self._stall_after):
                await self._changed.wait()
        except TimeoutError:
            if not self._changed.is_set():  # a frame that arrived at the same moment is in time
                self._fail(machine.stalled(self._stall_after))
