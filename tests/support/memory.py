"""A backend without SDK, harness and model, for tests of the loop itself.

It stands in for everything below the runtime's seam and says so: nothing here tells how the real
SDK behaves. Use `ScriptedModel` for that.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Self, TypeAlias

from agy_nb.errors import AgyError, InvalidInputError, TurnCancelledError
from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.events import (
    Error,
    Event,
    State,
    Step,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    TurnBegan,
    TurnState,
    Usage,
)
from agy_nb.protocol.values import JsonObject, Message, Prompt, TextPart, TokenUsage, Trajectory
from agy_nb.sdk.deadlocks import user_code
from agy_nb.sdk.interfaces.agent_spec import AgentSpec, ToolInfo
from agy_nb.sdk.interfaces.approval_request import ApprovalRequest, Gate
from agy_nb.sdk.interfaces.open_session import Sink, TurnOutcome

_conversations = itertools.count(1)


class MemoryTurn:
    """One turn of a `MemoryBackend`: what a play may do in it.

    Attributes:
        prompt: The prompt's text.
        number: Which turn of its session it is, from 1.
        session: The session.
    """

    def __init__(self, session: MemorySession, prompt: Prompt, number: int) -> None:
        self.session = session
        self.prompt = "".join(part.text for part in prompt if isinstance(part, TextPart))
        self.number = number
        self.text = ""
        self.structured_output: Any = None
        self._calls = itertools.count(1)

    def emit(self, event: Event) -> None:
        """Tell of any event."""
        self.session.sink(event)

    def say(self, text: str, *, trajectory: Trajectory | None = None) -> None:
        """Stream a piece of the answer; of the root agent, unless a trajectory is given."""
        where = trajectory or self.session.root
        if where.is_root:
            self.text += text
        self.emit(Text(trajectory=where, text=text, step_index=self.number))

    def think(self, text: str) -> None:
        """Stream a piece of the thoughts."""
        self.emit(Thought(trajectory=self.session.root, text=text, step_index=self.number))

    def meter(self, *, input_tokens: int = 10, output_tokens: int = 5) -> None:
        """Tell of a metered model call."""
        call = TokenUsage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=input_tokens + output_tokens,
        )
        self.session.usage = self.session.usage + call
        self.session.turn_usage = self.session.turn_usage + call
        self.emit(
            Usage(
                trajectory=self.session.root,
                usage=call,
                trajectory_total=self.session.usage,
                session_total=self.session.usage,
            )
        )

    async def call(self, name: str, args: JsonObject | None = None) -> Any:
        """Call a host tool as the model would: approval first, then the tool.

        Returns:
            What it returned, or None when it was denied or failed.
        """
        session, args = self.session, args or {}
        call_id = f"{session.conversation_id}:{self.number}:{next(self._calls)}"
        if session.gate is not None:
            request = ApprovalRequest(
                tool=name, args=args, trajectory=session.root, editable=session.spec.edits
            )
            decision = await session.gate(request)
            if not decision.allowed:
                where = session.root
                self.emit(ToolCall(trajectory=where, call_id=call_id, name=name, args=args))
                self.emit(
                    ToolResult(
                        trajectory=where,
                        call_id=call_id,
                        name=name,
                        error=decision.reason or "denied",
                        denied=True,
                    )
                )
                return None
            args = {**args, **(decision.args or {})}
        self.emit(ToolCall(trajectory=session.root, call_id=call_id, name=name, args=args))
        result, error = None, None
        try:
            with user_code(f"the tool {name!r}"):
                result = session.host_tools[name](**args)
                if inspect.isawaitable(result):
                    result = await result
        except Exception as raised:
            error = str(raised)
        self.emit(
            ToolResult(
                trajectory=session.root, call_id=call_id, name=name, result=result, error=error
            )
        )
        return result


Play: TypeAlias = Callable[[MemoryTurn], Awaitable[None]]
"""What happens in a turn; an error of ours that it raises is what the turn fails with."""


async def echo(turn: MemoryTurn) -> None:
    """Say the prompt again, word by word, and meter it."""
    for word in turn.prompt.split(" "):
        turn.say(word + " ")
    turn.meter()


class MemorySession:
    """One conversation of a `MemoryBackend`; see `agy_nb.sdk.interfaces.open_session.Session`.

    Attributes:
        closed: Whether `close` was called.
        over: Set by `close`.
        deleted: Whether `delete_state` was called.
    """

    def __init__(self, spec: AgentSpec, sink: Sink, gate: Gate | None, play: Play) -> None:
        self.spec = spec
        self.sink = sink
        self.gate = gate
        self.host_tools = {tool.__name__: tool for tool in spec.tools}
        self.conversation_id: str | None = f"{next(_conversations):032x}"
        self.root = Trajectory(id=self.conversation_id)
        self.quota_key = str((spec.config or {}).get("api_key", ""))
        self.in_turn = False
        self.usage = TokenUsage()
        self.turn_usage = TokenUsage()
        self.closed = False
        self.over = asyncio.Event()
        self.deleted = False
        self.database = None
        self._play = play
        self._messages: list[Message] = []
        self._turns = 0
        self._running: asyncio.Task[None] | None = None
        self._own: asyncio.Task[None] | None = None
        self._cancelled = False

    @property
    def conversation(self) -> Self:
        """The session itself, which knows what it has played."""
        return self

    async def run_turn(self, prompt: Prompt) -> TurnOutcome:
        """Play one turn, once a turn of the backend's own is over."""
        while self._own is not None:
            await asyncio.wait([self._own])
        self._turns += 1
        self._cancelled = False
        self.turn_usage = TokenUsage()
        turn = MemoryTurn(self, prompt, self._turns)
        self._messages.append(Message(role="user", content=turn.prompt, trajectory=self.root))
        self.in_turn = True
        try:
            return await self._played(turn)
        finally:
            self.in_turn = False

    async def _played(self, turn: MemoryTurn) -> TurnOutcome:
        self.sink(_step(self.root, self._turns, "active"))
        self._running = asyncio.ensure_future(self._through(turn))
        try:
            await self._running
        except asyncio.CancelledError:
            if self._cancelled:
                raise TurnCancelledError(turn.text) from None
            raise
        finally:
            self._running.cancel()
            self._running = None
            self._messages.append(Message(role="model", content=turn.text, trajectory=self.root))
        self.sink(_step(self.root, self._turns, "done"))
        return TurnOutcome(
            usage=None if self.turn_usage.is_empty else self.turn_usage,
            structured_output=turn.structured_output,
        )

    async def send_trigger(self, text: str) -> None:
        """Play a turn of the backend's own, unless one runs."""
        if self._running is None and self._own is None:
            turn = MemoryTurn(self, (TextPart(text=text),), self._turns)
            self.sink(TurnBegan(prompt=(TextPart(text=text),), kind="trigger"))
            self._own = asyncio.create_task(self._through(turn))
            self._own.add_done_callback(self._end_own)

    def _end_own(self, task: asyncio.Task[None]) -> None:
        self._own = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.sink(Error(error=to_info(error), fatal=True))
        ends = TurnState.CANCELLED if task.cancelled() else TurnState.DONE
        self.sink(State(state=TurnState.FAILED if error is not None else ends))

    async def cancel_own_turn(self) -> None:
        """Cut the play of a turn of the backend's own short."""
        if self._own is not None:
            self._own.cancel()

    async def _through(self, turn: MemoryTurn) -> None:
        await self._play(turn)

    def note(self, note: Event) -> None:
        """Nothing records a session in memory."""

    async def go_back(
        self, restore: object, note: Event, *, turns: int, conversation_id: str | None = None
    ) -> None:
        """Forget what was said; a session in memory keeps no earlier states."""
        del restore, note, conversation_id
        self._messages.clear()
        self._turns = max(0, turns)

    async def cancel(self) -> None:
        """Cut the play short."""
        self._cancelled = True
        if self._running is not None:
            self._running.cancel()

    def history(self) -> tuple[Message, ...]:
        """What was said."""
        return tuple(self._messages)

    def turn_count(self) -> int:
        """Turns played."""
        return self._turns

    def total_usage(self) -> TokenUsage | None:
        """Tokens metered."""
        return None if self.usage.is_empty else self.usage

    def last_turn_usage(self) -> TokenUsage | None:
        """Tokens of the latest turn."""
        return None if self.turn_usage.is_empty else self.turn_usage

    def compaction_indices(self) -> tuple[int, ...]:
        """None are ever made."""
        return ()

    def last_response(self) -> str | None:
        """The latest answer."""
        said = [message.content for message in self._messages if message.role == "model"]
        return said[-1] if said else None

    def clear_history(self) -> None:
        """Forget what was said."""
        self._messages.clear()
        self._turns = 0

    def tools(self) -> tuple[ToolInfo, ...]:
        """The host functions."""
        return tuple(ToolInfo(name=name, source="custom") for name in self.host_tools)

    def trajectory_usages(self) -> dict[str, TokenUsage]:
        """Tokens metered, of the one trajectory."""
        return {} if self.usage.is_empty else {self.root.id: self.usage}

    def sandbox_status(self) -> None:
        """No commands run here."""

    async def workflow_prompt(
        self, workflow: object, script_path: object, description: str
    ) -> tuple[str, Callable[[], None]]:
        """No workflow runs here."""
        del workflow, script_path, description
        msg = "a session in memory runs no workflows"
        raise InvalidInputError(msg)

    async def close(self) -> None:
        """End it."""
        if self._own is not None:
            self._own.cancel()
        self.closed = True
        self.over.set()

    async def delete_state(self) -> None:
        """Take note."""
        self.deleted = True


class MemoryBackend:
    """Opens sessions that are played by a function.

    Args:
        play: What happens in each turn.
        fails_to_open: Raised by `open`, when given.

    Attributes:
        sessions: Every session opened, oldest first.

    Example:
        >>> async with agy.Runtime(backend=MemoryBackend()) as rt:
        ...     agent = await rt.create_agent()
        ...     await agent.chat_text("Hello")
        'Hello '
    """

    def __init__(self, play: Play = echo, *, fails_to_open: AgyError | None = None) -> None:
        self.sessions: list[MemorySession] = []
        self.closed = False
        self._play = play
        self._fails_to_open = fails_to_open

    async def open(self, spec: AgentSpec, sink: Sink, gate: Gate | None) -> MemorySession:
        """Open a session; see `agy_nb.sdk.interfaces.open_session.Backend`."""
        if self._fails_to_open is not None:
            raise self._fails_to_open
        session = MemorySession(spec, sink, gate, self._play)
        self.sessions.append(session)
        return session

    async def close(self) -> None:
        """Take note."""
        self.closed = True


def _step(where: Trajectory, index: int, status: Literal["active", "done"]) -> Step:
    return Step(
        trajectory=where,
        step_index=index,
        kind="text",
        source="model",
        target="user",
        status=status,
    )
