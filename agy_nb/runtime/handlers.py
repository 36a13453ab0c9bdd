"""Carry out commands, with one handler per command.

Rule 1: the handler of a query is a plain function, so that it cannot wait.
Rule 2: a handler returns its reply or raises. The command loop passes it to the sender.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from agy_nb.errors import AgyError, BackendError
from agy_nb.kernel import in_kernel
from agy_nb.protocol import commands as c, replies as r
from agy_nb.protocol.events import Event, SessionOpened, TurnBegan, TurnKind
from agy_nb.protocol.labels import checked_labels
from agy_nb.protocol.values import Prompt
from agy_nb.runtime.agent_state import AgentState, agent_gone
from agy_nb.runtime.approvals.approval_gate import AskUser
from agy_nb.runtime.checkpoints import branching
from agy_nb.runtime.checkpoints.branching import ForkPayload
from agy_nb.runtime.checkpoints.checkpoint_log import CheckpointLog, Limits
from agy_nb.runtime.limits.budgets import budget_in_dollars
from agy_nb.runtime.limits.pricing import pricing
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.runtime.telemetry import Telemetry
from agy_nb.runtime.turns.response import Response, output_type_of
from agy_nb.runtime.turns.turn_runner import TurnRunner
from agy_nb.sdk.interfaces.agent_spec import AgentSpec
from agy_nb.sdk.interfaces.open_session import Backend, Conversation
from agy_nb.sdk.lazy_backend import load
from agy_nb.sdk.process.executor import run_in_thread

if TYPE_CHECKING:
    from agy_nb.cassette.record.frame_buffer import FrameBuffer

_log = logging.getLogger("agy_nb.runtime")

OnQueued: TypeAlias = Callable[[Response], None]
"""Payload of `Send`: called with the turn's handle, so that a cancelled sender can cancel it."""

Handler: TypeAlias = Callable[[Any, Any], r.Reply | Awaitable[r.Reply]]
"""A function of a command and its payload."""


@dataclass(frozen=True, slots=True)
class CreateAgentPayload:
    """Payload of `CreateAgent`: the Python objects that JSON cannot hold."""

    spec: AgentSpec
    ask_user: AskUser | None = None


class Handlers:
    """The handlers of all commands, with the agents of the runtime.

    Args:
        backend: Opens sessions.
        turns: Runs turns.
        config: The runtime's limits.
        telemetry: Receives agents and events.
    """

    def __init__(
        self, backend: Backend, turns: TurnRunner, config: RuntimeConfig, telemetry: Telemetry
    ) -> None:
        self.agents: dict[int, AgentState] = {}
        self.responses: weakref.WeakValueDictionary[int, Response] = weakref.WeakValueDictionary()
        self._backend = backend
        self._turns = turns
        self._config = config
        self._telemetry = telemetry
        self._agent_ids = itertools.count(1)
        self._turn_ids = itertools.count(1)
        self.table: dict[type, Handler] = {
            c.CreateAgent: self.create_agent,
            c.Fork: self.fork,
            c.ShutdownAgent: self.shutdown_agent,
            c.Chat: self.chat,
            c.Send: self.send,
            c.Trigger: self.trigger,
            c.Cancel: self.cancel,
            c.WaitForIdle: self.wait_for_idle,
            c.SignalIdle: self.signal_idle,
            c.WaitForWakeup: self.wait_for_wakeup,
            c.Rewind: self.rewind,
            c.ClearHistory: self.clear_history,
            c.Delete: self.delete,
            c.Disconnect: self.shutdown_agent,
            c.GetHistory: lambda m, _: r.History(messages=self._conversation(m).history()),
            c.GetTurnCount: lambda m, _: r.TurnCount(turns=self._conversation(m).turn_count()),
            c.GetTotalUsage: lambda m, _: r.UsageReport(usage=self._conversation(m).total_usage()),
            c.GetLastTurnUsage: lambda m, _: r.UsageReport(
                usage=self._conversation(m).last_turn_usage()
            ),
            c.GetCompactionIndices: lambda m, _: r.CompactionIndices(
                indices=self._conversation(m).compaction_indices()
            ),
            c.GetLastResponse: lambda m, _: r.LastResponse(
                text=self._conversation(m).last_response()
            ),
            c.IsIdle: lambda m, _: r.Idle(idle=self._agent(m).is_idle),
        }

    def _agent(self, message: Any) -> AgentState:
        state = self.agents.get(message.agent_id)
        if state is None:
            known = ", ".join(map(str, self.agents)) or "none"
            msg = f"this runtime has no agent {message.agent_id} (it has: {known})"
            raise BackendError(msg)
        return state

    def _conversation(self, message: Any) -> Conversation:
        return self._agent(message).session.conversation

    # -- lifecycle ---------------------------------------------------------------------------

    async def create_agent(
        self, message: c.CreateAgent, parts: CreateAgentPayload | None
    ) -> r.Reply:
        """Start an agent."""
        if parts is None:
            labels = checked_labels(message.labels)
            parts = CreateAgentPayload(
                AgentSpec(config=dict(message.config) or None, labels=labels)
            )
        checkpoints, branch = self._checkpoint_log(), parts.spec.branch
        if branch is None:
            return await self._start_agent(parts.spec, parts.ask_user, checkpoints)
        checkpoints.was_rebuilt(branch.after_turn)  # from a recording
        reply = await self._start_agent(parts.spec, parts.ask_user, checkpoints)
        if (state := self.agents.get(reply.agent_id)) is not None:
            await checkpoints.keep_rebuilt(state.session)
        return reply

    async def fork(self, message: c.Fork, parts: ForkPayload | None) -> r.Reply:
        """Start an agent that continues the conversation of another one."""
        return await branching.fork(self._agent(message), message, parts, self._start_agent)

    async def rewind(self, message: c.Rewind, _: object) -> r.Reply:
        """Take an agent back to an earlier turn."""
        return await branching.rewind(self._agent(message), message)

    async def _start_agent(
        self, spec: AgentSpec, ask_user: AskUser | None, checkpoints: CheckpointLog
    ) -> r.AgentCreated:
        state = AgentState(
            next(self._agent_ids),
            spec,
            ask_user,
            self._config,
            frames=await self._frames(),
            checkpoints=checkpoints,
        )
        before_start: list[Event] = []  # an agent that fails to start gets no rows in the tables
        state.listen_between_turns = before_start.append
        state.begin_own = partial(self._begin_own, state)
        await state.open(self._backend)
        resumed = any(isinstance(each, SessionOpened) and each.resumed for each in before_start)
        if resumed and spec.branch is None:
            state.checkpoints.was_resumed()
        self.agents[state.agent_id] = state
        self._telemetry.agent_started(state.agent_id, state.spec.config, state.spec.labels)
        state.listen_between_turns = partial(self._telemetry.event, state.agent_id, None)
        for event in before_start:
            state.listen_between_turns(event)
        state.started()
        if budget_in_dollars(self._config):
            await self._price(state)
        return r.AgentCreated(agent_id=state.agent_id)

    async def _price(self, state: AgentState) -> None:
        """Look up the agent's prices; end an agent without prices, as its budget cannot be kept."""
        model = self._telemetry.model(state.agent_id)
        try:
            state.cost_of = await pricing(self._config, model, state.spec.config)
        except BaseException:
            await self._take_down(state)
            raise

    def _checkpoint_log(self) -> CheckpointLog:
        turns = self._config.kept_checkpoints(default="all" if in_kernel() else "off")
        return CheckpointLog(Limits(turns, self._config.checkpoint_bytes))

    async def _frames(self) -> FrameBuffer | None:
        """Return a buffer for a new agent's frames, None if they are not to be kept."""
        keep = self._config.keep_frames
        if not (in_kernel() if keep is None else keep):
            return None
        module = await run_in_thread(load, "agy_nb.cassette.record.frame_buffer")
        frames: FrameBuffer = module.FrameBuffer()
        return frames

    async def shutdown_agent(self, message: Any, _: object) -> r.Reply:
        """Stop an agent; its conversation stays on disk."""
        await self._take_down(self._agent(message))
        return r.Done()

    async def delete(self, message: c.Delete, _: object) -> r.Reply:
        """Stop an agent and remove its conversation from disk."""
        state = self._agent(message)
        session = state.session
        try:
            await self._take_down(state)
        finally:  # a slow exit is an error, but the state is removed all the same
            await session.delete_state()
        return r.Done()

    async def _take_down(self, state: AgentState) -> None:
        self.agents.pop(state.agent_id, None)
        await self._end(state, agent_gone(state.agent_id))

    async def _end(self, state: AgentState, reason: AgyError) -> None:
        try:
            await state.close(reason)
        finally:
            await state.checkpoints.close()
            state.listen_between_turns = lambda _event: None  # a late exit still emits events
            self._telemetry.agent_ended(state.agent_id)

    # -- chat and operations -----------------------------------------------------------------

    async def chat(self, message: c.Chat, _: object) -> r.Reply:
        """Queue a turn; the reply carries its handle."""
        response = self._start(self._agent(message), message)
        return r.ChatStarted(
            agent_id=response.agent_id, turn_id=response.turn_id, response=response
        )

    async def send(self, message: c.Send, on_queued: OnQueued | None) -> r.Reply:
        """Queue a turn without returning its handle."""
        response = self._start(self._agent(message), message)
        if on_queued is not None:
            on_queued(response)
        return r.Done()

    def _start(self, state: AgentState, message: c.Chat | c.Send) -> Response:
        state.session  # noqa: B018 - raises if the agent has ended
        state.latest = response = self._response(state, message.prompt)
        self._turns.start(state, response)
        return response

    def _response(self, state: AgentState, prompt: Prompt, kind: TurnKind = "prompt") -> Response:
        response = Response(
            agent_id=state.agent_id,
            turn_id=next(self._turn_ids),
            prompt=prompt,
            listen=partial(self._on_turn_event, state),
            model=self._telemetry.model(state.agent_id),
            pricing=self._telemetry.pricing(state.agent_id),
            kind=kind,
            output_type=output_type_of(state.spec.config),
            must_not_wait=state.must_not_wait_for_itself,
        )
        self.responses[response.turn_id] = response
        return response

    def _on_turn_event(self, state: AgentState, response: Response, event: Event) -> None:
        state.keep_note(event)
        self._telemetry.event(state.agent_id, response, event)

    def _begin_own(self, state: AgentState, event: TurnBegan) -> None:
        self._turns.accompany(state, self._response(state, event.prompt, event.kind))

    async def trigger(self, message: c.Trigger, _: object) -> r.Reply:
        """Send the text of a trigger; the reply carries the handle of the turn that answers it."""
        state = self._agent(message)
        before = state.own_turn or state.current
        await state.session.send_trigger(message.text)
        # A trigger begins a turn of its own, or the running turn answers it. That one may be over
        # by now.
        response = state.own_turn or before
        if response is None:
            msg = f"agent {state.agent_id} did not start a turn for the trigger; send it again"
            raise BackendError(msg)
        return r.ChatStarted(
            agent_id=response.agent_id, turn_id=response.turn_id, response=response
        )

    async def cancel(self, message: c.Cancel, _: object) -> r.Reply:
        """Cancel the first turn in the queue; the turns behind it continue."""
        first = self._agent(message).first
        if first is not None:
            await first.cancel()
        return r.Done()

    async def wait_for_idle(self, message: c.WaitForIdle, _: object) -> r.Reply:
        """Wait until no turn runs or waits, or until `SignalIdle`."""
        await self._agent(message).idle_signal()
        return r.Done()

    async def signal_idle(self, message: c.SignalIdle, _: object) -> r.Reply:
        """Release all callers that wait for the agent to be idle."""
        self._agent(message).signal_idle()
        return r.Done()

    async def wait_for_wakeup(self, message: c.WaitForWakeup, _: object) -> r.Reply:
        """Wait until the next event of the conversation."""
        return r.Woken(woken=await self._agent(message).wait_for_wakeup(message.timeout))

    async def clear_history(self, message: c.ClearHistory, _: object) -> r.Reply:
        """Clear the history that the SDK keeps; the model's context stays."""
        self._conversation(message).clear_history()
        return r.Done()

    # -- the end -----------------------------------------------------------------------------

    def stop(self, reason: AgyError) -> None:
        """Make every agent end, without waiting for it."""
        for state in self.agents.values():
            state.stop(reason)

    async def release(self) -> None:
        """Release the backend's resources after the end of all agents."""
        await self._backend.close()

    async def close(self, reason: AgyError) -> None:
        """End all remaining agents concurrently; log the errors of those that fail."""
        states = list(self.agents.values())
        self.agents.clear()
        ends = await asyncio.gather(
            *(self._end(state, reason) for state in states), return_exceptions=True
        )
        for state, error in zip(states, ends, strict=True):
            if isinstance(error, BaseException):
                _log.warning("agent %s did not exit cleanly: %s", state.agent_id, error)
