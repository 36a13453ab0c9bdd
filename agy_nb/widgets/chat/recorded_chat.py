"""A recorded conversation as a chat: to be read, and to go on from where there is an agent.

Rule 1: it is shown as HTML that stays; nothing is run, and nothing is written.
Rule 2: without an agent nothing can be sent, and the page says so.
"""

# ruff: noqa: ANN401 - a recording is a path, or what `agy.load` gives
from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

from agy_nb.errors import InvalidInputError
from agy_nb.kernel import in_kernel, run
from agy_nb.protocol import codec
from agy_nb.protocol.events import (
    AgentStarted,
    Event,
    SessionClosed,
    SessionConfigured,
    SessionOpened,
    State,
    Text,
    TurnBegan,
)
from agy_nb.protocol.values import Message
from agy_nb.terminal import printable
from agy_nb.widgets.recordings.frame_player import show
from agy_nb.widgets.response.cards import counted, text_of
from agy_nb.widgets.response.static_html import bundle
from agy_nb.widgets.tree.conversation import ConversationView

if TYPE_CHECKING:
    from agy_nb.runtime.agent import Agent
    from agy_nb.widgets.chat.panel import ChatPanel

READ_ONLY = (
    "This is a recording, so you cannot reply. To continue with an agent, "
    "use `agy.widgets.chat_ui(recording, agent=agent)`."
)


class RecordedChat:
    """A recorded conversation to be read; `chat_ui` makes it, and the last line of a cell shows it.

    Args:
        path: The cassette's folder.
        session: Which of its sessions, from 0.

    Attributes:
        path: The cassette's folder.
        session: Which of its sessions, from 0.
        transcript: What is on the page, empty before it is read.

    Example:
        >>> chat = agy.widgets.chat_ui("cassettes/plain_chat")
        >>> await chat.read()
        >>> "agy-prompt" in chat.transcript.html()
        True
    """

    def __init__(self, path: Path, session: int = 0) -> None:
        self.path = path
        self.session = session
        self.transcript = ConversationView()
        self._events: tuple[Event, ...] = ()
        self._is_read = False

    async def read(self) -> None:
        """Read the recording, once.

        Raises:
            CassetteNotFoundError: There is none.
            CassetteInvalidError: It cannot be read.
            InvalidInputError: It has no such session.
        """
        if self._is_read:
            return
        self._events, self.transcript = await asyncio.to_thread(_read, self.path, self.session)
        self._is_read = True

    def to_markdown(self) -> str:
        """Write the conversation as Markdown; once it is read.

        Returns:
            Prompts as quotes, answers as they are.
        """
        return as_markdown(self._events)

    def _ipython_display_(self) -> None:
        run(self.read())
        if not in_kernel():
            print(printable(self.to_markdown()))  # noqa: T201 - what IPython does in a terminal
            return
        from IPython.display import display

        display(bundle(self.transcript), raw=True)


def read_events(path: Path, session: int = 0) -> tuple[Event, ...]:
    """The events of a recorded session, in order; reads files.

    Args:
        path: The cassette's folder.
        session: Which of its sessions, from 0.

    Raises:
        CassetteNotFoundError: There is none.
        CassetteInvalidError: It cannot be read.
        InvalidInputError: It has no such session.
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


def _read(path: Path, session: int) -> tuple[tuple[Event, ...], ConversationView]:
    events = read_events(path, session)
    transcript = ConversationView()
    show(transcript, events)
    transcript.catch_up()
    transcript.note(READ_ONLY)
    return events, transcript


def as_markdown(events: Iterable[Event]) -> str:
    """Prompts as quotes, and what the agent wrote."""
    pieces: list[str] = []
    answer: list[str] = []
    for event in events:
        match event:
            case SessionOpened():
                pieces += map(_said, event.history)
            case TurnBegan():
                pieces += ["".join(answer).strip(), quoted(text_of(event.prompt))]
                answer.clear()
            case Text() if event.trajectory.is_root:
                answer.append(event.text)
            case _:
                pass
    pieces.append("".join(answer).strip())
    return "\n\n".join(filter(None, pieces)) + "\n"


def _said(message: Message) -> str:
    if not message.trajectory.is_root:
        return ""
    return quoted(message.content) if message.role == "user" else message.content.strip()


def as_turns(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The prompt, the state and the events of each turn, as JSON; None where that is not known."""
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
    """An event, as an export of a chat has it."""
    message: dict[str, Any] = json.loads(codec.encode(cast("codec.Message", event)))
    return message


def quoted(text: str) -> str:
    """A prompt in Markdown."""
    return "\n".join(f"> {line}" for line in text.splitlines())


def _path_of(recording: Any) -> Path:
    if isinstance(recording, str | Path):
        return Path(recording).expanduser()
    found = getattr(recording, "recordings", None)
    if not isinstance(found, tuple):
        raise InvalidInputError(
            "recording must be the path of a cassette or the result of agy.load, "
            f"got {type(recording).__name__}",
            field="recording",
        )
    if len(found) != 1:
        names = ", ".join(each.session_id for each in found[:5]) or "none"
        raise InvalidInputError(
            f"chat_ui shows one recording, got {len(found)} ({names}). Pass the path of one.",
            field="recording",
        )
    return Path(found[0].path)


@overload
def chat_ui(recording: Any, *, session: int = ..., agent: None = ...) -> RecordedChat: ...


@overload
def chat_ui(recording: Any, *, session: int = ..., agent: Agent) -> ChatPanel: ...


def chat_ui(
    recording: Any,
    *,
    session: int = 0,
    agent: Agent | None = None,
) -> RecordedChat | ChatPanel:
    """A recorded conversation as a chat: the last line of a cell shows it.

    Without an agent it can be read, and says that nothing can be sent. With one it stands above the
    agent's own turns; the agent's model is told nothing of it.

    Args:
        recording: The path of a cassette, or what `agy.load` gives for one.
        session: Which of its sessions, from 0.
        agent: Whom to go on with.

    Returns:
        The chat.

    Raises:
        InvalidInputError: It is no recording, or several.
        WrongLoopError: With an agent: no event loop runs here, nor ever did.

    Example:
        >>> agy.widgets.chat_ui("cassettes/plain_chat").path.name
        'plain_chat'
    """
    path = _path_of(recording)
    if agent is None:
        return RecordedChat(path, session)
    from agy_nb.widgets.chat.panel import ChatPanel

    return ChatPanel(agent, past=(path, session))
