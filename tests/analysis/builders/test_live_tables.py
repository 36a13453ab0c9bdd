"""The tables of a runtime and its agents, while they live and after."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import warnings
from types import SimpleNamespace

import pytest

from agy_nb.analysis import load
from agy_nb.analysis.builders.live_tables import LiveTables
from agy_nb.analysis.live.configured_models import model_of
from agy_nb.analysis.metrics.usage_columns import USAGE_KEYS
from agy_nb.cassette import use_cassette
from agy_nb.errors import AgyError
from agy_nb.protocol.events import State, Text, TurnState
from agy_nb.protocol.values import TextPart, Trajectory
from agy_nb.runtime.runtime import Runtime
from agy_nb.testing import ScriptedModel, call, say
from tests.analysis.conftest import ROOT, START, metered
from tests.support.memory import MemoryBackend


async def test_turns_of_an_agent():
    async with Runtime(backend=MemoryBackend()) as rt:
        agent = await rt.create_agent({"model": "gemini-2.5-flash"})
        await agent.chat_text("Hello there")
        turn = agent.tables.turns.iloc[0]
        assert (turn["status"], turn["prompt_chars"], turn["response_chars"]) == ("ok", 11, 12)
        assert (turn["n_model_calls"], turn["stop_reason"]) == (1, "UNSPECIFIED")
        assert turn["duration"].total_seconds() > 0
        assert agent.tables.usage()["total_tokens"].tolist() == [15]
        assert agent.tables.model_calls["model"].tolist() == ["gemini-2.5-flash"]


async def test_runtime_has_every_agents_turns_also_when_closed():
    async with Runtime(backend=MemoryBackend()) as rt:
        agents = [await rt.create_agent() for _ in range(3)]
        await asyncio.gather(*(agent.chat_text("Hello") for agent in agents))
    assert rt.tables.usage("agent")["n_model_calls"].tolist() == [1, 1, 1]
    assert rt.tables.agents["state"].tolist() == ["closed"] * 3
    assert agents[1].tables.turns["agent_id"].tolist() == [2]
    assert rt.tables.commands["command"].tolist()[0] == "create_agent"


@pytest.mark.slow
async def test_looking_while_a_turn_runs():
    go_on = asyncio.Event()

    async def play(turn):
        turn.say("One, ")
        await go_on.wait()
        turn.say("two.")
        turn.meter()

    async with Runtime(backend=MemoryBackend(play)) as rt:
        agent = await rt.create_agent()
        response = await agent.chat("Count")
        async for _ in response.text_stream():
            break
        running = agent.tables.turns.iloc[0]
        assert (running["status"], running["response_chars"]) == ("running", 5)
        for by in USAGE_KEYS.keys() - {"tool"}:
            assert agent.tables.usage(by)["tokens_are_lower_bound"].any()
        go_on.set()
        await response.text()
        assert agent.tables.turns["response_chars"].tolist() == [9]
        for by in USAGE_KEYS.keys() - {"tool"}:
            assert not agent.tables.usage(by)["tokens_are_lower_bound"].any()


async def test_cancelled_turn_and_one_that_never_ran():
    async def play(turn):
        turn.say("One, ")
        await asyncio.Event().wait()

    async with Runtime(backend=MemoryBackend(play)) as rt:
        agent = await rt.create_agent()
        first = await agent.chat("Count")
        second = await agent.chat("Wait")
        async for _ in first.text_stream():
            break
        await second.cancel()
        await first.cancel()
        turns = rt.tables.turns.set_index("turn_id")
        assert turns["status"].to_dict() == {1: "cancelled", 2: "cancelled"}
        assert turns["n_usage_unknown"].to_dict() == {1: 1, 2: 0}


async def test_failed_turn_names_its_error():
    async def play(turn):
        raise AgyError("no")

    async with Runtime(backend=MemoryBackend(play)) as rt:
        agent = await rt.create_agent()
        await (await agent.chat("Hello"))
        assert rt.tables.turns["status"].tolist() == ["error"]
        assert rt.tables.errors["fatal"].tolist() == [True]
        assert rt.tables.turns["error_type"].tolist() == ["AgyError"]


async def test_tools_and_approvals():
    def add(x: int) -> int:
        return x + 1

    async def play(turn):
        await turn.call("add", {"x": 1})
        turn.say("Two.")

    async with Runtime(backend=MemoryBackend(play)) as rt:
        for allowed in (True, False):
            agent = await rt.create_agent(tools=[add], ask_user=lambda request, a=allowed: a)
            await agent.chat_text("Add")
        assert rt.tables.tool_calls["status"].tolist() == ["ok", "denied"]
        assert rt.tables.tool_calls["approval_id"].notna().all()
        assert rt.tables.approvals["decision"].tolist() == ["allow", "deny"]
        assert rt.tables.approvals["decided_by"].tolist() == ["user", "user"]


async def test_broken_tables_end_no_turn(caplog):
    telemetry = LiveTables()
    telemetry._take = None
    async with Runtime(backend=MemoryBackend(), telemetry=telemetry) as rt:
        agent = await rt.create_agent()
        assert await agent.chat_text("Hello") == "Hello "
        assert len(rt.tables.turns) == 0
        assert await agent.chat_text("Hello") == "Hello "
    assert "its agents go on" in caplog.text


class Response:
    prompt = (TextPart(text="Hello"),)
    kind = "prompt"
    stop_reason = None

    def __init__(self, turn_id):
        self.turn_id = turn_id


def play(telemetry, turns, chunks=3):
    for number in range(turns):
        response = Response(number + 1)
        telemetry.event(1, response, State(state=TurnState.RUNNING, at=START + number))
        for _ in range(chunks):
            text = Text(trajectory=ROOT, text="word ", step_index=number, at=START + number)
            telemetry.event(1, response, text)
        telemetry.event(1, response, metered(ROOT, START + number, total_tokens=7))
        telemetry.event(1, response, State(state=TurnState.DONE, at=START + number))


def test_tables_are_bounded():
    telemetry = LiveTables(max_rows=100)
    play(telemetry, 1000)
    tables = telemetry.tables()
    assert 50 <= len(tables.turns) <= 100
    assert tables.turns["turn_id"].tolist()[-1] == 1000
    assert tables.turns["status"].eq("ok").all()
    assert tables.sessions["n_turns"].tolist() == [1000]


def test_dropped_rows_are_told_once_a_table_and_in_all():
    telemetry = LiveTables(max_rows=100)
    play(telemetry, 1000)
    tables = telemetry.tables()
    problems = tables.problems
    assert set(problems["problem"]) == {"rows_dropped"}
    told = dict(detail.split(": ") for detail in problems["detail"])
    assert len(told) == len(problems)
    assert told["turns"] == f"the oldest {1000 - len(tables.turns)} rows"


def test_of_an_agent_that_is_gone_only_its_rows_are_kept():
    telemetry = LiveTables(max_rows=100)
    for agent_id in range(1, 301):
        telemetry.agent_started(agent_id, {"model": "m"})
        telemetry.event(agent_id, None, metered(ROOT, START + agent_id, total_tokens=7))
        telemetry.agent_ended(agent_id)
    assert len(telemetry.tables().turns) == 0
    kept = (telemetry._session.agents, telemetry._event_tables, telemetry._open)
    assert [len(each) for each in kept] == [0, 0, 0]
    telemetry.agent_started(301, {"model": "m"})
    tables = telemetry.tables()
    assert tables.sessions["n_agents"].tolist() == [301]
    assert tables.agents["state"].tolist()[-2:] == ["closed", "running"]
    assert tables.agents["model"].tolist()[-2:] == ["m", "m"]
    assert tables.trajectories["n_model_calls"].tolist()[-1] == 1


@pytest.mark.slow
def test_looking_after_ten_thousand_turns_costs_little_more():
    def look(turns):
        telemetry = LiveTables()
        play(telemetry, turns)
        times = []
        for _ in range(5):
            began = time.thread_time()
            assert len(telemetry.tables().turns) == turns
            times.append(time.thread_time() - began)
        return min(times)

    assert look(10_000) - look(10) < 0.5  # 0.03, and 1.7 if all were made anew


def test_event_costs_a_few_microseconds():
    telemetry = LiveTables()
    began = time.thread_time()
    play(telemetry, 100, chunks=500)
    assert (time.thread_time() - began) / 50_000 < 50e-6  # 2 to 4 when nothing else runs


MODEL = {"name": "a", "types": ["text"]}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, (None, None)),
        ({"model": "m"}, ("m", None)),
        ({"models": [MODEL | {"types": ["image"]}, MODEL | {"name": "b"}]}, ("b", None)),
    ],
)
def test_model_of_a_configuration(config, expected):
    assert model_of(config) == expected


def test_events_between_turns_count():
    telemetry = LiveTables()
    play(telemetry, 1)
    child = Trajectory(id="c" * 32, parent_id=ROOT.id, depth=1)
    telemetry.event(1, None, metered(child, START, total_tokens=5))
    calls = telemetry.tables().model_calls
    assert calls["total_tokens"].tolist() == [7, 5]
    assert calls["turn_id"].isna().tolist() == [False, True]
    assert telemetry.tables().usage("session")["total_tokens"].tolist() == [12]


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK blocks the loop while it stops its harness
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # and leaves its pipes open
async def test_model_is_the_sdks_default_where_the_configuration_names_none(tmp_path):
    """It is what the SDK tells its harness, too, as a recording shows."""
    with use_cassette(tmp_path / "c", record_mode="all"):
        async with Runtime() as rt:
            await rt.create_agent({"api_key": "made-up"})
        gc.collect()
    trajectories = load(tmp_path / "c").agents["model"].tolist()
    assert rt.tables.agents["model"].tolist() == trajectories
    assert trajectories[0].startswith("gemini-")


@pytest.mark.parametrize(
    ("config", "model", "source"),
    [
        (None, "gemini-of-the-sdk", "default"),
        ({"api_key": "x"}, "gemini-of-the-sdk", "default"),
        ({"model": "mine"}, "mine", "config"),
        (SimpleNamespace(base_url="x"), None, "unknown"),
    ],
)
def test_default_model_is_marked_as_such(config, model, source, monkeypatch):
    sdk = SimpleNamespace(DEFAULT_MODEL="gemini-of-the-sdk")
    monkeypatch.setitem(sys.modules, "google.antigravity.models", sdk)
    telemetry = LiveTables()
    telemetry.agent_started(1, config)
    play(telemetry, 1)
    calls = telemetry.tables().model_calls
    assert calls["model"].fillna("").tolist() == [model or ""]
    assert calls["model_source"].tolist() == [source]


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK blocks the loop while it stops its harness
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # and leaves its pipes open
async def test_live_and_recorded_tables_agree(tmp_path):
    def get_weather(city: str) -> str:
        """Tell the weather.

        Args:
            city: The city.
        """
        return f"sunny in {city}"

    script = [call("get_weather", city="Paris"), say(["Sun", "ny."]), say("Fine.")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"), Runtime() as rt:
            agent = await rt.create_agent(
                model.config(), tools=[get_weather], ask_user=lambda request: True
            )
            await agent.chat_text("Weather?")
            await agent.chat_text("Thanks")
        gc.collect()
    live, recorded = rt.tables, load(tmp_path / "c")
    for name, columns in {
        "turns": ["turn_id", "status", "prompt_chars", "response_chars", "n_tool_calls"],
        "model_calls": ["trajectory_id", "model", "input_tokens", "output_tokens", "total_tokens"],
        "tool_calls": ["tool", "kind", "status", "args_json", "read_by_call"],
        "messages": ["role", "chars"],
        "approvals": ["kind", "tool", "decision"],
        "trajectories": ["trajectory_id", "depth", "n_model_calls", "reported_total_tokens"],
    }.items():  # fmt: skip
        here, there = (tables.frame(name)[columns].astype(object) for tables in (live, recorded))
        here, there = here.map(as_text), there.map(as_text)
        assert here.to_dict("records") == there.to_dict("records"), name


def as_text(cell):
    return str(cell).replace(" ", "").replace(".0", "")
