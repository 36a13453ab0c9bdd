"""The tables of a live runtime: `agent.tables`, `rt.tables`.

Rule 1: an event is added to a list. Rows are built on access, or when the list is long.
Rule 2: tables are bounded. Beyond `max_rows` a table drops its oldest half, with a row in
`problems`.
Rule 3: an error in this module is logged and stops the tables, never a turn.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from agy_nb.analysis.builders.column_buffer import Columns
from agy_nb.analysis.builders.dataframes import frame
from agy_nb.analysis.builders.from_events import ENDS, EventTables, prompt_text
from agy_nb.analysis.builders.session_builder import SessionBuilder
from agy_nb.analysis.label_columns import encoded
from agy_nb.analysis.live.configured_models import (
    ConfiguredModels,
    conversation_of_config,
    models_of_config,
    models_of_event,
)
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.metrics.turn_cost import TurnPricing
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.tables import Read, Tables
from agy_nb.errors import AgyTimeoutError, ChannelClosedError
from agy_nb.protocol import events as e
from agy_nb.protocol.commands import Command
from agy_nb.protocol.values import Prompt

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 1_000_000
"""Rows of a table before its oldest half is forgotten."""

MAX_WAITING = 2_000
"""Events on the list before they become rows: a few milliseconds of work."""

_log = logging.getLogger("agy_nb.analysis")


class LiveTurn(Protocol):
    """The attributes of a response that the tables read."""

    turn_id: int
    prompt: Prompt
    kind: e.TurnKind

    @property
    def stop_reason(self) -> str | None:
        """Why the harness stopped."""
        ...


class LiveTables:
    """Collects the rows of one runtime.

    Args:
        max_rows: Rows of a table before its oldest half is forgotten.
        prices: How model calls are priced.

    Attributes:
        session_id: What the tables call this run.
    """

    def __init__(self, *, max_rows: int = MAX_ROWS, prices: Prices | None = None) -> None:
        self.session_id: str = f"live-{uuid.uuid4().hex[:12]}"
        self._prices = prices or Prices()
        self._max_rows = max_rows
        self._columns = Columns()
        self._session = SessionBuilder(
            self._columns, self.session_id, source="live", session_name=self.session_id
        )
        self._event_tables: dict[int, EventTables] = {}
        self._open: dict[int, int] = {}
        self._side_errors: dict[int, str] = {}
        self._dropped: dict[str, int] = {}
        self._broken = False
        self._watchers: list[Callable[[], None]] = []
        self._waiting: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._models: dict[int, ConfiguredModels] = {}

    # -- called by the runtime ---------------------------------------------------------------

    def agent_started(
        self, agent_id: int, config: Any, labels: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Note that an agent has started."""
        models = models_of_config(config)
        resumed = conversation_of_config(config)
        about = {
            "created_at": _now(),
            "endpoint": models.endpoint,
            "resumed": resumed is not None,
            "conversation_id": resumed,
            "labels": encoded(labels),
        }
        self._models[agent_id] = models
        self._later(self._start, agent_id, models, about)
        self._tell()

    def _start(self, agent_id: int, models: ConfiguredModels, about: dict[str, Any]) -> None:
        agent = self._session.agent(agent_id, about["created_at"])
        agent.configure(models)
        agent.about(**about)

    def agent_ended(self, agent_id: int) -> None:
        """Close an agent."""
        self._models.pop(agent_id, None)
        self._later(self._end, agent_id, _now())
        self._tell()

    def _end(self, agent_id: int, at: float) -> None:
        agent = self._session.agents.get(agent_id)
        if agent is not None:
            agent.close(at)
        self._session.forget(agent_id)
        self._event_tables.pop(agent_id, None)
        self._open.pop(agent_id, None)

    def event(self, agent_id: int, response: LiveTurn | None, event: e.Event) -> None:
        """Record an event of a turn, or one between turns."""
        if response is None:
            if isinstance(event, e.SessionConfigured) and event.model is not None:
                self._models[agent_id] = models_of_event(event)
            self._later(self._take_between_turns, agent_id, event)
        else:  # not the response itself, which would keep its agent alive
            about = response.turn_id, response.prompt, response.kind
            reason = response.stop_reason if isinstance(event, e.State) else None
            self._later(self._take, agent_id, event, about, getattr(reason, "value", reason))
        if self._watchers and not isinstance(event, e.Text | e.Thought):
            self._tell()

    def _later(self, work: Callable[..., None], *about: Any) -> None:
        """Add an item to the list of pending rows."""
        if not self._broken:
            self._waiting.append((work, about))
            if len(self._waiting) >= MAX_WAITING:
                self._catch_up()

    def _catch_up(self) -> None:
        """Make rows of everything on the list."""
        # Taken off before: after an error, the same events must not be read again.
        waiting, self._waiting = self._waiting, []
        try:
            for work, about in waiting:
                work(*about)
        except Exception:
            self._break()

    def _tables_of(self, agent_id: int) -> EventTables:
        event_tables = self._event_tables.get(agent_id)
        if event_tables is None:
            event_tables = self._event_tables[agent_id] = EventTables(self._session.agent(agent_id))
        return event_tables

    def _take_between_turns(self, agent_id: int, event: e.Event) -> None:
        if not isinstance(event, e.State):
            self._tables_of(agent_id).add(event)

    def _take(
        self,
        agent_id: int,
        event: e.Event,
        about: tuple[int, Prompt, e.TurnKind],
        stop_reason: str | None,
    ) -> None:
        turn_id, prompt, kind = about
        event_tables = self._tables_of(agent_id)
        running = self._open.get(agent_id)
        if running is None:
            event_tables.begin(turn_id, prompt_text(prompt), kind=kind)
            self._open[agent_id] = turn_id
        elif running != turn_id:
            self._queued_turn(agent_id, event, about)
            return
        if isinstance(event, e.State) and event.state in ENDS:
            event_tables.add(event, stop_reason=stop_reason)
            del self._open[agent_id]
            self._trim()
        else:
            event_tables.add(event)

    def _queued_turn(
        self, agent_id: int, event: e.Event, about: tuple[int, Prompt, e.TurnKind]
    ) -> None:
        """Record a queued turn that ended before it ran."""
        turn_id, prompt, kind = about
        if isinstance(event, e.Error):
            self._side_errors[turn_id] = event.error.type
        elif isinstance(event, e.State) and event.state in ENDS:
            self._session.agent(agent_id).side_turn(
                turn_id,
                prompt_text(prompt),
                event.at or None,
                ENDS[event.state],
                self._side_errors.pop(turn_id, None),
                kind,
            )

    def command(self, command: Command, queued_at: float, error: BaseException | None) -> None:
        """Record a command that was answered or failed."""
        at = _now()
        status = "ok" if error is None else "error"
        if isinstance(error, AgyTimeoutError):
            status = "timeout"
        elif isinstance(error, ChannelClosedError):
            status = "closed"
        values = {
            "command": command.type,
            "agent_id": getattr(command, "agent_id", None),
            "queued_at": queued_at,
            "ended_at": at,
            "duration": max(0.0, at - queued_at),
            "status": status,
            "error_type": None if error is None else type(error).__name__,
        }
        self._later(self._answered, values)

    def _answered(self, values: dict[str, Any]) -> None:
        self._session.command(**values)
        if len(self._columns["commands"]) > self._max_rows:
            self._trim()

    def _tell(self) -> None:
        for watch in tuple(self._watchers):
            watch()

    def _trim(self) -> None:
        for name, rows in self._columns.tables.items():
            if len(rows) > self._max_rows and name != "problems":
                count = len(rows) // 2
                rows.drop(count)
                self._say_dropped(name, rows.dropped)

    def _say_dropped(self, name: str, count: int) -> None:
        """Add one problem per table, however often rows are dropped."""
        detail = f"{name}: the oldest {count} rows"
        row = self._dropped.get(name)
        if row is None:
            self._dropped[name] = self._session.problem("rows_dropped", detail=detail)
        else:
            self._columns["problems"].put(row, {"detail": detail})

    def _break(self) -> None:
        if not self._broken:
            self._broken = True
            _log.exception("the tables of this runtime end here; its agents go on")

    def watch(self, watch: Callable[[], None]) -> Callable[[], None]:
        """Call a function on every change except pieces of text.

        Args:
            watch: Called on the runtime's loop; never blocks, never raises.

        Returns:
            A function that ends it; it may be called twice.
        """
        self._watchers.append(watch)

        def stop() -> None:
            self._watchers = [known for known in self._watchers if known is not watch]

        return stop

    def model(self, agent_id: int) -> str | None:
        """Return the name of the model that an agent uses; None if it is unknown."""
        return self._models.get(agent_id, ConfiguredModels()).model

    def pricing(self, agent_id: int) -> TurnPricing:
        """Return the prices of an agent's turns, as in the tables."""
        return TurnPricing(self._prices, self._models.get(agent_id, ConfiguredModels()))

    # -- asked by the user -------------------------------------------------------------------

    def tables(self, agent_id: int | None = None) -> Tables:
        """Return the tables of an agent, or of all."""

        def build(name: str, data: Mapping[str, list[Any]]) -> pd.DataFrame:
            table = frame(TABLES[name], data)
            if agent_id is not None and "agent_id" in table:
                table = table[table["agent_id"] == agent_id].reset_index(drop=True)
            return table

        def read(name: str) -> pd.DataFrame:
            self._catch_up()
            self._session.sync()
            return build(name, self._columns[name].data)

        def freeze(names: Iterable[str]) -> Read:
            self._catch_up()
            self._session.sync()
            kept = {
                name: {column: [*values] for column, values in self._columns[name].data.items()}
                for name in names
            }
            return lambda name: build(name, kept[name])

        return Tables(read, prices=self._prices, freeze=freeze)


def _now() -> float:
    return datetime.now(UTC).timestamp()
