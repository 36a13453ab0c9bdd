"""The handle of an agent.

Rule 1: a handle holds no state of the conversation; it sends commands and hands on replies.
Rule 2: a handle that is dropped sends a best-effort shutdown and never blocks.
"""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from agy_nb.errors import AgentNotStartedError, InvalidInputError, WrongLoopError
from agy_nb.protocol import commands as c, replies as r
from agy_nb.protocol.values import Message, TokenUsage
from agy_nb.runtime.agent_state import AgentState
from agy_nb.runtime.approval_gate import AskUser
from agy_nb.runtime.command_loop import FORKED
from agy_nb.runtime.grants import Grants
from agy_nb.runtime.turns.prompts import parse_prompt
from agy_nb.runtime.turns.response import Response
from agy_nb.runtime.turns.turn_stream import TurnStream
from agy_nb.runtime.views import views
from agy_nb.sdk.deadlocks import running
from agy_nb.sdk.interfaces import ToolInfo
from agy_nb.sdk.process.executor import off_loop

if TYPE_CHECKING:
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
    """Clean up in a thread once a turn is over, also where its loop ends before."""
    try:
        await response.wait()
    finally:
        await off_loop(clean_up)


class Agent:
    """An agent on a runtime. `agy.create_agent` and `Runtime.create_agent` make them.

    Every method sends one command of the protocol. All may raise `AgentNotStartedError` (the agent
    was shut down, deleted or disconnected, or its runtime was closed), `ChannelClosedError` (the
    runtime was closed meanwhile), `AgyTimeoutError` (the round trip took longer than its limit) and
    `WrongLoopError` (called from another event loop).

    Attributes:
        id: Its number within the runtime.
        runtime: The runtime that it lives on.
        config: The configuration that it was made from, as it was passed.

    Example:
        >>> async with await agy.create_agent() as agent:
        ...     response = await agent.chat("Hello")
        ...     print(await response.text())
        You said: Hello...
    """

    def __init__(self, runtime: Runtime, record: AgentState, ask_user: AskUser | None) -> None:
        self.id = record.agent_id
        self.runtime = runtime
        self.config = record.spec.config
        self._record = record
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
        assert isinstance(reply, expected)  # noqa: S101 - the protocol says so
        return reply

    def _must_be_started(self) -> None:
        if not self.is_started:
            what = FORKED if self.runtime.forked else "was shut down, deleted or disconnected"
            msg = f"agent {self.id} {what}; create another one"
            raise AgentNotStartedError(msg)

    # -- chat --------------------------------------------------------------------------------

    async def chat(self, prompt: Any) -> Response:
        """Send a prompt; returns at once with a handle that streams the answer.

        A second chat waits for the first one's end before it is sent. A call that is cancelled
        before it returns cancels the turn.

        Args:
            prompt: Text, the SDK's `Image`, `Document`, `Audio`, `Video` or `SlashCommand`, or a
                list of these.

        Returns:
            The handle of the turn. It streams the answer, and holds it afterwards.

        Raises:
            InvalidPromptError: The prompt is empty, or holds what is no content.
            AgentNotStartedError: The agent is not there any more.
        """
        self._must_be_started()
        command = c.Chat(agent_id=self.id, prompt=parse_prompt(prompt))
        response: Response = (await self._submit(command, r.ChatStarted)).response
        return response

    async def chat_text(self, prompt: Any) -> str:
        """Send a prompt and wait for the whole answer; a wait that is cancelled cancels the turn.

        Args:
            prompt: Text, the SDK's `Image`, `Document`, `Audio` or `Video`, or a list of these.

        Returns:
            The root agent's text.

        Raises:
            AgyError: What ended the turn.
            DeadlockError: Called by a tool, a hook or a handler that the agent's turn waits for.

        Example:
            >>> await agent.chat_text("Use get_weather for Paris")
            'get_weather says: sunny in Paris'
        """
        if running.get() is not None:
            self._record.must_not_wait_for_itself()
        response = await self.chat(prompt)
        try:
            return await response.text()
        except asyncio.CancelledError:  # nobody else has asked for the answer
            await response.cancel()
            raise

    async def send(self, prompt: Any) -> None:
        """Send a prompt and do not wait for the turn.

        A call that is cancelled before it returns cancels the turn.

        Args:
            prompt: Text, the SDK's `Image`, `Document`, `Audio` or `Video`, or a list of these.

        Raises:
            InvalidPromptError: The prompt is empty, or holds what is no content.
            AgentNotStartedError: The agent is not there any more.
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
        """Send what a trigger of the SDK would send: something has happened, and the agent acts.

        Args:
            text: What has happened, for the model.

        Returns:
            The handle of the turn that answers it: the one that runs, or else a new one.

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
            raise InvalidInputError(f"text must say what has happened, got {text!r}", field="text")
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
        """Have the agent run a workflow of the SDK, as `Agent.beta.run_workflow` does there.

        Args:
            workflow: A function with the SDK's decorator `workflows.define`.
            script_path: A workflow script on disk, instead of a function.
            description: What it does, for the model; by default the function's docstring.

        Returns:
            The handle of the turn. The result of its tool call `run_workflow` is the output.

        Raises:
            InvalidInputError: There is no such workflow, or this agent may not run any: it needs
                `enable_subagents` and the built-in tool `run_workflow`.
            AgentNotStartedError: The agent was shut down, deleted or disconnected.
        """
        self._must_be_started()
        prompt, remove = await self._record.session.workflow_prompt(
            workflow, script_path, description
        )
        try:
            response = await self.chat(prompt)
        except BaseException:
            await off_loop(remove)
            raise
        cleaning = asyncio.ensure_future(_after(response, remove))
        self._background.add(cleaning)
        cleaning.add_done_callback(self._background.discard)
        return response

    def turns(self) -> AsyncIterator[Response]:
        """Follow the agent's turns from now on: prompts, whoever sends them, triggers and wake-ups.

        Returns:
            An iterator for `async for`. It gives the handles of the turns that run or wait, then of
            each turn when it is queued, or when a trigger or the agent itself begins it. It ends
            with the agent.

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
        for response in self._record.responses:
            stream.add(response)
        self._record.turn_streams.add(stream)
        return stream

    async def cancel(self) -> None:
        """Cancel the turn that runs, or will next; those that wait behind it go on."""
        await self._ask(c.Cancel(agent_id=self.id), r.Done)

    # -- waiting -----------------------------------------------------------------------------

    async def wait_for_idle(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as below
        """Wait until no turn runs or waits, or until `signal_idle`.

        Args:
            timeout: Seconds to wait at most; None for as long as the turns take, each of which has
                limits of its own.

        Raises:
            AgyTimeoutError: The agent is not idle after `timeout` seconds.
            InvalidInputError: `timeout` is not a number of seconds, or negative.
            DeadlockError: Called by a tool, a hook or a handler that the agent's turn waits for.
        """
        _check_timeout(timeout)
        if running.get() is not None:
            self._record.must_not_wait_for_itself()
        await self._ask(c.WaitForIdle(agent_id=self.id, timeout=timeout), r.Done)

    async def signal_idle(self) -> None:
        """Release whoever is in `wait_for_idle`, whether the agent is idle or not."""
        await self._ask(c.SignalIdle(agent_id=self.id), r.Done)

    async def wait_for_wakeup(self, timeout: float = 300.0) -> bool:  # noqa: ASYNC109 - as in the SDK
        """Wait until the conversation does anything: a turn, a trigger, a subagent's message.

        Args:
            timeout: Seconds to wait at the most; may be longer than any other limit.

        Returns:
            Whether it woke up.

        Raises:
            InvalidInputError: `timeout` is no number of seconds, or negative.
        """
        _check_timeout(timeout)
        command = c.WaitForWakeup(agent_id=self.id, timeout=float(timeout))
        return (await self._ask(command, r.Woken)).woken

    # -- questions ---------------------------------------------------------------------------

    async def history(self) -> tuple[Message, ...]:
        """Ask for the conversation so far.

        Returns:
            Its messages, oldest first, subagents' included.

        Example:
            >>> await agent.chat_text("Use get_weather for Paris")
            'get_weather says: sunny in Paris'
            >>> [message.role for message in await agent.history()]
            ['user', 'model', 'model']
        """
        return (await self._ask(c.GetHistory(agent_id=self.id), r.History)).messages

    async def turn_count(self) -> int:
        """Ask how many turns there were.

        Returns:
            Turns sent in this session; a resumed one starts again at 0.
        """
        return (await self._ask(c.GetTurnCount(agent_id=self.id), r.TurnCount)).turns

    async def total_usage(self) -> TokenUsage | None:
        """Ask what the whole session has used.

        Returns:
            Tokens, subagents' included; None before the first metered call.

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
        """Ask what the latest turn has used.

        Returns:
            Tokens, subagents' included; None where nothing was metered.
        """
        return (await self._ask(c.GetLastTurnUsage(agent_id=self.id), r.UsageReport)).usage

    async def compaction_indices(self) -> tuple[int, ...]:
        """Ask where the model's context was compacted.

        Returns:
            Steps of the SDK's history, counted from 0, at which it was.
        """
        reply = await self._ask(c.GetCompactionIndices(agent_id=self.id), r.CompactionIndices)
        return reply.indices

    async def last_response(self) -> str | None:
        """Ask for the latest complete answer.

        Returns:
            The root agent's text, None when there is none.
        """
        return (await self._ask(c.GetLastResponse(agent_id=self.id), r.LastResponse)).text

    async def is_idle(self) -> bool:
        """Ask whether the agent has nothing to do.

        Returns:
            Whether no turn runs or waits.
        """
        return (await self._ask(c.IsIdle(agent_id=self.id), r.Idle)).idle

    async def clear_history(self) -> None:
        """Forget the transcript on this side.

        The model's own context stays: the harness owns it and has no rewind. Create a new agent for
        a fresh start.
        """
        await self._ask(c.ClearHistory(agent_id=self.id), r.Done)

    # -- the end -----------------------------------------------------------------------------

    async def shutdown(self) -> None:
        """Stop the agent and its harness; the conversation stays on disk. Twice is fine."""
        await self._end(c.ShutdownAgent(agent_id=self.id))

    async def disconnect(self) -> None:
        """Like `shutdown`: the conversation stays on disk, to be resumed."""
        await self._end(c.Disconnect(agent_id=self.id))

    async def delete(self) -> None:
        """Stop the agent and remove its conversation from disk. Twice is fine.

        Raises:
            AgentNotStartedError: It was shut down or disconnected before, and its conversation
                kept.
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

    # -- what is known here ------------------------------------------------------------------

    @property
    def is_started(self) -> bool:
        """Whether the agent takes commands."""
        return self._started and not self.runtime.closed and self.id in self.runtime.agent_ids

    @property
    def latest(self) -> Response | None:
        """The handle of the prompt that was queued last, also after an interrupt."""
        return self._record.latest

    def chat_ui(self) -> ChatPanel:
        """A chat panel for this agent: the last line of a cell shows it.

        It works while the kernel is idle and while a cell runs; several panels on one agent show
        the same.

        Returns:
            The panel.
        """
        return views().chat_panel(self)

    def usage_ui(self) -> UsageView:
        """A live table of what this agent has used: the last line of a cell shows it.

        By turn, model or trajectory, with totals and cost; it stays in the notebook as HTML.

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
        """Write what was said since the agent's start as a cassette; replay it with `use_cassette`.

        A turn that runs is waited for; the agent goes on afterwards, and may be saved again. In a
        notebook every agent can be saved; elsewhere those of a runtime that has
        `RuntimeConfig(keep_frames=True)`. The model's own side is not in it: the cassette replays
        at the wire, not at the seam `model`.

        Args:
            path: The cassette's folder; a cassette that was there is replaced.
            redact: Rules beside the built-in ones, as for `use_cassette`.
            timeout: Seconds to wait at most for a turn that runs; None for as long as it takes.

        Returns:
            The cassette's folder.

        Raises:
            CassetteNotWrittenError: Nobody listened to the agent, or the disk refused.
            CassetteBusyError: Somebody else records it.
            CassetteInvalidError: The path is no name for a cassette, or something else is there.
            AgyTimeoutError: A turn still runs after `timeout` seconds.

        Example:
            >>> config = agy.RuntimeConfig(keep_frames=True)  # in a notebook it is so by itself
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
        frames = self._record.frames
        if frames is None:
            from agy_nb.cassette.errors import CassetteNotWrittenError

            raise CassetteNotWrittenError(
                f"{path} was not written: nobody has listened to agent {self.id}, for its runtime "
                "keeps no frames. Make one with RuntimeConfig(keep_frames=True) for other agents, "
                "or record them with use_cassette",
                path=str(path),
            )
        if self.is_started:
            await self.wait_for_idle(timeout)
        return await off_loop(frames.so_far().write, path, redact)

    def watch_turns(self, watch: Callable[[Response], None]) -> Callable[[], None]:
        """Have a function called with the handle of each turn, as `turns` gives them.

        Args:
            watch: Called on the runtime's loop; never blocks, never raises.

        Returns:
            A function that ends it; it may be called twice.
        """
        watchers = self._record.turn_watchers
        watchers.append(watch)

        def stop() -> None:
            watchers[:] = [known for known in watchers if known is not watch]

        return stop

    @property
    def tables(self) -> Tables:
        """What this agent has done so far, as DataFrames; also after it was shut down.

        Example:
            >>> response = await (await agent.chat("Use get_weather for Paris"))
            >>> agent.tables.turns[["n_model_calls", "n_tool_calls"]].to_dict("records")
            [{'n_model_calls': 2, 'n_tool_calls': 1}]
            >>> len(agent.tables.usage(by="trajectory"))
            1
        """
        return self.runtime.ledger.tables(self.id)

    @property
    def approvals(self) -> Any:
        """Who decided what on this agent's tool calls and questions: a row each, oldest first.

        The table `approvals` of `tables`, a DataFrame, also after the agent was shut down.

        Example:
            >>> response = await (await agent.chat("Use get_weather for Paris"))
            >>> agent.approvals[["tool", "decision", "decided_by"]].to_dict("records")
            [{'tool': 'get_weather', 'decision': 'allow', 'decided_by': 'user'}]
        """
        return self.tables.approvals

    @property
    def grants(self) -> Grants:
        """The calls of this agent that need no approval any more: to be listed and revoked.

        Example:
            >>> agent.grants
            <Grants: none>
        """
        return self._record.gate.grants

    @property
    def last_usage(self) -> TokenUsage | None:
        """Tokens of the latest response so far."""
        return self.latest.usage if self.latest else None

    @property
    def last_structured_output(self) -> Any:
        """What the latest finished response had for the `response_schema`, None if nothing."""
        return self.latest.output if self.latest else None

    @property
    def conversation_id(self) -> str | None:
        """The harness's id of the conversation, None before the first turn of a new one.

        It stays after `shutdown` and `disconnect`, so that the conversation can be resumed. Setting
        it changes what this handle says, for code that keeps its own ids; to resume another
        conversation, create an agent with `conversation_id` and `save_dir` in its configuration.
        """
        return self._conversation_id or self._record.conversation_id

    @conversation_id.setter
    def conversation_id(self, value: str) -> None:
        if not _CONVERSATION_ID.fullmatch(str(value)):
            msg = f"conversation_id must be 32 or more letters, digits and hyphens, got {value!r}"
            raise InvalidInputError(msg, field="conversation_id")
        self._conversation_id = value

    @property
    def trajectory_usages(self) -> dict[str, TokenUsage]:
        """Tokens of each trajectory so far, the root agent's and its subagents', by its id.

        Example:
            >>> response = await (await agent.chat("Hello"))
            >>> agent.trajectory_usages[response.root.id] == response.usage
            True
        """
        self._must_be_started()
        return self._record.session.trajectory_usages()

    @property
    def sandbox_status(self) -> Any:
        """Whether commands can run in the operating system's sandbox: the SDK's `SandboxStatus`.

        With `enable_sandbox` and `sandbox_status.available` False, commands run without a sandbox.
        None where the harness does not report it.

        Example:
            >>> agent.sandbox_status.available in (True, False)
            True
        """
        self._must_be_started()
        return self._record.session.sandbox_status()

    def available_tools(self) -> tuple[ToolInfo, ...]:
        """Every tool of the agent: built-in, host functions, and what is known of MCP servers.

        Returns:
            The tools, the harness's own first.

        Raises:
            AgentNotStartedError: The agent is not there any more.
        """
        self._must_be_started()
        return self._record.session.tools()

    async def spawn_subagent(
        self,
        config: Any = None,
        *,
        tools: Sequence[Callable[..., Any]] = (),
        policies: Sequence[Any] = (),
        hooks: Sequence[Any] = (),
        ask_user: AskUser | None = None,
    ) -> Agent:
        """Start another agent on the same runtime, with a conversation of its own.

        Args:
            config: Its configuration; this agent's when None.
            tools: Its host functions, where the configuration names none.
            policies: As for `create_agent`.
            hooks: As for `create_agent`; this agent's are not inherited.
            ask_user: Its handler; this agent's when None.

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
        )

    @property
    def sync(self) -> SyncAgent:
        """The same operations, blocking; for plain sync cells and scripts."""
        from agy_nb.runtime.sync_agent import SyncAgent

        return SyncAgent(self)

    def __repr__(self) -> str:
        return f"<Agent {self.id} {'started' if self.is_started else 'not started'}>"


def _check_timeout(timeout: float | None) -> None:
    if timeout is not None and not 0 <= timeout <= _LONGEST_WAIT_S:
        msg = f"timeout must be a number of seconds from 0 to 1e9, got {timeout!r}"
        raise InvalidInputError(msg, field="timeout")
