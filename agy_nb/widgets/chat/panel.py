"""The chat panel: an agent's conversation with a composer below it.

A panel shows every turn of its agent, also those that other code started, so all panels of an agent
show the same. It starts turns as tasks on the main loop, so it also works while the kernel is idle.
Finished turns are saved as static HTML, which remains when the kernel is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from agy_nb.errors import AgentNotStartedError, AgyError
from agy_nb.kernel import CannotBlockError, current_host, in_kernel, run
from agy_nb.protocol.events import Event, TurnBegan
from agy_nb.protocol.values import Prompt, PromptPart, TextPart
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.turns.response import Response
from agy_nb.terminal import revealed
from agy_nb.widgets.chat.attachments import kept_names, part_of, with_text
from agy_nb.widgets.chat.conversation_export import (
    conversation_json,
    conversation_markdown,
    read_events,
    without_last_turns,
)
from agy_nb.widgets.chat.panel_branches import PanelBranches
from agy_nb.widgets.chat.panel_header import about, used
from agy_nb.widgets.chat.panel_tasks import PanelTasks
from agy_nb.widgets.recordings.frame_player import show
from agy_nb.widgets.response.cards import prompt, text_of
from agy_nb.widgets.response.html_values import badge
from agy_nb.widgets.response.static_fallback import StaticFallback
from agy_nb.widgets.response.static_html import Still
from agy_nb.widgets.tree import front_end_messages as messages, live_view
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.front_end import why_headless
from agy_nb.widgets.usage.cost_text import cost_of

END_OF_RECORDING = "End of the recording. The agent does not know this conversation."
_CASSETTE = "cassettes/chat-%Y%m%d-%H%M%S"


class ChatPanel(live_view.ViewWidget):
    """Chat with one agent; `Agent.chat_ui` creates it. The last line of a cell shows it.

    It is a widget, so it can also be a part of others, such as `ipywidgets.HBox`.

    Args:
        agent: The agent.
        past: A cassette and a session number; the session is shown above the agent's turns.

    Attributes:
        agent: The agent.
        responses: The turns shown, oldest first; those of other branches are not shown.
        transcript: The nodes shown.

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
        super().__init__("chat", "Conversation")
        self.agent = agent
        self._past = past
        self._replaying = False
        self._is_reading = True
        self._recorded: tuple[Event, ...] = ()
        self.responses: list[Response] = []
        self.transcript = ConversationView(can_retry=True)
        self._branches = PanelBranches(agent, self.transcript)
        self._is_branching = False
        self._cost_words: dict[int, str] = {}
        self.view = live_view.LiveView(self.transcript, on_message=self._on_message, widget=self)
        self._fallback = StaticFallback(
            self.view,
            self._static,
            catch_up=self._catch_up,
        )
        self._tasks = PanelTasks(self.view.loop, self._on_error)
        self._stops: list[Callable[[], None]] = []
        self._actions: dict[str, Callable[[messages.PanelAction], None]] = {
            "stop": self._stop,
            "retry": self._retry,
            "edit": self._edit,
            "clear": self._clear,
        }
        self._about = about(agent)
        self.view.extra_fields["about"] = self._about
        self._stops.append(agent.grants.watch(self._show_grants))
        self._show_grants()
        self._stops.append(agent.watch_turns(self._on_turn))
        self._stops.append(agent.watch_branches(self._on_branch))
        self._tasks.start(self._show_earlier(), self._tasks.reading)

    async def _show_earlier(self) -> None:
        """Show the recording or the earlier turns, then the turns that began in the meantime."""
        shown_live = sum(
            isinstance(event, TurnBegan) for each in self.responses for event in each.events
        )
        try:
            if self._past is not None:
                self._recorded = await asyncio.to_thread(read_events, *self._past)
            else:
                events = await self.agent.past_events()
                self._recorded = without_last_turns(events, shown_live)
                await self._branches.read(self._recorded)
        except AgentNotStartedError:
            pass
        finally:
            await self._show_path()

    async def _show_path(self) -> None:
        """Show the turns of the agent's branch, then those that run or wait."""
        try:
            earlier, responses = await self._branches.path()
            started = True
        except AgentNotStartedError:
            earlier, responses, started = [], self.responses, False
        self._is_reading = False
        self._branches.clear()
        self.transcript.clear()
        if self._past is not None or not started:
            show(self.transcript, self._recorded)
        else:
            self._recorded = self._branches.head + tuple(itertools.chain(*earlier))
            self._show_earlier_turn(self._branches.head, None)
            for turn in earlier:
                self._show_earlier_turn(turn, self._branches.number_of(turn))
        if self._past is not None and self._recorded:
            self.transcript.add_notice(END_OF_RECORDING)
        if not self.agent.is_started:
            self.transcript.add_notice("This agent was shut down. You cannot send it prompts.")
        self.responses = responses + self._branches.still_running(self.responses, responses)
        self._show_from(0)
        await self._branches.update()
        self.view.send_all()
        self._touch()

    def _show_earlier_turn(self, events: tuple[Event, ...], turn_id: int | None) -> None:
        before = set(self.transcript.prompts)
        show(self.transcript, events)
        for node in self.transcript.prompts.keys() - before:
            self._branches.shown(node, turn_id)

    def _static(self) -> Still:
        if self._tasks.reading:
            words = "The conversation so far is not read yet."
            return Still(f"<p>{words}</p>{self.transcript.html()}", words)
        queued = "".join(f"{badge('wait', 'Queued')}{prompt(each.prompt)}" for each in self._queue)
        html = self.transcript.html() + queued
        return Still(html, self.to_markdown(), self.transcript.markdown())

    def _catch_up(self) -> None:
        """Wait for the earlier turns, and in front ends without input for the cost."""
        waiting = self._tasks.reading | (
            self._tasks.costs if in_kernel() and why_headless() else set()
        )
        if waiting:
            with contextlib.suppress(CannotBlockError):  # a terminal that awaits
                run(asyncio.wait(waiting))

    async def settled(self) -> None:
        """Wait until the earlier turns are shown."""
        if self._tasks.reading:
            await asyncio.wait(self._tasks.reading)

    async def _end_of_turns(self) -> None:
        for response in tuple(self.responses):
            await response.wait()

    # -- turns -------------------------------------------------------------------------------

    def _on_turn(self, response: Response) -> None:
        self.responses.append(response)
        self._branches.responses[response.turn_id] = response
        running = [each for each in self.responses if not each.done]
        if len(running) > 1 or self._is_reading:
            # it is queued, so it is shown after the turns before it
            self._show_queue()
            self._tasks.start(self._follow_queued(response))
            return
        self._show(response)

    async def _follow_queued(self, response: Response) -> None:
        await response.over.wait()
        self._show_queue()

    @property
    def _queue(self) -> list[Response]:
        """The prompts that wait for the end of the running turn."""
        if self._is_reading:
            return []  # the first one may run already
        waiting = [each for each in self.responses if not each.done]
        return waiting[1:]

    def _show_queue(self) -> None:
        queue = self._queue
        self.view.queued = len(queue)
        self.view.extra_fields["queue"] = [
            {"turn": each.turn_id, "words": revealed(text_of(each.prompt))} for each in queue
        ]
        self._touch()

    def _remove(self, turn: int) -> None:
        """Remove a prompt that waits."""
        for response in self._queue:
            if response.turn_id == turn:
                self.responses.remove(response)
                self._tasks.start(response.cancel())
        self._show_queue()

    def _show_from(self, index: int) -> None:
        """Show turns in order, up to the first that has not ended."""
        for response in self.responses[index:]:
            self._show(response)
            if not response.done:
                return

    def _show(self, response: Response) -> None:
        node = self.transcript.begin_turn(response.prompt, response.kind)
        self._branches.shown(node, response.turn_id)
        self.view.running = True
        self._show_queue()
        self._replaying = True  # `watch` first replays the past events synchronously
        try:
            stop = response.watch(lambda event: self._on_event(response, event))
        finally:
            self._replaying = False
        if response.done:
            stop()
            self.transcript.set_cost(self._cost_words.get(response.turn_id, ""))
        else:
            self._stops.append(stop)

    def _on_event(self, response: Response, event: Event) -> None:
        self.view.on_event(event)
        if not response.done or event is not response.events[-1]:
            return
        self.view.running = False
        self._fallback.update_later()
        if response.turn_id not in self._cost_words:
            self._tasks.start(self._update_controls())
            self._tasks.start(self._show_cost(response), self._tasks.costs)
        if not self._replaying and response in self.responses:  # it may have been cleared
            self._show_from(self.responses.index(response) + 1)

    async def _show_cost(self, response: Response) -> None:
        words = self._cost_words[response.turn_id] = await cost_of(response)
        known = {*self._branches.responses.values(), *self.responses}
        finished = [each for each in known if each.done and each is not response]
        self._about.update(await used([*finished, response]))  # the last one has the context
        if self.responses and self.responses[-1] is response:
            self.transcript.set_cost(words)
        self._touch()

    # -- branches ----------------------------------------------------------------------------

    async def _update_controls(self) -> None:
        await self._branches.update()
        self._touch()

    def _on_branch(self) -> None:
        """Show the turns of the branch that the agent went to."""
        if not self._is_reading:
            self._is_reading = True  # turns that begin now are shown after those of the branch
            self._tasks.start(self._show_path(), self._tasks.reading)

    async def _go(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do something that takes the agent to another branch, one at a time and between turns."""
        if self._is_branching or any(not each.done for each in self.responses):
            work.close()
            return False
        self._is_branching = True
        try:
            await work
        finally:
            self._is_branching = False
        return True

    async def _send_from(self, node: str, parts: Sequence[PromptPart]) -> None:
        """Go back before a turn and send a prompt there."""
        await self._branches.go_before(node)
        await self.agent.chat(parts)

    async def _rewrite(self, message: messages.Rewrite) -> None:
        parts = with_text(self.transcript.prompts.get(message.node, ()), message.text)
        sent = False
        try:
            sent = not parts or await self._go(self._send_from(message.node, parts))
        finally:
            if not sent:
                self.view.reply(message.view, type="compose", text=message.text)

    # -- messages of the composer ------------------------------------------------------------

    def _on_message(self, message: messages.Message, buffers: list[Any]) -> None:
        match message:
            case messages.SendPrompt():
                self._on_send(message, buffers)
            case messages.PanelAction():
                self._actions[message.type](message)
            case messages.Export():
                self._export(message)
            case messages.Rewrite():
                self._tasks.start(self._rewrite(message))
            case messages.SwitchBranch():
                self._tasks.start(self._go(self._branches.switch(message.node, message.to)))
            case messages.RemovePrompt():
                self._remove(message.turn)
            case messages.Revoke():
                self._revoke(message.grant)
            case _:
                pass

    def _on_send(self, message: messages.SendPrompt, buffers: list[Any]) -> None:
        parts: list[PromptPart] = [
            part_of(file, data) for file, data in zip(message.files, buffers, strict=False)
        ]
        if message.text.strip():
            parts.insert(0, TextPart(text=message.text))
        if parts:
            self._tasks.start(self._send_prompt(parts, message.text, message.view))

    async def _send_prompt(self, parts: list[PromptPart], text: str, view: str) -> None:
        try:
            await self.agent.chat(parts)
        except AgyError:
            self.view.reply(view, type="compose", text=text)  # give the text back to the user
            raise
        finally:
            self.view.flush()  # the prompt is in the conversation or in the queue
            self.view.reply(view, type="sent")

    def _stop(self, _message: messages.PanelAction) -> None:
        self._tasks.start(self.agent.cancel())

    def _prompt_of(self, node: str) -> Prompt | None:
        """Return a prompt, the latest one if no node is given."""
        if node:
            return self.transcript.prompts.get(node)
        return None if self.agent.latest is None else self.agent.latest.prompt

    def _retry(self, message: messages.PanelAction) -> None:
        node = message.node or next(reversed(self.transcript.prompts), "")
        if (prompt := self._prompt_of(node)) is not None:
            self._tasks.start(self._go(self._send_from(node, prompt)))

    def _edit(self, message: messages.PanelAction) -> None:
        if (prompt := self._prompt_of(message.node)) is not None:
            self.view.reply(
                message.view,
                type="compose",
                text=text_of(prompt),
                node=message.node,
                files=kept_names(prompt),
            )

    def _show_grants(self) -> None:
        """Show the agent's grants."""
        self.view.extra_fields["grants"] = [
            {"number": grant.number, "words": revealed(str(grant), exact=True)}
            for grant in self.agent.grants
        ]
        self._touch()

    def _revoke(self, number: int) -> None:
        for grant in self.agent.grants:
            if grant.number == number:
                self.agent.grants.revoke(grant)

    def _clear(self, _message: messages.PanelAction) -> None:
        self._recorded = ()
        self.responses = [response for response in self.responses if not response.done]
        self.transcript.clear()
        self._branches.clear()
        self.view.send(type="reset", changes=[])
        self._touch()
        if self.agent.is_started:
            self._tasks.start(self.agent.clear_history())

    def _export(self, message: messages.Export) -> None:
        form, view = message.format, message.view
        if message.node:
            self.view.reply(view, type="copy", text=self.transcript.answer(message.node))
        elif form == "json":
            self.view.reply(view, type="download", name="chat.json", text=self.to_json())
        elif form == "copy":
            self.view.reply(view, type="copy", text=self.to_markdown())
        elif form == "cassette":
            self._tasks.start(self._save_cassette())
        else:
            self.view.reply(view, type="download", name="chat.md", text=self.to_markdown())

    async def _save_cassette(self) -> None:
        if self.view.running:
            self.transcript.add_notice("The cassette will be saved when the turn ends.")
            self._touch()
        path = await self.agent.save_cassette(Path(datetime.now().astimezone().strftime(_CASSETTE)))
        self.transcript.add_notice(
            f'Saved cassette {path}. Replay it with agy.use_cassette("{path}"), '
            f'or view it with agy.browse("{path.parent}").'
        )
        self._touch()

    def to_markdown(self) -> str:
        """Export the conversation as Markdown.

        Returns:
            Prompts as block quotes, answers unchanged.
        """
        return conversation_markdown(self._recorded, self.responses)

    def to_json(self) -> str:
        """Export the conversation as JSON.

        Returns:
            A list with the prompt, the state and the events of each turn. A turn from before the
            panel has text events made from its messages, and its state is None.
        """
        return conversation_json(self._recorded, self.responses)

    def _touch(self) -> None:
        self.view.touch()
        self._fallback.update_later()

    # -- the end -----------------------------------------------------------------------------

    def _on_error(self, error: BaseException) -> None:
        words = str(error) if isinstance(error, AgyError) else f"{type(error).__name__}: {error}"
        self.transcript.add_error(type(error).__name__, words)
        self._touch()

    def close(self) -> None:
        """Close the panel; the agent and its turns continue."""
        for stop in self._stops:
            stop()
        self._fallback.close()

    def _ipython_display_(self) -> None:
        if in_kernel() and current_host().cell_running and why_headless():
            run(self._end_of_turns())  # the front end drops outputs after the cell's end
        self._fallback.display(at_exit=self.close)
