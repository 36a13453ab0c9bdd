"""The views that the runtime asks for; see `agy_nb.views.Views`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agy_nb.widgets.approvals.approver import approve
from agy_nb.widgets.chat.panel import ChatPanel
from agy_nb.widgets.comparison.comparison_view import ComparisonView
from agy_nb.widgets.response.response_view import part, show
from agy_nb.widgets.usage.usage_view import UsageView

if TYPE_CHECKING:
    from agy_nb.experiments.comparison import Comparison
    from agy_nb.runtime.agent import Agent

__all__ = ["approve", "chat_panel", "comparison_view", "part", "show", "usage_view"]


def chat_panel(agent: Agent) -> ChatPanel:
    """Create a chat panel for an agent."""
    return ChatPanel(agent)


def comparison_view(comparison: Comparison) -> ComparisonView:
    """Create a view of a comparison."""
    return ComparisonView(comparison)


def usage_view(agent: Agent) -> UsageView:
    """Create a live table of an agent's usage."""
    return UsageView(agent, agent.runtime.telemetry)
