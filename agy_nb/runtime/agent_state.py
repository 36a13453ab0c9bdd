"""What the loop keeps of each agent, and the task that owns its life.

Rule 1: one task opens a session and closes it; nobody else does either.
"""

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
    AgyTimeoutError,
    BackendError,
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
from agy_nb.runtime.approval_gate import ApprovalGate, AskUser
from agy_nb.runtime.limits.budgets import CostOf, Spending
from agy_nb.runtime.limits.idle_timeout import Watch
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.runtime.turns.response import Response
from agy_nb.runtime.turns.turn_stream import TurnStream
from agy_nb.sdk.deadlocks import code_that_would_wait_for_itself, owner
from agy_nb.sdk.interfaces import AgentSpec, Backend, Clock, Session, clock_of, now

if TYPE_CHECKING:
    from agy_nb.cassette.record.frame_buffer import FrameBuffer

_CUT_S = 1.0
"""Seconds for what is left of an agent's turns, once its session has ended."""


class AgentState:
    """One agent, from its start to its exit.

    Attributes:
        agent_id: Its number.
        session: Its live conversation, once `open` is through.
        spending: What its model calls cost so far.
        cost_of: Prices a model call, where the runtime has a budget in US dollars.
        turn: Held by the turn that runs; the next ones wait in order.
        latest: The handle of the turn that was queued last.
        own_turn: The turn that the backend has begun by itself and that runs.
        turn_watchers: Called with the handle of each turn that is queued, or begun by the backend.
        turn_streams: Given the same handles, and ended with the agent.
        frames: What it and its harnesses have said to each other, None where nobody listens.
    """

    def __init__(
        self,
        agent_id: int,
        spec: AgentSpec,
        ask_user: AskUser | None,
        config: RuntimeConfig,
        frames: FrameBuffer | None = None,
    ) -> None:
        self.agent_id = agent_id
        self.spec = spec if frames is None else replace(spec, listen=frames.listen)
        self.frames = frames
        self.config = config
        self.gate = ApprovalGate(
            ask_user, timeout=config.approval_timeout, emit=self.on_note, agent_id=agent_id
        )
        self.turn = asyncio.Lock()
        self.spending = Spending()
        self.cost_of: CostOf | None = None
        self.latest: Response | None = None
        self._idle: asyncio.Future[None] | None = None
        self._asks = ask_user is not None
        self._session: Session | None = None
        self._stop = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._current: Response | None = None
        self._watches: Sequence[Watch] = ()
        self._see: Callable[[Event], None] = lambda _event: None
        self._asked: dict[str, Approval | Question] = {}
        self.listen_between_turns: Callable[[Event], None] = lambda _event: None
        self.begin_own: Callable[[TurnBegan], None] = lambda _event: None
        self.own_turn: Response | None = None
        self._early: list[Event] | None = []
        self._behind: tuple[Response, Sequence[Watch], Callable[[Event], None]] | None = None
        self.responses: dict[Response, asyncio.Task[None]] = {}
        self.turn_watchers: list[Callable[[Response], None]] = []
        self.turn_streams: weakref.WeakSet[TurnStream] = weakref.WeakSet()

    # -- life --------------------------------------------------------------------------------

    async def open(self, backend: Backend) -> None:
        """Start the agent in a task of its own.

        Raises:
            InvalidConfigError: The configuration is refused.
            BackendError: It does not start.
            AgyTimeoutError: It takes longer than `start_timeout`.
        """
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(
            self._own(backend, opened), name=f"agy_nb agent {self.agent_id}"
        )
        try:
            async with asyncio.timeout(self.config.start_timeout):
                await asyncio.shield(opened)
        except TimeoutError as error:
            if isinstance(error, AgyError):
                raise
            await self._abandon()
            raise AgyTimeoutError(
                self.config.start_timeout,
                "create_agent",
                hint="see whether the harness starts (`agy-nb doctor`), "
                "or raise RuntimeConfig(start_timeout=...)",
            ) from None
        except asyncio.CancelledError:
            await self._abandon()
            raise

    async def _abandon(self) -> None:
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait([self._owner], timeout=self.config.exit_timeout)

    async def _own(self, backend: Backend, opened: asyncio.Future[None]) -> None:
        owner.set(self)
        try:
            gate = self.gate if self._asks else None
            self._session = await backend.open(self.spec, self.on_event, gate)
        except BaseException as error:
            if not opened.done():
                if isinstance(error, Exception):
                    opened.set_exception(_ours(error))
                    opened.exception()
                else:
                    opened.cancel()
            if isinstance(error, Exception):
                return
            raise
        self.on_note(AgentStarted(agent_id=self.agent_id, at=now()))
        if not opened.done():
            opened.set_result(None)
        try:
            await self._stop.wait()
        finally:
            await self._session.close()

    def stop(self, reason: AgyError) -> None:
        """Have the agent end: its turns with `reason` and at once, its session by itself."""
        self.gate.close()
        for response in tuple(self.responses):
            response.finish(TurnState.CANCELLED, error=reason)
        for stream in tuple(self.turn_streams):
            stream.end()
        self.wake()
        self.signal_idle()
        self._stop.set()

    async def close(self, reason: AgyError) -> None:
        """Stop the agent and wait until its session has ended, `exit_timeout` at the most.

        Raises:
            AgyTimeoutError: The exit takes longer; the agent counts as gone all the same.
        """
        turns = tuple(self.responses.values())
        self.stop(reason)
        try:
            await self._exit()
        finally:
            for task in turns:
                task.cancel()
            if turns:
                await asyncio.wait(turns, timeout=_CUT_S)

    async def _exit(self) -> None:
        if self._owner is None:
            return
        _, late = await asyncio.wait([self._owner], timeout=self.config.exit_timeout)
        if late:
            self._owner.cancel()
            raise AgyTimeoutError(
                self.config.exit_timeout,
                f"exit of agent {self.agent_id}",
                hint="its harness was left to end by itself",
            )
        if not self._owner.cancelled() and (error := self._owner.exception()):
            raise _ours(error)

    @property
    def conversation_id(self) -> str | None:
        """The backend's id of the conversation, also after its end."""
        return None if self._session is None else self._session.conversation_id

    @property
    def session(self) -> Session:
        """The live conversation.

        Raises:
            AgentNotStartedError: There is none.
        """
        if self._session is None or self._stop.is_set():
            msg = f"agent {self.agent_id} is not started; create another one"
            raise AgentNotStartedError(msg)
        return self._session

    @property
    def clock(self) -> Clock:
        """The agent's time: the loop's, or a recording's while it is replayed."""
        return clock_of(self._session)

    # -- turns -------------------------------------------------------------------------------

    def enter_turn(self, response: Response, task: asyncio.Task[None]) -> None:
        """A turn is queued; the task runs it."""
        self.responses[response] = task
        for watch in tuple(self.turn_watchers):
            watch(response)
        for stream in tuple(self.turn_streams):
            stream.add(response)

    def leave_turn(self, response: Response) -> None:
        """A turn is over."""
        self.responses.pop(response, None)
        if self.is_idle:
            self.signal_idle()

    def begin(
        self, response: Response, watches: Sequence[Watch], see: Callable[[Event], None]
    ) -> None:
        """Events go to this response from now on; `see` takes each that is the turn's own."""
        self._current, self._watches, self._see = response, watches, see
        self.gate.context = contextvars.copy_context()
        self.gate.refuses = False
        self._asked.clear()
        response.before_end(self._end_what_is_asked)

    def end(self) -> None:
        """Events go to no response."""
        self._current = None
        self._watches = ()
        self.gate.refuses = False

    def enter_own_turn(
        self, response: Response, watches: Sequence[Watch], see: Callable[[Event], None]
    ) -> None:
        """The backend began a turn by itself; a prompt that was about to be sent waits."""
        if self._current is not None:
            self._behind = self._current, self._watches, self._see
            for watch in self._watches:
                watch.hold()
        self.own_turn = response
        self.begin(response, watches, see)

    def leave_own_turn(self, response: Response) -> None:
        """The turn that the backend began is over; events go to the prompt that waited, if any."""
        if self.own_turn is not response:
            return
        self.own_turn = None
        self.end()
        if self._behind is not None:
            (self._current, self._watches, self._see), self._behind = self._behind, None
            for watch in self._watches:
                watch.release()

    def _end_what_is_asked(self) -> None:
        """Deny the approvals and skip the questions of a turn that ends before their answers.

        A turn can end with its approvals open: it is cancelled while the harness asks about the
        next call, or a subagent still waits. Without this they would stay pending in its events.
        """
        if self._asked:
            self.gate.shut()
        for event in tuple(self._asked.values()):
            if isinstance(event, Question):
                skipped = (Answer(skipped=True),) * len(event.questions)
                self.on_event(replace(event, answers=skipped, at=now()))

    def must_not_wait_for_itself(self) -> None:
        """Refuse a wait of user code that this agent's turn waits for.

        Raises:
            DeadlockError: Called from such code.
        """
        if code := code_that_would_wait_for_itself(self):
            raise DeadlockError(
                f"{code} waits for agent {self.agent_id}, whose turn waits for it, so neither "
                "would end. Use agent.chat() and read the answer after this turn, or ask another "
                "agent"
            )

    async def idle_signal(self) -> None:
        """Wait until no turn runs or waits, or until `signal_idle`."""
        if not self.is_idle:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)

    def signal_idle(self) -> None:
        """Release whoever waits for the agent to be idle."""
        if self._idle is not None:
            self._idle.set_result(None)
            self._idle = None

    @property
    def is_idle(self) -> bool:
        """Whether no turn runs or waits."""
        return not self.responses

    @property
    def current(self) -> Response | None:
        """The turn that runs."""
        return self._current

    @property
    def first(self) -> Response | None:
        """The turn that runs, or will next: it may still wait for a pause or the quota.

        A turn that is over may still wind down here, e.g. until the harness has halted.
        """
        return next((response for response in self.responses if not response.done), None)

    # -- events ------------------------------------------------------------------------------

    def on_note(self, note: Event) -> None:
        """Lead a host note, which never crosses the wire, to a recording and to the turn."""
        if self._session is not None:
            self._session.note(note)
        self.on_event(note)

    def keep_note(self, event: Event) -> None:
        """Have a recording keep an event of a turn that only this side knows of."""
        host_only = isinstance(event, State) or (isinstance(event, Error) and event.fatal)
        if host_only and self._session is not None:
            self._session.note(event)

    def started(self) -> None:
        """The runtime knows the agent: take the events of a turn that began while it started."""
        early, self._early = self._early or (), None
        for event in early:
            self.on_event(event)

    def on_event(self, event: Event) -> None:
        """Lead an event of the session to the turn that runs."""
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
        self._see(event)

    @property
    def _may_begin_own(self) -> bool:
        """Whether what the backend begins is a turn of its own; in a turn, it belongs to that."""
        if self._stop.is_set() or self._session is None:
            return False
        return self.own_turn is None and not (self._current is not None and self._under_way)

    @property
    def _under_way(self) -> bool:
        """Whether the turn itself runs; it may still wait for a trigger's to end."""
        return self.own_turn is not None or self._session is None or self._session.in_turn

    def _on_asked(self, event: Approval | Question, response: Response) -> None:
        """While the user is asked, no time passes for the turn, and its state says so."""
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
        """Something happened: release whoever waits for a wake-up."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        self._wake = None

    async def wait_for_wakeup(self, limit: float) -> bool:
        """Wait until something happens.

        Args:
            limit: Seconds at the most.
        """
        loop = asyncio.get_running_loop()
        if self._wake is None:
            self._wake = loop.create_future()
        wake, late = self._wake, loop.create_future()
        clock = self.clock
        timer = clock.call_at(clock.time() + limit, late.cancel)
        try:
            await asyncio.wait([wake, late], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        return wake.done()


def _finish(response: Response, state: TurnState) -> None:
    """End a turn of the backend's own with what its events say of it."""
    error, stop_reason, output = None, None, None
    for event in response.events:
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


def _ours(error: BaseException) -> AgyError:
    if isinstance(error, AgyError):
        return error
    return BackendError(f"{type(error).__name__}: {error}")


def gone(agent_id: int) -> ChannelClosedError:
    """What a turn ends with whose agent is taken away."""
    return ChannelClosedError(f"agent {agent_id} was shut down before its turn was over")
