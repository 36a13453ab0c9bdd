"""Blocking versions of an agent's operations, for code without `await`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from agy_nb import kernel
from agy_nb.errors import DeadlockError
from agy_nb.protocol.values import Message, TokenUsage
from agy_nb.runtime.approvals.approval_gate import AskUser
from agy_nb.runtime.turns.response import Response
from agy_nb.sdk.config.agent_settings import AgentSettings
from agy_nb.sdk.interfaces.agent_spec import ToolInfo
from agy_nb.views import views

if TYPE_CHECKING:
    from agy_nb.analysis.live.priced_usage import PricedUsage
    from agy_nb.analysis.metrics.turn_cost import Cost
    from agy_nb.cassette.redaction import Rule
    from agy_nb.runtime.agent import Agent
    from agy_nb.runtime.checkpoints.agent_branches import AbandonedBranch


class SyncAgent:
    """Call an agent's operations without `await`. Widgets stay usable, and interrupts cancel turns.

    Each method has the arguments and the result of the method of `Agent` with the same name. It
    raises `CannotBlockError` if the running event loop cannot be blocked. `chat` waits for the end
    of the turn and raises the error that ended it.

    Example:
        >>> def in_a_script():
        ...     agent = agy.run(agy.create_agent(tools=[get_weather]))
        ...     print(agent.sync.chat_text("Use get_weather for Paris"))
        ...     agent.sync.shutdown()
        >>> await asyncio.to_thread(in_a_script)
        get_weather says: sunny in Paris
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def chat(self, prompt: Any, *, show: bool = True) -> Response:
        """Send a prompt and wait for the turn's end.

        Args:
            prompt: As for `Agent.chat`.
            show: Whether the answer streams into the cell; ignored in scripts.

        Returns:
            The handle of the turn, complete.
        """

        async def through() -> Response:
            response = await self._agent.chat(prompt)
            if show and kernel.in_kernel():
                views().show(response)
            try:
                await response.text()
            except DeadlockError:  # the caller gets no handle, so nothing else can end this turn
                await response.cancel()
                raise
            return response

        return kernel.run(through())

    def chat_text(self, prompt: Any) -> str:
        """Send a prompt and wait for the whole answer.

        Args:
            prompt: Text, the SDK's `Image`, `Document`, `Audio` or `Video`, or a list of these.

        Returns:
            The root agent's text.
        """
        return kernel.run(self._agent.chat_text(prompt))

    def trigger(self, text: str) -> Response:
        """Send a trigger's text and wait for the end of the turn that answers it.

        Args:
            text: Description of the event, for the model.

        Returns:
            The handle of the turn that answered it, complete.
        """

        async def through() -> Response:
            response = await self._agent.trigger(text)
            await response.text()
            return response

        return kernel.run(through())

    def send(self, prompt: Any) -> None:
        """Send a prompt and do not wait for the turn.

        Args:
            prompt: Text, the SDK's `Image`, `Document`, `Audio` or `Video`, or a list of these.
        """
        kernel.run(self._agent.send(prompt))

    def cancel(self) -> None:
        """Cancel the turn that runs, or that is next."""
        kernel.run(self._agent.cancel())

    def wait_for_idle(self, timeout: float | None = None) -> None:
        """Wait until no turn runs or waits.

        Args:
            timeout: Most seconds to wait; None for no limit.
        """
        kernel.run(self._agent.wait_for_idle(timeout))

    def signal_idle(self) -> None:
        """Release all callers that wait for the agent to be idle."""
        kernel.run(self._agent.signal_idle())

    def wait_for_wakeup(self, timeout: float = 300.0) -> bool:
        """Wait until the next event of the conversation.

        Args:
            timeout: Most seconds to wait.

        Returns:
            Whether there was an event.
        """
        return kernel.run(self._agent.wait_for_wakeup(timeout))

    def available_tools(self) -> tuple[ToolInfo, ...]:
        """List the agent's tools.

        Returns:
            Built-in tools, host functions, and known tools of MCP servers.
        """
        return self._agent.available_tools()

    def save_cassette(self, path: str | Path, *, redact: Iterable[Rule] = ()) -> Path:
        """Save the agent's session since its start as a cassette.

        Args:
            path: The cassette's folder; an existing cassette is replaced.
            redact: Redaction rules in addition to the built-in ones, as for `use_cassette`.

        Returns:
            The cassette's folder.
        """
        return kernel.run(self._agent.save_cassette(path, redact=redact))

    def history(self) -> tuple[Message, ...]:
        """Return the conversation so far.

        Returns:
            The messages, oldest first.
        """
        return kernel.run(self._agent.history())

    def turn_count(self) -> int:
        """Count the turns of this session.

        Returns:
            The number of turns; a resumed conversation starts again at 0.
        """
        return kernel.run(self._agent.turn_count())

    def total_usage(self) -> TokenUsage | None:
        """Return the token usage of the whole session.

        Returns:
            Tokens; None before the first model call that reported its usage.
        """
        return kernel.run(self._agent.total_usage())

    def last_turn_usage(self) -> TokenUsage | None:
        """Return the token usage of the latest turn.

        Returns:
            Tokens; None if no model call reported its usage.
        """
        return kernel.run(self._agent.last_turn_usage())

    @property
    def usage(self) -> PricedUsage:
        """Token usage and cost of all turns so far; see `Agent.usage`."""
        return self._agent.usage

    @property
    def cost(self) -> Cost:
        """The cost of all turns so far; see `Agent.cost`."""
        return self._agent.cost

    @property
    def abandoned(self) -> tuple[AbandonedBranch, ...]:
        """The turns that the agent has left with `rewind`; see `Agent.abandoned`."""
        return self._agent.abandoned

    def compaction_indices(self) -> tuple[int, ...]:
        """List the steps at which the model's context was compacted.

        Returns:
            Indices into the SDK's history, from 0.
        """
        return kernel.run(self._agent.compaction_indices())

    def last_response(self) -> str | None:
        """Return the latest complete answer.

        Returns:
            The root agent's text, None if there is none.
        """
        return kernel.run(self._agent.last_response())

    def is_idle(self) -> bool:
        """Check whether the agent is idle.

        Returns:
            Whether no turn runs or waits.
        """
        return kernel.run(self._agent.is_idle())

    def clear_history(self) -> None:
        """Clear the SDK's history; the model keeps its context."""
        kernel.run(self._agent.clear_history())

    def fork(
        self,
        turn: int | None = None,
        *,
        branch: int | None = None,
        config: Any = None,
        tools: Sequence[Callable[..., Any]] | None = None,
        policies: Sequence[Any] | None = None,
        hooks: Sequence[Any] | None = None,
        ask_user: AskUser | None = None,
        labels: Mapping[str, str] | None = None,
        workspace: Literal["share", "copy"] = "share",
        **settings: Unpack[AgentSettings],
    ) -> Agent:
        """Start another agent whose conversation begins with the turns of this one.

        Args:
            turn: As for `Agent.fork`, and so are the other arguments.
            branch: Number of an abandoned branch.
            config: Changes of the configuration.
            tools: Host functions instead of this agent's.
            policies: Policies instead of this agent's.
            hooks: Hooks instead of this agent's.
            ask_user: The approval handler.
            labels: Labels of the new agent.
            workspace: Whether both work on the same files or the new one on a copy.
            **settings: Fields of the configuration that differ, by name.

        Returns:
            The new agent, started.
        """
        new = self._agent.fork(
            turn,
            branch=branch,
            config=config,
            tools=tools,
            policies=policies,
            hooks=hooks,
            ask_user=ask_user,
            labels=labels,
            workspace=workspace,
            **settings,
        )
        return kernel.run(new)

    def rewind(self, turn: int, *, branch: int | None = None) -> None:
        """Go back to an earlier turn: the turns after it are abandoned.

        Args:
            turn: As for `Agent.rewind`.
            branch: As for `Agent.rewind`.
        """
        kernel.run(self._agent.rewind(turn, branch=branch))

    def shutdown(self) -> None:
        """Stop the agent and its harness."""
        kernel.run(self._agent.shutdown())

    def close(self) -> None:
        """Stop the agent and its harness, like `shutdown`."""
        self.shutdown()

    def disconnect(self) -> None:
        """Stop the agent; the conversation stays on disk."""
        kernel.run(self._agent.disconnect())

    def delete(self) -> None:
        """Stop the agent and remove its conversation from disk."""
        kernel.run(self._agent.delete())

    def spawn_subagent(
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
        """Start another agent on the same runtime.

        Args:
            config: As for `Agent.spawn_subagent`, and so are the other arguments.
            tools: Host functions, if the configuration sets none.
            policies: The SDK's policies.
            hooks: The SDK's hooks.
            ask_user: The approval handler; this agent's when None.
            labels: Labels of the new agent; this agent's when None.
            **settings: Fields of the configuration that differ, by name.

        Returns:
            The other agent, started.
        """
        new = self._agent.spawn_subagent(
            config,
            tools=tools,
            policies=policies,
            hooks=hooks,
            ask_user=ask_user,
            labels=labels,
            **settings,
        )
        return kernel.run(new)

    def _repr_html_(self) -> str:
        """Show the same as the agent in a notebook."""
        return self._agent._repr_html_()

    def __repr__(self) -> str:
        return f"<SyncAgent of {self._agent!r}>"
