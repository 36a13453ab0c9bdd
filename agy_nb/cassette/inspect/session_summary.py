"""Compute the session summaries of a cassette's header, line by line."""

from __future__ import annotations

from agy_nb.cassette.inspect.recorded_events import RecordedEvents
from agy_nb.cassette.storage.format import SessionSummary, WireRecord
from agy_nb.protocol.events import Event, ToolCall, TurnBegan, Usage
from agy_nb.wire.client_config import models_of
from agy_nb.wire.frames import CONFIG, NAME
from agy_nb.wire.json_values import text_of
from agy_nb.wire.summaries.canonical_config import config_digest


class Summaries:
    """Collect one summary per session."""

    def __init__(self) -> None:
        self._sessions: dict[int, _Session] = {}

    def add(self, line: WireRecord) -> None:
        """Add a line to its session's summary."""
        session = self._sessions.get(line.session)
        if session is None:
            session = self._sessions[line.session] = _Session()
        session.add(line)

    def all(self) -> tuple[SessionSummary, ...]:
        """Return the summaries so far, in the order of the sessions' numbers."""
        return tuple(session.summary() for _, session in sorted(self._sessions.items()))


class _Session:
    def __init__(self) -> None:
        self._events = RecordedEvents()
        self._config = ""
        self._models: tuple[str, ...] = ()
        self._frames = 0
        self._turns = 0
        self._tokens: int | None = None
        self._tools: set[str] = set()
        self._closed = False

    def add(self, line: WireRecord) -> None:
        self._frames += 1
        self._closed = self._closed or line.direction == "end"
        if line.direction == "client" and CONFIG in line.frame:
            self._config = config_digest(line.frame)
            self._models = tuple(text_of(model.get(NAME)) for model in models_of(line.frame))
        for event in self._events.take(line):
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case TurnBegan():
                self._turns += 1
            case ToolCall():
                self._tools.add(event.name)
            case Usage():
                self._tokens = event.session_total.total_tokens
            case _:
                pass

    def summary(self) -> SessionSummary:
        return SessionSummary(
            config=self._config,
            frames=self._frames,
            turns=self._turns,
            tokens=self._tokens,
            tools=tuple(sorted(self._tools)),
            models=self._models,
            closed=self._closed,
        )
