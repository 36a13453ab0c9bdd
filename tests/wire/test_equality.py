"""A recording says what the live run said: the same events, and the same tables.

Each case plays a session on the real harness against a scripted model while a cassette records it.
Then the live turns are held to the recording. Only moments and paths may differ.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import pydantic
import pytest
from google.antigravity import types
from google.antigravity.hooks import hooks, policy
from hypothesis import given, settings, strategies as st

import agy_nb as agy
from agy_nb.analysis.loading import load
from agy_nb.analysis.schema import TABLES
from agy_nb.cassette.storage.cassette_reader import load as load_cassette
from agy_nb.protocol.codec import note_of
from agy_nb.protocol.events import Error, Event, State, TurnState
from agy_nb.testing import (
    ScriptedModel,
    ScriptUsage,
    block,
    call,
    drop,
    empty,
    fail,
    hang,
    image,
    say,
    think,
)
from agy_nb.wire import WireReader
from tests.sdk.needs import needs_sdk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # recordings are read here

FINAL = (TurnState.DONE, TurnState.FAILED, TurnState.CANCELLED, TurnState.DENIED)
QUICK = types.RetryConfig(
    api_retry=types.ModelAPIRetryConfig(
        max_retries=1, initial_sleep_duration_ms=1, exponential_multiplier=1.0, jitter_range=0.0
    ),
    model_output_retry=types.ModelOutputRetryConfig(max_retries=1),
)
ONLY_LIVE = {
    "session_id", "session_name", "path", "source", "n_frames", "complete", "sdk", "traceback",
}  # fmt: skip
"""Columns that say where a table comes from, and those that name files."""


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def add(x: int) -> int:
    """Add one."""
    return x + 1


async def waits() -> str:
    """Wait for ever."""
    await asyncio.Event().wait()
    return "never"


def broken() -> str:
    """Fail."""
    raise KeyError("customer 17")


class Warmth(pydantic.BaseModel):
    """How warm it is."""

    city: str
    degrees: int


@hooks.pre_tool_call_decide
async def refuses(tool_call: types.ToolCall) -> types.HookResult:
    """Refuse every call."""
    return types.HookResult(allow=False, message="house rules")


@hooks.pre_turn
async def not_now(prompt: types.Content) -> types.HookResult:
    """Refuse every turn."""
    return types.HookResult(allow=False, message="not now")


@dataclass(frozen=True)
class Case:
    """A session: the model's script, the prompts, and what the agent is made of."""

    script: Any
    prompts: tuple[str, ...] = ("go",)
    config: dict[str, Any] = field(default_factory=dict)
    agent: dict[str, Any] = field(default_factory=dict)
    stop_at: str = ""
    expect: dict[str, Any] = field(default_factory=dict)


def subagent(name: str, **more: Any) -> types.SubagentConfig:
    return types.SubagentConfig(
        name=name, description="Looks things up.", system_instructions=f"You {name}.", **more
    )


def ask(name: str, prompt: str) -> Any:
    return call("invoke_subagent", Subagents=[{"TypeName": name, "Role": name, "Prompt": prompt}])


def tier(word: str) -> Case:
    return Case([say("x", usage=ScriptUsage(prompt=5, candidates=2), service_tier=word)])


EIGHT = [call("add", x=number) for number in range(8)]
CASES = {
    "text": Case([think("Hm.") + say(["Hel", "lo"])]),
    "two turns": Case([say("one"), say("two")], ("first", "second")),
    "safety finish": Case([say("no", finish_reason="SAFETY")] * 9),
    "safety prompt": Case([block("SAFETY")] * 9),
    "blocklist": Case([block("BLOCKLIST")] * 9),
    "prohibited prompt": Case([block("PROHIBITED_CONTENT")] * 9),
    "prohibited finish": Case([say("no", finish_reason="PROHIBITED_CONTENT")] * 9),
    "max tokens": Case([say("no", finish_reason="MAX_TOKENS")] * 9),
    "malformed call": Case([say("", finish_reason="MALFORMED_FUNCTION_CALL")] * 9),
    "recitation": Case([say("no", finish_reason="RECITATION")] * 9),
    "other": Case([say("no", finish_reason="OTHER")] * 9),
    "empty answer": Case([empty(), say("there")]),
    "401": Case([fail(401)]),
    "429, then success": Case([fail(429, retry_after=0), say("after all")]),
    "500": Case([fail(500)] * 9),
    "cut stream": Case([drop("half"), say("whole")]),
    "cancel in text": Case([hang("One, ")], stop_at="One, "),
    "host tool": Case([call("get_weather", city="Rome"), say("ok")]),
    "tool that raises": Case([call("broken"), say("well")]),
    "built-in tool": Case([call("list_dir", DirectoryPath="/"), say("ok")]),
    "eight calls in a row": Case([*EIGHT, say("done")], expect={"read_by_call": [*range(1, 9)]}),
    "asked and allowed": Case(
        [call("get_weather", city="Rome"), say("ok")], agent={"ask_user": lambda _r: True}
    ),
    "asked and denied": Case(
        [call("get_weather", city="Rome"), say("ok")],
        agent={"ask_user": lambda _r: False},
        expect={"status": ["denied"]},
    ),
    "denied by a rule": Case(
        [call("get_weather", city="Rome"), say("ok")],
        agent={"policies": [policy.deny("get_weather"), policy.allow_all()]},
        expect={"status": ["denied"], "kind": ["host"]},
    ),
    "denied by a hook": Case(
        [call("get_weather", city="Rome"), say("ok")],
        agent={"hooks": [refuses]},
        expect={"status": ["denied"], "args_json": ['{"city": "Rome"}']},
    ),
    "turn denied by a hook": Case([say("never")], agent={"hooks": [not_now]}),
    "subagents two deep": Case(
        {
            "go": [ask("scout", "look below"), say("Waiting."), say("All done.")],
            "look below": [ask("digger", "dig deep"), say("Waiting too."), say("Scouted.")],
            "dig deep": [say("Dug.")],
        },
        config={"subagents": [subagent("scout"), subagent("digger")]},
    ),
    "structured output": Case(
        [call("finish", city="Oslo", degrees=4)], config={"response_schema": Warmth}
    ),
    "batch tier": tier("BATCH"),
    "flex tier": tier("FLEX"),
    "priority tier": tier("PRIORITY"),
    "provisioned tier": tier("PROVISIONED_THROUGHPUT"),
    "web search": Case([call("search_web", query="tea"), say("found"), say("done")]),
    "image generation": Case(
        [call("generate_image", Prompt="a cat", ImageName="cat"), say("made"), say("done")]
    ),
    "subagent with its own model": Case(
        {
            "go": [ask("scout", "look below"), say("Waiting."), say("All done.")],
            "look below": [say("Looked.")],
        },
        config={"subagents": [subagent("scout", model="scripted-model")]},
    ),
    "cancel in a tool": Case([call("waits"), say("never")], stop_at="waits"),
    "image": Case([image(b"\x89PNG\r\n\x1a\n") + say("a picture")]),
    "usage missing": Case([say("x", metering="never"), say("y")], ("first", "second")),
    "usage in every chunk": Case(
        [say(["a", "b", "c"], metering="every_chunk", usage=ScriptUsage(prompt=90, candidates=30))]
    ),
}


async def play(case: Case, path: Path) -> tuple[list[agy.Response], dict[str, pd.DataFrame]]:
    """Play a session live while a cassette records it; gives its turns and its tables."""
    responses = []
    limits = agy.RuntimeConfig(chat_pause=0, max_quota_retries=0)
    script = list(case.script.items()) if isinstance(case.script, dict) else case.script
    async with ScriptedModel(script) as model:
        config = model.config(
            **{"retry_config": QUICK, "policies": [policy.allow_all()]} | case.config
        )
        if {"ask_user", "policies"} & case.agent.keys():
            config = model.config(**{"retry_config": QUICK} | case.config)
        async with agy.use_cassette(path, "all", record_model=False), agy.Runtime(limits) as rt:
            tools = [get_weather, add, broken, waits]
            agent = await rt.create_agent(config, tools=tools, **case.agent)
            for prompt in case.prompts:
                response = await agent.chat(prompt)
                if case.stop_at:
                    async for event in response.events():
                        if case.stop_at in (getattr(event, "text", ""), getattr(event, "name", "")):
                            break
                    await response.cancel()
                responses.append(await response.wait())
            await agent.shutdown()
            tables = {name: getattr(rt.tables, name) for name in TABLES if name != "commands"}
    return responses, tables


def recorded_events(path: Path) -> list[Event]:
    """The events of a recording with one session."""
    (session,) = load_cassette(path).sessions
    reader = WireReader()
    events = [event for line in session.story for event in reader.take(line.direction, line.frame)]
    end = session.end or {}
    return [*events, *reader.take("end", end)]


def turns_of(events: list[Event]) -> list[list[Event]]:
    """The events of each turn: from the state in which it begins to the one in which it ends."""
    turns: list[list[Event]] = []
    runs = False
    for event in events:
        if isinstance(event, State) and not runs:
            turns.append([])
            runs = True
        if runs:
            turns[-1].append(event)
        if isinstance(event, State) and event.state in FINAL:
            runs = False
    return turns


def as_text(events: list[Event], folder: Path) -> list[str]:
    """Events without their moments; paths as the recording writes them."""
    import tempfile

    found = []
    for event in events:
        note = note_of(event)
        note.pop("wait", None)  # rounded, as moments are
        note.pop("traceback", None)  # names files
        text = json.dumps(note, sort_keys=True)
        text = text.replace(str(folder), "{{path}}").replace(tempfile.gettempdir(), "{{agy:tmp}}")
        found.append(text)
    return found


def assert_same_tables(live: dict[str, pd.DataFrame], recorded: Any) -> None:
    """Every column of every table is equal, moments and what says where it comes from aside."""
    for name, table in live.items():
        other = getattr(recorded, name)
        columns = [
            column
            for column in table.columns
            if column not in ONLY_LIVE
            and not pd.api.types.is_datetime64_any_dtype(table[column])
            and table[column].dtype.kind not in "mMf"
            and column not in DURATIONS
        ]
        assert list(other.columns) == list(table.columns), name
        left = json.loads(table[columns].to_json(orient="records"))
        right = json.loads(other[columns].to_json(orient="records"))
        for one, two in zip(left, right, strict=True):
            assert one == two, f"the table {name} differs"


DURATIONS = {"duration", "wait", "ttft", "gap", "approval_wait"}


names_home = needs_sdk("0.1.18", "its harness names the home folder, which a recording hides,")
MARKS = {"built-in tool": [names_home]}


@pytest.mark.parametrize("name", [pytest.param(n, marks=MARKS.get(n, ())) for n in CASES])
async def test_recording_has_the_events_and_the_tables_of_the_live_run(name, tmp_path):
    case = CASES[name]
    path = tmp_path / "c"
    responses, tables = await play(case, path)
    turns = turns_of(recorded_events(path))
    assert len(turns) == len(responses)
    for response, turn in zip(responses, turns, strict=True):
        assert as_text(response.event_log, tmp_path) == as_text(turn, tmp_path)
    recorded = load(path)
    assert_same_tables(tables, recorded)
    for column, values in case.expect.items():
        assert recorded.tool_calls[column].tolist() == values
        assert tables["tool_calls"][column].tolist() == values


ACTS = st.lists(
    st.sampled_from(
        [
            say("text"),
            say(["in", " two", " pieces"]),
            think("Hm.") + say("thought"),
            call("add", x=1),
            call("broken"),
            call("get_weather", city="Rome") + call("add", x=2),
            fail(429, retry_after=0),
            empty(),
        ]
    ),
    max_size=4,
)


@settings(max_examples=settings.default.max_examples // 5)  # each starts a harness
@given(script=ACTS)
def test_recording_of_any_session_has_the_events_of_the_live_run(script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    case = Case([*script, say("the end"), say("more"), say("more")])

    async def run() -> None:
        responses, tables = await play(case, folder / "c")
        turns = turns_of(recorded_events(folder / "c"))
        for response, turn in zip(responses, turns, strict=True):
            assert as_text(response.event_log, folder) == as_text(turn, folder)
        assert_same_tables(tables, load(folder / "c"))

    asyncio.run(run())


async def test_error_says_which_retry_of_how_many_follows(tmp_path):
    case = Case([fail(429, retry_after=0), say("after all")])
    (response,), _ = await play(case, tmp_path / "c")
    (error,) = [event for event in response.event_log if isinstance(event, Error)]
    assert (error.retry, error.max_retries) == (1, 1)


async def test_resumed_conversation_is_the_same_live_and_recorded(tmp_path):
    limits = agy.RuntimeConfig(chat_pause=0)
    path = tmp_path / "c"
    async with (
        ScriptedModel([say("Nice to meet you."), say("Ada, of course.")]) as model,
        agy.use_cassette(path, "all", record_model=False),
        agy.Runtime(limits) as rt,
    ):
        config = model.config(save_dir=str(tmp_path / "save"), retry_config=QUICK)
        first = await rt.create_agent(config)
        await first.chat_text("My name is Ada")
        resumed = config.model_copy(update={"conversation_id": first.conversation_id})
        await first.shutdown()
        again = await rt.create_agent(resumed)
        await again.chat_text("What is my name?")
        await again.shutdown()
        tables = {name: getattr(rt.tables, name) for name in TABLES if name != "commands"}
    assert tables["agents"]["resumed"].tolist() == [False, True]
    assert_same_tables(tables, load(path))
