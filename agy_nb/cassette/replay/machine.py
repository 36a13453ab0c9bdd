"""Replay one session: client frames in, harness frames out. No I/O, no clock, no tasks.

Rule 1: harness frames are released in recorded order. A frame is released once all client frames
that were recorded before it have arrived.
Rule 2: an answer of the client is matched by the request that it answers, not by its position. What
the client begins (a prompt, a trigger, a cancel) must come in the turn in which it was recorded.
Rule 3: a mismatch raises at once, and each later frame of the client raises the same error.

Why not compare both sides line by line? The client answers requests in separate tasks, so the
order of its answers varies from run to run: two tools that run at the same time may finish in any
order. The harness's order is fixed by the recording. `_position` therefore is the next harness line
to release, and `_done` the client lines that arrived, also those after `_position`. A recorded
client line at `_position` that has not arrived stops the release.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.mismatch import Reporter
from agy_nb.cassette.matching.placeholders import Placeholders
from agy_nb.cassette.replay.call_guard import CallGuard
from agy_nb.cassette.replay.recorded_words import RecordedWords
from agy_nb.cassette.storage.cassette_reader import RecordedSession
from agy_nb.cassette.storage.format import Frame, WireRecord
from agy_nb.wire import frames as f
from agy_nb.wire.frames import TURN_KINDS, FrameKey, key_of, kind_of, request_of

_CLOSING_KINDS = frozenset({f.HALT, f.SESSION_END})


class Release(NamedTuple):
    """A harness frame that the client receives now.

    Attributes:
        message: The message of the socket.
        delay: Seconds in the recording since the previous frame.
        ends_turn: Whether the frame ends the turn for the client.
        asks: Whether the frame is a request that the client answers.
    """

    message: str | bytes
    delay: float
    ends_turn: bool
    asks: bool = False


class SessionMachine:
    """Replay one recorded session.

    Args:
        session: The recorded session.
        path: The cassette's folder, for error messages.
        comparer: Compares client frames with the recorded ones.
        substitution: Translates between the recording's placeholders and this machine's values.
        redact: Redacts a client frame before it is compared.
        answered: Returns whether a request of the harness is answered from the recording, without
            the client.
        decides: Whether the user's decisions come from the recording, also those for which the
            harness sends no request.
        runs_tools: Whether the client's own tools run, so that `CallGuard` checks the calls.

    Attributes:
        words: Translates between the recording and this run.
        elapsed: Seconds in the recording up to the last released line.
    """

    def __init__(
        self,
        session: RecordedSession,
        *,
        path: str = "",
        comparer: Comparer | None = None,
        substitution: Placeholders | None = None,
        redact: Callable[[Frame], Frame] = lambda frame: frame,
        answered: Callable[[Frame], bool] = lambda frame: False,  # noqa: ARG005
        decides: bool = False,
        runs_tools: bool = True,
    ) -> None:
        self.decides = decides
        self._runs_tools = runs_tools
        self._guard: CallGuard | None = None
        self._shows_requests = False
        self._path = path
        self._comparer = comparer or Comparer()
        self.words = RecordedWords(redact, substitution, self._comparer.patterns)
        self._answered = answered
        self._load(session)
        self.turn: int = 0
        self._turns_released = 0  # the turns whose prompt is before `_position`
        self.in_turn: bool = True  # the handshake counts as a turn
        self._error: CassetteMismatchError | None = None

    def _load(self, session: RecordedSession) -> None:
        self.session = session
        self._report = Reporter(self._path, session.number)
        self._lines = self.words.lines(session.lines)
        self.elapsed: float = 0.0
        self._position = 0  # the next harness line, or a client line that has not arrived
        self._done: set[int] = set()  # client lines that have arrived
        self._asked: set[FrameKey] = set()
        self._answerable: set[FrameKey] = set()
        self._open: dict[FrameKey, deque[int]] = {}
        self._turn_of: dict[int, int] = {}  # of client lines: the prompts and triggers before them
        turns = 0
        for index, line in enumerate(self._lines):
            if line.direction == "client":
                key = key_of(line.frame)
                self._open.setdefault(key, deque()).append(index)
                self._turn_of[index] = turns
                turns += key.kind in TURN_KINDS

    # -- in ----------------------------------------------------------------------------------

    def receive(self, frame: Frame) -> None:
        """Match a frame of the client with a recorded one.

        Raises:
            CassetteMismatchError: The frame does not match, or an earlier one did not.
        """
        if self._error is not None:
            raise self._error
        try:
            self._receive(frame)
        except CassetteMismatchError as error:
            self._error = error
            raise

    def _receive(self, frame: Frame) -> None:
        key = key_of(frame)
        indexes = self._open.get(key)
        if not indexes:
            raise self._surplus(frame)
        # The recording may hold the request further on. An answer before its request would let the
        # replay go on in an order that no harness has.
        if key.request_id and key not in self._asked:
            raise self._report.unasked(self.turn, frame)
        index = indexes[0]
        recorded = self._lines[index].frame
        turn = self._turn_of[index]
        # Nothing asks for these frames, so only the turn tells them apart: a cancel that was
        # recorded in turn 3 would otherwise also match one in turn 1.
        # An agent may close early because the code around it failed: that is not a mismatch.
        if not key.request_id and key.kind != f.SESSION_END and turn != self.turn:
            turn += key.kind in TURN_KINDS
            raise self._surplus(frame, recorded_in=turn)
        if key.kind in TURN_KINDS:
            self.turn += 1  # before the comparison, whose error names the turn
        self._compare(key, recorded, frame)
        indexes.popleft()
        self._done.add(index)
        if recorded != frame and self.words.learn(self.session.lines[index].frame, frame):
            # The rest of the session names the values of this run. It is made from the recorded
            # lines: in `_lines`, an earlier value of this run may have taken the place of a
            # recorded one, which a later value could not replace any more.
            at = self._position
            self._lines = [*self._lines[:at], *self.words.lines(self.session.lines[at:])]
        if key.kind == f.CONFIG and self._runs_tools:
            self._guard = CallGuard(frame)
        elif self._guard is not None:
            # A hook may have changed arguments. The guard compares them with recorded calls, which
            # have marks in the place of folders and secrets.
            is_hooks = key.kind == f.HOOK_RESPONSE
            self._guard.note_answer(self.words.of_client(frame) if is_hooks else frame)
        if key.kind in TURN_KINDS:
            self.in_turn = True

    def _surplus(self, frame: Frame, recorded_in: int | None = None) -> CassetteMismatchError:
        return self._report.surplus(
            self.turn, frame, self.waits_for(), recorded_in=recorded_in, is_over=self.exhausted
        )

    def _compare(self, key: FrameKey, recorded: Frame, frame: Frame) -> None:
        if key.kind == f.CONFIG or recorded == frame or not self._comparer.compares(key.kind):
            return  # SessionMatcher has compared the configuration
        known = self.words.of_client(frame)
        difference = self._comparer.first(recorded, known)
        # A folder in JSON within a text can be spelled in several ways, which are equal once
        # numbers stand for the folders. An error shows the frames with their usual placeholders.
        if (
            difference is None
            or self._comparer.first(*self.words.with_numbered_folders(recorded, frame)) is None
        ):
            return
        call, raised = None, ""
        if key.kind == f.TOOL_RESPONSE:
            call, raised = self._call(key.request_id), self.words.raised_now(key.request_id)
        raise self._report.differs(self.turn, recorded, known, difference, call, raised=raised)

    def _call(self, call_id: str) -> Frame | None:
        """Find the recorded call of a host tool."""
        for line in self._lines:
            call = line.frame.get(f.TOOL_CALL)
            if isinstance(call, dict) and call.get("id") == call_id:
                return line.frame
        return None

    # -- out ---------------------------------------------------------------------------------

    def release(self) -> Release | None:
        """Return the next frame for the client, None if a client frame must arrive first.

        Raises:
            CassetteMismatchError: The frame calls a host tool that the current policies or hooks do
                not allow.
        """
        while self._position < len(self._lines):
            line = self._lines[self._position]
            is_clients = line.direction == "client"
            if is_clients and self._position not in self._done:
                return None
            self._position += 1
            self.elapsed += line.dt
            if is_clients:
                self._turns_released += kind_of(line.frame) in TURN_KINDS
            elif (release := self._convert(line)) is not None:
                return release
        return None

    def _convert(self, line: WireRecord) -> Release | None:
        """Convert a line for the client; None if the recording answers it without the client."""
        if f.is_running_step(line.frame):  # the short way of most frames
            return Release(self.words.message(line.frame, line), line.dt, ends_turn=False)
        self._check_call(line.frame)
        request = request_of(line.frame)
        frame = line.frame if request is None else self._part_for_client(request, line.frame)
        if frame is None:
            return None
        ends_turn = f.turn_ended(line.frame)
        if ends_turn or f.INITIALIZED in line.frame:
            # A client may send its next prompt before the harness has ended this turn. If that turn
            # did not count as begun, a client that waits for too much would wait without end: only
            # within a turn is a stall an error.
            self.in_turn = self.turn > self._turns_released
        return Release(self.words.message(frame, line), line.dt, ends_turn, request is not None)

    def _check_call(self, frame: Frame) -> None:
        if self._guard is None:
            return
        reason = self._guard.check(frame, client_checks_subagents=self._shows_requests)
        if reason:
            raise self._record_error(self._report.not_allowed(self.turn, frame, reason))

    def _part_for_client(self, request: FrameKey, frame: Frame) -> Frame | None:
        """Return the part of a request that the client receives, None if it receives nothing.

        The client's handlers would ask the user about a request that the recording answers. So the
        request is removed from the frame, and the recorded answer counts as arrived. Only clients
        that look up recorded answers themselves get the whole frame (see `show_requests`).
        """
        self._asked.add(request)
        if not self._answered(frame):
            return frame
        if self._shows_requests:
            self._answerable.add(request)
            return frame
        is_answered = self._answer_from_record(request)
        self._report.has_decided = self._report.has_decided or is_answered
        if kind_of(frame) == f.STEP:  # the client needs the step, but not its request
            step = {key: v for key, v in frame[f.STEP].items() if not key.endswith("Request")}
            return frame | {f.STEP: step}
        # A recording that was cut before the answer: the client must be asked.
        return None if is_answered else frame

    def _answer_from_record(self, request: FrameKey) -> bool:
        """Mark the recorded answer as arrived, and return whether there is one."""
        indexes = self._open.get(request)
        if not indexes:
            return False
        index = indexes.popleft()
        self._done.add(index)
        if self._guard is not None:
            self._guard.note_answer(self._lines[index].frame)
        return True

    # -- state -------------------------------------------------------------------------------

    @property
    def error(self) -> CassetteMismatchError | None:
        """The first mismatch, None if there was none."""
        return self._error

    @property
    def exhausted(self) -> bool:
        """Whether all harness frames were released."""
        return self._position >= len(self._lines)

    @property
    def waits_for_the_client(self) -> bool:
        """Whether the replay is stuck within a turn until the client acts without a request.

        If the replay waits for an answer, a tool or a person may take any time. Otherwise the code
        under replay differs from the recording, and a stall is an error.
        """
        if not self.in_turn:
            return False
        return self.exhausted or not any(key in self._asked for key in self.waits_for())

    @property
    def waited(self) -> float | None:
        """Seconds that the recording waited here for the client to act without a request.

        None if it does not wait, or waits for an answer, which takes its own time.
        """
        keys = self.waits_for()
        if any(key in self._asked for key in keys):
            return None
        if keys:
            return self._lines[self._position].dt
        return self.session.end_dt if self.exhausted and self.session.end else None

    @property
    def prompt_is_next(self) -> bool:
        """Whether the recording waits for the next prompt."""
        return any(key.kind in TURN_KINDS for key in self.waits_for()[:1])

    def waits_for(self) -> tuple[FrameKey, ...]:
        """List the client frames that must arrive before the next harness frame."""
        # All client lines up to the next harness line: they may arrive in any order, so an error
        # that names only the first would mislead.
        found = []
        for index in range(self._position, len(self._lines)):
            line = self._lines[index]
            if line.direction != "client":
                break
            if index not in self._done:
                found.append(key_of(line.frame))
        return tuple(found)

    def show_requests(self) -> None:
        """Release requests to the client also if the recording answers them."""
        self._shows_requests = True

    def recorded_answer(self, key: FrameKey) -> Frame | None:
        """Return the recorded answer to a released request, None if the client must answer."""
        return self.recorded_response(key) if key in self._answerable else None

    def recorded_response(self, key: FrameKey) -> Frame | None:
        """Return the next recorded client frame with this key, None if there is none."""
        indexes = self._open.get(key)
        if not indexes:
            return None
        frame = self._lines[indexes[0]].frame
        return self.words.frame(frame)

    def left_to_client(self, call_id: str) -> bool:
        """Return whether the client must apply its policies to this call itself."""
        return self._guard is not None and self._guard.left_to_client(call_id)

    @property
    def stderr(self) -> str:
        """What the harness wrote to stderr, if it ended the session."""
        return self.words.text(str((self.session.end or {}).get("stderr", "")))

    def unplayed(self) -> Iterator[Frame]:
        """Iterate over the recorded client frames that have not arrived."""
        for index, line in enumerate(self._lines):
            if line.direction == "client" and index not in self._done:
                yield line.frame

    def ended(self) -> CassetteMismatchError:
        """Return the error for a client that waits after the end of a partial recording."""
        return self._record_error(self._report.ended(self.turn))

    def stalled(self, seconds: float) -> CassetteMismatchError:
        """Return the error for a session without progress."""
        return self._record_error(self._report.stalled(self.turn, self.waits_for(), seconds))

    def unplayed_error(self, *, still_open: bool = False) -> CassetteMismatchError | None:
        """Return the error for a session that was not replayed to its end, None if it was.

        Args:
            still_open: Whether the client may still send the frames that close the session.
        """
        left = [
            each for each in self.unplayed() if not (still_open and kind_of(each) in _CLOSING_KINDS)
        ]
        return self._report.unplayed(self.turn, left) if left else None

    def _record_error(self, error: CassetteMismatchError) -> CassetteMismatchError:
        self._error = self._error or error
        return self._error

    # -- sessions that only the first prompt tells apart -------------------------------------

    @property
    def at_start(self) -> bool:
        """Whether the client has sent no prompt yet."""
        return self.turn == 0

    def switch_to(self, session: RecordedSession, substitution: Placeholders | None) -> None:
        """Continue with another session that began in the same way."""
        # Sessions are exchanged only if their frames before the first prompt are alike, so indexes
        # of released and arrived lines stay valid. The queues of open client frames are those of
        # the other session, from which the frames that arrived must be removed again.
        position, done, asked = self._position, self._done, self._asked
        elapsed = self.elapsed
        self._load(session)
        self.words.placeholders = substitution
        self._position, self._asked, self.elapsed = position, asked, elapsed
        for index in done:
            self._done.add(index)
            self._open[key_of(self._lines[index].frame)].remove(index)

    def starts_with(self, frame: Frame) -> bool:
        """Return whether this frame is the recorded session's first prompt."""
        recorded = self.session.first_prompt
        if recorded is None or recorded == frame:
            return recorded is not None
        return self._comparer.first(recorded, self.words.of_client(frame)) is None
