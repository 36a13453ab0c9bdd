"""The chat panel: an agent's conversation with a composer below it.

Rule 1: a panel shows every turn of its agent, whoever started it; so all panels show the same.
Rule 2: it starts turns as tasks on the main loop, so that it works while the kernel is idle too.
Rule 3: each turn that has ended is in the HTML beside it, which stays when the kernel is gone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from agy_nb.errors import AgyError
from agy_nb.kernel.environment import running_loop
from agy_nb.protocol.events import Event, SessionOpened
from agy_nb.protocol.values import MediaPart, PromptPart, TextPart
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.turns.response import Response
from agy_nb.terminal import revealed
from agy_nb.widgets.chat.conversation_export import (
    as_json,
    as_markdown,
    as_turns,
    quoted,
    read_events,
)
from agy_nb.widgets.recordings.frame_player import show
from agy_nb.widgets.response.cards import text_of
from agy_nb.widgets.response.static_fallback import StaticFallback
from agy_nb.widgets.tree import front_end_messages as messages, live_view
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.usage.cost_text import cost_of

END_OF_RECORDING = "End of the recording. The agent does not know this conversation."
_CASSETTE = "cassettes/chat-%Y%m%d-%H%M%S"
_KINDS = ("image", "audio", "video")
_PDF = "application/pdf"


class ChatPanel:
    """A chat with one agent; `Agent.chat_ui` makes it, and the last line of a cell shows it.

    Args:
        agent: Whom it talks to.
        past: A cassette and the number of a session of it, to be shown above the agent's turns.

    Attributes:
        agent: Whom it talks to.
        responses: The turns that it shows, oldest first.
        transcript: What is on the page.

    Example:
        >>> panel = agent.chat_ui()
        >>> await agent.chat_text("Use get_weather for Paris")
        'get_weather says: sunny in Paris'
        >>> print(panel.to_markdown())
        > Use get_weather for Paris
        <BLANKLINE>
        get_weather says: sunny in Paris
        <BLANKLINE>
        >>> panel.close()
    """

    def __init__(self, agent: Agent, *, past: tuple[Path, int] | None = None) -> None:
        self.agent = agent
        self._past = past
        self._replays = False
        self._before: tuple[Event, ...] = ()
        self.responses: list[Response] = []
        self.transcript = ConversationView()
        self.view = live_view.LiveView(self.transcript, mode="chat", on_message=self._on_message)
        self._beside = StaticFallback(
            self.view, lambda: (self.transcript.html(), self.transcript.text())
        )
        self._tasks: set[asyncio.Future[Any]] = set()
        self._stops: list[Callable[[], None]] = []
        self._orders: dict[str, Callable[[str], None]] = {
            "stop": self._stop,
            "retry": self._retry,
            "edit": self._edit,
            "clear": self._clear,
        }
        self._stops.append(agent.grants.watch(self._show_grants))
        self._show_grants()
        self._stops.append(agent.watch_turns(self._on_turn))
        self._begin()

    def _begin(self) -> None:
        if self._past is not None:
            self._do(self._show_past(*self._past))
            return
        latest = self.agent.latest
        if latest is not None and not latest.done:
            self._on_turn(latest)
        elif self.agent.is_started:
            self._do(self._show_history())
        else:
            self.transcript.note("This agent was shut down. You cannot send it prompts.")

    async def _show_history(self) -> None:
        messages = await self.agent.history()
        if not self.responses:
            self._before = (SessionOpened(resumed=True, history=messages),)
            self.transcript.tell(messages)
            self._touch()

    async def _show_past(self, path: Path, session: int) -> None:
        """Show what was recorded, and then the turns that have begun meanwhile."""
        try:
            self._before = await asyncio.to_thread(read_events, path, session)
        finally:
            self._past = None
            show(self.transcript, self._before)
            if self._before:
                self.transcript.note(END_OF_RECORDING)
            self._touch()
            latest = self.agent.latest
            if self.responses:
                self._show_from(0)
            elif latest is not None and not latest.done:
                self._on_turn(latest)

    # -- turns -------------------------------------------------------------------------------

    def _on_turn(self, response: Response) -> None:
        self.responses.append(response)
        running = [each for each in self.responses if not each.done]
        if len(running) > 1 or self._past is not None:
            # it waits for what is before it: so does its place on the page
            self.view.queued += 1
            self.view.touch()
            return
        self._show(response)

    def _show_from(self, index: int) -> None:
        """Show turns one below the other, up to the first that is not over."""
        for response in self.responses[index:]:
            self._show(response)
            if not response.done:
                return

    def _show(self, response: Response) -> None:
        self.transcript.begin(response.prompt, response.kind)
        self.view.running = True
        self.view.queued = len(self.responses) - 1 - self.responses.index(response)
        self._replays = True  # `watch` calls back with the events so far before it returns
        try:
            stop = response.watch(lambda event: self._on_event(response, event))
        finally:
            self._replays = False
        self._stops.append(stop)

    def _on_event(self, response: Response, event: Event) -> None:
        self.view.on_event(event)
        if not response.done or event is not response.events[-1]:
            return
        self.view.running = False
        self._beside.later()
        self._do(self._tell_cost(response))
        if not self._replays and response in self.responses:  # cleared away, it is in no list
            self._show_from(self.responses.index(response) + 1)

    async def _tell_cost(self, response: Response) -> None:
        words = await cost_of(response)
        if self.responses and self.responses[-1] is response:
            self.transcript.set_cost(words)
            self._touch()

    # -- what the composer asks for ----------------------------------------------------------

    def _on_message(self, message: messages.Message, buffers: list[Any]) -> None:
        match message:
            case messages.SendPrompt():
                self._on_send(message, buffers)
            case messages.Order():
                self._orders[message.type](message.view)
            case messages.Export():
                self._export(message.format, message.view)
            case messages.Revoke():
                self._revoke(message.grant)
            case _:
                pass

    def _on_send(self, message: messages.SendPrompt, buffers: list[Any]) -> None:
        parts: list[PromptPart] = [
            _part(about, data) for about, data in zip(message.files, buffers, strict=False)
        ]
        if message.text.strip():
            parts.insert(0, TextPart(text=message.text))
        if parts:
            self._do(self._send(parts, message.text, message.view))

    async def _send(self, parts: list[PromptPart], text: str, view: str) -> None:
        try:
            await self.agent.chat(parts)
        except AgyError:
            self.view.reply(view, type="compose", text=text)  # what was typed is not lost
            raise

    def _stop(self, _view: str) -> None:
        self._do(self.agent.cancel())

    def _retry(self, _view: str) -> None:
        if (latest := self.agent.latest) is not None:
            self._do(self.agent.chat(latest.prompt))

    def _edit(self, view: str) -> None:
        if (latest := self.agent.latest) is not None:
            self.view.reply(view, type="compose", text=text_of(latest.prompt))

    def _show_grants(self) -> None:
        """Have the panel list what the agent may do without asking."""
        self.view.standing["grants"] = [
            {"number": grant.number, "words": revealed(str(grant), exact=True)}
            for grant in self.agent.grants
        ]
        self._touch()

    def _revoke(self, number: int) -> None:
        for grant in self.agent.grants:
            if grant.number == number:
                self.agent.grants.revoke(grant)

    def _clear(self, _view: str) -> None:
        self._before = ()
        self.responses = [response for response in self.responses if not response.done]
        self.transcript.clear()
        self.view.send(type="reset", changes=[])
        self._touch()
        if self.agent.is_started:
            self._do(self.agent.clear_history())

    def _export(self, form: str, view: str) -> None:
        if form == "json":
            self.view.reply(view, type="download", name="chat.json", text=self.to_json())
        elif form == "copy":
            self.view.reply(view, type="copy", text=self.to_markdown())
        elif form == "cassette":
            self._do(self._save_cassette())
        else:
            self.view.reply(view, type="download", name="chat.md", text=self.to_markdown())

    async def _save_cassette(self) -> None:
        if self.view.running:
            self.transcript.note("The cassette will be saved when the turn ends.")
            self._touch()
        path = await self.agent.save_cassette(Path(datetime.now().astimezone().strftime(_CASSETTE)))
        self.transcript.note(
            f'Saved cassette {path}. Replay it with agy.use_cassette("{path}"), '
            f'or view it with agy.browse("{path.parent}").'
        )
        self._touch()

    def to_markdown(self) -> str:
        """Write the conversation as Markdown.

        Returns:
            Prompts as quotes, answers as they are.
        """
        pieces = [as_markdown(self._before).strip()]
        for response in self.responses:
            pieces += [quoted(text_of(response.prompt)), response.partial_text.strip()]
        return "\n\n".join(filter(None, pieces)) + "\n"

    def to_json(self) -> str:
        """Write the conversation as JSON.

        Returns:
            A list with the prompt, the state and the events of each turn. Of a turn from before the
            panel that is the text of its messages, and the state is None.
        """
        turns = as_turns(self._before) + [
            {
                "prompt": text_of(response.prompt),
                "state": str(response.state),
                "events": [as_json(event) for event in response.events],
            }
            for response in self.responses
        ]
        return json.dumps(turns, indent=1, ensure_ascii=False)

    def _touch(self) -> None:
        self.view.touch()
        self._beside.later()

    # -- tasks -------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start a task on the main loop; a panel may be made in a subshell, which has another."""
        if running_loop() is self.view.loop or not self.view.loop.is_running():
            self._start(work)
        else:
            self.view.loop.call_soon_threadsafe(self._start, work)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work, loop=self.view.loop)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            words = (
                str(error) if isinstance(error, AgyError) else f"{type(error).__name__}: {error}"
            )
            self.transcript.fail(type(error).__name__, words)
            self._touch()

    def close(self) -> None:
        """Take the panel away; the agent and its turns go on."""
        for stop in self._stops:
            stop()
        self._beside.close()

    def _ipython_display_(self) -> None:
        self._beside.display(at_exit=self.close)


def _part(about: messages.AttachedFile, data: Any) -> MediaPart:  # noqa: ANN401 - a buffer
    """What was attached; text of any kind is sent as plain text, as the SDK knows few others."""
    name, mime_type = about.name or "file", about.mime_type
    kind, content = mime_type.partition("/")[0], bytes(data)
    if kind not in _KINDS:
        kind = "document"
        if mime_type != _PDF and _is_text(content):
            mime_type = "text/plain"
    return MediaPart(
        kind=kind,  # type: ignore[arg-type]
        mime_type=mime_type or "application/octet-stream",
        data=content,
        description=name,
    )


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False
