"""The command loop: one task, on the loop that is running, takes commands off a bounded channel.

Theory of operation. `submit` puts an envelope on the channel and waits for its reply. The loop
takes envelopes in order. A query is answered in the loop's own turn; anything else becomes a task,
so that no command waits behind another. `Shutdown` ends the loop; whatever is still waiting then is
told so.

Rule 1: every command gets exactly one reply, or its sender an error.
Rule 2: nothing that a command does can end the loop, but `Shutdown`.
Rule 3: waiting for a place in the channel counts against the command's time.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from agy_nb.errors import (
    AgyError,
    AgyTimeoutError,
    BackendError,
    ChannelClosedError,
    WrongLoopError,
)
from agy_nb.protocol import commands as c, replies as r
from agy_nb.runtime.handlers import Handlers
from agy_nb.runtime.runtime_config import RuntimeConfig

_WAKEUP_MARGIN_S = 5.0
_Exit = c.ShutdownAgent | c.Delete | c.Disconnect
_ENDS_WITH_ITS_SENDER = (c.CreateAgent, c.Chat, c.Send, c.WaitForIdle, c.WaitForWakeup)
"""Commands that are not carried out for a sender that was cancelled, or ran out of time."""


FORKED = "is that of the process which this one was forked from"
"""Said of a runtime and its agents in a child of the process that they live in."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A command on its way, with what travels beside it and where its reply goes.

    It also carries the sender's context: what a tool or a handler prints goes to the cell that sent
    the command, not to the one that made the runtime.
    """

    command: c.Command
    beside: Any
    reply: asyncio.Future[r.Reply]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    def answer(self, reply: r.Reply) -> None:
        """Give the reply, if anybody still waits for it."""
        if not self.reply.done():
            self.reply.set_result(reply)

    def refuse(self, error: AgyError) -> None:
        """Give the error, if anybody still waits for it."""
        if not self.reply.done():
            self.reply.set_exception(error)


class LoopStatistics(NamedTuple):
    """How a command loop stands.

    Attributes:
        queued: Commands in the channel.
        capacity: Places that the channel has.
        tasks: Commands that are being carried out.
        agents: Agents that run.
    """

    queued: int
    capacity: int
    tasks: int
    agents: int


class CommandLoop:
    """Carries out the commands of one runtime.

    Args:
        handlers: What each command does.
        config: The runtime's limits.
    """

    def __init__(self, handlers: Handlers, config: RuntimeConfig) -> None:
        self._handlers = handlers
        self._config = config
        self._round_trip = config.round_trip
        self.loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._channel: asyncio.Queue[Envelope] = asyncio.Queue(config.channel_capacity)
        self._tasks: dict[asyncio.Task[None], Envelope] = {}
        self._cancelling: set[asyncio.Future[None]] = set()
        self._closing = False
        self._senders = 0
        self._over = False
        self._task = asyncio.create_task(self._run(), name="agy_nb command loop")

    @property
    def closed(self) -> bool:
        """Whether it takes no commands any more."""
        return self._closing or self._task.done() or self.forked

    @property
    def forked(self) -> bool:
        """Whether this process is a child of the one that the loop lives in."""
        return os.getpid() != self._pid

    def statistics(self) -> LoopStatistics:
        """How it stands now."""
        return LoopStatistics(
            self._channel.qsize(),
            self._channel.maxsize,
            len(self._tasks),
            len(self._handlers.agents),
        )

    # -- the sender's side -------------------------------------------------------------------

    async def submit(self, command: c.Command, beside: Any = None) -> r.Reply:
        """Send a command and wait for its reply.

        Args:
            command: What is wanted.
            beside: What travels with it and JSON cannot hold.

        Raises:
            ChannelClosedError: The runtime is closed, or closed before it answered.
            AgyTimeoutError: The round trip took longer than its limit.
            WrongLoopError: Called from another event loop.
            AgyError: What the command failed with.
        """
        self.must_be_here()
        if self.closed:
            raise _closed()
        envelope = Envelope(command, beside, self.loop.create_future())
        limit: float | None = self._limit(command)
        try:
            async with asyncio.timeout(limit) as deadline:
                await self._put(envelope)
                if isinstance(command, c.WaitForIdle):  # a turn may take longer than any limit
                    limit = command.timeout
                    deadline.reschedule(None if limit is None else self.loop.time() + limit)
                return await envelope.reply
        except BaseException as error:
            self._leave(envelope)
            if isinstance(error, TimeoutError) and not isinstance(error, AgyError):
                raise AgyTimeoutError(limit or 0.0, command.type) from None
            raise

    def must_be_here(self) -> None:
        """Refuse whoever calls from another event loop.

        Raises:
            WrongLoopError: That is so.
        """
        if asyncio.get_running_loop() is not self.loop:
            msg = (
                "this runtime lives on another event loop; call it from there, or use agent.sync "
                "from other threads while that loop runs"
            )
            raise WrongLoopError(msg)

    async def _put(self, envelope: Envelope) -> None:
        self._senders += 1
        try:
            await self._channel.put(envelope)
        finally:
            self._senders -= 1
        if self._over:
            self._refuse_queued()
            raise _closed()

    def _leave(self, envelope: Envelope) -> None:
        """The sender goes without a reply; what it will never get a handle of goes, too."""
        reply = envelope.reply
        reply.cancel()
        if not reply.cancelled() and reply.exception() is None:
            self._take_back(reply.result())

    def _take_back(self, reply: r.Reply) -> None:
        """Undo a command whose sender left: its agent ends, its turn is cancelled."""
        if self._closing:
            return
        if isinstance(reply, r.AgentCreated):
            unread = self.loop.create_future()
            unread.cancel()
            self._dispatch(Envelope(c.ShutdownAgent(agent_id=reply.agent_id), None, unread))
        elif isinstance(reply, r.ChatStarted) and reply.response is not None:
            task = asyncio.ensure_future(reply.response.cancel())
            self._cancelling.add(task)
            task.add_done_callback(self._cancelling.discard)

    def _limit(self, command: c.Command) -> float:
        if isinstance(command, c.WaitForWakeup):
            return command.timeout + max(_WAKEUP_MARGIN_S, self._config.handler_timeout)
        return self._round_trip

    # -- the loop's side ---------------------------------------------------------------------

    async def _run(self) -> None:
        last: Envelope | None = None
        try:
            while last is None:
                envelope = await self._channel.get()
                if isinstance(envelope.command, c.Shutdown):
                    last = envelope
                else:
                    self._dispatch(envelope)
        finally:
            self._closing = True
            await self._close()
            if last is not None:
                last.answer(r.Done())

    def _dispatch(self, envelope: Envelope) -> None:
        """Phase by phase: a query is answered here, everything else becomes a task."""
        match envelope.command.kind:
            case c.Kind.QUERY:
                self._answer_in_place(envelope)
            case c.Kind.LIFECYCLE | c.Kind.CHAT | c.Kind.OPERATION:
                task = asyncio.create_task(
                    self._carry_out(envelope),
                    name=f"agy_nb {envelope.command.type}",
                    context=envelope.context,
                )
                self._tasks[task] = envelope
                task.add_done_callback(self._forget)
                if isinstance(envelope.command, _ENDS_WITH_ITS_SENDER):
                    envelope.reply.add_done_callback(
                        lambda reply: task.cancel() if reply.cancelled() else None
                    )
            case c.Kind.GLOBAL:
                msg = f"no phase takes {envelope.command!r}; this is a bug in agy_nb"
                envelope.refuse(BackendError(msg))

    def _answer_in_place(self, envelope: Envelope) -> None:
        try:
            handler = self._handlers.table[type(envelope.command)]
            envelope.answer(cast("r.Reply", handler(envelope.command, envelope.beside)))
        except Exception as error:  # noqa: BLE001 - one bad agent must not end the loop
            envelope.refuse(_ours(error, envelope.command))

    async def _carry_out(self, envelope: Envelope) -> None:
        command = envelope.command
        if envelope.reply.done() and isinstance(command, _ENDS_WITH_ITS_SENDER):
            return
        try:
            handler = self._handlers.table[type(command)]
            work = cast("Awaitable[r.Reply]", handler(command, envelope.beside))
            if isinstance(command, c.Send | c.SignalIdle):
                work = self._within_handler_limit(work, command)
            reply = await work
            if envelope.reply.done():
                self._take_back(reply)
            envelope.answer(reply)
        except asyncio.CancelledError:
            envelope.refuse(_closed())
            raise
        except Exception as error:  # noqa: BLE001 - one bad agent must not end the loop
            envelope.refuse(_ours(error, command))

    async def _within_handler_limit(self, work: Awaitable[r.Reply], command: c.Command) -> r.Reply:
        limit = self._config.handler_timeout
        try:
            async with asyncio.timeout(limit):
                return await work
        except TimeoutError as error:
            if isinstance(error, AgyError):
                raise
            raise AgyTimeoutError(limit, command.type) from None

    def _forget(self, task: asyncio.Task[None]) -> None:
        envelope = self._tasks.pop(task, None)
        if envelope is not None and task.cancelled():  # cancelled before its first step
            envelope.refuse(_closed())

    async def _close(self) -> None:
        """Tell everybody who waits, then end every agent that is left."""
        self._over = True
        self._handlers.stop(_closed())
        tasks = tuple(self._tasks)
        for task, envelope in tuple(self._tasks.items()):
            if not isinstance(envelope.command, _Exit):
                task.cancel()
        try:
            await self._refuse_the_rest()
        finally:  # also where a shutdown that is out of time cancels us
            await self._handlers.close(_closed())
        if tasks:
            await asyncio.wait(tasks, timeout=self._config.shutdown_timeout)
        await self._handlers.release()

    async def _refuse_the_rest(self) -> None:
        self._refuse_queued()
        # Each that gets a place now takes its envelope out again, and lets the next one in.
        while self._senders:  # noqa: ASYNC110 - a turn of the loop each, no more
            await asyncio.sleep(0)

    def _refuse_queued(self) -> None:
        while not self._channel.empty():
            self._channel.get_nowait().refuse(_closed())

    async def shut_down(self) -> None:
        """Send `Shutdown` and wait until everything has ended.

        Raises:
            AgyTimeoutError: It takes longer than `shutdown_timeout` and one agent's exit together.
        """
        if self._task.done():
            return
        limit = self._config.shutdown_timeout + self._config.exit_timeout
        if not self.closed:
            self._closing = True
            envelope = Envelope(c.Shutdown(), None, self.loop.create_future())
            try:
                self._channel.put_nowait(envelope)
            except asyncio.QueueFull:
                self._task.cancel()
        done, _ = await asyncio.wait([self._task], timeout=limit)
        if not done:
            self._task.cancel()
            raise AgyTimeoutError(limit, "shutdown", hint="what was left ends with the process")


def _closed() -> ChannelClosedError:
    return ChannelClosedError(
        "the runtime is closed; make another one (agy.runtime() does so by itself)"
    )


def _ours(error: Exception, command: c.Command) -> AgyError:
    if isinstance(error, AgyError):
        return error
    return BackendError(f"{command.type} failed: {type(error).__name__}: {error}")
