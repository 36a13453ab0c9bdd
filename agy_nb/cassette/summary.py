"""What a list shows of a session, kept up to date frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field

from agy_nb.cassette.canonical import config_digest
from agy_nb.cassette.format import Frame, Line, SessionSummary
from agy_nb.wire.frames import kind_of


@dataclass(slots=True)
class _Session:
    config: str = ""
    frames: int = 0
    turns: int = 0
    tokens: int | None = None
    tools: set[str] = field(default_factory=set)
    models: tuple[str, ...] = ()
    closed: bool = False


class Summaries:
    """Adds lines up to one summary a session."""

    def __init__(self) -> None:
        self._sessions: dict[int, _Session] = {}

    def add(self, line: Line) -> None:
        """Take a line into account."""
        session = self._sessions.setdefault(line.session, _Session())
        session.frames += 1
        if line.direction == "end":
            session.closed = True
        elif line.direction == "client":
            _client(session, line.frame)
        else:
            _harness(session, line.frame)

    def all(self) -> tuple[SessionSummary, ...]:
        """The summaries so far, in the order of the sessions' numbers."""
        return tuple(
            SessionSummary(
                config=session.config,
                frames=session.frames,
                turns=session.turns,
                tokens=session.tokens,
                tools=tuple(sorted(session.tools)),
                models=session.models,
                closed=session.closed,
            )
            for _, session in sorted(self._sessions.items())
        )


def _client(session: _Session, frame: Frame) -> None:
    if "userInput" in frame:
        session.turns += 1
    elif "config" in frame:
        session.config = config_digest(frame)
        models = frame["config"].get("models", ()) if isinstance(frame["config"], dict) else ()
        session.models = tuple(str(m.get("name", "")) for m in models if isinstance(m, dict))


def _harness(session: _Session, frame: Frame) -> None:
    body = frame.get(kind_of(frame))
    if not isinstance(body, dict):
        return
    if "usageUpdate" in frame:
        total = body.get("total")
        tokens = total.get("totalTokenCount") if isinstance(total, dict) else None
        if isinstance(tokens, str | int) and str(tokens).isdigit():
            session.tokens = int(tokens)
    elif "toolCall" in frame:
        session.tools.add(str(body.get("name", "")))
