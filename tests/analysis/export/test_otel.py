"""Turns as OpenTelemetry spans, with the names that its conventions for generative AI have."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as names
from opentelemetry.trace import SpanKind, StatusCode

from agy_nb.analysis import Prices, load
from agy_nb.analysis.errors import MissingExtraError, SpansNotExportedError
from agy_nb.runtime.runtime import Runtime
from tests.analysis.conftest import CHILD, ROOT, Wire, save
from tests.support.memory import MemoryBackend

CASSETTES = Path(__file__).parents[3] / "cassettes"
KNOWN = {value for name, value in vars(names).items() if name.startswith("GEN_AI_")}


def exported(sessions, **options):
    exporter = InMemorySpanExporter()
    count = sessions.to_otel(exporter, **options)
    spans = exporter.get_finished_spans()
    assert len(spans) == count
    return spans


def of(cassette, **options):
    return exported(load(CASSETTES / cassette), **options)


def named(spans, operation):
    return [span for span in spans if span.attributes["gen_ai.operation.name"] == operation]


@pytest.fixture(scope="module")
def every():
    """The spans of all shipped cassettes, and their tables."""
    sessions = load(CASSETTES)
    return exported(sessions), sessions


# -- what is there -------------------------------------------------------------------------------


def test_a_turn_is_an_agent_that_is_invoked(recording):
    sessions = load(recording)
    [turn] = [span for span in exported(sessions) if span.parent is None]
    assert (turn.name, turn.kind) == ("invoke_agent", SpanKind.INTERNAL)
    assert turn.attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert turn.attributes["gen_ai.request.model"] == "gemini-2.5-flash"
    assert turn.attributes["gen_ai.conversation.id"] == ROOT.id
    assert turn.attributes["gen_ai.agent.id"] == f"{sessions.sessions['session_id'].iloc[0]}/1"
    assert turn.status.status_code is StatusCode.UNSET


def test_a_model_call_is_a_chat_with_its_tokens(recording):
    sessions = load(recording, prices=Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)}))
    first, second = named(exported(sessions), "chat")
    assert (first.name, first.kind) == ("chat gemini-2.5-flash", SpanKind.CLIENT)
    usage = {k: v for k, v in first.attributes.items() if k.startswith("gen_ai.usage.")}
    assert usage == {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.output_tokens": 15,
        "gen_ai.usage.reasoning.output_tokens": 5,
    }
    assert second.attributes["agy.cost.usd"] == pytest.approx((120 * 1.0 + 8 * 10.0) / 1e6)


def test_a_model_call_begins_when_what_it_read_was_there(recording):
    spans = exported(load(recording))
    [tool] = named(spans, "execute_tool")
    turn, first, second = spans[0], *named(spans, "chat")
    assert first.start_time == turn.start_time
    assert first.end_time <= tool.start_time
    assert second.start_time == tool.end_time
    assert all(span.attributes["agy.start_is_inferred"] for span in (first, second))


def test_a_tool_call_is_a_tool_that_is_executed(recording):
    [tool] = named(exported(load(recording)), "execute_tool")
    assert (tool.name, tool.kind) == ("execute_tool add", SpanKind.INTERNAL)
    assert tool.attributes["gen_ai.tool.name"] == "add"
    assert tool.attributes["gen_ai.tool.type"] == "function"
    assert tool.attributes["gen_ai.tool.call.id"] == "call-1"
    assert tool.end_time - tool.start_time == 500_000_000


def test_arguments_go_along_only_where_they_are_asked_for(recording):
    sessions = load(recording)
    [quiet] = named(exported(sessions), "execute_tool")
    [told] = named(exported(sessions, arguments=True), "execute_tool")
    assert "gen_ai.tool.call.arguments" not in quiet.attributes
    assert told.attributes["gen_ai.tool.call.arguments"] == '{"x": 1}'


def test_subagents_are_invoked_within_the_agent_and_have_their_calls_below_them():
    spans = of("subagents")
    ids = {span.context.span_id: span for span in spans}
    root, *subagents = named(spans, "invoke_agent")
    assert len(subagents) == 2
    assert {span.parent.span_id for span in subagents} == {root.context.span_id}
    for subagent in subagents:
        below = [s for s in spans if s.parent and ids[s.parent.span_id] is subagent]
        assert sorted(span.name.split()[0] for span in below) == ["chat", "chat", "execute_tool"]
        assert all(subagent.start_time <= s.start_time <= s.end_time for s in below)
        assert all(s.end_time <= subagent.end_time for s in below)


def test_a_subagent_that_goes_on_in_the_next_turn_is_in_both(tmp_path):
    wire = Wire().begin().prompt().step(0, where=CHILD, text="Yes?").usage(CHILD, prompt=5)
    wire.idle().prompt().step(1, where=CHILD, text="No.").usage(CHILD, prompt=7).idle().end()
    spans = exported(load(save(tmp_path / "c", wire)))
    subagents = [span for span in named(spans, "invoke_agent") if span.parent]
    assert len({span.context.trace_id for span in subagents}) == 2
    assert all(span.end_time - span.start_time < 10**9 for span in subagents)


def test_a_turn_that_failed_says_what_failed():
    [turn] = [span for span in of("unauthorised") if span.parent is None]
    assert turn.status.status_code is StatusCode.ERROR
    assert turn.attributes["error.type"] == "BackendError"
    assert turn.attributes["agy.turn.refused_requests"] == 1


@pytest.mark.parametrize(
    ("cassette", "kind"), [("tool_raises", "_OTHER"), ("approval_refused", "denied")]
)
def test_a_tool_that_failed_says_so(cassette, kind):
    [tool] = named(of(cassette), "execute_tool")
    assert tool.status.status_code is StatusCode.ERROR
    assert tool.status.description
    assert tool.attributes["error.type"] == kind


def test_a_cancelled_turn_is_no_error():
    turn, _ = [span for span in of("cancel") if span.parent is None]
    assert turn.attributes["agy.turn.status"] == "cancelled"
    assert turn.status.status_code is StatusCode.UNSET


def test_an_approval_is_an_event_of_its_agent():
    [turn] = [span for span in of("approval_granted") if span.parent is None]
    [event] = turn.events
    assert event.name == "agy.approval"
    assert event.attributes["agy.approval.decision"] == "allow"
    assert turn.start_time < event.timestamp < turn.end_time


def test_a_turn_that_still_runs_is_left_for_later(tmp_path):
    wire = Wire().begin().prompt().usage(prompt=1).idle().prompt().usage(prompt=2)
    spans = exported(load(save(tmp_path / "c", wire, complete=False)))
    assert {span.attributes["agy.turn.id"] for span in spans} == {1}


def test_nothing_gives_no_spans(tmp_path):
    assert exported(load(tmp_path)) == ()


# -- what holds for all --------------------------------------------------------------------------


def test_every_name_is_one_of_the_conventions_or_ours(every):
    for span in every[0]:
        for name in span.attributes:
            assert name in KNOWN or name.startswith("agy.") or name == "error.type"
        assert span.attributes["gen_ai.operation.name"] in (
            "invoke_agent",
            "chat",
            "execute_tool",
        )


def test_every_span_has_an_id_of_its_own_and_a_parent_of_its_trace(every):
    spans, _ = every
    ids = {(span.context.trace_id, span.context.span_id) for span in spans}
    assert len(ids) == len(spans)
    for span in spans:
        assert span.start_time <= span.end_time
        if span.parent is not None:
            assert (span.parent.trace_id, span.parent.span_id) in ids
            assert span.parent.trace_id == span.context.trace_id


def test_every_call_tool_and_turn_is_one_span(every):
    spans, sessions = every
    roots = [span for span in spans if span.parent is None]
    assert len(roots) == len(sessions.turns)
    assert len({span.context.trace_id for span in roots}) == len(roots)
    assert len(named(spans, "chat")) == (sessions.model_calls["status"] == "metered").sum()
    assert len(named(spans, "execute_tool")) == len(sessions.tool_calls)


def test_tokens_of_all_spans_are_those_of_the_tables(every):
    spans, sessions = every
    for name in ("input_tokens", "output_tokens"):
        total = sum(span.attributes.get(f"gen_ai.usage.{name}", 0) for span in spans)
        assert total == sessions.model_calls[name].sum()


def test_two_recordings_of_one_name_are_two_traces(tmp_path):
    """This week's run goes to the receiver where last week's is, and must not replace it."""
    found = []
    for week in range(2):
        wire = Wire(start=1_790_000_000.0 + week * 604_800)
        save(tmp_path / str(week) / "run", wire.begin().prompt().usage(prompt=5).idle().end())
        found += exported(load(tmp_path / str(week) / "run"))
    assert len({span.attributes["agy.session.id"] for span in found}) == 2
    assert len({(span.context.trace_id, span.context.span_id) for span in found}) == len(found)


def test_another_export_has_the_same_ids(every):
    again = exported(every[1])
    assert [span.context.span_id for span in again] == [s.context.span_id for s in every[0]]


# -- the exporter --------------------------------------------------------------------------------


class Refusing(SpanExporter):
    def __init__(self, after):
        self.sizes = []
        self.after = after

    def export(self, spans):
        self.sizes.append(len(spans))
        return (
            SpanExportResult.FAILURE if len(self.sizes) > self.after else SpanExportResult.SUCCESS
        )


def test_spans_go_out_in_batches(every):
    exporter = Refusing(after=10)
    total = every[1].to_otel(exporter)
    assert exporter.sizes == [min(512, total), *([total - 512] if total > 512 else [])]


def test_an_exporter_that_refuses_is_an_error_that_says_how_far_it_came(tmp_path):
    wire = Wire().begin()
    for _ in range(300):
        wire.prompt().usage(prompt=1).idle()
    sessions = load(save(tmp_path / "c", wire.end()))
    with pytest.raises(SpansNotExportedError, match="Refusing refused spans after 512") as info:
        sessions.to_otel(Refusing(after=1))
    assert info.value.exported == 512


def test_service_is_that_of_the_environment(recording, monkeypatch):
    sessions = load(recording)
    assert exported(sessions)[0].resource.attributes["service.name"] == "agy-nb"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-notebook")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=blue")
    resource = exported(sessions)[0].resource.attributes
    assert (resource["service.name"], resource["team"]) == ("my-notebook", "blue")
    assert resource["telemetry.sdk.name"] == "opentelemetry"


def test_without_the_sdk_the_extra_is_named(recording, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'agy-nb\[otel\]'") as info:
        load(recording).to_otel(InMemorySpanExporter())
    assert info.value.extra == "otel"
    assert isinstance(info.value, ImportError)


async def test_turns_of_a_live_agent_go_the_same_way():
    async with Runtime(backend=MemoryBackend()) as rt:
        agent = await rt.create_agent({"model": "gemini-2.5-flash"})
        await agent.chat_text("Hello there")
        tables = rt.tables
    turn, call = exported(tables)
    assert (turn.name, call.name) == ("invoke_agent", "chat gemini-2.5-flash")
    assert call.parent.span_id == turn.context.span_id
    assert call.attributes["agy.end_is_inferred"]  # this backend tells no times of its calls
    total = sum(call.attributes[f"gen_ai.usage.{name}_tokens"] for name in ("input", "output"))
    assert total == tables.usage("session")["total_tokens"].sum()
