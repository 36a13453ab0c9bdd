"""Read commands from a bounded channel and carry them out, in one task on the running event loop.

`submit` puts an envelope on the channel and waits for its reply. The loop reads envelopes in order.
It answers a query at once and starts a task for any other command, so that no command waits for
another. `Shutdown` ends the loop; commands that still wait then fail with `ChannelClosedError`.

Rule 1: every command gets exactly one reply, or its sender an error.
Rule 2: a command that fails does not end the loop. `Shutdown` ends it, or `shut_down` if the
channel is full or `Shutdown` takes too long.
Rule 3: waiting for a place in the channel counts against the command's time limit.
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
_ENDS_WITH_ITS_SENDER = (c.CreateAgent, c.Fork, c.Chat, c.Send, c.WaitForIdle, c.WaitForWakeup)
"""Commands that are dropped if their sender was cancelled or its time limit has passed."""


FORKED = "belongs to the parent of this forked process"
"""Part of error messages about a runtime and its agents in a forked child."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A command on its way, with its payload and where its reply goes.

    It also carries the sender's context. Without it, the output of a tool or a handler would go to
    the cell that created the runtime instead of the cell that sent the command.
    """

    command: c.Command
    payload: Any
    reply: asyncio.Future[r.Reply]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    def answer(self, reply: r.Reply) -> None:
        """Set the reply if the sender still waits for it."""
        if not self.reply.done():
            self.reply.set_result(reply)

    def refuse(self, error: AgyError) -> None:
        """Set the error if the sender still waits for a reply."""
        if not self.reply.done():
            self.reply.set_exception(error)


LOOP_IS_CLOSED = (
    "the event loop of this runtime was closed, by loop.close() or at the end of asyncio.run, "
    "before the runtime: its turns and agents have ended. Call `await runtime.close()` before you "
    "close the loop, or use `async with agy.Runtime()`"
)


class LoopStatistics(NamedTuple):
    """The load of a command loop.

    Attributes:
        queued: Commands that wait in the channel.
        capacity: Most commands that can wait in the channel.
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
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
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
        """Whether the loop accepts no more commands."""
        return self._closing or self._task.done() or self.forked

    @property
    def forked(self) -> bool:
        """Whether this process was forked from the one that runs the loop."""
        return os.getpid() != self._pid

    def statistics(self) -> LoopStatistics:
        """Return the current load."""
        return LoopStatistics(
            self._channel.qsize(),
            self._channel.maxsize,
            len(self._tasks),
            len(self._handlers.agents),
        )

    # -- the sender's side -------------------------------------------------------------------

    async def submit(self, command: c.Command, payload: Any = None) -> r.Reply:
        """Send a command and wait for its reply.

        Args:
            command: The command.
            payload: What travels with it and JSON cannot hold.

        Raises:
            ChannelClosedError: The runtime is closed, or closed before it answered.
            AgyTimeoutError: The round trip took longer than its limit.
            WrongLoopError: Called from another event loop.
            AgyError: The command failed.
        """
        self.must_be_here()
        if self.closed:
            raise _closed()
        envelope = Envelope(command, payload, self.loop.create_future())
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
            # AgyTimeoutError is a TimeoutError, too: one that the command itself raised keeps its
            # own limit and its hint.
            if isinstance(error, TimeoutError) and not isinstance(error, AgyError):
                raise AgyTimeoutError(limit or 0.0, command.type) from None
            raise

    def must_be_here(self) -> None:
        """Check that the caller is on the runtime's event loop.

        Raises:
            WrongLoopError: The caller is on another event loop.
        """
        if asyncio.get_running_loop() is not self.loop:
            msg = (
                LOOP_IS_CLOSED
                if self.loop.is_closed()
                else (
                    "this runtime belongs to another event loop; call it from that loop, or use "
                    "agent.sync from other threads while that loop runs"
                )
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
        """Cancel the reply, and undo the command if it was carried out already.

        A sender that was cancelled or timed out can no longer receive a handle. Without this, an
        agent or a turn would run on, and no caller could ever stop it.
        """
        reply = envelope.reply
        # A handler that has not answered yet finds its reply cancelled, and takes its result back.
        # After an answer, `cancel` does nothing, and the result is taken back here.
        reply.cancel()
        if not reply.cancelled() and reply.exception() is None:
            self._take_back(reply.result())

    def _take_back(self, reply: r.Reply) -> None:
        """End the agent, or cancel the turn, that a command created for a sender that has left."""
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
                # Only now: the sender of `Shutdown` may close the event loop next.
                last.answer(r.Done())

    def _dispatch(self, envelope: Envelope) -> None:
        """Answer a query here, and start a task for any other command."""
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
                msg = f"no handler for {envelope.command!r}; this is a bug in agy_nb"
                envelope.refuse(BackendError(msg))

    def _answer_in_place(self, envelope: Envelope) -> None:
        try:
            handler = self._handlers.table[type(envelope.command)]
            envelope.answer(cast("r.Reply", handler(envelope.command, envelope.payload)))
        except Exception as error:
            envelope.refuse(_ours(error, envelope.command))

    async def _carry_out(self, envelope: Envelope) -> None:
        command = envelope.command
        if envelope.reply.done() and isinstance(command, _ENDS_WITH_ITS_SENDER):
            return
        try:
            handler = self._handlers.table[type(command)]
            work = cast("Awaitable[r.Reply]", handler(command, envelope.payload))
            if isinstance(command, c.Send | c.SignalIdle):
                work = self._within_handler_limit(work, command)
            reply = await work
            if envelope.reply.done():
                self._take_back(reply)
            envelope.answer(reply)
        except asyncio.CancelledError:
            envelope.refuse(_closed())
            raise
        except Exception as error:
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
        """Fail all waiting commands, then end all remaining agents."""
        self._over = True
        self._handlers.stop(_closed())
        tasks = tuple(self._tasks)
        for task, envelope in tuple(self._tasks.items()):
            # An exit that has begun goes on. It has removed its agent from `agents`, so nothing
            # else would end the harness.
            if not isinstance(envelope.command, _Exit):
                task.cancel()
        try:
            await self._refuse_the_rest()
        finally:  # also if a shutdown that ran out of time cancels this task
            await self._handlers.close(_closed())
        if tasks:
            await asyncio.wait(tasks, timeout=self._config.shutdown_timeout)
        await self._handlers.release()

    async def _refuse_the_rest(self) -> None:
        self._refuse_queued()
        # A sender that gets a place in the channel now removes its envelope again (see `_put`),
        # and so makes a place for the next sender. This takes one step of the loop per sender.
        while self._senders:  # noqa: ASYNC110 - ends after one step of the loop per sender
            await asyncio.sleep(0)

    def _refuse_queued(self) -> None:
        while not self._channel.empty():
            self._channel.get_nowait().refuse(_closed())

    async def shut_down(self) -> None:
        """Send `Shutdown` and wait until the loop and all agents have ended.

        Raises:
            AgyTimeoutError: The shutdown takes longer than `shutdown_timeout` plus `exit_timeout`.
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
            hint = "agents that still run end with the process"
            raise AgyTimeoutError(limit, "shutdown", hint=hint)


def _closed() -> ChannelClosedError:
    return ChannelClosedError(
        "the runtime is closed; create another one (agy.runtime() does this automatically)"
    )


def _ours(error: Exception, command: c.Command) -> AgyError:
    if isinstance(error, AgyError):
        return error
    return BackendError(f"{command.type} failed: {type(error).__name__}: {error}")
