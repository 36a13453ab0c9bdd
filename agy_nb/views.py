"""What the runtime shows in a notebook: it asks here, and `agy_nb.widgets` provides it.

The runtime does not know the views. `agy_nb` registers them, as formatters are in IPython,
and they are imported when the first one is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agy_nb.experiments.comparison import Comparison
    from agy_nb.runtime.agent import Agent
    from agy_nb.runtime.approvals.approval_gate import AskUser
    from agy_nb.runtime.turns.response import Response
    from agy_nb.widgets.chat.panel import ChatPanel
    from agy_nb.widgets.comparison.branches_view import BranchesView
    from agy_nb.widgets.comparison.comparison_view import ComparisonView
    from agy_nb.widgets.usage.usage_view import UsageView


class Views(Protocol):
    """The views of agents and responses."""

    def chat_panel(self, agent: Agent) -> ChatPanel:
        """Make a chat panel for an agent."""

    def usage_view(self, agent: Agent) -> UsageView:
        """Make a live table of an agent's usage."""

    def comparison_view(self, comparison: Comparison) -> ComparisonView:
        """Make a view of a comparison."""

    async def branches_view(
        self, agent: Agent, sides: Sequence[int | Agent | None]
    ) -> BranchesView:
        """Make a view of two branches."""

    def show(self, response: Response) -> None:
        """Show a response in the running cell, live while it runs."""

    def part(self, response: Response) -> object:
        """Return what a front end without IPython's display shows for a response."""

    def approve(self) -> AskUser:
        """Return the handler that asks the user in the notebook about tool calls."""


_load: Callable[[], Views] | None = None


def provide(load: Callable[[], Views]) -> None:
    """Register the views.

    Args:
        load: Returns them; called each time that one is needed.
    """
    global _load  # noqa: PLW0603 - one set of views per process
    _load = load


def views() -> Views:
    """Return the registered views.

    Raises:
        RuntimeError: None were registered; `import agy_nb` does it.
    """
    if _load is None:
        msg = "no views are registered; import agy_nb first"
        raise RuntimeError(msg)
    return _load()
