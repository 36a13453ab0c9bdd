"""Values of one run in a replay: the recording's ids and times become those of this run.

`normalize` leaves values out of a comparison. A replayed model that repeats such a value must name
the one that this run sent, or a tool would be called with an id that does not exist.

Rule 1: a recorded value is tied to the value at the same place of the client's frame: the first to
the first, the second to the second. If both texts do not hold the same number, nothing is tied.
Rule 2: a value that no frame of the client is tied to stays as it was recorded.
Rule 3: only whole values are replaced, as the rule of `normalize` finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from agy_nb.cassette.redaction.split_text import TextSpan, merged
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.storage.format import Frame, WireRecord
from agy_nb.wire.json_values import dump_like, embedded_json


class RunValues:
    """Ties recorded values to values of this run, and replaces them.

    Args:
        patterns: The rules of `normalize`.

    Example:
        >>> values = RunValues([re.compile("run-[0-9]+")])
        >>> values.learn({"text": "I am run-7."}, {"text": "I am run-12."})
        True
        >>> values.frame({"answer": "Hello run-7, not run-77."})
        {'answer': 'Hello run-12, not run-77.'}
    """

    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        self._patterns = patterns
        self._now: dict[str, str] = {}
        self._trusted: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._now)

    def learn(self, recorded: Frame, frame: Frame) -> bool:
        """Tie the values of a recorded frame to those of the client's; return whether any is new.

        Args:
            recorded: The recorded frame.
            frame: The client's frame that matches it, in the words of a recording.
        """
        found: dict[str, str] = {}
        for then, now in self._pairs(recorded, frame):
            found.setdefault(then, now)
        before = dict(self._now)
        self._now |= found
        return self._now != before

    def _pairs(self, then: Any, now: Any) -> Iterator[tuple[str, str]]:
        if then == now:
            return
        if isinstance(then, dict) and isinstance(now, dict):
            for key, item in then.items():
                if key in now:
                    yield from self._pairs(item, now[key])
        elif isinstance(then, list) and isinstance(now, list):
            for old, new in zip(then, now, strict=False):
                yield from self._pairs(old, new)
        elif isinstance(then, str) and isinstance(now, str):
            old, new = embedded_json(then), embedded_json(now)
            if old is not None and new is not None:
                yield from self._pairs(old, new)
            else:
                yield from self._pairs_in_text(then, now)

    def _pairs_in_text(self, then: str, now: str) -> Iterator[tuple[str, str]]:
        for pattern in self._patterns:
            olds, news = ([match[0] for match in pattern.finditer(text)] for text in (then, now))
            # With other numbers of values, it is open which belongs to which. A wrong pair would
            # put a value of the user in the place of another one, so none is tied.
            if len(olds) == len(news):
                yield from zip(olds, news, strict=True)

    def lines(self, lines: Iterable[WireRecord]) -> list[WireRecord]:
        """Return recorded lines with the values of this run, also in texts that are streamed."""
        return [self._line(line) for line in joined(lines, self)]

    def frame(self, frame: Frame) -> Frame:
        """Return a recorded frame with the values of this run."""
        changed: Frame = self._value(frame)
        return changed

    def _line(self, line: WireRecord) -> WireRecord:
        frame = self.frame(line.frame)
        self._trusted.clear()
        # Without the text of the line, which still has the recorded values.
        return line if frame == line.frame else replace(line, frame=frame, text=None)

    def _value(self, value: Any) -> Any:
        match value:
            case str():
                return self._text(value)
            case dict():
                return {key: self._value(item) for key, item in value.items()}
            case list():
                return [self._value(item) for item in value]
        return value

    def _text(self, text: str) -> str:
        if text in self._trusted or not any(then in text for then in self._now):
            return text
        data = embedded_json(text)
        if data is not None:
            return dump_like(text, data, self._value(data))
        pieces: list[str] = []
        at = 0
        for span in self.spans(text):
            pieces += (text[at : span.start], span.mark)
            at = span.end
        return "".join((*pieces, text[at:]))

    # -- for `joined`, which finds the values that are streamed in several pieces ----------------

    @property
    def known(self) -> int:
        """See `StreamRedactor`."""
        return 0

    def trust(self, *texts: str) -> None:
        """Leave these texts of the next line as they are: they have the values of this run."""
        self._trusted = set(texts)

    def spans(self, text: str) -> list[TextSpan]:
        """Return the values in a text, with those of this run as their marks."""
        return merged(
            TextSpan(*match.span(), self._now[match[0]], secret=False)
            for pattern in self._patterns
            for match in pattern.finditer(text)
            if match[0] in self._now
        )

    def text(self, text: str) -> str:
        """See `PieceRedactor`: `spans` has found everything."""
        return text

    def body(self, body: bytes, *, encoding: str = "") -> bytes:
        """See `PieceRedactor`: frames have no bodies."""
        del encoding
        return body
