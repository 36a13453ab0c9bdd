"""An agent's operations, blocking: for plain sync cells and scripts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb import kernel
from agy_nb.errors import DeadlockError
from agy_nb.protocol.values import Message, TokenUsage
from agy_nb.runtime.turns.response import Response
from agy_nb.runtime.views import views
from agy_nb.sdk.interfaces import ToolInfo

if TYPE_CHECKING:
    from agy_nb.cassette.redaction import Rule
    from agy_nb.runtime.agent import Agent


class SyncAgent:
    """An agent's operations, blocking, with widgets alive and interrupts that cancel the turn.

    Each method takes and gives what its namesake on `Agent` does, and raises `CannotBlockError`
    where the running event loop cannot be blocked. `chat` waits for the turn's end and raises what
    ended it.

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
        """Send a prompt and wait for the turn's end; the handle is then complete.

        Args:
            prompt: As for `Agent.chat`.
            show: Whether the answer streams into the cell; in a script nothing is shown.

        Returns:
            The handle of the turn, complete.
        """

        async def through() -> Response:
            response = await self._agent.chat(prompt)
            if show and kernel.in_kernel():
                views().show(response)
            try:
                await response.text()
            except DeadlockError:  # no caller will ever get to read this turn
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
        """Send what a trigger of the SDK would send, and wait for the end of the turn.

        Args:
            text: What has happened, for the model.

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
        """Cancel the turn that runs."""
        kernel.run(self._agent.cancel())

    def wait_for_idle(self, timeout: float | None = None) -> None:
        """Wait until no turn runs or waits.

        Args:
            timeout: Seconds to wait at most; None for as long as the turns take.
        """
        kernel.run(self._agent.wait_for_idle(timeout))

    def signal_idle(self) -> None:
        """Release whoever waits for the agent to be idle."""
        kernel.run(self._agent.signal_idle())

    def wait_for_wakeup(self, timeout: float = 300.0) -> bool:
        """Wait until the conversation does anything.

        Args:
            timeout: Seconds to wait at the most.

        Returns:
            Whether it woke up.
        """
        return kernel.run(self._agent.wait_for_wakeup(timeout))

    def available_tools(self) -> tuple[ToolInfo, ...]:
        """Every tool of the agent.

        Returns:
            The tools.
        """
        return self._agent.available_tools()

    def save_cassette(self, path: str | Path, *, redact: Iterable[Rule] = ()) -> Path:
        """Write what was said since the agent's start as a cassette.

        Args:
            path: The cassette's folder; a cassette that was there is replaced.
            redact: Rules beside the built-in ones, as for `use_cassette`.

        Returns:
            The cassette's folder.
        """
        return kernel.run(self._agent.save_cassette(path, redact=redact))

    def history(self) -> tuple[Message, ...]:
        """The conversation's messages.

        Returns:
            The messages, oldest first.
        """
        return kernel.run(self._agent.history())

    def turn_count(self) -> int:
        """Turns sent in this session.

        Returns:
            The turns of this session.
        """
        return kernel.run(self._agent.turn_count())

    def total_usage(self) -> TokenUsage | None:
        """Tokens of the whole session.

        Returns:
            Tokens; None before the first metered call.
        """
        return kernel.run(self._agent.total_usage())

    def last_turn_usage(self) -> TokenUsage | None:
        """Tokens of the latest turn.

        Returns:
            Tokens; None where nothing was metered.
        """
        return kernel.run(self._agent.last_turn_usage())

    def compaction_indices(self) -> tuple[int, ...]:
        """Where the context was compacted.

        Returns:
            Steps of the SDK's history.
        """
        return kernel.run(self._agent.compaction_indices())

    def last_response(self) -> str | None:
        """Text of the latest complete answer.

        Returns:
            The text, None when there is none.
        """
        return kernel.run(self._agent.last_response())

    def is_idle(self) -> bool:
        """Ask whether the agent has nothing to do.

        Returns:
            Whether no turn runs or waits.
        """
        return kernel.run(self._agent.is_idle())

    def clear_history(self) -> None:
        """Forget the transcript on this side."""
        kernel.run(self._agent.clear_history())

    def shutdown(self) -> None:
        """Stop the agent and its harness."""
        kernel.run(self._agent.shutdown())

    def disconnect(self) -> None:
        """Stop the agent; the conversation stays on disk."""
        kernel.run(self._agent.disconnect())

    def delete(self) -> None:
        """Stop the agent and remove its conversation from disk."""
        kernel.run(self._agent.delete())

    def spawn_subagent(self, config: Any = None, **parts: Any) -> Agent:
        """Start another agent on the same runtime.

        Args:
            config: As for `Agent.spawn_subagent`.
            **parts: As for `Agent.spawn_subagent`.

        Returns:
            The other agent, started.
        """
        return kernel.run(self._agent.spawn_subagent(config, **parts))
