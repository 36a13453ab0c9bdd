"""Secrets that a model streams in several frames: none of their parts reaches the disk.

A step's text comes as deltas, and each frame repeats the text so far. A key cut in two looks like
nothing in either half, so the lines of a streamed step wait here until the step has ended; then its
text is looked at once, as a whole. Lines of the same session wait behind them, those of others do
not.

The text so far is not kept with each waiting line: all of a step's lines share the step's deltas,
so that memory grows with the text and not with its square.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from agy_nb.cassette.redaction.split_text import PieceRedactor, clean_pieces
from agy_nb.cassette.storage.format import Frame, WireRecord
from agy_nb.wire import frames as f
from agy_nb.wire.stored.literal_marks import literal_pieces, literal_value

_FIELDS = ((f.TEXT, f.TEXT_DELTA), (f.THINKING, f.THINKING_DELTA))
_DELTAS = dict(_FIELDS)

_Key: TypeAlias = tuple[str, str, str]


class StreamRedactor(PieceRedactor, Protocol):
    """The part of a redactor that is used here; see `redaction.Redactor`."""

    @property
    def known(self) -> int:
        """The number of values that it looks for everywhere."""
        ...

    def trust(self, *texts: str) -> None:
        """Treat these as clean in the next line: searching the text so far takes too long."""
        ...


def joined(
    lines: Iterable[WireRecord], redactor: StreamRedactor, *, live: bool = False
) -> Iterator[WireRecord]:
    """Yield lines without the parts of secrets that several of them make up together.

    What a line shows by itself is left to the redactor.

    Args:
        lines: As they came.
        redactor: Finds the secrets.
        live: Whether the lines come from a session, so that texts like marks are escaped.
    """
    sessions: dict[int, _Session] = {}
    for line in lines:
        session = sessions.setdefault(line.session, _Session(redactor, live=live))
        yield from session.take(line)
    for session in sessions.values():
        yield from session.finish()


class _Step:
    """The text of one step: its pieces while it comes, the clean ones once it has ended."""

    def __init__(self, *, live: bool) -> None:
        self.length = 0
        self._live = live
        self.ended = False
        self._pieces: list[str] = []
        self._known = 0
        self._so_far = ""
        self._next = 0

    def add(self, grown: str) -> int:
        """Add the new part of the text; return the number of the piece."""
        self.length += len(grown)
        self._pieces.append(grown)
        return len(self._pieces) - 1

    def end(self, redactor: StreamRedactor) -> None:
        """Look at the whole text: nothing more will come."""
        if not self.ended:
            self.ended = True
            self._known = redactor.known
            # First the texts that look like marks, then the secrets: the other way round, the marks
            # of the secrets would be taken for texts of the session.
            pieces = literal_pieces(self._pieces) if self._live else self._pieces
            self._pieces = clean_pieces(pieces, redactor)

    def piece(self, number: int) -> str:
        """Return a piece without secrets."""
        return self._pieces[number]

    def so_far(self, number: int) -> str:
        """Return the clean text up to a piece. Lines are written in order, so it only grows."""
        while self._next <= number:
            self._so_far += self._pieces[self._next]
            self._next += 1
        return self._so_far

    def is_clean(self, redactor: StreamRedactor) -> bool:
        """Return whether no secret was learned since the text was searched."""
        return redactor.known == self._known


@dataclass(frozen=True, slots=True)
class _Part:
    """What a line holds of a step's text."""

    step: _Step
    name: str
    number: int
    whole: bool
    """Whether the line repeats the text so far."""


@dataclass(frozen=True, slots=True)
class _Held:
    line: WireRecord
    parts: list[_Part] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        return all(part.step.ended for part in self.parts)

    def clean(self, redactor: StreamRedactor) -> WireRecord:
        # Each line repeats the text so far, so looking through it again in every line would take
        # quadratic time. It is trusted, unless a value became known after the step had ended.
        changes: dict[str, str] = {}
        clean: list[str] = []
        for part in self.parts:
            mine = {}
            if isinstance(self.line.frame[f.STEP].get(_DELTAS[part.name]), str):
                mine[_DELTAS[part.name]] = part.step.piece(part.number)
            if part.whole:
                mine[part.name] = part.step.so_far(part.number)
            if part.step.is_clean(redactor):
                clean += mine.values()
            changes |= mine
        redactor.trust(*clean)
        if not self.parts:
            return self.line
        step = self.line.frame[f.STEP] | changes
        return replace(self.line, frame=self.line.frame | {f.STEP: step})


class _Session:
    def __init__(self, redactor: StreamRedactor, *, live: bool) -> None:
        self._redactor = redactor
        self._live = live
        self._steps: dict[_Key, _Step] = {}
        self._held: deque[_Held] = deque()

    def take(self, line: WireRecord) -> Iterator[WireRecord]:
        parts: list[_Part] = []
        # A step of a cancelled turn never ends by itself, and would hold back all later lines.
        if line.direction == "end" or f.turn_ended(line.frame):
            self._end_all()
        elif line.direction == "harness":
            step = line.frame.get(f.STEP)
            if isinstance(step, dict):
                parts = list(self._parts(step))
        line = _without_texts(line, parts)
        if self._live:
            line = _literal(line)
        if not parts and not self._held:
            yield line
            return
        self._held.append(_Held(line, parts))
        yield from self._release()

    def finish(self) -> Iterator[WireRecord]:
        self._end_all()
        yield from self._release()

    def _release(self) -> Iterator[WireRecord]:
        while self._held and self._held[0].is_ready:
            yield self._held.popleft().clean(self._redactor)

    def _end_all(self) -> None:
        for step in self._steps.values():
            step.end(self._redactor)
        self._steps.clear()

    def _parts(self, update: Frame) -> Iterator[_Part]:
        over = update.get(f.STATE) != f.ACTIVE
        for name, delta_name in _FIELDS:
            key = (str(update.get(f.TRAJECTORY_ID, "")), str(update.get(f.STEP_INDEX, 0)), name)
            step = self._steps.get(key)
            delta, text = update.get(delta_name), update.get(name)
            delta = delta if isinstance(delta, str) else ""
            if step is None and (over or not (delta or text)):
                continue  # all at once, or nothing yet: there is nothing to join
            if step is None:
                step = self._steps[key] = _Step(live=self._live)
            grown, whole = delta, isinstance(text, str)
            if isinstance(text, str):
                # Only the length and the end are compared: the whole text of each line would take
                # quadratic time.
                grown = text[step.length :]
                if len(text) < step.length or not grown.endswith(delta):  # another text begins
                    step.end(self._redactor)
                    step = self._steps[key] = _Step(live=self._live)
                    whole = text.endswith(delta)
                    grown = text if whole else delta
            if len(grown) > len(delta):  # it has grown by more than the delta, which is its end
                step.add(grown[: len(grown) - len(delta)])
            yield _Part(step, name, step.add(delta), whole)
            if over:
                step.end(self._redactor)
                del self._steps[key]


def _literal(line: WireRecord) -> WireRecord:
    frame = literal_value(line.frame)
    return line if frame == line.frame else replace(line, frame=frame, text=None)


def _without_texts(line: WireRecord, parts: list[_Part]) -> WireRecord:
    """Return a line to hold back: its texts are in the step that it belongs to."""
    empty = {part.name: "" for part in parts if part.whole}
    if not empty:
        return line if not parts else replace(line, text=None)
    frame = line.frame | {f.STEP: line.frame[f.STEP] | empty}
    return replace(line, frame=frame, text=None)
