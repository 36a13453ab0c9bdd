"""Recorded lines as events: a recording shows what was seen live, whatever it holds."""

import json
import os
import signal
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.cassette.inspect.recorded_events import RecordedEvents
from agy_nb.cassette.inspect.transcript import transcript
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import WireRecord
from agy_nb.protocol import events as e
from agy_nb.protocol.values import TextPart
from agy_nb.testing import ScriptedModel, call, fail, hang, say, think
from tests.cassette.scenarios import QUESTION, Setting, _files, _subagents, get_weather
from tests.sdk.process.test_launch import pid_of

SHIPPED = sorted((Path(__file__).parents[3] / "cassettes").glob("*/header.json"))


def read(session) -> list:
    reader = RecordedEvents()
    events = [event for line in session.story for event in reader.take(line)]
    return events + reader.end(session.end)


def read_pairs(*lines, end=None) -> list:
    """The events of (direction, frame) pairs."""
    reader = RecordedEvents()
    events = [
        event for side, frame in lines for event in reader.take(WireRecord(0, side, 0.5, frame))
    ]
    return events if end is None else events + reader.end(end)


def of(kind, events) -> list:
    return [event for event in events if isinstance(event, kind)]


PROMPT = ("client", {"userInput": {"parts": [{"text": "hi"}]}})
IDLE = ("harness", {"trajectoryStateUpdate": {"trajectoryId": "t", "state": "STATE_FULLY_IDLE"}})


def said(event):
    """What of an event is in the recording too, in words that both have."""
    depth = event.trajectory.depth
    match event:
        case e.Text() | e.Thought():
            return (type(event).__name__, depth, event.text)
        case e.ToolCall():
            args = json.dumps(event.args, sort_keys=True) if event.source == "custom" else ""
            return ("call", depth, event.call_id, event.name, event.source, args)
        case e.ToolResult():
            return ("result", depth, event.call_id, event.name, event.error, event.denied)
        case e.Approval():
            return ("approval", depth, event.tool, event.state, event.call_id)
        case e.Question():
            return ("question", depth, event.questions, event.answers)
        case e.Usage():
            return ("usage", depth, event.usage, event.session_total)
        case e.Error():
            return ("error", depth, event.error.type, event.fatal, event.refused_step)
        case e.State():
            return ("state", event.state)
    return None


def merged(events):
    """Events as comparable things; pieces of one text as one, whichever way it was cut."""
    found = []
    for this in map(said, events):
        if this is None or this in _ON_THE_WAY:
            continue
        if found and this[0] in ("Text", "Thought") and found[-1][:2] == this[:2]:
            found[-1] = (*this[:2], found[-1][2] + this[2])
        else:
            found.append(this)
    return found


_ON_THE_WAY = [("state", state) for state in ("queued", "running", "waiting_for_user")]


class Answering:
    """Says yes, and picks the second answer."""

    async def __call__(self, request):
        return request.args.get("city") != "Oslo"

    async def answer(self, question_id, questions):
        from agy_nb.protocol.values import Answer

        return tuple(Answer(selected=("2",)) for _ in questions)


SCRIPTS = {
    "text": lambda _: [think("hm, let me see") + say(["Fo", "ur."])],
    "tools": lambda _: [
        think("two") + call("get_weather", city="Paris") + call("get_weather", city="Rome"),
        say("Sunny."),
    ],
    "refused": lambda _: [call("get_weather", city="Oslo"), say("I may not.")],
    "builtin": _files,
    "question": lambda _: [call("ask_question", questions=[QUESTION]), say("Blue it is.")],
    "subagents": _subagents,
    "goes on": lambda _: [fail(429, retry_after=0), say("After all.")],
    "safety": lambda _: [say("", finish_reason="SAFETY")] * 3,
    "limit": lambda _: [say("It goes on and", finish_reason="MAX_TOKENS")] * 3,
    "fails": lambda _: [fail(401)],
}


@pytest.mark.real
@pytest.mark.blocking_allowed
@pytest.mark.parametrize("name", SCRIPTS)
async def test_recording_tells_of_what_the_turn_told_of_live(name, tmp_path):
    from google.antigravity import types

    settings = {}
    if name == "question":
        settings["capabilities"] = types.CapabilitiesConfig(
            agent_behavior=types.AgentBehavior.INTERACTIVE,
            enabled_tools=[types.BuiltinTools.ASK_QUESTION],
        )
    if name == "subagents":
        settings["subagents"] = [
            types.SubagentConfig(
                name="researcher", description="Looks up.", system_instructions="You research.",
                tools=[get_weather],
            )
        ]  # fmt: skip
    async with ScriptedModel(SCRIPTS[name](tmp_path)) as model, agy.Runtime() as runtime:
        at = Setting(model.base_url, tmp_path)
        async with agy.use_cassette(tmp_path / "c"):
            agent = await runtime.create_agent(
                at.config(tools=[get_weather], allow=name == "subagents", **settings),
                ask_user=Answering(),
            )
            response = await agent.chat("Ask around" if name == "subagents" else "Go")
            await response
            await agent.shutdown()
    (session,) = load(tmp_path / "c").sessions
    events = read(session)
    assert [event.prompt for event in of(e.TurnBegan, events)] == [response.prompt]
    live, recorded = merged(response.event_log), merged(events)
    if name in ("subagents", "tools"):  # which of two that run at once is told of first is chance
        live, recorded = sorted(live, key=repr), sorted(recorded, key=repr)
    assert recorded == live
    if name == "refused":
        (refused,) = of(e.ToolResult, events)
        approvals = of(e.Approval, events)
        assert {each.call_id for each in approvals} == {refused.call_id} != {""}


@pytest.mark.parametrize("header", SHIPPED, ids=[path.parent.name for path in SHIPPED])
def test_shipped_cassettes_are_read_without_complaint(header):
    for session in load(header.parent).sessions:
        events = read(session)
        assert of(e.TurnBegan, events)
        assert of((e.Problem, e.UnknownFrame), events) == []


def test_resumed_conversation_begins_with_what_was_said_before():
    _, second = load(SHIPPED[0].parent.parent / "resume").sessions
    (opened,) = of(e.SessionOpened, read(second))
    assert [message.content for message in opened.history] == [
        "My name is Ada",
        "Nice to meet you.",
    ]


def test_time_between_events_is_that_of_the_recording():
    first, *_, last = read_pairs(PROMPT, IDLE)
    assert last.at - first.at == 0.5


@pytest.mark.parametrize(
    "rubbish",
    [
        None,
        7,
        "text",
        [],
        [1],
        {"a": 1},
        {"parts": 3},
        {"parts": [7]},
        {"trajectoryId": [], "stepIndex": "x"},
        {"agents": [None]},
    ],
)
@pytest.mark.parametrize(
    "kind",
    [
        "userInput",
        "stepUpdate",
        "toolCall",
        "toolResponse",
        "usageUpdate",
        "policyDecisionRequest",
        "questionResponse",
        "initializeConversationResponse",
        "trajectoryStateUpdate",
        "automatedTrigger",
    ],
)
def test_frame_that_makes_no_sense_harms_nothing(kind, rubbish):
    events = read_pairs(("harness", {kind: rubbish}), ("client", {kind: rubbish}), PROMPT, IDLE)
    assert (TextPart(text="hi"),) in [event.prompt for event in of(e.TurnBegan, events)]
    assert of(e.State, events)[-1].state == "done"


def test_recording_that_stops_in_a_turn_was_closed_by_nobody():
    reader = RecordedEvents()
    reader.take(WireRecord(0, *PROMPT[:1], 0.0, PROMPT[1]))
    assert reader.end(None) == [e.SessionClosed(by="unknown")]


def test_harness_that_went_away_in_a_turn_is_a_failure():
    *_, error, state, closed = read_pairs(
        PROMPT, end={"by": "harness", "code": 1006, "reason": "lost"}
    )
    assert (closed.by, closed.code, closed.reason) == ("harness", 1006, "lost")
    assert "1006 lost" in error.error.message
    assert state.state == "failed"


def test_program_that_went_away_in_a_turn_has_cancelled_it():
    *_, state, closed = read_pairs(PROMPT, end={"by": "client"})
    assert (state.state, closed.by) == ("cancelled", "client")


@pytest.mark.real
@pytest.mark.blocking_allowed
async def test_recording_says_how_a_turn_ended_whose_harness_was_killed(tmp_path):
    script = [say("so far ") + hang(), say("again")]
    async with (
        ScriptedModel(script) as model,
        agy.Runtime() as runtime,
        agy.use_cassette(tmp_path / "c"),
    ):
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("Go")
        async for event in response.events():
            if isinstance(event, e.Text):
                break
        os.kill(pid_of(agent), signal.SIGKILL)
        await response.wait()
        await (await agent.chat("More")).wait()
        await agent.shutdown()
    first, second = (read(session) for session in load(tmp_path / "c").sessions)
    assert [event.state for event in of(e.State, first)][-1] == "failed"
    assert [event.error.type for event in of(e.Error, first)] == ["HarnessError"]
    assert of(e.Error, second) == []
    assert of(e.State, second)[-1].state == "done"
    lines = [line.strip() for line in transcript(tmp_path / "c")]
    assert [line for line in lines if line.startswith("Failed")]
