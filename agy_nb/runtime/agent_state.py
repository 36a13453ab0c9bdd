"""The state of one agent: its session, its turns, and the events that they receive."""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agy_nb.errors import (
    AgentNotStartedError,
    AgyError,
    ChannelClosedError,
    DeadlockError,
    TurnCancelledError,
)
from agy_nb.protocol.error_codec import to_error
from agy_nb.protocol.events import (
    FINAL,
    AgentStarted,
    Approval,
    ApprovalState,
    Error,
    Event,
    Question,
    State,
    StructuredOutput,
    TrajectoryState,
    TurnBegan,
    TurnState,
)
from agy_nb.protocol.values import Answer
from agy_nb.runtime.approvals.approval_gate import ApprovalGate, AskUser
from agy_nb.runtime.checkpoints.checkpoint_log import CheckpointLog, Limits
from agy_nb.runtime.limits.budgets import CostOf, Spending
from agy_nb.runtime.limits.idle_timeout import Watch
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.runtime.session_task import SessionTask
from agy_nb.runtime.turns.response import Response
from agy_nb.runtime.turns.turn_stream import TurnStream
from agy_nb.sdk.deadlocks import code_that_would_wait_for_itself, owner
from agy_nb.sdk.interfaces.agent_clock import Clock, clock_of, now
from agy_nb.sdk.interfaces.agent_spec import AgentSpec
from agy_nb.sdk.interfaces.open_session import Backend, Session

if TYPE_CHECKING:
    from agy_nb.cassette.record.frame_buffer import FrameBuffer

_CUT_S = 1.0
"""Seconds that the turns of an agent get to end after its session."""


class AgentState:
    """One agent, from its start to its exit.

    Attributes:
        agent_id: The agent's number.
        session: The conversation, after `open`.
        ask_user: The approval handler, as it was passed.
        spending: The cost of the model calls so far.
        cost_of: Returns the price of a model call; None without a budget in US dollars.
        turn: Lock of the running turn; the next turns wait for it in order.
        latest: The handle of the latest prompt's turn.
        own_turn: The running turn that the backend began without a prompt, None if there is none.
        turn_watchers: Called with the handle of each turn that is queued, or begun by the backend.
        turn_streams: Receive the same handles, and end with the agent.
        branch_watchers: Called after the agent went to another turn of its conversation.
        end_watchers: Called once, when the agent begins to end.
        frames: All frames between the agent and its harnesses, None if they are not kept.
        checkpoints: The state of the conversation after each turn.
    """

    def __init__(
        self,
        agent_id: int,
        spec: AgentSpec,
        ask_user: AskUser | None,
        config: RuntimeConfig,
        frames: FrameBuffer | None = None,
        checkpoints: CheckpointLog | None = None,
    ) -> None:
        self.agent_id = agent_id
        self.spec: AgentSpec = replace(spec, listen=None if frames is None else frames.listen)
        self.ask_user = ask_user
        self.frames = frames
        self.config = config
        self.checkpoints: CheckpointLog = checkpoints or CheckpointLog(
            Limits(0, config.checkpoint_bytes)
        )
        self.gate: ApprovalGate = ApprovalGate(
            ask_user, timeout=config.approval_timeout, emit=self.on_note, agent_id=agent_id
        )
        self.turn: asyncio.Lock = asyncio.Lock()
        self.spending: Spending = Spending()
        self.cost_of: CostOf | None = None
        self.latest: Response | None = None
        self._idle: asyncio.Future[None] | None = None
        self._unkept: dict[Response, asyncio.Future[None]] = {}
        self._asks = ask_user is not None
        self._life = SessionTask(agent_id, config)
        self._wake: asyncio.Future[None] | None = None
        self._current: Response | None = None
        self._watches: Sequence[Watch] = ()
        self._observe: Callable[[Event], None] = lambda _event: None
        self._asked: dict[str, Approval | Question] = {}
        self.listen_between_turns: Callable[[Event], None] = lambda _event: None
        self.begin_own: Callable[[TurnBegan], None] = lambda _event: None
        self.own_turn: Response | None = None
        self._early: list[Event] | None = []
        self._behind: tuple[Response, Sequence[Watch], Callable[[Event], None]] | None = None
        self.responses: dict[Response, asyncio.Task[None]] = {}
        self.turn_watchers: list[Callable[[Response], None]] = []
        self.branch_watchers: list[Callable[[], None]] = []
        self.end_watchers: list[Callable[[], None]] = []
        self.turn_streams: weakref.WeakSet[TurnStream] = weakref.WeakSet()

    # -- life --------------------------------------------------------------------------------

    async def open(self, backend: Backend) -> None:
        """Start the agent in its own task.

        Raises:
            InvalidConfigError: The SDK or agy_nb rejects the configuration.
            BackendError: The agent does not start.
            AgyTimeoutError: The start takes longer than `start_timeout`.
        """
        gate = self.gate if self._asks else None

        async def open_session() -> Session:
            # In this task, whose context the SDK's tasks inherit: in the turn of a trigger, tools
            # have no other way to know their agent.
            owner.set(self)
            return await backend.open(self.spec, self.on_event, gate)

        await self._life.open(open_session, self._note_start)

    def _note_start(self) -> None:
        branch = self.spec.branch
        self.on_note(
            AgentStarted(
                agent_id=self.agent_id,
                labels=dict(self.spec.labels),
                parent_agent_id=None if branch is None else branch.parent_agent_id,
                forked_after_turn=None if branch is None else branch.after_turn,
                parent_branch=None if branch is None else branch.parent_branch,
                at=now(),
            )
        )

    def stop(self, reason: AgyError) -> None:
        """End all turns with `reason` at once, and let the session close in its own task."""
        self.gate.close()
        for response in tuple(self.responses):
            response.finish(TurnState.CANCELLED, error=reason)
        for stream in tuple(self.turn_streams):
            stream.end()
        self.wake()
        self.signal_idle()
        self._life.stopping.set()
        watchers, self.end_watchers[:] = tuple(self.end_watchers), ()
        for watch in watchers:
            watch()

    async def close(self, reason: AgyError) -> None:
        """Stop the agent and wait for the end of its session, at most `exit_timeout` seconds.

        Raises:
            AgyTimeoutError: The exit takes longer. The runtime forgets the agent anyway.
        """
        turns = tuple(self.responses.values())
        self.stop(reason)
        try:
            await self._life.exit()
        finally:
            for task in turns:
                task.cancel()
            if turns:
                await asyncio.wait(turns, timeout=_CUT_S)

    @property
    def conversation_id(self) -> str | None:
        """The backend's id of the conversation, also after the agent's end."""
        return None if self._life.session is None else self._life.session.conversation_id

    @property
    def session(self) -> Session:
        """The open session.

        Raises:
            AgentNotStartedError: The agent has not started, or has ended.
        """
        if self._life.session is None or self._life.stopping.is_set():
            msg = f"agent {self.agent_id} is not started; create another one"
            raise AgentNotStartedError(msg)
        return self._life.session

    @property
    def clock(self) -> Clock:
        """The agent's clock: the event loop's, or that of a replayed recording."""
        return clock_of(self._life.session)

    # -- turns -------------------------------------------------------------------------------

    def enter_turn(self, response: Response, task: asyncio.Task[None]) -> None:
        """Add a queued turn and the task that runs it, and notify watchers and streams."""
        self.responses[response] = task
        for watch in tuple(self.turn_watchers):
            watch(response)
        for stream in tuple(self.turn_streams):
            stream.add(response)

    def leave_turn(self, response: Response) -> None:
        """Remove a turn that is over."""
        self.responses.pop(response, None)
        if self.is_idle:
            self.signal_idle()

    async def keep_checkpoint(self, response: Response) -> None:
        """Copy the conversation after a turn that ran; the copy never fails the turn."""
        session = self._life.session
        try:
            if session is not None and not self._life.stopping.is_set():
                await self.checkpoints.keep(response.turn_id, session)
        finally:
            if response in self._unkept:
                self._unkept.pop(response).set_result(None)

    async def ended_turns_kept(self) -> None:
        """Wait for the checkpoints of the turns that are over."""
        ended = [future for response, future in self._unkept.items() if response.done]
        if ended:
            await asyncio.wait(ended)

    def begin(
        self, response: Response, watches: Sequence[Watch], observe: Callable[[Event], None]
    ) -> None:
        """Send events to this response from now on, and its own events to `observe` as well."""
        self._current, self._watches, self._observe = response, watches, observe
        self._unkept.setdefault(response, asyncio.get_running_loop().create_future())
        self.gate.context = contextvars.copy_context()
        self.gate.refuses = False
        self._asked.clear()
        response.before_end(self._end_what_is_asked)

    def end(self) -> None:
        """Send events to no response from now on."""
        self._current = None
        self._watches = ()
        self.gate.refuses = False

    def enter_own_turn(
        self, response: Response, watches: Sequence[Watch], observe: Callable[[Event], None]
    ) -> None:
        """Send events to a turn that the backend began; a prompt that was next waits."""
        if self._current is not None:
            self._behind = self._current, self._watches, self._observe
            for watch in self._watches:
                watch.hold()
        self.own_turn = response
        self.begin(response, watches, observe)

    def leave_own_turn(self, response: Response) -> None:
        """End a turn that the backend began, and continue with the prompt that waited, if any."""
        if self.own_turn is not response:
            return
        self.own_turn = None
        self.end()
        if self._behind is not None:
            (self._current, self._watches, self._observe), self._behind = self._behind, None
            for watch in self._watches:
                watch.release()

    def _end_what_is_asked(self) -> None:
        """Deny the approvals and skip the questions of a turn that ends before their answers.

        A turn can end with open approvals: it is cancelled while the harness asks about the next
        call, or while a subagent waits. Without this, they would stay pending in its events.
        """
        if self._asked:
            self.gate.shut()
        for event in tuple(self._asked.values()):
            if isinstance(event, Question):
                skipped = (Answer(skipped=True),) * len(event.questions)
                self.on_event(replace(event, answers=skipped, at=now()))

    def must_not_wait_for_itself(self) -> None:
        """Check that the caller is not code that this agent's turn waits for.

        Raises:
            DeadlockError: The caller is such code, e.g. a tool of this agent.
        """
        if code := code_that_would_wait_for_itself(self):
            raise DeadlockError(
                f"{code} waits for agent {self.agent_id}, whose turn waits for {code}. "
                "Use agent.chat() and read the answer after this turn, or ask "
                "another agent"
            )

    async def idle_signal(self) -> None:
        """Wait until no turn runs or waits, or until `signal_idle`."""
        if not self.is_idle:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            # All callers wait for one future. Without the shield, a caller that is cancelled would
            # release the others.
            await asyncio.shield(self._idle)

    def signal_idle(self) -> None:
        """Release all callers that wait for the agent to be idle."""
        if self._idle is not None:
            self._idle.set_result(None)
            self._idle = None

    @property
    def is_idle(self) -> bool:
        """Whether no turn runs or waits."""
        return not self.responses

    @property
    def current(self) -> Response | None:
        """The turn that receives the events, None if no turn runs."""
        return self._current

    @property
    def first(self) -> Response | None:
        """The turn that runs, or the next one if it still waits for a pause or the quota.

        Finished turns are skipped: they stay in `responses` until, e.g., the harness has halted.
        """
        return next((response for response in self.responses if not response.done), None)

    # -- events ------------------------------------------------------------------------------

    def on_note(self, note: Event) -> None:
        """Pass a host note, which never crosses the wire, to a recording and to the turn."""
        if self._life.session is not None:
            self._life.session.note(note)
        self.on_event(note)

    def keep_note(self, event: Event) -> None:
        """Record an event that never crosses the wire, if a recording runs."""
        host_only = isinstance(event, State) or (isinstance(event, Error) and event.fatal)
        if host_only and self._life.session is not None:
            self._life.session.note(event)

    def started(self) -> None:
        """Replay the events of a turn that began during the start, now that the agent is known."""
        early, self._early = self._early or (), None
        for event in early:
            self.on_event(event)

    def on_event(self, event: Event) -> None:
        """Pass an event of the session to the running turn.

        The order matters. Events before `started` wait, because the runtime does not know the agent
        yet and could not give the turn a number. A `TurnBegan` without a prompt first creates its
        turn, which then receives the event. Events outside any turn go to the tables only.
        """
        self.wake()
        if self._early is not None and (self._early or isinstance(event, TurnBegan)):
            self._early.append(event)  # a trigger may fire while the agent starts
            return
        if isinstance(event, TurnBegan) and event.kind != "prompt" and self._may_begin_own:
            self.begin_own(event)
        response = self._current
        if response is None or response.done:
            self.listen_between_turns(event)
            return
        for watch in self._watches:
            watch.touch()
        asked = event if isinstance(event, Approval | Question) else None
        key = "" if asked is None else _key_of(asked)
        # The prompt has not been sent yet, or its turn has just ended, so the event belongs to no
        # turn. Only a decision on a request that the turn has shown must still reach it: it would
        # stay pending.
        if not self._under_way and key not in self._asked:
            self.listen_between_turns(event)
            return
        if response is self.own_turn and isinstance(event, State) and event.state in FINAL:
            _finish(response, event.state)
            self.leave_own_turn(response)
            return
        response.emit(event)
        if asked is not None:
            self._on_asked(asked, response)
        self._observe(event)

    @property
    def _may_begin_own(self) -> bool:
        """Whether a `TurnBegan` of the backend starts a new turn; during a turn it joins that."""
        if self._life.stopping.is_set() or self._life.session is None:
            return False
        return self.own_turn is None and not (self._current is not None and self._under_way)

    @property
    def _under_way(self) -> bool:
        """Whether the current turn has started; it may still wait for the end of a trigger's."""
        return self.own_turn is not None or self._life.session is None or self._life.session.in_turn

    def _on_asked(self, event: Approval | Question, response: Response) -> None:
        """Stop the turn's clocks while the user is asked, and set its state."""
        before, key, waits = bool(self._asked), _key_of(event), _waits(event)
        if waits and key not in self._asked:
            self._asked[key] = event
            for watch in self._watches:
                watch.hold()
        elif not waits and key in self._asked:
            del self._asked[key]
            for watch in self._watches:
                watch.release()
        if before != bool(self._asked):
            state = TurnState.WAITING_FOR_USER if self._asked else TurnState.RUNNING
            response.emit(State(trajectory=response.root, state=state))

    def wake(self) -> None:
        """Release all callers of `wait_for_wakeup`."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        self._wake = None

    async def wait_for_wakeup(self, limit: float) -> bool:
        """Wait until the next event, and return whether there was one.

        Args:
            limit: Most seconds to wait.
        """
        loop = asyncio.get_running_loop()
        if self._wake is None:
            self._wake = loop.create_future()
        wake, late = self._wake, loop.create_future()
        clock = self.clock
        timer = clock.call_at(clock.time() + limit, late.cancel)
        try:
            # `wake` is shared, so a time-out must not cancel it, as `wait_for` would. `late` only
            # marks the time-out, on a clock that a replay can advance.
            await asyncio.wait([wake, late], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        return wake.done()


def _finish(response: Response, state: TurnState) -> None:
    """End a turn that the backend began, with the error and output from its events."""
    error, stop_reason, output = None, None, None
    for event in response.event_log:
        if isinstance(event, Error) and event.fatal:
            error = to_error(event.error)
        elif isinstance(event, TrajectoryState) and event.trajectory.is_root:
            stop_reason = event.stop_reason
        elif isinstance(event, StructuredOutput) and event.trajectory.is_root:
            output = event.value
    if state is TurnState.CANCELLED:
        error = TurnCancelledError(response.partial_text)
    response.finish(state, error=error, stop_reason=stop_reason, structured_output=output)


def _key_of(event: Approval | Question) -> str:
    return event.approval_id if isinstance(event, Approval) else event.question_id


def _waits(event: Approval | Question) -> bool:
    if isinstance(event, Approval):
        return event.state is ApprovalState.PENDING
    return event.answers is None


def agent_gone(agent_id: int) -> ChannelClosedError:
    """Return the error of a turn whose agent was shut down."""
    return ChannelClosedError(f"agent {agent_id} was shut down before its turn was over")
