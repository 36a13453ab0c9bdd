"""Which recorded session an agent plays.

Agents are told apart by their configuration, and those with the same one by the order of their
start; where that does not decide, by their first prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.mismatch import Reporter, never_started, no_session
from agy_nb.cassette.matching.placeholders import Placeholders
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.replay.machine import (
    Answers,
    SessionMachine,
    answered_from_record,
    first_prompt,
    opening,
)
from agy_nb.cassette.storage.cassette_reader import Cassette, RecordedSession
from agy_nb.cassette.storage.format import Frame
from agy_nb.wire.frames import kind_of
from agy_nb.wire.summaries.canonical_config import comparable_config, config_digest


@dataclass(frozen=True, slots=True)
class PlaySettings:
    """How a recording is played.

    Attributes:
        comparer: Decides whether a client frame is the recorded one.
        redactor: Brings client frames into the recording's words.
        approvals: Whether a person's decisions come from the recording or are asked for.
        questions: The same for the agent's questions.
        runs_tools: Whether the client's own tools run.
        places: Folders of this machine by their marks; None for home and the temporary folder.
    """

    comparer: Comparer = field(default_factory=Comparer)
    redactor: Redactor = field(default_factory=Redactor)
    approvals: Answers = "replay"
    questions: Answers = "replay"
    runs_tools: bool = True
    places: Mapping[str, str] | None = None


class SessionMatcher:
    """Deals recorded sessions to agents.

    Args:
        recording: The cassette.
        settings: How it is played.
    """

    def __init__(self, recording: Cassette, settings: PlaySettings) -> None:
        self.recording = recording
        self._settings = settings
        self._left = list(recording.sessions)
        self._digests = {s.number: config_digest(s.config) for s in recording.sessions}
        self._playing: list[tuple[SessionMachine, Frame]] = []
        self._errors: list[CassetteMismatchError] = []

    def has(self, config: Frame, *, any_model: bool = False) -> bool:
        """Whether a recorded session is left for an agent with this configuration; see `deal`."""
        return self._find(config, any_model=any_model) is not None

    @property
    def is_left(self) -> bool:
        """Whether a recorded session was not dealt yet."""
        return bool(self._left)

    def deal(self, config: Frame, *, any_model: bool = False) -> SessionMachine:
        """The machine for an agent that sends this configuration.

        Args:
            config: The client's first frame, as it came.
            any_model: Whether the agent leaves it open which model it has.

        Raises:
            CassetteMismatchError: No recorded session is left, or none has this configuration.
        """
        found = self._find(config, any_model=any_model)
        if found is None:
            error = self._no_fit(self._settings.redactor.frame(config), any_model=any_model)
            self._look_for_errors()
            self._errors.append(error)
            raise error
        self._left.remove(found)
        machine = SessionMachine(
            found,
            path=str(self.recording.path),
            comparer=self._settings.comparer,
            substitution=self._substitution(found, config),
            redact=self._settings.redactor.frame,
            answered=answered_from_record(
                config,
                approvals=self._settings.approvals,
                questions=self._settings.questions,
            ),
            decides=self._settings.approvals == "replay",
            runs_tools=self._settings.runs_tools,
        )
        machine.receive(config)
        self._playing.append((machine, config))
        return machine

    def settle(self, machine: SessionMachine, frame: Frame) -> None:
        """Change sessions with another agent of the same configuration if the first prompt says so.

        Args:
            machine: That is about to get its first prompt.
            frame: The prompt.
        """
        if machine.starts_with(frame):
            return
        config = next(c for m, c in self._playing if m is machine)
        mine = machine.session
        for other in self._left:
            if self._alike(mine, other) and self._is_asked(machine, other, frame):
                self._left[self._left.index(other)] = mine
                self._left.sort(key=lambda session: session.number)
                self._change(machine, config, other)
                return
        for rival, rival_config in self._playing:
            if rival is machine or not rival.at_start or not self._alike(mine, rival.session):
                continue
            if rival.starts_with(frame):
                other = rival.session
                self._change(rival, rival_config, mine)
                self._change(machine, config, other)
                return

    def errors(
        self, *, allow_unplayed: bool, still_open: bool = False
    ) -> list[CassetteMismatchError]:
        """All that went wrong, oldest first; what was left unplayed only if nothing else did.

        Args:
            allow_unplayed: Whether something may be left.
            still_open: Whether sessions may still end: their farewell is then not missed.
        """
        self._look_for_errors()
        if self._errors or allow_unplayed:
            return self._errors
        for machine, _ in self._playing:
            error = machine.unplayed_error(still_open=still_open)
            if error is not None:
                return [error]
        if self._left:
            numbers = [session.number for session in self._left]
            return [never_started(str(self.recording.path), numbers)]
        return []

    def _look_for_errors(self) -> None:
        """Take note of what went wrong in a session, before what it led to."""
        for machine, _ in self._playing:
            if machine.error is not None and machine.error not in self._errors:
                self._errors.append(machine.error)

    def _find(self, config: Frame, *, any_model: bool) -> RecordedSession | None:
        if not self._settings.comparer.compares("config"):
            return self._left[0] if self._left else None
        alike = self._with_digest(config_digest(config))
        if alike is not None:  # no secret in it but keys: the most frequent case
            return alike
        now = comparable_config(config, any_model=any_model)
        for session in self._left:
            if comparable_config(session.config, any_model=any_model) == now:
                return session
        redacted = self._settings.redactor.frame(config)
        alike = self._with_digest(config_digest(redacted))
        if alike is not None:
            return alike
        now = comparable_config(redacted, any_model=any_model)
        for session in self._left:
            then = comparable_config(session.config, any_model=any_model)
            if self._settings.comparer.first(then, now) is None:
                return session
        return None

    def _with_digest(self, digest: str) -> RecordedSession | None:
        for session in self._left:
            if self._digests[session.number] == digest:
                return session
        return None

    def _no_fit(self, redacted: Frame, *, any_model: bool) -> CassetteMismatchError:
        path, count = str(self.recording.path), len(self.recording.sessions)
        if not self._left:
            return no_session(path, count, redacted, partial=self.recording.partial)
        now = comparable_config(redacted, any_model=any_model)
        comparer = self._settings.comparer
        found = []
        for session in self._left:
            then = comparable_config(session.config, any_model=any_model)
            found.append((list(comparer.differences(then, now)), session.number, then))
        differences, number, then = min(found, key=lambda item: (len(item[0]), item[1]))
        return Reporter(path, number).differs(0, then, now, differences[0])

    def _substitution(self, session: RecordedSession, config: Frame) -> Placeholders:
        settings = self._settings
        return Placeholders(
            session.config, config, redact=settings.redactor.text, places=settings.places
        )

    def _alike(self, one: RecordedSession, other: RecordedSession) -> bool:
        same = self._digests[one.number] == self._digests[other.number]
        return same and opening(one) == opening(other)

    def _is_asked(self, machine: SessionMachine, other: RecordedSession, frame: Frame) -> bool:
        recorded = first_prompt(other)
        if recorded is None or kind_of(recorded) != kind_of(frame):
            return False
        known = machine.in_recorded_words(frame)
        return self._settings.comparer.first(recorded, known) is None

    def _change(self, machine: SessionMachine, config: Frame, session: RecordedSession) -> None:
        machine.become(session, self._substitution(session, config))
