"""The chat panel: an agent's conversation with a composer below it.

A panel shows every turn of its agent, also those that other code started, so all panels of an agent
show the same. It starts turns as tasks on the main loop, so it also works while the kernel is idle.
Finished turns are saved as static HTML, which remains when the kernel is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from agy_nb.errors import AgyError
from agy_nb.kernel import CannotBlockError, current_host, in_kernel, run
from agy_nb.protocol.values import Prompt, PromptPart, TextPart
from agy_nb.runtime.agent import Agent
from agy_nb.terminal import revealed
from agy_nb.widgets.chat.attachments import kept_names, part_of, with_text
from agy_nb.widgets.chat.conversation_export import (
    conversation_json,
    conversation_markdown,
)
from agy_nb.widgets.chat.panel_turns import PanelTurns
from agy_nb.widgets.comparison.branch_turns import read_branches
from agy_nb.widgets.comparison.branches_view import branches_html
from agy_nb.widgets.response.cards import prompt, text_of
from agy_nb.widgets.response.html_values import badge
from agy_nb.widgets.response.static_html import Still
from agy_nb.widgets.tree import front_end_messages as messages
from agy_nb.widgets.tree.front_end import why_headless

_CASSETTE = "cassettes/chat-%Y%m%d-%H%M%S"


class ChatPanel(PanelTurns):
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
        super().__init__(agent, past=past)
        self._is_branching = False
        self._compared = ""
        self._actions: dict[str, Callable[[messages.PanelAction], None]] = {
            "stop": self._stop,
            "retry": self._retry,
            "edit": self._edit,
            "clear": self._clear,
            "compare": self._compare_branches,
        }
        self._stops.append(agent.grants.watch(self._show_grants))
        self._show_grants()

    def _static(self) -> Still:
        if self._tasks.reading:
            words = "The conversation is not loaded yet."
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

    async def _end_of_turns(self) -> None:
        for response in tuple(self.responses):
            await response.wait()

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

    def _remove(self, turn: int) -> None:
        """Remove a prompt that waits."""
        for response in self._queue:
            if response.turn_id == turn:
                self.responses.remove(response)
                self._tasks.start(response.cancel())
        self._show_queue()

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
        self.responses[:] = [response for response in self.responses if not response.done]
        self.transcript.clear()
        self._branches.clear()
        self.view.send(type="reset", changes=[])
        self._touch()
        if self.agent.is_started:
            self._tasks.start(self.agent.clear_history())

    # -- branches ----------------------------------------------------------------------------

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

    def _compare_branches(self, message: messages.PanelAction) -> None:
        branch = self._branches.sibling_of(message.node)
        if branch is not None:
            self._tasks.start(self._show_compared(branch))

    async def _show_compared(self, branch: int) -> None:
        """Show the agent's turns beside those of a branch, below the conversation."""
        pair = await read_branches(self.agent, (None, branch))
        self.transcript.drop(self._compared)
        self._compared = self.transcript.add_page("Branches side by side", branches_html(pair))
        self._touch()

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

    # -- exports -----------------------------------------------------------------------------

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

    def _ipython_display_(self) -> None:
        if in_kernel() and current_host().cell_running and why_headless():
            run(self._end_of_turns())  # the front end drops outputs after the cell's end
        self._fallback.display(at_exit=self.close)
