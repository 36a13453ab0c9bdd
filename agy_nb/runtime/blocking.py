"""An agent's operations, blocking: for plain sync cells and scripts."""

from __future__ import annotations

from typing import Any

from agy_nb import kernel
from agy_nb.protocol.values import Message, TokenUsage
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.response import Response
from agy_nb.sdk.base import ToolInfo


class SyncAgent:
    """An agent's operations, blocking, with widgets alive and interrupts that cancel the turn.

    Each method takes and gives what its namesake on `Agent` does, and raises `CannotBlock` where
    the running event loop cannot be blocked. `chat` waits for the turn's end and raises what ended
    it.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def chat(self, prompt: Any, *, show: bool = True) -> Response:
        """Send a prompt and wait for the turn's end; the handle is then complete.

        Args:
            prompt: As for `Agent.chat`.
            show: Whether the answer streams into the cell; in a script nothing is shown.
        """

        async def through() -> Response:
            response = await self._agent.chat(prompt)
            if show and kernel.in_kernel():
                from agy_nb.widgets.display import show as show_in_cell

                show_in_cell(response)
            await response.text()
            return response

        return kernel.run(through())

    def chat_text(self, prompt: Any) -> str:
        """Send a prompt and wait for the whole answer."""
        return kernel.run(self._agent.chat_text(prompt))

    def send(self, prompt: Any) -> None:
        """Send a prompt and do not wait for the turn."""
        kernel.run(self._agent.send(prompt))

    def cancel(self) -> None:
        """Cancel the turn that runs."""
        kernel.run(self._agent.cancel())

    def wait_for_idle(self) -> None:
        """Wait until no turn runs or waits."""
        kernel.run(self._agent.wait_for_idle())

    def signal_idle(self) -> None:
        """Release whoever waits for the agent to be idle."""
        kernel.run(self._agent.signal_idle())

    def wait_for_wakeup(self, timeout: float = 300.0) -> bool:
        """Wait until the conversation does anything."""
        return kernel.run(self._agent.wait_for_wakeup(timeout))

    def available_tools(self) -> tuple[ToolInfo, ...]:
        """Every tool of the agent."""
        return self._agent.available_tools()

    def history(self) -> tuple[Message, ...]:
        """The conversation's messages."""
        return kernel.run(self._agent.history())

    def turn_count(self) -> int:
        """Turns sent in this session."""
        return kernel.run(self._agent.turn_count())

    def total_usage(self) -> TokenUsage | None:
        """Tokens of the whole session."""
        return kernel.run(self._agent.total_usage())

    def last_turn_usage(self) -> TokenUsage | None:
        """Tokens of the latest turn."""
        return kernel.run(self._agent.last_turn_usage())

    def compaction_indices(self) -> tuple[int, ...]:
        """Where the context was compacted."""
        return kernel.run(self._agent.compaction_indices())

    def last_response(self) -> str | None:
        """Text of the latest complete answer."""
        return kernel.run(self._agent.last_response())

    def is_idle(self) -> bool:
        """Whether no turn runs or waits."""
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
        """Start another agent on the same runtime."""
        return kernel.run(self._agent.spawn_subagent(config, **parts))
