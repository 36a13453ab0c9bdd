"""The interface between a runtime and its tables.

A runtime reports agents, events and commands to its telemetry object, which must not block or
raise. It gets tables, the names of models, and prices (for budgets) from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from agy_nb.protocol.commands import Command
from agy_nb.protocol.events import Event
from agy_nb.runtime.turns.response import Response

if TYPE_CHECKING:
    from agy_nb.analysis.metrics.cost import Prices
    from agy_nb.analysis.metrics.turn_cost import TurnPricing
    from agy_nb.analysis.tables import Tables


class Telemetry(Protocol):
    """Collects the events of one runtime and makes tables of them."""

    def agent_started(self, agent_id: int, config: Any, labels: Mapping[str, str] = ...) -> None:
        """Record the start of an agent with its labels."""
        ...

    def agent_ended(self, agent_id: int) -> None:
        """Record the end of an agent."""
        ...

    def event(self, agent_id: int, response: Response | None, event: Event) -> None:
        """Record an event of a turn, or one between turns if `response` is None."""
        ...

    def command(self, command: Command, queued_at: float, error: BaseException | None) -> None:
        """Record a command that was answered, or that failed with `error`."""
        ...

    def watch(self, watch: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each change of the tables; return a function that stops this."""
        ...

    def model(self, agent_id: int) -> str | None:
        """Return the name of an agent's model, None if it is not known."""
        ...

    def pricing(self, agent_id: int) -> TurnPricing:
        """Return how the turns of an agent are priced."""
        ...

    def tables(self, agent_id: int | None = None) -> Tables:
        """Return the tables of an agent, or of all agents."""
        ...


def default_telemetry(prices: Prices | None = None) -> Telemetry:
    """Return telemetry that keeps its tables in memory, priced by the price table if None."""
    from agy_nb.analysis.builders.live_tables import LiveTables

    return LiveTables(prices=prices)
