"""Secrets that a model streams in several frames: none of their parts reaches the disk.

A step's text comes as deltas, and each frame repeats the text so far. A key cut in two looks like
nothing in either half, so lines wait here until the text around their end is known.

Rule 1: a line waits for the end of the word that it ends in, of the secret, or of the step; lines
of the same session wait behind it, those of others do not.
Rule 2: what is decided is forgotten, but for a little before it: time and memory grow with the text
and not with its square.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from agy_nb.cassette.format import Frame, Line
from agy_nb.cassette.redaction.spans import Seeing, Span, clean_pieces, merged, without
from agy_nb.wire import frames as f

_FIELDS = ((f.TEXT, f.TEXT_DELTA), (f.THINKING, f.THINKING_DELTA))
_CONTEXT = 160
"""Characters before what is undecided in which a secret's name may stand."""
_HINT = 16
"""Characters of the longest thing that hints at a secret."""
_WORD = 1024
"""Characters of the longest word that is waited for: some languages write no spaces."""
_LAST_WORD = re.compile(r"\S*\Z")
_WHOLE = 4_000_000
"""Characters of waiting frames up to which a text is kept whole, where only the whole will tell."""

_Key: TypeAlias = tuple[str, int, str]


class Redacting(Seeing, Protocol):
    """What is asked of a redactor; see `redaction.Redactor`."""

    def hints(self, text: str) -> bool:
        """Whether a text holds anything that is part of each secret's look."""
        ...

    def may_begin(self, text: str) -> int:
        """How many characters at a text's end may be the beginning of a known value."""
        ...

    @property
    def known(self) -> int:
        """How many values it looks for wherever they turn up."""
        ...

    def trust(self, *texts: str) -> None:
        """Take these for clean in the next line: looking through the text so far takes too long."""
        ...

    @property
    def has_own_patterns(self) -> bool:
        """Whether it has expressions of the user's, which may match anything."""
        ...


def joined(lines: Iterable[Line], redactor: Redacting) -> Iterator[Line]:
    """Lines without the parts of secrets that several of them make up together.

    What a line shows by itself is left to the redactor.

    Args:
        lines: As they came.
        redactor: Knows what is secret.
    """
    sessions: dict[int, _Session] = {}
    for line in lines:
        session = sessions.setdefault(line.session, _Session(redactor))
        yield from session.take(line)
    for session in sessions.values():
        yield from session.finish()


@dataclass(slots=True)
class _Part:
    """What a line holds of a stream: the text up to `end`, and the last of it as a delta."""

    stream: _Stream
    name: str
    delta: str
    end: int
    index: int


@dataclass(slots=True)
class _Held:
    line: Line
    parts: list[_Part]

    @property
    def decided(self) -> bool:
        return all(part.stream.decided >= part.end for part in self.parts)

    def clean(self, redactor: Redacting) -> Line:
        changes: dict[str, Any] = {}
        step = self.line.frame[f.STEP] if self.parts else {}
        clean = [part.stream.write(part, step, changes) for part in self.parts]
        redactor.trust(*(text for text in clean if text is not None))
        if not changes:
            return self.line
        return replace(self.line, frame=self.line.frame | {f.STEP: step | changes}, text=None)


class _Session:
    def __init__(self, redactor: Redacting) -> None:
        self._redactor = redactor
        self._streams: dict[_Key, _Stream] = {}
        self._held: deque[_Held] = deque()

    def take(self, line: Line) -> Iterator[Line]:
        parts: list[_Part] = []
        if line.direction == "end" or f.turn_ended(line.frame):
            self._end_all()
        elif line.direction == "harness":
            step = line.frame.get(f.STEP)
            if isinstance(step, dict):
                parts = list(self._parts(step))
        if not parts and not self._held:
            yield line
            return
        self._held.append(_Held(line, parts))
        yield from self._release()

    def finish(self) -> Iterator[Line]:
        self._end_all()
        yield from self._release()

    def _release(self) -> Iterator[Line]:
        while self._held and self._held[0].decided:
            yield self._held.popleft().clean(self._redactor)

    def _end_all(self) -> None:
        for stream in self._streams.values():
            stream.finish()
        self._streams.clear()

    def _parts(self, step: Frame) -> Iterator[_Part]:
        over = step.get(f.STATE) != f.ACTIVE
        for name, delta_name in _FIELDS:
            key = (str(step.get(f.TRAJECTORY_ID, "")), step.get(f.STEP_INDEX, 0), name)
            stream = self._streams.get(key)
            delta, text = step.get(delta_name), step.get(name)
            delta = delta if isinstance(delta, str) else ""
            if stream is None and (over or not (delta or text)):
                continue  # all at once, or nothing yet: there is nothing to join
            if stream is None:
                stream = self._streams[key] = _Stream(self._redactor)
            grown = delta
            if isinstance(text, str):
                grown = text[stream.length :]
                if len(text) < stream.length or not grown.endswith(delta):  # it begins anew
                    stream.finish()
                    stream = self._streams[key] = _Stream(self._redactor)
                    grown = text if text.endswith(delta) else delta
            yield stream.add(name, delta, grown)
            if over:
                stream.finish()
                del self._streams[key]


@dataclass(slots=True)
class _Stream:
    """The text of one step so far."""

    redactor: Redacting
    length: int = 0
    decided: float = 0
    _tail: str = ""
    _spans: list[Span] = field(default_factory=list)
    _pieces: list[str] | None = field(default_factory=list)
    _clean: list[str] | None = None
    _weight: int = 0
    _hinted: int = -1
    _known: int = 0

    def __post_init__(self) -> None:
        self._known = self.redactor.known

    def add(self, name: str, delta: str, grown: str) -> _Part:
        """Take what the text has grown by; the delta is the end of it."""
        self.length += len(grown)
        index = 0
        if self._pieces is not None:
            index = len(self._pieces)
            self._pieces.append(grown)
            self._weight += self.length
            if not self._needs_the_whole():
                self._pieces = None
        self._tail += grown
        if self.redactor.hints(self._tail[-len(grown) - _HINT :]):
            self._hinted = self.length
        if self._pieces is None:
            self._look()
        return _Part(self, name, delta, self.length, index)

    def finish(self) -> None:
        """Nothing more will come."""
        if self._pieces is not None:
            clean = clean_pieces(self._pieces, self.redactor)
            self._clean = None if clean == self._pieces else clean
        self.decided = float("inf")
        self._tail = ""

    def write(self, part: _Part, step: Frame, changes: dict[str, Any]) -> str | None:
        """Say what is to be written for a part; gives the text so far if it is clean."""
        delta, text = part.delta, step.get(part.name)
        if not isinstance(text, str) or len(text) != part.end:
            text = None
        clean_delta, clean_text = delta, text
        if self._clean is not None:
            clean_delta = self._clean[part.index]
            clean_text = "".join(self._clean[: part.index + 1])
        elif self._spans:
            clean_delta = without(delta, part.end - len(delta), self._spans)
            clean_text = without(text, 0, self._spans) if text is not None else None
        if delta and clean_delta != delta:
            changes[f"{part.name}Delta"] = clean_delta
        if text is not None and clean_text != text:
            changes[part.name] = clean_text
        return clean_text if self.redactor.known == self._known else None

    def _needs_the_whole(self) -> bool:
        """Whether a secret in it may show only when all of it is there."""
        if self._weight > _WHOLE:
            return False
        if self.redactor.has_own_patterns:
            return True
        for piece in self._pieces or ():
            if start := piece.lstrip()[:1]:
                return start in "{["
        return True

    def _look(self) -> None:
        base = self.length - len(self._tail)
        found = [
            Span(max(span.start + base, int(self.decided)), span.end + base, span.mark, span.secret)
            for span in self.redactor.spans(self._tail, hinted=self._hinted >= base)
            if span.end + base > self.decided
        ]
        # What was a secret with less text stays one; a folder's name may turn out to be another's.
        kept = [span for span in self._spans if span.secret or span.end <= self.decided]
        self._spans = merged([*kept, *found])
        match = _LAST_WORD.search(self._tail, max(0, len(self._tail) - _WORD))
        undecided = base + (match.start() if match else len(self._tail))
        undecided = min(undecided, self.length - self.redactor.may_begin(self._tail))
        for span in self._spans[-1:]:
            if span.end >= self.length:
                undecided = min(undecided, span.start)
        self.decided = max(self.decided, undecided)
        self._tail = self._tail[max(0, undecided - _CONTEXT - base) :]
