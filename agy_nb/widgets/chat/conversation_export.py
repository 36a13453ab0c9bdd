"""Export a conversation as events, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from agy_nb.errors import InvalidInputError
from agy_nb.protocol import codec
from agy_nb.protocol.amounts import counted
from agy_nb.protocol.events import (
    AgentStarted,
    Error,
    Event,
    SessionClosed,
    SessionConfigured,
    SessionOpened,
    State,
    Text,
    TurnBegan,
)
from agy_nb.protocol.values import Message
from agy_nb.runtime.turns.answer import answer_text
from agy_nb.runtime.turns.response import Response
from agy_nb.widgets.markdown.source import quoted
from agy_nb.widgets.response.cards import text_of


def read_events(path: Path, session: int = 0) -> tuple[Event, ...]:
    """Read the events of a recorded session.

    Args:
        path: The cassette's folder.
        session: The number of the session in the cassette, from 0.

    Raises:
        CassetteNotFoundError: The cassette does not exist.
        CassetteInvalidError: The cassette is damaged.
        InvalidInputError: The cassette has no session with this number.
    """
    from agy_nb.cassette.inspect.recorded_events import RecordedEvents
    from agy_nb.cassette.storage.cassette_reader import load

    sessions = load(path).sessions
    if not 0 <= session < len(sessions):
        raise InvalidInputError(
            f"session must be the number of a session from 0, got {session}: "
            f"the cassette {str(path)!r} has {counted(len(sessions), 'session')}",
            field="session",
        )
    reader = RecordedEvents()
    recorded = sessions[session]
    events = [event for line in recorded.story for event in reader.take(line)]
    return (*events, *reader.end(recorded.end))


def without_last_turns(events: tuple[Event, ...], turns: int) -> tuple[Event, ...]:
    """Leave out the last turns, which are still running and shown live.

    Args:
        events: The events of a session.
        turns: How many turns.
    """
    begins = [at for at, event in enumerate(events) if isinstance(event, TurnBegan)]
    if not begins:
        return events
    return events[: begins[-turns]] if 0 < turns <= len(begins) else events


def as_markdown(events: Iterable[Event]) -> str:
    """Format events as Markdown: prompts as block quotes, answers unchanged."""
    pieces: list[str] = []
    answer: list[Event] = []
    for event in events:
        match event:
            case SessionOpened():
                pieces += map(_text_of_message, event.history)
            case TurnBegan():
                pieces += [answer_text(answer).strip(), quoted(text_of(event.prompt))]
                answer.clear()
            case Text() | Error():
                answer.append(event)
            case _:
                pass
    pieces.append(answer_text(answer).strip())
    return "\n\n".join(filter(None, pieces)) + "\n"


def _text_of_message(message: Message) -> str:
    if not message.trajectory.is_root:
        return ""
    return quoted(message.content) if message.role == "user" else message.content.strip()


def as_turns(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return the prompt, the state (None if unknown) and the events of each turn, as JSON."""
    turns: list[dict[str, Any]] = []
    for event in events:
        if isinstance(event, SessionOpened):
            for message in event.history:
                _add(turns, message)
        elif not isinstance(event, AgentStarted | SessionConfigured | SessionClosed):
            _add(turns, event)
    return turns


def _add(turns: list[dict[str, Any]], item: Event | Message) -> None:
    if isinstance(item, Message):
        if item.role == "user" and item.trajectory.is_root:
            turns.append(_turn(item.content))
            return
        item = Text(text=item.content, trajectory=item.trajectory)
    if isinstance(item, TurnBegan):
        turns.append(_turn(text_of(item.prompt)))
        return
    if not turns:
        turns.append(_turn(""))
    turns[-1]["events"].append(as_json(item))
    if isinstance(item, State):
        turns[-1]["state"] = str(item.state)


def _turn(prompt: str) -> dict[str, Any]:
    return {"prompt": prompt, "state": None, "events": []}


def as_json(event: Event) -> dict[str, Any]:
    """Convert an event to JSON."""
    message: dict[str, Any] = json.loads(codec.encode(cast("codec.Message", event)))
    return message


def conversation_markdown(recorded: Iterable[Event], responses: Iterable[Response]) -> str:
    """Format earlier events and the turns after them as Markdown."""
    pieces = [as_markdown(recorded).strip()]
    for response in responses:
        pieces += [quoted(text_of(response.prompt)), response.partial_text.strip()]
    return "\n\n".join(filter(None, pieces)) + "\n"


def conversation_json(recorded: Iterable[Event], responses: Iterable[Response]) -> str:
    """Format earlier events and the turns after them as a JSON list of turns."""
    turns = as_turns(recorded) + [
        {
            "prompt": text_of(response.prompt),
            "state": str(response.state),
            "events": [as_json(event) for event in response.event_log],
        }
        for response in responses
    ]
    return json.dumps(turns, indent=1, ensure_ascii=False)
