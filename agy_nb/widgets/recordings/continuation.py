"""Continue an open recording with a live agent, whose chat panel is shown below the page.

Rule 1: a key is never typed into the page. The user chooses the environment variable that holds it.
"""

from __future__ import annotations

import asyncio
import json
import os
import textwrap
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from agy_nb.errors import AgyError
from agy_nb.protocol.amounts import counted
from agy_nb.protocol.events import TurnBegan
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.turns.response import Response
from agy_nb.terminal import revealed
from agy_nb.widgets.chat.panel import ChatPanel
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.recordings.frame_player import FramePlayer
from agy_nb.widgets.recordings.player_controls import select
from agy_nb.widgets.response.cards import text_of
from agy_nb.widgets.response.page_view import PageView
from agy_nb.widgets.tree.nodes import Upsert
from agy_nb.wire.client_config import host_tools_of
from agy_nb.wire.frames import TURN_KINDS, kind_of

NODE = "continue"
_KEY_ENDING = "_API_KEY"
_PROMPT = 48
"""Characters of a prompt in the list of turns."""
_NO_MODEL = (
    "<p>No model can answer yet: <code>GEMINI_API_KEY</code> is not set in this kernel. Set it in "
    "a cell, for example with <code>agy.load_env()</code>, and continue again. Or choose the "
    "variable that has your key. Do not type a key here.</p>"
)
_Settings: TypeAlias = dict[str, Any]
"""Settings of an agent by name; see `agy.fork`."""
_Model: TypeAlias = Callable[[], Awaitable[_Settings | None]]
"""Returns the settings that choose a model; None if the user must choose first."""
_ECHO = "It only repeats your prompts. No key is needed."


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What agents that continue a recording have.

    Attributes:
        config: The SDK's configuration, a mapping of its fields, or None.
        tools: Host functions.
    """

    config: Any = None
    tools: Sequence[Callable[..., Any]] = ()


class Continuation:
    """The row below an open recording that continues it, and the chats that were opened.

    Args:
        view: The page.
        settings: What the agents have.

    Attributes:
        actions: What controls of the page call, by their names.
        panels: The open chats, oldest first.
    """

    def __init__(self, view: PageView, settings: LiveSettings) -> None:
        self._view = view
        self._settings = settings
        self.panels: list[ChatPanel] = []
        self._titles: dict[str, str] = {}
        self._path = Path()
        self._session: int | None = None
        self._tools: frozenset[str] = frozenset()
        self._starts: tuple[int, ...] = ()
        self._labels: tuple[str, ...] = ()
        self._turn = 0
        self._below = ""
        self._model = self._variable = ""
        self._echo: Any = None
        self._work: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.actions: dict[str, Callable[[str], Awaitable[None] | None]] = {
            "turn": self._on_turn,
            "continue": lambda _value: self._begin(),
            "stop-continue": lambda _value: self._stop(),
            "model": self._on_model,
            "key": self._on_key,
            "with-model": lambda _value: self._begin(self._named_model),
            "with-echo": lambda _value: self._begin(self._echo_model),
            "close-chat": self._close_chat,
        }
        view.page.upsert(Upsert(id=NODE, kind="usage"))

    # -- the open recording -----------------------------------------------------------------------

    def show(self, path: Path, session: int | None, player: FramePlayer | None) -> None:
        """Offer to continue a session.

        Args:
            path: Folder of the recording.
            session: The number of the session, None if the recording has only one.
            player: The player of the session; None if there is nothing to continue.
        """
        self._path, self._session, self._below = path, session, ""
        found = () if player is None else tuple(_turns(player))
        self._starts = tuple(start for start, _label in found)
        self._labels = tuple(label for _start, label in found)
        self._tools = frozenset() if player is None else _tools_of(player)
        self._turn = len(found)
        self._show()

    def follow(self, position: int) -> None:
        """Choose the turn at the position of the player."""
        turn = max(1, sum(start < position for start in self._starts))
        if self._starts and turn != self._turn:
            self._turn = turn
            self._show()

    @property
    def code(self) -> str:
        """The line of code that continues the recording; empty if it has no turns."""
        return fork_code(self._path, self._turn, self._session) if self._starts else ""

    def static(self) -> Iterator[Upsert]:
        """Yield the chats that a notebook keeps."""
        for panel in self.panels:
            body = f"<h4>{escape(self._titles[panel.key])}</h4>{panel.transcript.html()}"
            yield Upsert(id=f"chat-{panel.key}", kind="usage", body=body)

    # -- the row -----------------------------------------------------------------------------

    def _show(self) -> None:
        self._view.page.upsert(Upsert(id=NODE, kind="usage", body=self._body()))

    def _body(self) -> str:
        if not self._starts:
            return ""
        if self._work is not None:
            words = f"Rebuilding {counted(self._turn, 'turn')} in the harness…"
            return (
                f"<div class='agy-row' role='status'>{words}"
                f"{_button('stop-continue', 'Cancel')}</div>"
            )
        named = [(str(n), label) for n, label in enumerate(self._labels, start=1)]
        return (
            f"<div class='agy-row'>{_button('continue', 'Continue from here')}"
            f"{select('turn', 'Continue after', named, str(self._turn))}</div>{self._below}"
            f"<p class='agy-dim'>In code: <code>{escape(self.code)}</code></p>"
        )

    def _on_turn(self, value: str) -> None:
        if value in map(str, range(1, len(self._starts) + 1)):
            self._turn, self._below = int(value), ""
            self._show()
            self._view.touch()

    def _refuse(self, words: str) -> None:
        self._below = f"<div class='agy-error'>{escape(revealed(words))}</div>"

    # -- the model ---------------------------------------------------------------------------

    def _ask_for_model(self, problem: str = "") -> None:
        self._model = ""
        known = sorted(name for name, text in os.environ.items() if _is_key(name) and text)
        self._variable = known[0] if known else "GEMINI_API_KEY"
        named = [(name, f"Key from {name}") for name in known]
        named = named or [(self._variable, f"Key from {self._variable} (not set)")]
        error = f"<div class='agy-error'>{escape(problem)}</div>" if problem else ""
        # The text that is typed stays out of the node, because the notebook saves the node.
        self._below = (
            f"{error}{_NO_MODEL}<div class='agy-row'>"
            "<input class='agy-input' data-agy-act='model' aria-label='Model' "
            "placeholder='Model (the default one)' autocomplete='off'>"
            f"{select('key', 'Key', named, self._variable)}"
            f"{_button('with-model', 'Use this model')}</div><div class='agy-row'>"
            f"{_button('with-echo', 'Use echo model')}<span class='agy-dim'>{_ECHO}</span></div>"
        )

    def _on_model(self, value: str) -> None:
        self._model = value.strip()

    def _on_key(self, value: str) -> None:
        if _is_key(value):
            self._variable = value

    async def _named_model(self) -> _Settings | None:
        key = os.environ.get(self._variable, "").strip()
        if not key:
            self._ask_for_model(f"{self._variable} is not set in this kernel.")
            return None
        named = {"model": self._model} if self._model else {}
        return {**named, "api_key": key}

    async def _echo_model(self) -> _Settings:
        from agy_nb.testing.echo import EchoModel

        if self._echo is None:
            model = EchoModel()
            await model.start()
            self._echo = model
        config = await asyncio.to_thread(self._echo.config)
        return {"models": config.models}

    async def _given_model(self) -> _Settings | None:
        from agy_nb.runtime.checkpoints.from_recording import lacks_model

        if await lacks_model(self._settings.config):
            self._ask_for_model()
            return None
        return {}

    # -- the agent ---------------------------------------------------------------------------

    def _begin(self, model: _Model | None = None) -> None:
        if self._starts and self._work is None:
            work = self._continue(model or self._given_model)
            self._work = self._view.live.loop.create_task(work)
            self._work.add_done_callback(self._on_end)
            self._below = ""
            self._show()
            self._view.touch()

    def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()

    async def _continue(self, model: _Model) -> None:
        from agy_nb.runtime.checkpoints.from_recording import fork

        path, turn, session, recorded = self._path, self._turn, self._session, self._tools
        try:
            chosen = await model()
            if chosen is None:  # the form asks for it
                return
            config, tools = self._settings.config, self._settings.tools
            agent = await fork(path, turn, session=session, config=config, tools=tools, **chosen)
            self._open_chat(agent, f"{path.name}, continued after turn {turn}", recorded)
        except AgyError as error:
            self._refuse(f"Cannot continue: {error}")
        except Exception as error:
            self._refuse(f"Cannot continue: {type(error).__name__}: {error}")

    def _on_end(self, work: asyncio.Task[None]) -> None:
        if work.cancelled():
            self._refuse("Cancelled. No agent was started.")
        self._work = None
        self._show()
        self._view.touch()

    def _open_chat(self, agent: Agent, title: str, recorded: frozenset[str]) -> None:
        panel = ChatPanel(agent)
        self.panels.append(panel)
        self._titles[panel.key] = title
        given = {tool.name for tool in agent.available_tools()}
        if missing := sorted(recorded - given):
            names = ", ".join(missing)
            self._below = (
                f"<p class='agy-notice'>The agent lacks the recorded tools {escape(names)}. Pass "
                "them with <code>agy.browse(…, tools=[…])</code>.</p>"
            )
        agent.watch_turns(self._on_agent_turn)
        self._send_chats()

    def _on_agent_turn(self, response: Response) -> None:
        async def save() -> None:
            await response.over.wait()
            self._view.touch()

        self._start_task(save())

    def _send_chats(self) -> None:
        chats = [{"key": each.key, "title": self._titles[each.key]} for each in self.panels]
        self._view.live.extra_fields["chats"] = chats

    def _close_chat(self, key: str) -> None:
        for panel in [each for each in self.panels if each.key == key]:
            self.panels.remove(panel)
            panel.close()
            self._send_chats()
            self._start_task(panel.agent.shutdown())
            self._view.touch()

    def _start_task(self, work: Any) -> None:
        task = self._view.live.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until a rebuild that runs has ended, and until turns of the chats are saved."""
        while work := {*self._tasks, *filter(None, [self._work])}:
            await asyncio.wait(work)

    def close(self) -> None:
        """Close the chats. Their agents continue while code refers to them."""
        self._stop()
        for panel in self.panels:
            panel.close()
        if self._echo is not None and self._view.live.loop.is_running():
            self._start_task(self._echo.stop())


def fork_code(path: Path, turn: int, session: int | None = None) -> str:
    """Return the line of code that continues a recording after a turn."""
    number = "" if session is None else f", session={session}"
    return f"await agy.fork({json.dumps(str(path), ensure_ascii=False)}, turn={turn}{number})"


def _is_key(name: str) -> bool:
    return name.endswith(_KEY_ENDING) and name.isidentifier()


def _turns(player: FramePlayer) -> Iterator[tuple[int, str]]:
    """Yield the position of each turn's first frame, and the turn's label."""
    number = 0
    for position, snapshot in enumerate(player.snapshots):
        if snapshot.direction == "client" and kind_of(snapshot.frame) in TURN_KINDS:
            number += 1
            began = next((each for each in snapshot.events if isinstance(each, TurnBegan)), None)
            words = "" if began is None else text_of(began.prompt)
            yield (
                position,
                f"After turn {number}"
                + (f": {textwrap.shorten(words, _PROMPT, placeholder='…')}" if words else ""),
            )


def _tools_of(player: FramePlayer) -> frozenset[str]:
    """Return the names of the host tools of a session."""
    return frozenset(host_tools_of(player.snapshots[0].frame))


def _button(act: str, words: str) -> str:
    return f"<button type='button' class='agy-button' data-agy-act='{act}'>{words}</button>"
