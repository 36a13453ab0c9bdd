"""One harness with one open conversation. One task opens and closes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Self

from google.antigravity import Agent, types

from agy_nb.errors import AgyError, HarnessError
from agy_nb.protocol.events import Event
from agy_nb.sdk import errors
from agy_nb.sdk.config import sdk_config as configs
from agy_nb.sdk.config.agent_tools import why_not_described
from agy_nb.sdk.context_state import ContextState
from agy_nb.sdk.interfaces.agent_clock import now
from agy_nb.sdk.interfaces.open_session import Sink
from agy_nb.sdk.patches.instrumentation import Instrumentation
from agy_nb.sdk.patches.sdk_agent import agent_of
from agy_nb.sdk.process import interception, launch
from agy_nb.sdk.process.executor import run_in_thread
from agy_nb.sdk.process.harness_process import HarnessProcess
from agy_nb.sdk.process.observed_socket import EndedBy, FrameDirection
from agy_nb.sdk.step_frames import frame_of_step, speaks_wire
from agy_nb.wire import WireReader
from agy_nb.wire.frames import STEP
from agy_nb.wire.parsing import parse

EXIT_S = 4.0
"""Seconds that the SDK's own clean-up gets before the harness is ended."""

BEGIN_S = 2.0
"""Seconds that the SDK gets to notice a turn that the harness began, if it cannot be notified."""

POLL_S = 0.01
"""Seconds between two checks of a connection that offers no event to wait for."""


class HarnessConnection:
    """Open the SDK's `Agent`, and observe its connection.

    Attributes:
        agent: The SDK's agent.
        connection: The SDK's connection.
        tool_runner: The SDK's runner of host tools.
        reader: Converts frames of the socket to events; the SDK's steps instead, if the connection
            does not use the local harness's protocol.
        patches: The changes to the SDK's objects for this session.
        spent: Whether a turn failed; the harness closes the connection after that.
    """

    def __init__(
        self,
        config: Any,
        sink: Sink,
        on_activity: Callable[[], None],
        options: launch.StartOptions,
        state: ContextState,
    ) -> None:
        self.connection: Any = None
        self.tool_runner: Any = None
        self.reader: WireReader = WireReader(hosted=True)
        self.spent: bool = False
        self._sink = sink
        self._on_activity = on_activity
        self._options = options
        self._state = state
        self._harness_process = HarnessProcess()
        self._speaks_wire: bool | None = None
        self._closed_by_harness = False
        self._stop = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self.agent: Agent
        self.agent, self._config = agent_of(config, self._on_strategy)
        self.patches: Instrumentation = Instrumentation(
            self._config.policies,
            trajectory_of=self.reader.trajectory,
            note=self.note,
            on_frame=self._on_frame,
            on_end=self._on_end,
            on_activity=on_activity,
        )

    @classmethod
    async def open(
        cls,
        config: Any,
        sink: Sink,
        on_activity: Callable[[], None],
        options: launch.StartOptions,
        state: ContextState,
    ) -> Self:
        """Start the harness and open the conversation.

        Raises:
            InvalidConfigError: The SDK rejects the configuration.
            HarnessError: The harness does not start.
        """
        try:
            made = cls(config, sink, on_activity, options, state)
        except Exception as error:
            raise errors.of_config(error) from error
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        made._keeper = asyncio.create_task(made._keep(opened), name="agy_nb harness")
        try:
            await asyncio.shield(opened)
        except asyncio.CancelledError:
            made._harness_process.kill()
            made._keeper.cancel()
            await asyncio.wait([made._keeper])
            raise
        return made

    async def _keep(self, opened: asyncio.Future[None]) -> None:
        try:
            await self._enter()
        except BaseException as error:
            self._harness_process.kill()
            await self._harness_process.stop()
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
        """Return the error of a failed start for the user.

        The harness reports a rejected configuration as text only, so the likely cause is looked up.
        """
        if isinstance(error, AgyError):
            return error
        if isinstance(error.__cause__, AgyError):  # an error of a replay that the SDK has wrapped
            return error.__cause__
        refused: AgyError | None = None
        if isinstance(error, RuntimeError):
            refused = await run_in_thread(configs.why_refused, self._config)
        elif isinstance(error, ValueError | TypeError):
            refused = await run_in_thread(why_not_described, self.tool_runner)
        return refused or errors.of_config(error)

    async def _enter(self) -> None:
        # In this task, because the start reads the follower from the context in which the SDK
        # enters.
        interception.follow(
            launch.Follower(
                options=self._options, harness=self._harness_process, wrap=self.patches.wrap_socket
            )
        )
        await self.agent.__aenter__()

    def _on_strategy(self, strategy: Any, tool_runner: Any, hook_runner: Any) -> None:
        self.tool_runner = tool_runner
        self._state.follow(tool_runner, hook_runner)
        self.patches.watch_runners(tool_runner, hook_runner)
        connect = strategy.connect

        def watched() -> Any:
            self.connection = connect()
            self.patches.watch_connection(self.connection)
            return self.connection

        strategy.connect = watched

    def _on_end(self, by: EndedBy, code: int | None, reason: str) -> None:
        """Read the end of the connection."""
        self._tell(self.reader.end(by, now(), code=code, reason=reason))

    def _on_frame(self, direction: FrameDirection, raw: str | bytes) -> None:
        """Convert a frame of either direction to events."""
        frame = parse(raw)
        if self._speaks_wire is None:  # the client's first frame shows the protocol
            self._speaks_wire = direction == "in" or speaks_wire(frame)
        if self._speaks_wire:
            read = self.reader.client if direction == "out" else self.reader.harness
            self._tell(read(frame, now()))
            if direction == "in" and STEP in frame:
                self._on_activity()

    def _tell(self, found: Iterable[Event]) -> None:
        for event in found:
            self._sink(event)

    def note(self, note: Event) -> None:
        """Emit an event that never crosses the wire, and add it to a recording."""
        self.patches.keep_note(note)
        self._tell(self.reader.host(note))

    @property
    def save_dir(self) -> str | None:
        """The folder in which the harness saves the conversation."""
        return self._harness_process.save_dir

    async def _exit(self) -> None:
        # The SDK would block the loop to wait for the process; `stop` waits in a thread.
        self._harness_process.let_go()
        try:
            async with asyncio.timeout(EXIT_S):
                await self.agent.__aexit__(None, None, None)
        except TimeoutError:
            self._harness_process.kill()
        finally:
            await self._harness_process.stop()

    async def close(self) -> None:
        """End the conversation and the harness without blocking the loop."""
        self._stop.set()
        if self._keeper is not None:
            await asyncio.wait([self._keeper])
            if not self._keeper.cancelled() and (error := self._keeper.exception()):
                raise HarnessError(f"the agent did not exit cleanly: {error}") from error

    def kill(self) -> None:
        """Kill the harness; readers of its socket get an error."""
        self.spent = True
        self._harness_process.kill()

    @property
    def lost(self) -> bool:
        """Whether the harness has ended or closed the connection, or is about to."""
        return self.spent or self.broken or self._harness_process.exited

    @property
    def broken(self) -> bool:
        """Whether the SDK has stopped reading from the harness."""
        socket = self.patches.socket
        return socket is not None and not socket.is_read

    @property
    def stop_reason(self) -> str:
        """Name of the SDK's `StopReason` of the turn."""
        known = getattr(self.agent.conversation, "_last_turn_stop_reason", None)
        return types.StopReason.UNSPECIFIED.value if known is None else str(known.value)

    @property
    def divergence(self) -> AgyError | None:
        """The error of a replay; the SDK wraps only its text in an error of its own."""
        replay = self.patches.replay
        error = None if replay is None else replay.error
        return error if isinstance(error, AgyError) else None

    def must_have_succeeded(self, raised: Exception | None) -> None:
        """Check that a turn did not fail; a harness whose turn failed is not used again.

        Args:
            raised: What the SDK raised while the turn was read.

        Raises:
            AgyError: The error that ended the turn.
        """
        ended_by = errors.of_turn(
            raised, failure=self.reader.failure, stop_reason=self.stop_reason, lost=self.broken
        )
        if ended_by is not None:
            self.spent = True
            raise ended_by from (None if ended_by is raised else raised)

    async def read(self) -> None:
        """Read the SDK's steps up to the end of the turn.

        Raises:
            AntigravityCancelledError: The turn was cancelled.
            Exception: The SDK's error of a failed turn.
        """
        try:
            async for step in self.agent.conversation.receive_steps():
                if not self._speaks_wire:
                    self._tell(self.reader.harness(frame_of_step(step), now()))
        except types.AntigravityCancelledError:
            self._note_end()
            raise
        self._note_end()

    async def wait_until_busy(self) -> None:
        """Wait until the SDK has noticed a turn that the harness began.

        Only needed if the SDK cannot be notified of a turn. While its connection counts as idle,
        reading from it ends at once, so the turn would be over before its first step.
        """
        if self.patches.announces_turns:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEGIN_S):
                while self.connection.is_idle and not self.lost:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(POLL_S)

    def _note_end(self) -> None:
        """Note why the SDK's stream ended: it is idle, or the harness closed the connection."""
        self._closed_by_harness = not self.connection.is_idle

    async def settle(self, limit: float) -> bool:
        """Read until the connection is idle, so that no old frame reaches the next turn.

        Args:
            limit: Most seconds to wait.

        Returns:
            Whether the connection became idle.
        """
        try:
            async with asyncio.timeout(limit):
                while not self._closed_by_harness:
                    try:
                        await self.read()
                    except types.AntigravityCancelledError:
                        pass
                    except Exception:
                        # An error can be left in the SDK's queue, as after an HTTP 401. Read past
                        # it: the connection may still become idle. An error can come without a
                        # wait, so the loop gets a step: else the time-out could never fire.
                        await asyncio.sleep(0)
                        continue
                    if self.connection.is_idle:
                        return True
        except TimeoutError:
            return False
        await self.patches.abandon()
        return True
