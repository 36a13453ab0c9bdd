"""Show a recorded conversation as a chat, alone or above an agent's own turns.

Without an agent the conversation is static HTML: nothing runs, and the user cannot send prompts.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from agy_nb.errors import InvalidInputError
from agy_nb.kernel import in_kernel, run
from agy_nb.protocol.events import (
    Event,
)
from agy_nb.terminal import printable
from agy_nb.widgets.chat.conversation_export import as_markdown, read_events
from agy_nb.widgets.chat.panel import ChatPanel
from agy_nb.widgets.recordings.frame_player import show
from agy_nb.widgets.response.static_html import bundle
from agy_nb.widgets.tree.conversation import ConversationView

if TYPE_CHECKING:
    from agy_nb.runtime.agent import Agent

READ_ONLY = (
    "This is a recording, so you cannot reply. To continue with an agent, "
    "use `agy.widgets.chat_ui(recording, agent=agent)`."
)


class RecordedChat:
    """Show a recorded conversation; `chat_ui` creates it, and the last line of a cell shows it.

    Args:
        path: The cassette's folder.
        session: The number of the session in the cassette, from 0.

    Attributes:
        path: The cassette's folder.
        session: The number of the session in the cassette, from 0.
        transcript: The nodes shown, empty until the recording is read.

    Example:
        >>> chat = agy.widgets.chat_ui("cassettes/plain_chat")
        >>> await chat.read()
        >>> "agy-prompt" in chat.transcript.html()
        True
    """

    def __init__(self, path: Path, session: int = 0) -> None:
        self.path = path
        self.session = session
        self.transcript: ConversationView = ConversationView()
        self._events: tuple[Event, ...] = ()
        self._is_read = False

    def __repr__(self) -> str:
        return f"<RecordedChat: {self.path.name:.60}, session {self.session}>"

    async def read(self) -> None:
        """Read the recording if it was not read yet.

        Raises:
            CassetteNotFoundError: The cassette does not exist.
            CassetteInvalidError: The cassette is damaged.
            InvalidInputError: The cassette has no session with this number.
        """
        if self._is_read:
            return
        self._events, self.transcript = await asyncio.to_thread(_read, self.path, self.session)
        self._is_read = True

    def to_markdown(self) -> str:
        """Export the conversation as Markdown; empty until the recording is read.

        Returns:
            Prompts as block quotes, answers unchanged.
        """
        return as_markdown(self._events)

    def _ipython_display_(self) -> None:
        run(self.read())
        if not in_kernel():
            print(printable(self.to_markdown()))  # noqa: T201 - as IPython does in a terminal
            return
        from IPython.display import display

        display(bundle(self.transcript), raw=True)


def _read(path: Path, session: int) -> tuple[tuple[Event, ...], ConversationView]:
    events = read_events(path, session)
    transcript = ConversationView()
    show(transcript, events)
    transcript.catch_up()
    transcript.add_notice(READ_ONLY)
    return events, transcript


def _path_of(recording: Any) -> Path:
    if isinstance(recording, str | Path):
        return Path(recording).expanduser()
    found = getattr(recording, "recordings", None)
    if not isinstance(found, tuple):
        raise InvalidInputError(
            "recording must be the path of a cassette or the result of agy.load, "
            f"got {type(recording).__name__}. For an agent that runs, call agent.chat_ui().",
            field="recording",
        )
    if len(found) != 1:
        names = ", ".join(each.name for each in found[:5]) or "none"
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
    """Show a recorded conversation as a chat. Make it the last line of a cell to show it.

    Without an agent the conversation is read-only. With an agent it is shown above the agent's own
    turns; the agent's model does not get the recorded conversation.

    Args:
        recording: The path of a cassette, or the result of `agy.load` for one.
        session: The number of the session in the cassette, from 0.
        agent: The agent to continue with; None for a read-only chat.

    Returns:
        The chat.

    Raises:
        InvalidInputError: `recording` is not exactly one recording.
        WrongLoopError: An agent is given and no event loop has run in this process.

    Example:
        >>> agy.widgets.chat_ui("cassettes/plain_chat").path.name
        'plain_chat'
    """
    path = _path_of(recording)
    if agent is None:
        return RecordedChat(path, session)
    return ChatPanel(agent, past=(path, session))
