"""Every shipped cassette gives the same events and tables, replayed live and read from disk."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pandas as pd
import pytest
from google.antigravity.connections.local import local_connection

from agy_nb.analysis.builders.live_tables import LiveTables
from agy_nb.analysis.loading import load
from agy_nb.cassette import use_cassette
from agy_nb.cassette.storage.cassette_reader import load as load_cassette
from agy_nb.protocol import events as e
from agy_nb.protocol.codec import note_of
from agy_nb.sdk.process.observed_socket import ObservedSocket
from agy_nb.wire import WireReader
from agy_nb.wire.parsing import parse
from tests.analysis.conftest import Turn
from tests.cassette.scenarios import NO_MODEL, SCENARIOS, Setting
from tests.wire.test_equality import DURATIONS

# The SDK looks for its binary on the loop, also where none is started.
pytestmark = pytest.mark.blocking_allowed

SHIPPED = sorted(
    path.parent for path in (Path(__file__).parents[2] / "cassettes").glob("*/header.json")
)
NOT_OBSERVED = {
    "cancel": "where a cancelled turn ends is a race",
    "unauthorised": "what comes between an error and the end is chance",
    "approval_refused": "a replay hides from the SDK's own agent what a person was asked",
    "ask_question": "a replay hides from the SDK's own agent what a person was asked",
    "resume": "the history comes with the handshake, before there is a connection to observe",
}
"""Cassettes whose replay differs, or cannot be seen whole by this test, and why."""


def read(session) -> list[e.Event]:
    reader = WireReader()
    events = [event for line in session.story for event in reader.take(line.direction, line.frame)]
    return [*events, *reader.take("end", session.end or {})]


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
@pytest.mark.slow
def test_live_tables_of_its_events_are_the_tables_of_the_cassette(path):
    telemetry = LiveTables()
    turns = itertools.count(1)
    for number, session in enumerate(load_cassette(path).sessions, 1):
        turn: Turn | None = None
        for event in read(session):
            if isinstance(event, e.TurnBegan):
                turn = Turn(agent_id=number, turn_id=next(turns), prompt=event.prompt)
            telemetry.event(number, turn, event)
            if isinstance(event, e.State) and event.state is not e.TurnState.RUNNING:
                turn = None
    recorded = load(path, model_requests=False)
    for name in ("turns", "trajectories", "steps", "model_calls", "tool_calls", "errors"):
        assert rows(getattr(telemetry.tables(), name)) == rows(getattr(recorded, name)), name


def rows(table: pd.DataFrame) -> list[str]:
    """The rows without moments and numbers that depend on which agent comes first."""
    numbers = {"turn_id", "session_id", "call_index", "tool_index", "error_index", "read_by_call"}
    keep = [
        name
        for name in table.columns
        if name not in numbers and table[name].dtype.kind not in "mMf" and name not in DURATIONS
    ]
    return sorted(map(str, json.loads(table[keep].to_json(orient="records"))))


@pytest.mark.parametrize(
    "path", [path for path in SHIPPED if path.name not in NOT_OBSERVED], ids=lambda path: path.name
)
@pytest.mark.slow
async def test_replay_has_the_events_of_the_cassette(path, tmp_path, monkeypatch):
    seen: list[list[e.Event]] = []
    make = local_connection.LocalConnection.__init__

    def observed(self, process, ws, *args, **kwargs):
        reader, events = WireReader(), []
        seen.append(events)

        def on_frame(direction, raw):
            read_frame = reader.client if direction == "out" else reader.harness
            events.extend(read_frame(parse(raw)))

        make(self, process, ObservedSocket(ws, on_frame), *args, **kwargs)

    monkeypatch.setattr(local_connection.LocalConnection, "__init__", observed)
    async with use_cassette(path, "none"):
        await SCENARIOS[path.name].play(Setting(NO_MODEL, tmp_path))
    recorded = [read(session) for session in load_cassette(path).sessions]
    assert sorted(map(as_set, seen)) == sorted(map(as_set, recorded))


def as_set(events: list[e.Event]) -> list[str]:
    """What was said and done, whatever came first among things that happen side by side.

    The handshake is over when a connection is made, so that its events, and what only the
    configuration tells, cannot be observed here.
    """
    kinds = (e.Text, e.Thought, e.Step, e.ToolResult, e.Usage, e.Error, e.Question, e.TurnBegan)
    found = []
    for event in events:
        if isinstance(event, kinds):
            note = {key: value for key, value in note_of(event).items() if key != "max_retries"}
            found.append(json.dumps(note, sort_keys=True))
    return sorted(found)
