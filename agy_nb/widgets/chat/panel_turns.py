"""The turns that a chat panel shows: earlier ones, those that run or wait, and those of a branch.

A turn of a branch that the agent has left is kept, and shown again when the agent returns to it.
"""

from __future__ import annotations

import asyncio
import itertools
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agy_nb.errors import AgentNotStartedError, AgyError
from agy_nb.protocol.events import Event, TurnBegan
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.turns.response import Response
from agy_nb.terminal import revealed
from agy_nb.widgets.chat.conversation_export import read_events, without_last_turns
from agy_nb.widgets.chat.panel_branches import ENDED, PanelBranches
from agy_nb.widgets.chat.panel_header import about, used
from agy_nb.widgets.chat.panel_tasks import PanelTasks
from agy_nb.widgets.recordings.frame_player import show
from agy_nb.widgets.response.cards import text_of
from agy_nb.widgets.response.static_fallback import StaticFallback
from agy_nb.widgets.response.static_html import Still
from agy_nb.widgets.tree import front_end_messages as messages, live_view
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.view_widget import ViewWidget
from agy_nb.widgets.usage.cost_text import cost_of

END_OF_RECORDING = "End of the recording. The agent does not know this conversation."


class PanelTurns(ViewWidget):
    """Shows the turns of one agent. `ChatPanel` adds what the user can do.

    Args:
        agent: The agent.
        past: A cassette and a session number; the session is shown above the agent's turns.

    Attributes:
        agent: The agent.
        responses: The turns shown, oldest first; those of other branches are not shown.
        transcript: The nodes shown.
    """

    def __init__(self, agent: Agent, *, past: tuple[Path, int] | None = None) -> None:
        super().__init__("chat", "Conversation")
        self.agent: Agent = agent
        self._past = past
        self._replaying = False
        self._is_reading = True
        self._recorded: tuple[Event, ...] = ()
        self.responses: list[Response] = []
        self.transcript: ConversationView = ConversationView(can_retry=True)
        self._branches = PanelBranches(agent, self.transcript)
        self._cost_words: dict[int, str] = {}
        self._end_notice = ""
        self.view: live_view.LiveView = live_view.LiveView(
            self.transcript, on_message=self._on_message, widget=self
        )
        self._fallback = StaticFallback(
            self.view,
            self._static,
            catch_up=self._catch_up,
        )
        self._tasks = PanelTasks(self.view.loop, self._on_error)
        self._stops: list[Callable[[], None]] = []
        self._about = about(agent)
        self.view.extra_fields["about"] = self._about
        self._stops.append(agent.watch_turns(self._on_turn))
        self._stops.append(agent.watch_branches(self._on_branch))
        self._stops.append(agent.watch_end(self._on_agent_end))
        self._tasks.start(self._show_earlier(), self._tasks.reading)

    @abstractmethod
    def _on_message(self, message: messages.Message, buffers: list[Any]) -> None:
        """Carry out a message of the front end."""

    @abstractmethod
    def _static(self) -> Still:
        """Return the panel as it stays without a kernel."""

    @abstractmethod
    def _catch_up(self) -> None:
        """Wait for what the static HTML needs."""

    async def _show_earlier(self) -> None:
        """Show the recording or the earlier turns, then the turns that began in the meantime."""
        # Counted in the step in which `past_events` takes its copy of the frames, so that a turn
        # which begins later is in neither of the two.
        shown_live = sum(
            isinstance(event, TurnBegan) for each in self.responses for event in each.event_log
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
        self.responses = responses + self._branches.still_running(self.responses, responses)
        self._show_from(0)
        if not self.agent.is_started:
            self._show_end()
        await self._branches.update()
        self.view.send_all()
        self._touch()

    def _show_earlier_turn(self, events: tuple[Event, ...], turn_id: int | None) -> None:
        before = set(self.transcript.prompts)
        show(self.transcript, events)
        for node in self.transcript.prompts.keys() - before:
            self._branches.shown(node, turn_id)

    async def settled(self) -> None:
        """Wait until the earlier turns are shown."""
        if self._tasks.reading:
            await asyncio.wait(self._tasks.reading)

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
        # `watch` repeats all events of a turn that is over: only the last one is its end.
        if not response.done or event is not response.event_log[-1]:
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

    # -- the end -----------------------------------------------------------------------------

    def _on_agent_end(self) -> None:
        if not self._is_reading:
            self._show_end()
            self._tasks.start(self._update_controls())

    def _show_end(self) -> None:
        """Show that the agent takes no more prompts, and disable the composer."""
        self.view.extra_fields["ended"] = ENDED
        self.transcript.drop(self._end_notice)
        self._end_notice = self.transcript.add_notice(f"{ENDED} You cannot send it prompts.")
        self._touch()

    def _touch(self) -> None:
        self.view.touch()
        self._fallback.update_later()

    def _on_error(self, error: BaseException) -> None:
        words = str(error) if isinstance(error, AgyError) else f"{type(error).__name__}: {error}"
        self.transcript.add_error(type(error).__name__, words)
        if isinstance(error, AgentNotStartedError):
            self._tasks.start(self._update_controls())
        self._touch()

    def close(self) -> None:
        """Close the panel; the agent and its turns continue."""
        for stop in self._stops:
            stop()
        self._fallback.close()
