"""Tables of responses, without a runtime: one pass over their events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from agy_nb.analysis.builders.column_buffer import Columns
from agy_nb.analysis.builders.from_events import EventTables, prompt_text
from agy_nb.analysis.builders.session_builder import SessionBuilder
from agy_nb.analysis.live.configured_models import ConfiguredModels
from agy_nb.protocol import events as e

UNKNOWN = ConfiguredModels()
"""The models of an agent whose configuration is unknown."""


@runtime_checkable
class EventTurn(Protocol):
    """The attributes of a turn that the tables read, as in `agy.Response`."""

    @property
    def agent_id(self) -> int:
        """Whose turn it is."""
        ...

    @property
    def turn_id(self) -> int:
        """Number of the turn."""
        ...

    @property
    def event_log(self) -> Sequence[e.Event]:
        """Its events so far."""
        ...


def fold_turns(
    turns: Iterable[EventTurn],
    *,
    models: ConfiguredModels = UNKNOWN,
    text: bool = False,
) -> Columns:
    """Return the tables of turns, such as responses.

    Args:
        turns: The turns.
        models: Models of the agents.
        text: Whether to keep the texts of messages.
    """
    columns = Columns()
    session = SessionBuilder(columns, "live", source="live", text=text)
    by_agent: dict[int, EventTables] = {}
    for turn in turns:
        if turn.agent_id not in by_agent:
            agent = session.agent(turn.agent_id)
            agent.configure(models)
            by_agent[turn.agent_id] = EventTables(agent)
        event_tables = by_agent[turn.agent_id]
        event_tables.begin(turn.turn_id, prompt_text(getattr(turn, "prompt", None)))
        stop_reason = getattr(turn, "stop_reason", None)
        for event in turn.event_log:
            event_tables.add(event, stop_reason=stop_reason)
    session.sync()
    return columns
