"""Translate between the words of a recording and those of this run.

Three things differ from run to run: texts that redaction removes, folders and ids of the
configuration, and the values that `normalize` leaves out of comparisons.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from agy_nb.cassette.matching.placeholders import Placeholders
from agy_nb.cassette.matching.run_values import RunValues
from agy_nb.cassette.storage.format import Frame, WireRecord, frame_message


class RecordedWords:
    """The translation of one session.

    Args:
        redact: Redacts a client frame, as the recording was redacted.
        placeholders: Translates folders and ids; None to leave them.
        patterns: The rules of `normalize`.
    """

    def __init__(
        self,
        redact: Callable[[Frame], Frame],
        placeholders: Placeholders | None,
        patterns: Sequence[re.Pattern[str]],
    ) -> None:
        self.placeholders = placeholders
        self._redact = redact
        self._values = RunValues(patterns) if patterns else None

    # -- from this run to the recording ------------------------------------------------------

    def of_client(self, frame: Frame) -> Frame:
        """Redact a client frame and insert placeholders, as a recording would."""
        frame = self._redact(frame)
        return self.placeholders.inward(frame) if self.placeholders else frame

    def with_numbered_folders(self, recorded: Frame, frame: Frame) -> tuple[Frame, Frame]:
        """Return a recorded and a client frame that do not differ by the spelling of a folder."""
        redacted = self._redact(frame)
        if self.placeholders is None:
            return recorded, redacted
        return self.placeholders.with_numbered_folders(recorded, redacted)

    def learn(self, recorded: Frame, frame: Frame) -> bool:
        """Note the values of this run in a frame that matches; return whether any is new."""
        return self._values is not None and self._values.learn(recorded, self.of_client(frame))

    def raised_now(self, call_id: str) -> str:
        """Return what a host tool raised in this run, redacted; empty if it raised nothing."""
        from agy_nb.sdk.process.raised_exceptions import raised_text

        redacted = self._redact({"text": raised_text(call_id)})
        return self.text(str(redacted["text"]))  # the paths in it are to be opened

    # -- from the recording to this run ------------------------------------------------------

    def lines(self, lines: list[WireRecord]) -> list[WireRecord]:
        """Return recorded lines with the values of this run that are known."""
        return self._values.lines(lines) if self._values else lines

    def message(self, frame: Frame, line: WireRecord) -> str | bytes:
        """Return the message of a frame for the client.

        Args:
            frame: The frame of the line, or a part of it.
            line: The recorded line.
        """
        # `line.text` spares the encoding of most frames. It is the text of the whole frame, so a
        # part of the frame must not use it: a removed request would come back.
        message = frame_message(frame, line.text if frame is line.frame else None)
        if self.placeholders is not None and isinstance(message, str):
            message = self.placeholders.outward(message)
        return message

    def frame(self, frame: Frame) -> Frame:
        """Return a recorded frame with the folders and ids of this run."""
        return self.placeholders.outward_frame(frame) if self.placeholders else frame

    def note(self, note: Frame) -> Frame:
        """Return a recorded host note with everything of this run."""
        return self.frame(self._values.frame(note) if self._values else note)

    def text(self, text: str) -> str:
        """Return a recorded text with the folders and ids of this run."""
        return str(self.frame({"text": text})["text"])
