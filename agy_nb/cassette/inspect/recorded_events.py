"""Convert recorded lines to the events that the live session had."""

from __future__ import annotations

from agy_nb.cassette.storage.format import Frame, WireRecord, spoken_frame
from agy_nb.protocol.events import Event
from agy_nb.wire.reader import WireReader

_BEGAN = 1.0
"""Start of a session in seconds; 0 would mean "not known"."""


class RecordedEvents:
    """Read the lines of one session in order. Never raises.

    Attributes:
        elapsed: Seconds from the session's first line to the latest one.

    Example:
        >>> from agy_nb.cassette.inspect.recorded_events import RecordedEvents
        >>> from agy_nb.cassette.storage.format import WireRecord
        >>> prompt = {"userInput": {"parts": [{"text": "Hello"}]}}
        >>> [event.type for event in RecordedEvents().take(WireRecord(0, "client", 0.0, prompt))]
        ['turn_began', 'state']
    """

    def __init__(self) -> None:
        self.elapsed: float = 0.0
        self._reader = WireReader()

    def take(self, line: WireRecord) -> list[Event]:
        """Return the events of the next line."""
        self.elapsed += line.dt
        return self._reader.take(line.direction, spoken_frame(line), self._at)

    def end(self, how: Frame | None) -> list[Event]:
        """Return the events of the session's end.

        Args:
            how: The value of `RecordedSession.end`; None if the recording stops before.
        """
        if how is None:
            return self._reader.end("unknown", self._at)
        return self._reader.take("end", how, self._at)

    @property
    def _at(self) -> float:
        return _BEGAN + self.elapsed
