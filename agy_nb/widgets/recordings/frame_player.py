"""Move through a recorded session frame by frame.

The transcript at a frame is the same whichever way the player got there.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from agy_nb.cassette.inspect.recorded_events import RecordedEvents
from agy_nb.cassette.storage.cassette_reader import RecordedSession
from agy_nb.cassette.storage.format import Frame
from agy_nb.protocol.amounts import counted
from agy_nb.protocol.events import (
    Approval,
    Event,
    Problem,
    Question,
    SessionClosed,
    SessionOpened,
    ToolCall,
    TurnBegan,
)
from agy_nb.terminal import revealed
from agy_nb.widgets.markdown.code import highlight
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.response.html_values import clip
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.wire.frames import kind_of

_MOST_TOOLS = 12
"""Tools of a session that are named."""

_WHO = {
    "client": "sent by the client:",
    "harness": "sent by the harness:",
    "host": "host note:",
    "end": "end of the session",
}


class PlayerSnapshot(NamedTuple):
    """One frame and its events.

    Attributes:
        direction: The sender; `end` for the end of the session.
        at: Seconds since the session's first frame.
        frame: The content of the frame.
        events: The events of the frame.
    """

    direction: str
    at: float
    frame: Frame
    events: tuple[Event, ...]


class FramePlayer:
    """Move through one session.

    Args:
        session: The session; reading a long one takes time.

    Attributes:
        snapshots: Its frames, and its end as the last one.
        position: Number of frames that have been shown.
        transcript: The nodes of the frames that have been shown.
    """

    def __init__(self, session: RecordedSession) -> None:
        reader = RecordedEvents()
        snapshots = []
        for line in session.story:
            events = tuple(reader.take(line))
            snapshots.append(PlayerSnapshot(line.direction, reader.elapsed, line.frame, events))
        ending = tuple(reader.end(session.end))
        snapshots.append(PlayerSnapshot("end", reader.elapsed, session.end or {}, ending))
        self.snapshots: tuple[PlayerSnapshot, ...] = tuple(snapshots)
        self.position: int = 0
        self.transcript: ConversationView = ConversationView()

    def __len__(self) -> int:
        return len(self.snapshots)

    @property
    def done(self) -> bool:
        """Whether all frames have been shown."""
        return self.position >= len(self.snapshots)

    def step(self) -> None:
        """Show the next frame."""
        show(self.transcript, self.snapshots[self.position].events)
        self.position += 1

    @property
    def next_at(self) -> float:
        """The time of the next frame in seconds since the first; there must be a next frame."""
        return self.snapshots[self.position].at

    def play(self, at: float, *, for_s: float) -> None:
        """Show the frames up to a time, as many as the time limit allows.

        Args:
            at: Seconds since the session's first frame.
            for_s: Time limit in seconds; the next call continues.
        """
        ends = time.monotonic() + for_s
        for snapshot in self.snapshots[self.position :]:
            if snapshot.at > at:
                return
            self.step()
            if time.monotonic() > ends:
                return

    def transcript_at(self, position: int) -> ConversationView:
        """Build a new transcript of the first frames; may be called in any thread."""
        transcript = ConversationView()
        for snapshot in self.snapshots[:position]:
            show(transcript, snapshot.events)
        return transcript

    def jump(self, position: int, transcript: ConversationView) -> None:
        """Move to a position, with the transcript that `transcript_at` returned for it."""
        self.position, self.transcript = position, transcript

    def tool_calls(self) -> str:
        """Count the tool calls of the session by tool, built-in and MCP ones too, as HTML."""
        calls: Counter[str] = Counter()
        for snapshot in self.snapshots:
            for event in snapshot.events:
                if isinstance(event, ToolCall):
                    kind = event.server or {"builtin": "built-in", "mcp": "MCP"}.get(event.source)
                    calls[f"{event.name} ({kind})" if kind else event.name] += 1
        if not calls:
            return "No tool calls"
        named = [f"{count:,} {name}" for name, count in calls.items()]
        words = ", ".join(named[:_MOST_TOOLS]) + (", …" if len(named) > _MOST_TOOLS else "")
        return escape(revealed(f"{counted(calls.total(), 'tool call')}: {words}", exact=True))

    def headline(self) -> str:
        """Describe the last frame shown."""
        if not self.position:
            return f"Before frame 1 of {len(self.snapshots)}"
        snapshot = self.snapshots[self.position - 1]
        kind = _kind(snapshot)
        words = f"Frame {self.position} of {len(self.snapshots)} at {snapshot.at:.3f} s"
        return (
            f"{words}, {_WHO.get(snapshot.direction, snapshot.direction)} {escape(kind)}".rstrip()
        )

    def frame(self) -> str:
        """Render the last frame shown as HTML."""
        if not self.position:
            return ""
        frame = self.snapshots[self.position - 1].frame
        text = clip(json.dumps(frame, indent=2, ensure_ascii=False, default=str))
        return f"<pre tabindex='0'><code>{highlight(text, 'json') or escape(text)}</code></pre>"


def _kind(snapshot: PlayerSnapshot) -> str:
    if snapshot.direction == "host":
        return str(snapshot.frame.get("type", "")).replace("_", " ")
    return "" if snapshot.direction == "end" else kind_of(snapshot.frame)


def show(transcript: ConversationView, events: Iterable[Event]) -> None:
    """Add recorded events to a transcript; an event that cannot be shown becomes an error there."""
    for event in events:
        try:
            _show(transcript, event)
        except Exception as error:
            transcript.add_error("Recording", f"Cannot show {type(event).__name__}: {error}")


def _show(transcript: ConversationView, event: Event) -> None:
    match event:
        case TurnBegan():
            transcript.begin_turn(event.prompt, kind=event.kind)
        case SessionOpened():
            transcript.add_history(event.history)
        case SessionClosed(by="unknown"):
            transcript.add_notice("The recording stops here. The rest is missing.")
        case Problem():
            transcript.add_notice(f"Problem in the recording: {event.problem}: {event.detail}")
        # Live approvals of this kernel use the same ids: a live one must not replace the card of a
        # recorded one or add its buttons there.
        case Approval():
            transcript.on_event(replace(event, approval_id=f"recorded-{event.approval_id}"))
        case Question():
            transcript.on_event(replace(event, question_id=f"recorded-{event.question_id}"))
        case _:
            transcript.on_event(event)
