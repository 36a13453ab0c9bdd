"""One harness with one open conversation: opened, held and closed by one task of its own."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

from google.antigravity import agent as sdk_agent
from google.antigravity import types

from agy_nb.errors import AgyError, HarnessError
from agy_nb.protocol.events import Event
from agy_nb.sdk import config as configs
from agy_nb.sdk import errors, harness
from agy_nb.sdk.base import Sink, now
from agy_nb.sdk.contained import contained_wait
from agy_nb.sdk.process import Harness
from agy_nb.sdk.socket import EndedBy, FrameDirection, ObservedSocket
from agy_nb.sdk.state import ContextState
from agy_nb.sdk.step_frames import frame_of_step, speaks_wire
from agy_nb.sdk.tap import Tap
from agy_nb.sdk.threads import off_loop
from agy_nb.sdk.tools import contain_tools, why_not_described
from agy_nb.wire import WireReader
from agy_nb.wire.parsing import parse

_log = logging.getLogger("agy_nb.runtime")

EXIT_S = 4.0
"""Seconds that the SDK's own clean-up gets before the harness is ended."""


class Link:
    """The SDK's `Agent`, entered, with our tap on its connection.

    Attributes:
        agent: The SDK's agent.
        connection: Its connection.
        reader: Makes events of the frames that pass the socket.
        tap: What we change of the SDK for this connection; None where it does not speak the local
            harness's protocol. Then the events come from the SDK's steps.
        save_dir: Where the harness saves the conversation.
        spent: Set when a turn failed: the harness closes the connection after that.
    """

    def __init__(
        self,
        config: Any,
        sink: Sink,
        on_activity: Callable[[], None],
        options: harness.StartOptions,
        state: ContextState,
    ) -> None:
        self.agent = _agent_of(config)
        self.connection: Any = None
        self.reader = WireReader(hosted=True)
        self.tap: Tap | None = None
        self.save_dir: str | None = None
        self.spent = False
        self._sink = sink
        self._on_activity = on_activity
        self._options = options
        self._state = state
        self._harness = Harness()
        self._speaks_wire: bool | None = None
        self._socket: ObservedSocket | None = None
        self._stop = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        config: Any,
        sink: Sink,
        on_activity: Callable[[], None],
        options: harness.StartOptions,
        state: ContextState,
    ) -> Self:
        """Start the harness and open the conversation.

        Raises:
            InvalidConfig: The SDK refuses the configuration.
            HarnessError: The harness does not start.
        """
        try:
            link = cls(config, sink, on_activity, options, state)
        except Exception as error:
            raise errors.of_config(error) from error
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        link._keeper = asyncio.create_task(link._keep(opened), name="agy_nb harness")
        try:
            await asyncio.shield(opened)
        except asyncio.CancelledError:
            link._harness.kill()
            link._keeper.cancel()
            await asyncio.wait([link._keeper])
            raise
        return link

    async def _keep(self, opened: asyncio.Future[None]) -> None:
        try:
            await self._enter()
        except BaseException as error:
            self._harness.kill()
            await self._harness.stop()
            if isinstance(error, Exception):
                opened.set_exception(await self._why_not(error))
                return
            opened.cancel()
            raise
        opened.set_result(None)
        try:
            await self._stop.wait()
        finally:
            await self._exit()

    async def _why_not(self, error: Exception) -> AgyError:
        """What a start that failed is to the user; of a refusal the harness tells only in words."""
        if isinstance(error.__cause__, AgyError):  # of a replay, behind words of the SDK's
            return error.__cause__
        refused: AgyError | None = None
        if isinstance(error, RuntimeError):
            refused = await off_loop(configs.why_refused, self.agent._config)
        elif isinstance(error, ValueError | TypeError):
            refused = await off_loop(why_not_described, self.agent._config)
        return refused or errors.of_config(error)

    async def _enter(self) -> None:
        inner = self.agent._config
        create_strategy = inner.create_strategy

        def create(**runners: Any) -> Any:
            self._state.follow(**runners)
            strategy = create_strategy(**runners)
            self._harness = harness.follow(strategy, self._options, self._observe)
            self.save_dir = getattr(strategy, "_save_dir", None)
            connect = strategy.connect

            def tapped() -> Any:
                self.connection = connect()
                contain_tools(runners["tool_runner"])
                if Tap.fits(self.connection):
                    self.tap = Tap(
                        self.connection,
                        self.reader,
                        self.note,
                        self._on_activity,
                        inner.policies,
                    )
                return self.connection

            strategy.__dict__["connect"] = tapped
            return strategy

        inner.__dict__["create_strategy"] = create
        await self.agent.__aenter__()

    def _observe(self, ws: Any) -> ObservedSocket:
        self._socket = ObservedSocket(ws, self._on_frame, self._on_end)
        return self._socket

    def _on_end(self, by: EndedBy, code: int | None, reason: str) -> None:
        """The connection ends; nothing more is read from it."""
        self._tell(self.reader.end(by, now(), code=code, reason=reason))

    def _on_frame(self, direction: FrameDirection, raw: str | bytes) -> None:
        """Read a frame of either direction, as the SDK sees it."""
        frame = parse(raw)
        if self._speaks_wire is None:  # the client's first frame says which protocol it speaks
            self._speaks_wire = direction == "in" or speaks_wire(frame)
        if self._speaks_wire:
            read = self.reader.client if direction == "out" else self.reader.harness
            self._tell(read(frame, now()))

    def _tell(self, found: Iterable[Event]) -> None:
        for event in found:
            self._sink(event)

    def note(self, note: Event) -> None:
        """Take a fact that never crosses the wire; a recording of the connection keeps it."""
        self.keep_note(note)
        self._tell(self.reader.host(note))

    def keep_note(self, note: Event) -> None:
        """Have a recording of the connection keep a host note that was given out already."""
        if self._socket is not None:
            self._socket.note(note)

    async def _exit(self) -> None:
        # The SDK would wait for the process on the loop; the wait is ours.
        self.connection._process = None
        try:
            async with asyncio.timeout(EXIT_S):
                await self.agent.__aexit__(None, None, None)
        except TimeoutError:
            self._harness.kill()
        finally:
            await self._harness.stop()

    async def close(self) -> None:
        """End the conversation and the harness; blocks no loop."""
        self._stop.set()
        if self._keeper is not None:
            await asyncio.wait([self._keeper])
            if not self._keeper.cancelled() and (error := self._keeper.exception()):
                raise HarnessError(f"the agent did not exit cleanly: {error}") from error

    def begin_turn(self) -> None:
        """Have tools and hooks run in the caller's context from now on."""
        if self.tap is not None:
            self.tap.context = contextvars.copy_context()
            self.tap.denial = None

    def kill(self) -> None:
        """End the harness at once; whoever reads from it hears of it."""
        self.spent = True
        self._harness.kill()

    def expect_turn(self) -> None:
        """Have `read` wait for a turn that has begun, although the SDK has not heard of it yet."""
        if self.tap is not None:
            self.tap.expect_turn()

    @property
    def denial(self) -> str | None:
        """Why a pre-turn hook has denied the prompt of the turn, None where none has."""
        return None if self.tap is None else self.tap.denial

    @property
    def lost(self) -> bool:
        """Whether the harness has ended, or has closed the connection, or is about to."""
        return self.spent or self.broken or self._harness.exited

    @property
    def broken(self) -> bool:
        """Whether nothing comes from the harness any more."""
        return bool(self.connection._reader_task.done())

    @property
    def divergence(self) -> AgyError | None:
        """Why a replay does not go on; the SDK wraps the words of it into an error of its own."""
        error = getattr(getattr(self.connection, "_ws", None), "error", None)
        return error if isinstance(error, AgyError) else None

    async def read(self) -> None:
        """Read the SDK's steps up to the end of the turn.

        Raises:
            AntigravityCancelledError: The turn was cancelled.
            Exception: What the SDK makes of a failed turn.
        """
        async for step in self.agent.conversation.receive_steps():
            if self.tap is None:
                self._tell(self.reader.harness(frame_of_step(step), now()))

    async def settle(self, limit: float) -> bool:
        """Read on until the connection is idle, so that nothing stale is left for the next turn.

        Args:
            limit: Seconds.

        Returns:
            Whether it came to rest.
        """
        queue = self.connection._step_queue
        try:
            async with asyncio.timeout(limit):
                while not (self.connection.is_idle and queue.empty()):
                    if self.broken and queue.empty():
                        if self.tap is not None:
                            await self.tap.abandon()
                        break
                    try:
                        await self.read()
                    except types.AntigravityCancelledError:
                        continue
                    except Exception:  # noqa: BLE001, S112 - told of already, as an event
                        continue
        except TimeoutError:
            return False
        return True


_HOLDING_USERS_OBJECTS = ("tools", "hooks", "triggers", "policies", "subagents")


def _agent_of(config: Any) -> sdk_agent.Agent:
    """The SDK's agent, with the user's own objects in it.

    The SDK copies a configuration deeply before it puts those back that must not be copied. A tool
    that is a method of something large costs time then, and of something with a lock cannot be.
    """
    kept = {name: list(getattr(config, name)) for name in _HOLDING_USERS_OBJECTS}
    agent = sdk_agent.Agent(config.model_copy(update={name: [] for name in kept}))
    for name, objects in kept.items():
        setattr(agent._config, name, objects)
    agent._pending_hooks = kept["hooks"][:]
    agent._pending_triggers = [_heard_of(trigger) for trigger in kept["triggers"]]
    return agent


def _heard_of(trigger: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """A trigger whose failure is told of: nobody waits for it, and the SDK's log is quiet."""
    name = getattr(trigger, "__name__", repr(trigger))

    async def run(context: Any) -> None:
        try:
            await contained_wait(trigger(context))
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            _log.warning("trigger %s failed and is called no more: %s", name, words)
            raise

    run.__name__ = name
    return run
