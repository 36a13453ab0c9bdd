"""The replay of one session: client frames in, harness frames out. No I/O, no clock, no tasks.

Rule 1: the harness's frames come in recorded order, each once every client frame that was recorded
before it has come.
Rule 2: a client frame is matched by what it answers, not by when it comes: answers commute.
Rule 3: what does not fit raises at once, and from then on always the same error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.mismatch import Reporter
from agy_nb.cassette.matching.placeholders import Placeholders
from agy_nb.cassette.replay.call_guard import CallGuard
from agy_nb.cassette.storage.cassette_reader import RecordedSession
from agy_nb.cassette.storage.format import Frame, WireRecord, frame_message
from agy_nb.wire import frames as f
from agy_nb.wire.client_config import asks_a_person
from agy_nb.wire.frames import TURN_KINDS, FrameKey, key_of, kind_of, request_of

Tools: TypeAlias = Literal["check", "run", "replay"]
Answers: TypeAlias = Literal["replay", "ask", "run"]
"""Whether a person's answers come from the recording; `run` is an older word for `ask`."""

_FAREWELLS = frozenset({f.HALT, f.SESSION_END})


class Release(NamedTuple):
    """A frame of the harness that may go to the client now.

    Attributes:
        message: The frame as the socket would give it.
        delay: Seconds that passed in the recording since the frame before it.
        ends_turn: Whether the client may take the turn for over at it.
        asks: Whether the client starts to work on an answer.
    """

    message: str | bytes
    delay: float
    ends_turn: bool
    asks: bool = False


class SessionMachine:
    """Plays one recorded session.

    Args:
        session: What was recorded.
        path: The cassette's folder, for messages.
        comparer: Decides whether a client frame is the recorded one.
        substitution: Between the recording's words and this machine's.
        redact: Brings a client frame into the recording's words before it is compared.
        answered: Whether a request of the harness is answered from the recording, unseen by the
            client.
        decides: Whether a person's decisions come from the recording, also those that the harness
            does not ask for.
        runs_tools: Whether the client's own tools run, so that calls are checked by `CallGuard`.

    Attributes:
        elapsed: Seconds that the lines took that have been played.
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
        self._revealed = False
        self._path = path
        self._comparer = comparer or Comparer()
        self._substitution = substitution
        self._redact = redact
        self._answered = answered
        self._load(session)
        self.turn = 0
        self._begun = 0  # of these, the turns that the harness has come to
        self.in_turn = True  # the handshake is a turn of its own
        self._error: CassetteMismatchError | None = None

    def _load(self, session: RecordedSession) -> None:
        self.session = session
        self._report = Reporter(self._path, session.number)
        self._lines = session.lines
        self.elapsed = 0.0
        self._position = 0  # of the next line to release, or of the client frame that is waited for
        self._done: set[int] = set()  # client lines that have come
        self._asked: set[FrameKey] = set()
        self._answerable: set[FrameKey] = set()
        self._open: dict[FrameKey, deque[int]] = {}
        for index, line in enumerate(self._lines):
            if line.direction == "client":
                self._open.setdefault(key_of(line.frame), deque()).append(index)

    # -- in ----------------------------------------------------------------------------------

    def receive(self, frame: Frame) -> None:
        """Take a frame of the client.

        Raises:
            CassetteMismatchError: It is not what was recorded.
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
            raise self._report.surplus(self.turn, frame, self.waits_for())
        if key.about and key not in self._asked:
            raise self._report.unasked(self.turn, frame)
        index = indexes[0]
        recorded = self._lines[index].frame
        if key.kind in TURN_KINDS:
            self.turn += 1
        self._compare(key, recorded, frame)
        indexes.popleft()
        self._done.add(index)
        if key.kind == f.CONFIG and self._runs_tools:
            self._guard = CallGuard(frame)
        elif self._guard is not None:
            self._guard.note_answer(frame)
        if key.kind in TURN_KINDS:
            self.in_turn = True

    def _compare(self, key: FrameKey, recorded: Frame, frame: Frame) -> None:
        if key.kind == f.CONFIG or recorded == frame or not self._comparer.compares(key.kind):
            return  # configurations are compared where the session is chosen
        known = self.in_recorded_words(frame)
        difference = self._comparer.first(recorded, known)
        if difference is not None:
            call = self._call(key.about) if key.kind == f.TOOL_RESPONSE else None
            raise self._report.differs(self.turn, recorded, known, difference, call)

    def _call(self, call_id: str) -> Frame | None:
        """The recorded call of a host tool."""
        for line in self._lines:
            call = line.frame.get(f.TOOL_CALL)
            if isinstance(call, dict) and call.get("id") == call_id:
                return line.frame
        return None

    def in_recorded_words(self, frame: Frame) -> Frame:
        """A frame of the client as the recording would have it."""
        frame = self._redact(frame)
        return self._substitution.inward(frame) if self._substitution else frame

    # -- out ---------------------------------------------------------------------------------

    def release(self) -> Release | None:
        """The next frame for the client, None while there is none.

        Raises:
            CassetteMismatchError: It is a call of a host tool that today's rules do not allow.
        """
        while self._position < len(self._lines):
            line = self._lines[self._position]
            is_clients = line.direction == "client"
            if is_clients and self._position not in self._done:
                return None
            self._position += 1
            self.elapsed += line.dt
            if is_clients:
                self._begun += kind_of(line.frame) in TURN_KINDS
            elif (release := self._give(line)) is not None:
                return release
        return None

    def _give(self, line: WireRecord) -> Release | None:
        """What the client gets of a line, None where it is answered from the recording."""
        self._check(line.frame)
        request = request_of(line.frame)
        frame = line.frame if request is None else self._ask(request, line.frame)
        if frame is None:
            return None
        ends_turn = f.turn_ended(line.frame)
        if ends_turn or f.INITIALIZED in line.frame:
            self.in_turn = self.turn > self._begun  # a prompt may come before its time
        message = frame_message(frame, line.text if frame is line.frame else None)
        if self._substitution is not None and isinstance(message, str):
            message = self._substitution.outward(message)
        return Release(message, line.dt, ends_turn, request is not None)

    def _check(self, frame: Frame) -> None:
        if self._guard is None:
            return
        reason = self._guard.check(frame, client_checks_subagents=self._revealed)
        if reason:
            raise self._keep(self._report.not_allowed(self.turn, frame, reason))

    def _ask(self, request: FrameKey, frame: Frame) -> Frame | None:
        """What the client sees of a request; None if nothing, as the recording answers it."""
        self._asked.add(request)
        if not self._answered(frame):
            return frame
        if self._revealed:
            self._answerable.add(request)
            return frame
        is_answered = self._answer_from_record(request)
        if kind_of(frame) == f.STEP:  # shown, but not asked
            step = {key: v for key, v in frame[f.STEP].items() if not key.endswith("Request")}
            return frame | {f.STEP: step}
        return None if is_answered else frame

    def _answer_from_record(self, request: FrameKey) -> bool:
        """Take the recorded answer for the client's; tell whether there is one."""
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
        """The first thing that did not fit."""
        return self._error

    @property
    def exhausted(self) -> bool:
        """Whether the harness has said all that was recorded."""
        return self._position >= len(self._lines)

    @property
    def waits_for_the_client(self) -> bool:
        """Whether the harness waits for something that only the client can begin, mid-turn."""
        if not self.in_turn:
            return False
        return self.exhausted or not any(key in self._asked for key in self.waits_for())

    @property
    def waited(self) -> float | None:
        """Seconds that the recording waited here for the client to begin something.

        None where it waits for nothing, or for an answer: those take their own time.
        """
        keys = self.waits_for()
        if any(key in self._asked for key in keys):
            return None
        if keys:
            return self._lines[self._position].dt
        return self.session.end_dt if self.exhausted and self.session.end else None

    @property
    def prompt_is_next(self) -> bool:
        """Whether the recording waits for the next turn to begin."""
        return any(key.kind in TURN_KINDS for key in self.waits_for()[:1])

    def waits_for(self) -> tuple[FrameKey, ...]:
        """What must come from the client before the harness goes on."""
        found = []
        for index in range(self._position, len(self._lines)):
            line = self._lines[index]
            if line.direction != "client":
                break
            if index not in self._done:
                found.append(key_of(line.frame))
        return tuple(found)

    def reveal(self) -> None:
        """Let requests come to the client also where the recording answers them."""
        self._revealed = True

    def recorded_answer(self, key: FrameKey) -> Frame | None:
        """The answer to a request that came to the client, None if it is the client's own."""
        return self.recorded_response(key) if key in self._answerable else None

    def recorded_response(self, key: FrameKey) -> Frame | None:
        """The recorded client's next answer of this key, None if there is none."""
        indexes = self._open.get(key)
        if not indexes:
            return None
        frame = self._lines[indexes[0]].frame
        return self._substitution.outward_frame(frame) if self._substitution else frame

    def left_to_client(self, call_id: str) -> bool:
        """Whether the client must apply its policies to this call itself."""
        return self._guard is not None and self._guard.left_to_client(call_id)

    def recorded_result(self, call_id: str) -> Frame:
        """The recorded response to a call of a host tool, empty if there is none."""
        for index in self._open.get(FrameKey(f.TOOL_RESPONSE, call_id), ()):
            response: Frame = self._lines[index].frame[f.TOOL_RESPONSE]
            return response
        return {}

    def unplayed(self) -> Iterator[Frame]:
        """Recorded frames of the client that have not come."""
        for index, line in enumerate(self._lines):
            if line.direction == "client" and index not in self._done:
                yield line.frame

    def ended(self) -> CassetteMismatchError:
        """The error for a client that waits where the recording was cut off."""
        return self._keep(self._report.ended(self.turn))

    def stalled(self, seconds: float) -> CassetteMismatchError:
        """The error for a session in which nothing moves."""
        return self._keep(self._report.stalled(self.turn, self.waits_for(), seconds))

    def unplayed_error(self, *, still_open: bool = False) -> CassetteMismatchError | None:
        """The error for a session that was not played to its end, None if it was.

        Args:
            still_open: Whether the client may still say goodbye.
        """
        left = [
            each for each in self.unplayed() if not (still_open and kind_of(each) in _FAREWELLS)
        ]
        return self._report.unplayed(self.turn, left) if left else None

    def _keep(self, error: CassetteMismatchError) -> CassetteMismatchError:
        self._error = self._error or error
        return self._error

    # -- sessions that only the first prompt tells apart -------------------------------------

    @property
    def at_start(self) -> bool:
        """Whether the client has sent no prompt yet."""
        return self.turn == 0

    def become(self, session: RecordedSession, substitution: Placeholders | None) -> None:
        """Play another session from here on, which began in the same way."""
        position, done, asked = self._position, self._done, self._asked
        elapsed = self.elapsed
        self._load(session)
        self._substitution = substitution
        self._position, self._asked, self.elapsed = position, asked, elapsed
        for index in done:
            self._done.add(index)
            self._open[key_of(self._lines[index].frame)].remove(index)

    def starts_with(self, frame: Frame) -> bool:
        """Whether the recorded session's first prompt is this one."""
        recorded = first_prompt(self.session)
        if recorded is None or recorded == frame:
            return recorded is not None
        return self._comparer.first(recorded, self.in_recorded_words(frame)) is None


def opening(session: RecordedSession) -> list[str]:
    """The shape of a session before its first prompt: who sent what."""
    shape = []
    for line in session.lines:
        kind = kind_of(line.frame)
        if line.direction == "client" and kind in TURN_KINDS:
            break
        shape.append(f"{line.direction} {kind}")
    return shape


def first_prompt(session: RecordedSession) -> Frame | None:
    """What a recorded session was first asked, None if nothing."""
    for line in session.lines:
        if line.direction == "client" and kind_of(line.frame) in TURN_KINDS:
            return line.frame
    return None


def answered_from_record(
    config: Frame, *, approvals: Answers, questions: Answers
) -> Callable[[Frame], bool]:
    """Which requests of the harness are answered without the client seeing them."""

    def answered(frame: Frame) -> bool:
        if f.POLICY_REQUEST in frame:
            return approvals == "replay" and asks_a_person(config, frame)
        return questions == "replay" and f.QUESTIONS_REQUEST in frame.get(f.STEP, ())

    return answered
