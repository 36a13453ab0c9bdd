"""The public handle of an agent.

A handle keeps no state of the conversation: it sends commands and returns their replies. When a
handle is garbage-collected, its agent is shut down in the background.
"""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from agy_nb.errors import AgentNotStartedError, InvalidInputError, WrongLoopError
from agy_nb.protocol import commands as c, replies as r
from agy_nb.protocol.events import Event, SessionOpened
from agy_nb.protocol.values import Message, TokenUsage
from agy_nb.runtime.agent_state import AgentState
from agy_nb.runtime.approvals.approval_gate import AskUser
from agy_nb.runtime.approvals.grants import Grants
from agy_nb.runtime.checkpoints.agent_branches import AgentBranches
from agy_nb.runtime.command_loop import FORKED
from agy_nb.runtime.turns.prompts import parse_prompt
from agy_nb.runtime.turns.response import Response
from agy_nb.runtime.turns.turn_stream import TurnStream
from agy_nb.runtime.watchers import added
from agy_nb.sdk.config.agent_settings import AgentSettings
from agy_nb.sdk.deadlocks import running
from agy_nb.sdk.interfaces.agent_spec import ToolInfo
from agy_nb.sdk.process.executor import run_in_thread
from agy_nb.views import views

if TYPE_CHECKING:
    from agy_nb.analysis.live.priced_usage import PricedUsage
    from agy_nb.analysis.metrics.turn_cost import Cost
    from agy_nb.analysis.tables import Tables
    from agy_nb.cassette.redaction import Rule
    from agy_nb.runtime.runtime import Runtime
    from agy_nb.runtime.sync_agent import SyncAgent
    from agy_nb.widgets.chat.panel import ChatPanel
    from agy_nb.widgets.usage.usage_view import UsageView

R = TypeVar("R")
_LONGEST_WAIT_S = 1e9
_CONVERSATION_ID = re.compile(r"[A-Za-z0-9-]{32,}")


async def _after(response: Response, clean_up: Callable[[], None]) -> None:
    """Clean up in a thread after a turn, also if its event loop ends before the turn."""
    try:
        await response.wait()
    finally:
        await run_in_thread(clean_up)


class Agent(AgentBranches):
    """Chat with an agent. `agy.create_agent` and `Runtime.create_agent` create agents.

    Every method sends one command of the protocol. All methods may raise `AgentNotStartedError`
    (the agent was shut down, deleted or disconnected, or its runtime was closed),
    `ChannelClosedError` (the runtime closed during the call), `AgyTimeoutError` (the round trip
    took longer than its limit) and `WrongLoopError` (called from another event loop).

    Attributes:
        id: The agent's number within its runtime.
        runtime: The runtime that runs the agent.
        config: The configuration, as it was passed.

    Example:
        >>> async with await agy.create_agent() as agent:
        ...     response = await agent.chat("Hello")
        ...     print(await response.text())
        You said: Hello...
    """

    def __init__(self, runtime: Runtime, state: AgentState, ask_user: AskUser | None) -> None:
        self.id: int = state.agent_id
        self.runtime = runtime
        self.config: Any = state.spec.config
        self._state = state
        self._ask_user = ask_user
        self._conversation_id: str | None = None
        self._started = True
        self._deleted = False
        self._background: set[asyncio.Future[None]] = set()
        self._drop = weakref.finalize(self, runtime.drop, self.id)
        self._drop.atexit = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shutdown()

    async def _ask(self, command: c.Command, expected: type[R]) -> R:
        self._must_be_started()
        return await self._submit(command, expected)

    async def _submit(self, command: c.Command, expected: type[R]) -> R:
        reply = await self.runtime.submit(command)
        assert isinstance(reply, expected)
        return reply

    def _must_be_started(self) -> None:
        if not self.is_started:
            what = FORKED if self.runtime.forked else "was shut down, deleted or disconnected"
            msg = f"agent {self.id} {what}; create another one"
            raise AgentNotStartedError(msg)

    # -- chat --------------------------------------------------------------------------------

    async def chat(self, prompt: Any, *, wait: bool = True, show: bool = True) -> Response:
        """Send a prompt, and return a handle that streams the answer.

        The method returns before the answer. The prompt of a second chat is sent after the end of
        the first one's turn. Cancelling the call before it returns cancels the turn.

        A cell whose last line is `await agent.chat(...)` shows the answer while it streams, and
        ends when the turn ends. So the next cell sees the complete answer in every front end.

        Args:
            prompt: Text, the SDK's `Image`, `Document`, `Audio`, `Video` or `SlashCommand`, or a
                list of these.
            wait: Whether a cell that shows the response ends when the turn ends. With False the
                cell ends at once, and the answer streams on.
            show: Whether a cell that ends with the response shows the answer. With False the cell
                shows one line about the turn, and ends at once.

        Returns:
            The handle of the turn. It streams the answer, and keeps it afterwards.

        Raises:
            InvalidPromptError: The prompt is empty, or a part is neither text nor media.
            AgentNotStartedError: The agent was shut down, deleted or disconnected.
        """
        self._must_be_started()
        command = c.Chat(agent_id=self.id, prompt=parse_prompt(prompt))
        response: Response = (await self._submit(command, r.ChatStarted)).response
        response.waits_in_cell, response.shows_itself = wait, show
        return response

    async def chat_text(self, prompt: Any) -> str:
        """Send a prompt and wait for the whole answer. Cancelling the wait cancels the turn.

        Args:
            prompt: Text, the SDK's `Image`, `Document`, `Audio` or `Video`, or a list of these.

        Returns:
            The root agent's text.

        Raises:
            AgyError: The turn failed, was cancelled or was denied.
            DeadlockError: Called by a tool, a hook or a handler that the agent's turn waits for.

        Example:
            >>> await agent.chat_text("Use get_weather for Paris")
            'get_weather says: sunny in Paris'
        """
        if running.get() is not None:
            self._state.must_not_wait_for_itself()
        response = await self.chat(prompt)
        try:
            return await response.text()
        except asyncio.CancelledError:  # no other code has this turn's handle
            await response.cancel()
            raise

    async def send(self, prompt: Any) -> None:
        """Send a prompt and do not wait for the turn.

        Cancelling the call before it returns cancels the turn.

        Args:
            prompt: Text, the SDK's `Image`, `Document`, `Audio` or `Video`, or a list of these.

        Raises:
            InvalidPromptError: The prompt is empty, or a part is neither text nor media.
            AgentNotStartedError: The agent was shut down, deleted or disconnected.
        """
        self._must_be_started()
        command = c.Send(agent_id=self.id, prompt=parse_prompt(prompt))
        queued: list[Response] = []
        try:
            await self.runtime.submit(command, queued.append)
        except BaseException:
            for response in queued:
                await response.cancel()
            raise

    async def trigger(self, text: str) -> Response:
        """Report an event to the agent, as a trigger of the SDK does.

        Args:
            text: Description of the event, for the model.

        Returns:
            The handle of the turn that answers: the one that runs, otherwise a new one.

        Raises:
            InvalidInputError: `text` is empty.
            AgentNotStartedError: The agent was shut down, deleted or disconnected.

        Example:
            >>> response = await agent.trigger("the build is red")
            >>> (await response).kind
            'trigger'
        """
        self._must_be_started()
        if not str(text).strip():
            raise InvalidInputError(f"text must not be empty, got {text!r}", field="text")
        command = c.Trigger(agent_id=self.id, text=text)
        response: Response = (await self._submit(command, r.ChatStarted)).response
        return response

    async def run_workflow(
        self,
        workflow: Any = None,
        *,
        script_path: str | Path | None = None,
        description: str = "",
    ) -> Response:
        """Run a workflow of the SDK with this agent, like the SDK's `Agent.beta.run_workflow`.

        Args:
            workflow: A function with the SDK's decorator `workflows.define`.
            script_path: Path of a workflow script, instead of a function.
            description: Description of the workflow for the model; by default the function's
                docstring.

        Returns:
            The handle of the turn. The result of its tool call `run_workflow` is the output.

        Raises:
            InvalidInputError: The workflow does not exist, or this agent may not run workflows: it
                needs `enable_subagents` and the built-in tool `run_workflow`.
            AgentNotStartedError: The agent was shut down, deleted or disconnected.
        """
        self._must_be_started()
        prompt, remove = await self._state.session.workflow_prompt(
            workflow, script_path, description
        )
        try:
            response = await self.chat(prompt)
        except BaseException:
            await run_in_thread(remove)
            raise
        cleaning = asyncio.ensure_future(_after(response, remove))
        self._background.add(cleaning)
        cleaning.add_done_callback(self._background.discard)
        return response

    def turns(self) -> AsyncIterator[Response]:
        """Iterate over the agent's turns as they begin: prompts, triggers and wake-ups.

        Returns:
            An iterator for `async for`. It yields the handles of the turns that run or wait, then
            the handle of each turn when it is queued, or when a trigger or the agent itself begins
            it. It ends with the agent.

        Raises:
            AgentNotStartedError: The agent was shut down, deleted or disconnected.

        Example:
            >>> turns = agent.turns()
            >>> response = await agent.trigger("the build is red")
            >>> async for turn in turns:
            ...     print(turn.kind, turn is response)
            ...     break
            trigger True
        """
        self._must_be_started()
        stream = TurnStream()
        for response in self._state.responses:
            stream.add(response)
        self._state.turn_streams.add(stream)
        return stream

    async def cancel(self) -> None:
        """Cancel the turn that runs, or that is next; the turns behind it continue."""
        await self._ask(c.Cancel(agent_id=self.id), r.Done)

    # -- waiting -----------------------------------------------------------------------------

    async def wait_for_idle(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as below
        """Wait until no turn runs or waits, or until `signal_idle`.

        Args:
            timeout: Most seconds to wait; None for no limit, as each turn has its own limits.

        Raises:
            AgyTimeoutError: The agent is not idle after `timeout` seconds.
            InvalidInputError: `timeout` is negative or not a number.
            DeadlockError: Called by a tool, a hook or a handler that the agent's turn waits for.
        """
        _check_timeout(timeout)
        if running.get() is not None:
            self._state.must_not_wait_for_itself()
        await self._ask(c.WaitForIdle(agent_id=self.id, timeout=timeout), r.Done)

    async def signal_idle(self) -> None:
        """Release all callers of `wait_for_idle`, also if the agent is not idle."""
        await self._ask(c.SignalIdle(agent_id=self.id), r.Done)

    async def wait_for_wakeup(self, timeout: float = 300.0) -> bool:  # noqa: ASYNC109 - as in the SDK
        """Wait until the next event of the conversation: a turn, a trigger, a subagent's message.

        Args:
            timeout: Most seconds to wait; may be longer than the limits of the runtime.

        Returns:
            Whether there was an event.

        Raises:
            InvalidInputError: `timeout` is negative or not a number.
        """
        _check_timeout(timeout)
        command = c.WaitForWakeup(agent_id=self.id, timeout=float(timeout))
        return (await self._ask(command, r.Woken)).woken

    # -- questions ---------------------------------------------------------------------------

    async def history(self) -> tuple[Message, ...]:
        """Return the conversation so far.

        Returns:
            The messages, oldest first, including those of subagents.

        Example:
            >>> await agent.chat_text("Use get_weather for Paris")
            'get_weather says: sunny in Paris'
            >>> [message.role for message in await agent.history()]
            ['user', 'model', 'model']
        """
        return (await self._ask(c.GetHistory(agent_id=self.id), r.History)).messages

    async def turn_count(self) -> int:
        """Count the turns of this session.

        Returns:
            The number of turns; a resumed conversation starts again at 0.
        """
        return (await self._ask(c.GetTurnCount(agent_id=self.id), r.TurnCount)).turns

    async def total_usage(self) -> TokenUsage | None:
        """Return the token usage of the whole session.

        Returns:
            Tokens, including subagents; None before the first model call that reported its usage.

        Example:
            >>> await agent.total_usage() is None
            True
            >>> await agent.chat_text("Hello")
            'You said: Hello...'
            >>> (await agent.total_usage()).output_tokens > 0
            True
        """
        return (await self._ask(c.GetTotalUsage(agent_id=self.id), r.UsageReport)).usage

    async def last_turn_usage(self) -> TokenUsage | None:
        """Return the token usage of the latest turn.

        Returns:
            Tokens, including subagents; None if no model call reported its usage.
        """
        return (await self._ask(c.GetLastTurnUsage(agent_id=self.id), r.UsageReport)).usage

    async def compaction_indices(self) -> tuple[int, ...]:
        """List the steps at which the model's context was compacted.

        Returns:
            Indices into the SDK's history, from 0.
        """
        reply = await self._ask(c.GetCompactionIndices(agent_id=self.id), r.CompactionIndices)
        return reply.indices

    async def last_response(self) -> str | None:
        """Return the latest complete answer.

        Returns:
            The root agent's text, None if there is none.
        """
        return (await self._ask(c.GetLastResponse(agent_id=self.id), r.LastResponse)).text

    async def is_idle(self) -> bool:
        """Check whether the agent is idle.

        Returns:
            Whether no turn runs or waits.
        """
        return (await self._ask(c.IsIdle(agent_id=self.id), r.Idle)).idle

    async def clear_history(self) -> None:
        """Clear the history that the SDK keeps.

        The model's context stays, because the harness owns it. Use `rewind(0)`, or create another
        agent, to start with an empty context.
        """
        await self._ask(c.ClearHistory(agent_id=self.id), r.Done)

    # -- the end -----------------------------------------------------------------------------

    async def shutdown(self) -> None:
        """Stop the agent and its harness. The conversation stays on disk.

        A second call does nothing.
        """
        await self._end(c.ShutdownAgent(agent_id=self.id))

    async def close(self) -> None:
        """Stop the agent and its harness, like `shutdown`."""
        await self.shutdown()

    async def disconnect(self) -> None:
        """Stop the agent like `shutdown`. The conversation stays on disk and can be resumed."""
        await self._end(c.Disconnect(agent_id=self.id))

    async def delete(self) -> None:
        """Stop the agent and remove its conversation from disk.

        A second call does nothing.

        Raises:
            AgentNotStartedError: The agent was shut down or disconnected before, so its
                conversation was kept.
        """
        if not self._deleted:
            self._must_be_started()
        self._deleted = True
        await self._end(c.Delete(agent_id=self.id))

    async def _end(self, command: c.Command) -> None:
        if not self.is_started:
            self._started = False
            return
        self._started = False
        try:
            await self._submit(command, r.Done)
        except WrongLoopError:
            self._started = True
            raise
        self._drop.detach()

    # -- state and views ---------------------------------------------------------------------

    @property
    def is_started(self) -> bool:
        """Whether the agent accepts commands."""
        return self._started and not self.runtime.closed and self.id in self.runtime.agent_ids

    @property
    def latest(self) -> Response | None:
        """The handle of the latest prompt's turn, also after an interrupt."""
        return self._state.latest

    def chat_ui(self) -> ChatPanel:
        """Create a chat panel for this agent; as the last line of a cell, it is shown.

        The panel works while the kernel is idle and while a cell runs. Several panels of one agent
        show the same conversation.

        Returns:
            The panel.
        """
        return views().chat_panel(self)

    def usage_ui(self) -> UsageView:
        """Create a live table of this agent's usage; as the last line of a cell, it is shown.

        The table lists usage per turn, model or trajectory, with totals and cost. It is saved in
        the notebook as HTML.

        Returns:
            The table.
        """
        return views().usage_view(self)

    async def save_cassette(
        self,
        path: str | Path,
        *,
        redact: Iterable[Rule] = (),
        timeout: float | None = None,  # noqa: ASYNC109 - as in wait_for_idle
    ) -> Path:
        """Save the agent's session since its start as a cassette, for `use_cassette`.

        The method waits for a running turn. Afterwards you can continue with the agent and save it
        again. In a notebook you can save every agent; elsewhere its runtime needs
        `RuntimeConfig(keep_frames=True)`. The cassette does not hold the requests to the model, so
        it can be replayed with `seam="wire"` only.

        Args:
            path: The cassette's folder; an existing cassette is replaced.
            redact: Redaction rules in addition to the built-in ones, as for `use_cassette`.
            timeout: Most seconds to wait for a running turn; None for no limit.

        Returns:
            The cassette's folder.

        Raises:
            CassetteNotWrittenError: The runtime keeps no frames, or the disk cannot be written.
            CassetteBusyError: Another recording writes to the same cassette.
            CassetteInvalidError: The path cannot name a cassette, or holds something else.
            AgyTimeoutError: A turn still runs after `timeout` seconds.

        Example:
            >>> config = agy.RuntimeConfig(keep_frames=True)  # the default in notebooks
            >>> async with EchoModel() as model, agy.Runtime(config) as runtime:
            ...     agent = await runtime.create_agent(model.config())
            ...     response = await (await agent.chat("Hello"))
            ...     print(await agent.save_cassette("cassettes/hello"))
            cassettes/hello
            >>> async with agy.use_cassette("cassettes/hello", "none"):
            ...     agent = await agy.create_agent()
            ...     print(await agent.chat_text("Hello"))
            You said: Hello...
        """
        frames = self._state.frames
        if frames is None:
            from agy_nb.cassette.errors import CassetteNotWrittenError

            raise CassetteNotWrittenError(
                f"{path} was not written: the runtime of agent {self.id} does not keep frames. "
                "Create a runtime with RuntimeConfig(keep_frames=True), or record the next agent "
                "with use_cassette",
                path=str(path),
            )
        if self.is_started:
            await self.wait_for_idle(timeout)
        return await run_in_thread(frames.so_far().write, path, redact)

    async def past_events(self) -> tuple[Event, ...]:
        """Return the events of the agent's session so far, with those of the running turn.

        Returns:
            The events, oldest first. Where the runtime keeps no frames, the events of the
            conversation's messages, without tool calls.

        Example:
            >>> await agent.chat_text("Hello")
            'You said: Hello...'
            >>> (opened,) = await agent.past_events()  # this runtime keeps no frames
            >>> [message.role for message in opened.history]
            ['user', 'model']
        """
        frames = self._state.frames
        if frames is not None:
            events = await run_in_thread(frames.so_far().events)
            if events:
                return events
        return (SessionOpened(resumed=True, history=await self.history()),)

    def watch_turns(self, watch: Callable[[Response], None]) -> Callable[[], None]:
        """Call a function with the handle of each turn, like an iteration over `turns`.

        Args:
            watch: Called on the runtime's loop, for turns that run or wait at once; it must not
                block or raise.

        Returns:
            A function that stops the calls; it may be called twice.
        """
        stop = added(self._state.turn_watchers, watch)
        for response in tuple(self._state.responses):
            watch(response)
        return stop

    def watch_end(self, watch: Callable[[], None]) -> Callable[[], None]:
        """Call a function once when the agent ends: it was shut down, or its runtime is closed.

        Args:
            watch: Called on the runtime's loop; it must not block or raise.

        Returns:
            A function that stops the call; it may be called twice.
        """
        return added(self._state.end_watchers, watch)

    @property
    def tables(self) -> Tables:
        """Everything that this agent did so far, as DataFrames; also after its end.

        Example:
            >>> response = await (await agent.chat("Use get_weather for Paris"))
            >>> agent.tables.turns[["n_model_calls", "n_tool_calls"]].to_dict("records")
            [{'n_model_calls': 2, 'n_tool_calls': 1}]
            >>> len(agent.tables.usage(by="trajectory"))
            1
        """
        return self.runtime.telemetry.tables(self.id)

    @property
    def approvals(self) -> Any:
        """The decisions on this agent's tool calls and questions: one row each, oldest first.

        This is the DataFrame `tables.approvals`, also after the agent's end.

        Example:
            >>> response = await (await agent.chat("Use get_weather for Paris"))
            >>> agent.approvals[["tool", "decision", "decided_by"]].to_dict("records")
            [{'tool': 'get_weather', 'decision': 'allow', 'decided_by': 'user'}]
        """
        return self.tables.approvals

    @property
    def grants(self) -> Grants:
        """The calls that the user always allows. List them by iteration; `revoke` removes them.

        Example:
            >>> agent.grants
            <Grants: none>
        """
        return self._state.gate.grants

    @property
    def usage(self) -> PricedUsage:
        """Token usage of all turns of this agent so far, with subagents; also after its end.

        Its `repr` has tokens and cost, such as `1,234 tokens, $0.0021`. Turns of a resumed
        conversation count from its resumption; `total_usage` counts all of them.

        Example:
            >>> response = await (await agent.chat("Hello"))
            >>> agent.usage
            1... tokens, cost unknown
            >>> agent.usage == response.usage
            True
        """
        from agy_nb.analysis.live.priced_usage import usage_of_tables

        return usage_of_tables(self.tables)

    @property
    def cost(self) -> Cost:
        """The cost of all turns of this agent so far, as `Response.cost`; also after its end.

        Example:
            >>> response = await (await agent.chat("Hello"))
            >>> agent.cost  # the echo model has no price
            cost unknown
            >>> agent.cost.usd is None
            True
        """
        return self.usage.cost

    @property
    def last_usage(self) -> TokenUsage | None:
        """Token usage of the latest response so far."""
        return self.latest.usage if self.latest else None

    @property
    def last_structured_output(self) -> Any:
        """The latest response's output for the `response_schema`, None if there is none."""
        return self.latest.output if self.latest else None

    @property
    def conversation_id(self) -> str | None:
        """The harness's id of the conversation, None before the first turn of a new one.

        It stays after `shutdown` and `disconnect`, so that you can resume the conversation. Setting
        it only changes this handle's value, for code that keeps its own ids. To resume another
        conversation, create an agent with `conversation_id` and `save_dir` in its configuration.
        """
        return self._conversation_id or self._state.conversation_id

    @conversation_id.setter
    def conversation_id(self, value: str) -> None:
        if not _CONVERSATION_ID.fullmatch(str(value)):
            msg = f"conversation_id must be 32 or more letters, digits and hyphens, got {value!r}"
            raise InvalidInputError(msg, field="conversation_id")
        self._conversation_id = value

    @property
    def trajectory_usages(self) -> dict[str, TokenUsage]:
        """Token usage per trajectory id: the root agent and its subagents.

        Example:
            >>> response = await (await agent.chat("Hello"))
            >>> agent.trajectory_usages[response.root.id] == response.usage
            True
        """
        self._must_be_started()
        return self._state.session.conversation.trajectory_usages()

    @property
    def sandbox_status(self) -> Any:
        """The SDK's `SandboxStatus`: whether the operating system's sandbox is available.

        If it is not, commands run without a sandbox even with `enable_sandbox`. None if the harness
        does not report a status.

        Example:
            >>> agent.sandbox_status.available in (True, False)
            True
        """
        self._must_be_started()
        return self._state.session.sandbox_status()

    def available_tools(self) -> tuple[ToolInfo, ...]:
        """List the agent's tools: built-in tools, host functions, and known tools of MCP servers.

        Returns:
            The tools, built-in ones first.

        Raises:
            AgentNotStartedError: The agent was shut down, deleted or disconnected.
        """
        self._must_be_started()
        return self._state.session.tools()

    async def spawn_subagent(
        self,
        config: Any = None,
        *,
        tools: Sequence[Callable[..., Any]] = (),
        policies: Sequence[Any] = (),
        hooks: Sequence[Any] = (),
        ask_user: AskUser | None = None,
        labels: Mapping[str, str] | None = None,
        **settings: Unpack[AgentSettings],
    ) -> Agent:
        """Start another agent on the same runtime, with a conversation of its own.

        Args:
            config: The new agent's configuration; this agent's when None.
            tools: Host functions, used if the configuration does not set any.
            policies: As for `create_agent`.
            hooks: As for `create_agent`; this agent's hooks are not inherited.
            ask_user: The approval handler; this agent's when None.
            labels: Labels of the new agent; this agent's when None.
            **settings: Fields of the configuration that differ, by name, such as `model="..."`.

        Returns:
            The other agent, started.

        Raises:
            AgyError: As `create_agent` does.
        """
        if config is None:
            config = self.config
        named = config.get("tools") if isinstance(config, dict) else getattr(config, "tools", None)
        return await self.runtime.create_agent(
            config,
            tools=() if named else tools,
            policies=policies,
            hooks=hooks,
            ask_user=self._ask_user if ask_user is None else ask_user,
            labels=self._state.spec.labels if labels is None else labels,
            **settings,
        )

    @property
    def sync(self) -> SyncAgent:
        """The same operations, blocking, for code without `await`."""
        from agy_nb.runtime.sync_agent import SyncAgent

        return SyncAgent(self)

    def _repr_html_(self) -> str:
        """Show the tokens and the cost of the turns in a notebook."""
        from agy_nb.runtime.notebook_html import agent_html

        return agent_html(self)

    def __repr__(self) -> str:
        model = self.runtime.telemetry.model(self.id)
        state = "started" if self.is_started else "not started"
        return f"<Agent {self.id} {state}{f', model {model:.60}' if model else ''}>"


def _check_timeout(timeout: float | None) -> None:
    if timeout is not None and not 0 <= timeout <= _LONGEST_WAIT_S:
        msg = f"timeout must be a number of seconds between 0 and 1e9, got {timeout!r}"
        raise InvalidInputError(msg, field="timeout")
