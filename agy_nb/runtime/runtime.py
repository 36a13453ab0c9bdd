"""The public `Runtime`: a command loop with its backend and its agents."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack

from agy_nb import kernel
from agy_nb.errors import ChannelClosedError, WrongLoopError
from agy_nb.kernel.environment import in_kernel, main_loop
from agy_nb.kernel.loops.other_loop import is_reachable, run_on
from agy_nb.kernel.short_traceback import INTERRUPTED, shorten
from agy_nb.protocol import replies as r
from agy_nb.protocol.amounts import counted
from agy_nb.protocol.commands import Command, CreateAgent, ShutdownAgent
from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.labels import checked_labels
from agy_nb.runtime.approvals.approval_gate import AskUser
from agy_nb.runtime.command_loop import FORKED, LOOP_IS_CLOSED, CommandLoop, LoopStatistics
from agy_nb.runtime.handlers import CreateAgentPayload, Handlers
from agy_nb.runtime.limits.quota import QuotaRegistry, QuotaStatus
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.runtime.telemetry import Telemetry, default_telemetry
from agy_nb.runtime.turns.response import Response
from agy_nb.runtime.turns.turn_runner import TurnRunner
from agy_nb.sdk.config.agent_settings import AgentSettings, listed, with_settings
from agy_nb.sdk.interfaces.agent_clock import now
from agy_nb.sdk.interfaces.agent_spec import AgentSpec
from agy_nb.sdk.interfaces.open_session import Backend
from agy_nb.sdk.lazy_backend import LazyBackend
from agy_nb.views import views

if TYPE_CHECKING:
    from agy_nb.analysis.tables import Tables
    from agy_nb.runtime.agent import Agent


def _loop_time() -> float:
    """Return the running loop's time, which tests may advance; monotonic time without a loop."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


class Host(Protocol):
    """The parts of a kernel that a runtime uses."""

    def busy(self) -> contextlib.AbstractContextManager[None]:
        """Return a context manager that is active while a turn runs."""
        ...

    def on_interrupt(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call a function on each interrupt; return a function that stops this."""
        ...


class Runtime:
    """Run agents on one event loop, with common limits and tables.

    Args:
        config: Limits and pauses; the defaults when None.
        backend: Opens sessions; the real SDK when None.
        host: The kernel that the runtime runs in; the one of this process when None.
        telemetry: Collects the data of `tables`; in memory when None.
        loop: The event loop to use; the one that runs at its first use when None.

    Example:
        >>> async with agy.Runtime(agy.RuntimeConfig(chat_timeout=30)) as rt:
        ...     agent = await rt.create_agent()
        ...     print(await agent.chat_text("Hello"))
        agy_nb: no GEMINI_API_KEY is set, so a local echo model answers
        You said: Hello...
    """

    def __init__(
        self,
        config: RuntimeConfig | None = None,
        *,
        backend: Backend | None = None,
        host: Host | None = None,
        telemetry: Telemetry | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.config: RuntimeConfig = config or RuntimeConfig()
        self._backend: Backend = backend or LazyBackend()
        self._host: Host = host or kernel.current_host()
        self._telemetry = telemetry
        self._home = loop
        self._core: CommandLoop | None = None
        self._handlers: Handlers | None = None
        self._quota = QuotaRegistry(self.config.max_quota_keys, clock=_loop_time)
        self._turns = TurnRunner(self.config, self._quota, self._host.busy)
        self._forget_interrupts: Callable[[], None] = lambda: None
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        self._background: set[asyncio.Future[Any]] = set()

    # -- life --------------------------------------------------------------------------------

    def _started(self) -> CommandLoop:
        if self.closed:
            msg = f"the runtime {FORKED if self.forked else 'is closed'}; create another one"
            raise ChannelClosedError(f"{msg} (agy.runtime() does this automatically)")
        if self._core is None:
            self._handlers = Handlers(self._backend, self._turns, self.config, self.telemetry)
            self._core = CommandLoop(self._handlers, self.config)
            self._home = self._core.loop
            main_loop()  # notes this loop, so that agent.sync finds it from other threads
            self._forget_interrupts = self._host.on_interrupt(self._on_interrupt)
        return self._core

    def _elsewhere(self) -> asyncio.AbstractEventLoop | None:
        """Return the runtime's loop if the caller is on another one and can reach it."""
        home = self._home
        if home is None or home is asyncio.get_running_loop():
            return None
        return home if is_reachable(home) else None

    async def __aenter__(self) -> Self:
        if (home := self._elsewhere()) is not None:
            return await run_on(home, self.__aenter__())
        self._started()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every agent and the command loop; a second call only waits for the first.

        A call that is cancelled stops waiting, but the runtime still closes. Call `close` again to
        wait for that.

        Raises:
            AgyTimeoutError: An agent or the loop does not end within its limit.
            WrongLoopError: Called from another event loop.
        """
        if (home := self._elsewhere()) is not None:
            await run_on(home, self.close())
            return
        core = self._core
        if core is not None and not core.loop.is_closed():
            core.must_be_here()
        if self._closing is None or self._closing.cancelled():
            self._closed = True
            self._closing = asyncio.create_task(self._close(core), name="agy_nb close")
        elif self._closing.done():
            return  # the first call has raised its errors
        await asyncio.shield(self._closing)

    async def _close(self, core: CommandLoop | None) -> None:
        self._forget_interrupts()
        try:
            await self._close_parts(core)
        except RuntimeError as error:
            if core is not None and core.loop.is_closed():
                raise WrongLoopError(LOOP_IS_CLOSED) from error
            raise

    async def _close_parts(self, core: CommandLoop | None) -> None:
        try:
            if core is not None:
                await core.shut_down()
        finally:
            await self._turns.close()
            await self._backend.close()

    @property
    def closed(self) -> bool:
        """Whether the runtime accepts no more commands."""
        return self._closed or (self._core is not None and self._core.closed)

    @property
    def forked(self) -> bool:
        """Whether this process was forked from the one that runs the runtime."""
        return self._core is not None and self._core.forked

    # -- commands ----------------------------------------------------------------------------

    async def submit(self, command: Command, payload: Any = None) -> r.Reply:
        """Send a command of the protocol and wait for its reply.

        Args:
            command: The command.
            payload: What travels with it and JSON cannot hold.

        Returns:
            The command's reply; never `Failed`, which is raised as an exception instead.

        Raises:
            ChannelClosedError: The runtime is closed, or closed before it answered.
            AgyTimeoutError: The round trip took longer than its limit.
            WrongLoopError: Called from another event loop.
            AgyError: The command failed.
        """
        if asyncio.get_running_loop() is not self._home and (home := self._elsewhere()):
            return await run_on(home, self.submit(command, payload))
        core, queued_at = self._started(), now()
        try:
            reply = await core.submit(command, payload)
        except BaseException as error:
            self.telemetry.command(command, queued_at, error)
            if isinstance(error, asyncio.CancelledError):
                shorten(error, INTERRUPTED)
            raise
        self.telemetry.command(command, queued_at, None)
        return reply

    async def request(self, command: Command) -> r.Reply:
        """Like `submit`, with a `Failed` reply in place of an error.

        Args:
            command: The command.

        Returns:
            The command's reply.

        Example:
            >>> from agy_nb.protocol.commands import IsIdle
            >>> await agy.runtime().request(IsIdle(agent_id=agent.id))
            Idle(idle=True)
        """
        try:
            return await self.submit(command)
        except Exception as error:
            return r.Failed(error=to_info(error))

    def response(self, turn_id: int) -> Response | None:
        """Find the handle of a turn by its number.

        Args:
            turn_id: Number of the turn, from `Response.turn_id`.

        Returns:
            The handle; None if the turn is over and no code holds its handle any more.
        """
        return self._handlers.responses.get(turn_id) if self._handlers else None

    async def create_agent(
        self,
        config: Any = None,
        *,
        tools: Sequence[Callable[..., Any]] = (),
        policies: Sequence[Any] = (),
        hooks: Sequence[Any] = (),
        triggers: Sequence[Any] = (),
        ask_user: AskUser | None = None,
        labels: Mapping[str, str] | None = None,
        **settings: Unpack[AgentSettings],
    ) -> Agent:
        """Start an agent on this runtime.

        Args:
            config: The SDK's `LocalAgentConfig` (or another configuration class of the SDK), a
                mapping of its fields, or None for the default: Gemini if `GEMINI_API_KEY` is set, a
                local echo model otherwise.
            tools: Host functions, plain or async, added to those of the configuration.
            policies: The SDK's policies. They replace the default ones, or are added to those that
                the configuration sets.
            hooks: The SDK's hooks, added to those of the configuration.
            triggers: The SDK's triggers, added to those of the configuration.
            ask_user: Decides on tool calls of this agent and its subagents. A function, plain or
                async, of an `ApprovalRequest`, or of the tool's name and arguments; True runs the
                tool. Without policies it is asked about every call except reading in the
                workspace. A method `answer` of the handler answers the model's questions. If its
                attribute `edits` is True, it may change a call's arguments, see `ApprovalDecision`;
                it is then called from a hook of the SDK that is part of the configuration. In a
                notebook the default is `agy.widgets.approve()`, which asks about commands, about
                calls that send data away, and about file tools outside the workspace.
            labels: Labels of the agent, such as `{"user": "ada", "experiment": "b"}`. They are
                columns of the tables, and recordings keep them, after redaction.
            **settings: Fields of the SDK's configuration by name, such as `model="..."`; see
                `agy.create_agent`. They replace those of `config`.

        Returns:
            The agent, started.

        Raises:
            InvalidConfigError: The SDK or agy_nb rejects the configuration; `field` names the
                setting.
            InvalidInputError: A label is not a short text.
            HarnessError: The harness does not start.
            AgyTimeoutError: The start takes longer than `start_timeout` seconds.
            ChannelClosedError: The runtime is closed.
        """
        spec, handler = agent_spec(
            with_settings(config, settings),
            tools=tools,
            policies=policies,
            hooks=hooks,
            triggers=triggers,
            ask_user=ask_user,
            labels=labels,
        )
        reply = await self.submit(CreateAgent(), CreateAgentPayload(spec, handler))
        assert isinstance(reply, r.AgentCreated)
        return self.handle_of(reply.agent_id, handler)

    def handle_of(self, agent_id: int, ask_user: AskUser | None) -> Agent:
        """Make the handle of an agent that has just started.

        Args:
            agent_id: Number of the agent.
            ask_user: Its approval handler.

        Returns:
            The handle. The agent ends when its handle is garbage-collected.

        Raises:
            ChannelClosedError: The agent was shut down since its start.
        """
        from agy_nb.runtime.agent import Agent

        state = self._handlers.agents.get(agent_id) if self._handlers else None
        if state is None:
            msg = f"agent {agent_id} was shut down during its start; create another one"
            raise ChannelClosedError(msg)
        return Agent(self, state, ask_user)

    # -- state -------------------------------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The runtime's event loop; None before its first use, unless it was passed."""
        return self._home

    @property
    def agent_ids(self) -> tuple[int, ...]:
        """Numbers of the agents that run."""
        return tuple(self._handlers.agents) if self._handlers else ()

    def statistics(self) -> LoopStatistics:
        """Count waiting commands, running tasks and agents.

        Returns:
            The current numbers and the capacity of the channel.
        """
        if self._core is None:
            return LoopStatistics(
                queued=0, capacity=self.config.channel_capacity, tasks=0, agents=0
            )
        return self._core.statistics()

    def quota(self) -> QuotaStatus:
        """Report quota errors of this runtime's API keys.

        Returns:
            The most quota errors in a row of any key, and whether turns must wait now.
        """
        return self._quota.status()

    @property
    def telemetry(self) -> Telemetry:
        """The object that collects the data of `tables`."""
        if self._telemetry is None:
            self._telemetry = default_telemetry(self.config.prices)
        return self._telemetry

    @property
    def tables(self) -> Tables:
        """Everything that happened on this runtime so far, as DataFrames; also after its end.

        Example:
            >>> response = await (await agent.chat("Hello"))
            >>> usage = agy.runtime().tables.usage(by="agent")
            >>> bool(usage.total_tokens.sum() > 0)
            True
        """
        return self.telemetry.tables()

    # -- interrupts and dropped handles ------------------------------------------------------

    def _on_interrupt(self, where: Any) -> None:
        """Cancel the turns that a cell waits for, or all turns if the kernel is idle.

        An interrupt of a running cell means "stop this cell". Turns that other cells or widgets
        started in the background continue. With no cell running, the user can only mean the turns.
        """
        if self._handlers is None:
            return
        for state in self._handlers.agents.values():
            for response in tuple(state.responses):
                if where == "idle" or response.awaited:
                    task = asyncio.ensure_future(response.cancel())
                    self._background.add(task)
                    task.add_done_callback(self._background.discard)

    def drop(self, agent_id: int) -> None:
        """Shut down an agent whose handle was garbage-collected. Never blocks; for any thread.

        Args:
            agent_id: Number of the agent; unknown numbers are ignored.
        """
        loop = self.loop
        if self.closed or loop is None or loop.is_closed():
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._drop, agent_id)

    def _drop(self, agent_id: int) -> None:
        if not self._closed and agent_id in self.agent_ids:
            task = asyncio.ensure_future(self.request(ShutdownAgent(agent_id=agent_id)))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    def _repr_html_(self) -> str:
        """Show the agents with their tokens and cost in a notebook."""
        from agy_nb.runtime.notebook_html import runtime_html

        return runtime_html(self)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "running" if self._core else "not started"
        return f"<Runtime {state}, {counted(len(self.agent_ids), 'agent')}>"


def agent_spec(
    config: Any,
    *,
    tools: Sequence[Callable[..., Any]],
    policies: Sequence[Any],
    hooks: Sequence[Any],
    triggers: Sequence[Any],
    ask_user: AskUser | None,
    labels: Mapping[str, str] | None,
) -> tuple[AgentSpec, AskUser | None]:
    """Collect the parts of an agent; see `Runtime.create_agent`.

    Returns:
        The agent, and its approval handler.

    Raises:
        InvalidInputError: A label is not a short text.
        InvalidConfigError: A part is not a list.
    """
    handler = ask_user if ask_user is not None else _person_at_the_notebook()
    spec = AgentSpec(
        config=config,
        tools=listed("tools", tools),
        policies=listed("policies", policies),
        hooks=listed("hooks", hooks),
        triggers=listed("triggers", triggers),
        answer=getattr(handler, "answer", None),
        asks_user=ask_user is not None,
        asks_by_default=handler is not None,
        edits=getattr(handler, "edits", False) is True,
        labels={} if labels is None else checked_labels(labels),
    )
    return spec, handler


def _person_at_the_notebook() -> AskUser | None:
    """Return the default approval handler: a widget in a notebook, None elsewhere."""
    if not in_kernel():
        return None
    return views().approve()
