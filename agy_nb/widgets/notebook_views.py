"""The views that the runtime asks for; see `agy_nb.views.Views`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agy_nb.widgets.approvals.approver import approve
from agy_nb.widgets.chat.panel import ChatPanel
from agy_nb.widgets.comparison.branch_turns import read_branches
from agy_nb.widgets.comparison.branches_view import BranchesView
from agy_nb.widgets.comparison.comparison_view import ComparisonView
from agy_nb.widgets.response.response_view import part, show
from agy_nb.widgets.usage.usage_view import UsageView

if TYPE_CHECKING:
    from agy_nb.experiments.comparison import Comparison
    from agy_nb.runtime.agent import Agent

__all__ = [
    "approve",
    "branches_view",
    "chat_panel",
    "comparison_view",
    "part",
    "show",
    "usage_view",
]


async def branches_view(agent: Agent, sides: Sequence[int | Agent | None]) -> BranchesView:
    """Create a view of two branches."""
    return BranchesView(await read_branches(agent, sides))


def chat_panel(agent: Agent) -> ChatPanel:
    """Create a chat panel for an agent."""
    return ChatPanel(agent)


def comparison_view(comparison: Comparison) -> ComparisonView:
    """Create a view of a comparison."""
    return ComparisonView(comparison)


def usage_view(agent: Agent) -> UsageView:
    """Create a live table of an agent's usage."""
    return UsageView(agent, agent.runtime.telemetry)
