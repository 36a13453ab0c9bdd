"""Choose the recorded session that an agent replays.

The configuration identifies the session, and the turn after which a fork or a rewind begins. Agents
that are alike get sessions in the order of their start. If the first prompt shows that this order
was wrong, sessions are exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.mismatch import (
    Reporter,
    begins_elsewhere,
    never_started,
    no_session,
)
from agy_nb.cassette.matching.placeholders import Placeholders
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.replay.cassette_answers import Answers
from agy_nb.cassette.replay.machine import SessionMachine
from agy_nb.cassette.storage.cassette_reader import Cassette, RecordedSession
from agy_nb.cassette.storage.format import Frame
from agy_nb.wire import frames as f
from agy_nb.wire.client_config import asks_a_person
from agy_nb.wire.frames import kind_of
from agy_nb.wire.summaries.beginning import Beginning
from agy_nb.wire.summaries.canonical_config import comparable_config, config_digest


@dataclass(frozen=True, slots=True)
class PlaySettings:
    """How a recording is played.

    Attributes:
        comparer: Compares client frames with the recorded ones.
        redactor: Redacts client frames, so that they can be compared with redacted ones.
        approvals: Whether the user's decisions come from the recording, or from the handler.
        questions: The same for the model's questions.
        runs_tools: Whether the client's own tools run.
        places: Folders of this machine by their placeholders; None for the home and temporary
            folders.
    """

    comparer: Comparer = field(default_factory=Comparer)
    redactor: Redactor = field(default_factory=Redactor)
    approvals: Answers = "replay"
    questions: Answers = "replay"
    runs_tools: bool = True
    places: Mapping[str, str] | None = None


class SessionMatcher:
    """Assign recorded sessions to agents.

    Args:
        recording: The cassette.
        settings: How it is replayed.
    """

    def __init__(self, recording: Cassette, settings: PlaySettings) -> None:
        self.recording = recording
        self._settings = settings
        self._left = list(recording.sessions)
        self._digests = {s.number: config_digest(s.config) for s in recording.sessions}
        self._beginnings = {s.number: s.begins for s in recording.sessions}
        self._playing: list[_Playing] = []
        self._errors: list[CassetteMismatchError] = []

    def has(
        self, config: Frame, *, any_model: bool = False, begins: Beginning | None = None
    ) -> bool:
        """Return whether a free session fits this configuration; see `acquire`."""
        return self._find(config, self._free(begins), any_model=any_model) is not None

    @property
    def is_left(self) -> bool:
        """Whether any recorded session is still free."""
        return bool(self._left)

    def acquire(
        self, config: Frame, *, any_model: bool = False, begins: Beginning | None = None
    ) -> SessionMachine:
        """Assign a session to an agent, and return the machine that replays it.

        Args:
            config: The client's first frame, unredacted.
            any_model: Whether the agent's configuration does not name a model.
            begins: Where the agent's conversation begins; None where it is not known.

        Raises:
            CassetteMismatchError: No session is free, or no free session has this configuration.
        """
        free = self._free(begins)
        found = self._find(config, free, any_model=any_model)
        if found is None:
            failed = [each.machine.error for each in self._playing if each.machine.error]
            if failed:  # an agent is started again because its replay failed
                raise failed[0]
            redacted = self._settings.redactor.live_frame(config)
            if self._left and not free and begins is not None:
                error = self._begins_nowhere(begins)
            else:
                error = self._no_fit(redacted, free, any_model=any_model)
            self._errors.append(error)
            raise error
        self._left.remove(found)
        machine = SessionMachine(
            found,
            path=str(self.recording.path),
            comparer=self._settings.comparer,
            substitution=self._substitution(found, config),
            redact=self._settings.redactor.live_frame,
            answered=answered_from_record(
                config,
                approvals=self._settings.approvals,
                questions=self._settings.questions,
            ),
            decides=self._settings.approvals == "replay",
            runs_tools=self._settings.runs_tools,
        )
        machine.receive(config)
        self._playing.append(_Playing(machine, config, any_model))
        return machine

    def rematch(self, machine: SessionMachine, frame: Frame) -> None:
        """Exchange a machine's session if its first prompt belongs to another session.

        Two agents with the same configuration may start in another order than in the recording.
        Until their first prompts their sessions look the same, so nothing is lost by exchanging
        them: first with a free session, then with that of another agent before its first prompt.

        Args:
            machine: A machine that is about to get its first prompt.
            frame: The prompt.
        """
        if machine.starts_with(frame):
            return
        mine = next(each for each in self._playing if each.machine is machine)
        session = machine.session
        for other in self._left:
            if self._may_play(mine, other) and self._is_asked(machine, other, frame):
                # Sorted again: an agent that starts later gets the first free session that fits,
                # which has to be the one that was recorded first.
                self._left[self._left.index(other)] = session
                self._left.sort(key=lambda session: session.number)
                self._change(mine, other)
                return
        for rival in self._playing:
            other = rival.machine.session
            if rival is mine or not rival.machine.at_start or not rival.machine.starts_with(frame):
                continue
            if self._may_play(mine, other) and self._may_play(rival, session):
                self._change(rival, session)
                self._change(mine, other)
                return

    def give_back(self, machine: SessionMachine) -> None:
        """Release the session of a machine that has had no prompt.

        Args:
            machine: Its agent is recorded, because no session begins with its first prompt.
        """
        self._playing = [each for each in self._playing if each.machine is not machine]
        self._left.append(machine.session)
        self._left.sort(key=lambda session: session.number)

    def errors(
        self, *, allow_unplayed: bool, still_open: bool = False
    ) -> list[CassetteMismatchError]:
        """Return all mismatches, oldest first. Unplayed frames count only without other mismatches.

        Args:
            allow_unplayed: Whether recorded frames may be left.
            still_open: Whether sessions are still open, so that their last frames may be missing.
        """
        self._look_for_errors()
        if self._errors or allow_unplayed:
            return self._errors
        for each in self._playing:
            error = each.machine.unplayed_error(still_open=still_open)
            if error is not None:
                return [error]
        if self._left:
            numbers = [session.number for session in self._left]
            return [never_started(str(self.recording.path), numbers)]
        return []

    def _look_for_errors(self) -> None:
        """Collect the errors of the machines, so that a cause comes before its consequences."""
        for each in self._playing:
            error = each.machine.error
            if error is not None and error not in self._errors:
                self._errors.append(error)

    def _free(self, begins: Beginning | None) -> list[RecordedSession]:
        """Return the free sessions that can begin there; one without notes can begin anywhere."""
        fits = (None, begins)
        return [s for s in self._left if begins is None or self._beginnings[s.number] in fits]

    def _find(
        self, config: Frame, free: list[RecordedSession], *, any_model: bool
    ) -> RecordedSession | None:
        if not self._settings.comparer.compares("config"):
            return free[0] if free else None
        # Exact comparisons come first. A tolerant one could give away a session that differs in
        # something ignored, and that another agent fits exactly.
        alike = self._with_digest(config_digest(config), free)
        if alike is not None:  # the digest ignores API keys, so this is the most frequent case
            return alike
        now = comparable_config(config, any_model=any_model)
        for session in free:
            if comparable_config(session.config, any_model=any_model) == now:
                return session
        # A secret, for example in the system instructions, is a mark in the recording.
        redacted = self._settings.redactor.live_frame(config)
        alike = self._with_digest(config_digest(redacted), free)
        if alike is not None:
            return alike
        now = comparable_config(redacted, any_model=any_model)
        for session in free:
            then = comparable_config(session.config, any_model=any_model)
            if self._settings.comparer.first(then, now) is None:
                return session
        return None

    def _with_digest(self, digest: str, free: list[RecordedSession]) -> RecordedSession | None:
        for session in free:
            if self._digests[session.number] == digest:
                return session
        return None

    def _begins_nowhere(self, begins: Beginning) -> CassetteMismatchError:
        left = {session.number: self._beginnings[session.number] for session in self._left}
        known = {number: str(there) for number, there in left.items() if there is not None}
        return begins_elsewhere(str(self.recording.path), str(begins), known)

    def _no_fit(
        self, redacted: Frame, free: list[RecordedSession], *, any_model: bool
    ) -> CassetteMismatchError:
        path, count = str(self.recording.path), len(self.recording.sessions)
        if not free:
            return no_session(path, count, redacted, partial=self.recording.partial)
        now = comparable_config(redacted, any_model=any_model)
        comparer = self._settings.comparer
        found = []
        for session in free:
            then = comparable_config(session.config, any_model=any_model)
            found.append((list(comparer.differences(then, now)), session.number, then))
        differences, number, then = min(found, key=lambda item: (len(item[0]), item[1]))
        return Reporter(path, number).differs(0, then, now, differences[0])

    def _substitution(self, session: RecordedSession, config: Frame) -> Placeholders:
        settings = self._settings
        return Placeholders(
            session.config, config, redact=settings.redactor.text, places=settings.places
        )

    def _may_play(self, playing: _Playing, other: RecordedSession) -> bool:
        """Return whether an agent that began with one session can continue with another."""
        mine = playing.machine.session
        begin, there = self._beginnings[mine.number], self._beginnings[other.number]
        if not (begin == there or begin is None or there is None):
            return False
        return mine.opening == other.opening and (
            self._digests[mine.number] == self._digests[other.number] or self._fits(playing, other)
        )

    def _fits(self, playing: _Playing, session: RecordedSession) -> bool:
        """Return whether an agent's configuration is that of a session, as the user compares."""
        if not self._settings.comparer.compares("config"):
            return True
        redacted = self._settings.redactor.live_frame(playing.config)
        then, now = (
            comparable_config(config, any_model=playing.any_model)
            for config in (session.config, redacted)
        )
        return self._settings.comparer.first(then, now) is None

    def _is_asked(self, machine: SessionMachine, other: RecordedSession, frame: Frame) -> bool:
        recorded = other.first_prompt
        if recorded is None or kind_of(recorded) != kind_of(frame):
            return False
        known = machine.words.of_client(frame)
        return self._settings.comparer.first(recorded, known) is None

    def _change(self, playing: _Playing, session: RecordedSession) -> None:
        playing.machine.switch_to(session, self._substitution(session, playing.config))


@dataclass(frozen=True, slots=True)
class _Playing:
    """An agent that replays a session, and its configuration."""

    machine: SessionMachine
    config: Frame
    any_model: bool


def answered_from_record(
    config: Frame, *, approvals: Answers, questions: Answers
) -> Callable[[Frame], bool]:
    """Return a function that decides which requests are answered without the client."""

    def answered(frame: Frame) -> bool:
        if f.POLICY_REQUEST in frame:
            return approvals == "replay" and asks_a_person(config, frame)
        return questions == "replay" and f.QUESTIONS_REQUEST in frame.get(f.STEP, ())

    return answered
