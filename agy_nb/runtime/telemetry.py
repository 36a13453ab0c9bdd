"""Who keeps the books of a runtime: told of everything, asked for tables.

Rule 1: a ledger only listens. It never blocks and never raises; the runtime works the same without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from agy_nb.protocol.commands import Command
from agy_nb.protocol.events import Event
from agy_nb.runtime.turns.response import Response

if TYPE_CHECKING:
    from agy_nb.analysis.tables import Tables


class Telemetry(Protocol):
    """Keeps the books of one runtime."""

    def agent_started(self, agent_id: int, config: Any) -> None:
        """An agent runs."""
        ...

    def agent_ended(self, agent_id: int) -> None:
        """An agent is gone."""
        ...

    def event(self, agent_id: int, response: Response | None, event: Event) -> None:
        """Something happened in a turn, or between turns."""
        ...

    def command(self, command: Command, queued_at: float, error: BaseException | None) -> None:
        """A command was answered, or failed."""
        ...

    def watch(self, watch: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when there is more in the tables, until the one returned is."""
        ...

    def model(self, agent_id: int) -> str | None:
        """Name of the model that an agent uses, None where it is not known."""
        ...

    def tables(self, agent_id: int | None = None) -> Tables:
        """The tables of an agent, or of all."""
        ...


def default_ledger() -> Telemetry:
    """Books in memory."""
    from agy_nb.analysis.builders.live_tables import LiveTables

    return LiveTables()
