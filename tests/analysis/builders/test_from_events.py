from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from agy_nb.analysis.builders.column_buffer import Columns
from agy_nb.analysis.builders.dataframes import frame
from agy_nb.analysis.builders.from_events import EventTables
from agy_nb.analysis.builders.session_builder import SessionBuilder
from agy_nb.analysis.live.turn_fold import fold_turns
from agy_nb.analysis.schema import TABLES
from agy_nb.protocol import events as e
from agy_nb.protocol.values import ErrorInfo
from tests.analysis.conftest import CHILD, ROOT, START, Turn, begun, metered, over

TOKENS = ("input_tokens", "output_tokens", "total_tokens")


def table(turns, name):
    return frame(TABLES[name], fold_turns(turns)[name].data)


def one(turns, name):
    [row] = table(turns, name).to_dict("records")
    return row


def test_turn_has_its_latencies():
    text = e.Text(trajectory=ROOT, text="Hi", step_index=1, at=START + 0.5)
    row = one([Turn(event_log=[begun(), text, over(at=START + 2)])], "turns")
    assert row["ttft"].total_seconds() == 0.5
    assert row["duration"].total_seconds() == 2
    assert (row["status"], row["response_chars"], row["prompt_chars"]) == ("ok", 2, 5)


def test_subagents_text_is_no_first_chunk():
    text = e.Text(trajectory=CHILD, text="Hi", step_index=1, at=START + 0.5)
    row = one([Turn(event_log=[begun(), text, over(at=START + 2)])], "turns")
    assert row["response_chars"] == 0
    assert table([], "turns")["ttft"].isna().all()


def test_turn_that_runs_says_so():
    row = one([Turn(event_log=[begun()])], "turns")
    assert row["status"] == "running"


def test_clock_that_goes_back_gives_no_negative_duration():
    turns = [Turn(event_log=[begun(START + 10), over(at=START)])]
    row = one(turns, "turns")
    assert str(row["duration"]) == "NaT"
    assert table(turns, "problems")["problem"].tolist() == ["clock_went_back"]


def test_fatal_error_names_the_turns_end():
    error = e.Error(error=ErrorInfo(type="AgyTimeoutError", message="late"), fatal=True)
    row = one([Turn(event_log=[begun(), error, over(e.TurnState.FAILED)])], "turns")
    assert (row["status"], row["error_type"], row["n_errors"]) == ("timeout", "AgyTimeoutError", 1)


def test_error_of_the_last_step_that_ends_the_turn_is_one_error():
    """As a recording of the same turn has it."""
    told = ErrorInfo(type="BackendError", message="no key", http_code=401)
    other = ErrorInfo(type="BackendError", message="busy", http_code=503)
    for first, count in ((told, 1), (other, 2)):
        steps = e.Error(error=first, fatal=False, trajectory=ROOT)
        turns = e.Error(error=told, fatal=True)
        turn = Turn(event_log=[begun(), steps, turns, over(e.TurnState.FAILED)])
        assert one([turn], "turns")["n_errors"] == count
        assert table([turn], "errors")["fatal"].tolist() == [False, True][-count:]
        assert one([turn], "turns")["http_code"] == 401


def events_of_call(n):
    """What the harness reports of one of several calls, in this order."""
    call_id = f"call-{n}"
    step = {"step_index": n, "kind": "tool_call", "source": "model", "target": "environment"}
    about = {"trajectory": ROOT, "tool": "add", "call_id": call_id}
    return [
        e.Step(**step, **about, status="active"),
        e.ToolCall(trajectory=ROOT, call_id=call_id, name="add", step_index=n),
        e.ToolResult(trajectory=ROOT, call_id=call_id, name="add", result=n),
        e.Step(**step, **about, status="done"),
    ]


@given(st.permutations([2, 3, 4, 5] * 4), st.integers(2, 18))
def test_calls_of_one_answer_are_one_request_however_they_overlap(order, usage_at):
    """On a busy machine, calls are announced after results of others, and after the usage."""
    first, rest = events_of_call(1), {n: events_of_call(n) for n in (2, 3, 4, 5)}
    log = [*first[:2], *(rest[n].pop(0) for n in order), *first[2:]]
    log.insert(usage_at, metered(total_tokens=10))
    text = e.Text(trajectory=ROOT, text="15", step_index=6)
    turn = Turn(event_log=[begun(), *log, text, metered(total_tokens=20), over()])
    assert table([turn], "model_calls")["status"].tolist() == ["metered", "metered"]
    assert one([turn], "turns")["n_usage_unknown"] == 0


def test_request_of_a_cancelled_turn_has_unknown_usage():
    text = e.Text(trajectory=ROOT, text="One, ")
    row = one([Turn(event_log=[begun(), text, over(e.TurnState.CANCELLED)])], "turns")
    assert (row["status"], row["n_usage_unknown"]) == ("cancelled", 1)


def test_refused_request_cost_no_tokens():
    step = {"trajectory": ROOT, "step_index": 1, "kind": "system", "source": "system"}
    failed = e.Step(**step, target="user", status="error", error="429", http_code=429)
    error = e.Error(
        error=ErrorInfo(type="QuotaExceededError", message="429", http_code=429), fatal=False
    )
    row = one([Turn(event_log=[begun(), failed, error, failed, over()])], "turns")
    assert (row["n_requests"], row["n_refused"], row["n_usage_unknown"]) == (1, 1, 0)


def test_tool_call_has_its_result():
    events = [
        begun(),
        e.ToolCall(trajectory=ROOT, call_id="1", name="add", args={"x": 1}, at=START + 1),
        e.ToolResult(trajectory=ROOT, call_id="1", name="add", result={"y": 2}, at=START + 3),
        over(),
    ]
    row = one([Turn(event_log=events)], "tool_calls")
    assert row["args_json"] == '{"x": 1}'
    assert (row["status"], row["result_chars"]) == ("ok", 8)
    assert row["duration"].total_seconds() == 2


def test_arguments_of_ten_megabytes_stay_small_and_hold_no_secret():
    args = {"api_key": "sk-0123456789abcdef", "text": "x" * 10_000_000}
    columns = fold_turns(
        [Turn(event_log=[e.ToolCall(trajectory=ROOT, call_id="1", name="f", args=args)])]
    )
    assert len(str(columns["tool_calls"].data["args_json"])) < 10_000
    cell = frame(TABLES["tool_calls"], columns["tool_calls"].data)["args_json"][0]
    assert len(cell) <= 2000
    assert "sk-0123456789abcdef" not in cell


def test_approval_is_tied_to_its_tool_call():
    asked = {"trajectory": ROOT, "approval_id": "a-1", "tool": "add"}
    events = [
        begun(),
        e.Approval(**asked, state=e.ApprovalState.PENDING, at=START),
        e.Approval(
            **asked, state=e.ApprovalState.ALLOWED, decided_by="user", wait=3.0, at=START + 3
        ),
        e.ToolCall(trajectory=ROOT, call_id="1", name="add"),
        over(),
    ]
    turns = [Turn(event_log=events)]
    assert one(turns, "tool_calls")["approval_id"] == "a-1"
    assert one(turns, "approvals")["decision"] == "allow"
    assert one(turns, "turns")["approval_wait"].total_seconds() == 3


def test_denied_tool_is_a_row():
    asked = {"trajectory": ROOT, "approval_id": "a-1", "tool": "rm"}
    events = [
        begun(),
        e.Approval(**asked, state=e.ApprovalState.PENDING),
        e.Approval(**asked, state=e.ApprovalState.DENIED, reason="no", wait=1.0),
        e.ToolCall(trajectory=ROOT, call_id="c-1", name="rm", source="builtin"),
        e.ToolResult(trajectory=ROOT, call_id="c-1", name="rm", error="no", denied=True),
        over(),
    ]
    row = one([Turn(event_log=events)], "tool_calls")
    assert (row["tool"], row["status"], row["error"]) == ("rm", "denied", "no")
    assert (row["kind"], row["approval_id"]) == ("builtin", "a-1")


def test_tool_is_read_by_the_call_after_it():
    events = [
        begun(),
        e.ToolCall(trajectory=ROOT, call_id="1", name="add"),
        metered(total_tokens=10),
        e.ToolResult(trajectory=ROOT, call_id="1", name="add", result=1),
        e.Text(trajectory=ROOT, text="Two."),
        metered(total_tokens=20),
        over(),
    ]
    assert one([Turn(event_log=events)], "tool_calls")["read_by_call"] == 1


def test_text_is_kept_only_where_it_is_asked_for():
    for text in (False, True):
        columns = Columns()
        book = SessionBuilder(columns, "s", text=text, chunks=True)
        fold = EventTables(book.agent(1))
        fold.begin(1, "secret prompt")
        fold.add(e.Text(trajectory=ROOT, text="secret answer"))
        book.sync()
        kept = columns["messages"].data["text"]
        assert kept == (["secret prompt", "secret answer"] if text else [None, None])
        assert columns["chunks"].data["chars"] == [13]


# -- properties ----------------------------------------------------------------------------------

trajectories = st.sampled_from([ROOT, CHILD])
times = st.floats(START, START + 100)
steps = st.integers(0, 4)
amounts = st.one_of(st.none(), st.integers(0, 10**9))


def usages(where, at, i, o, t):
    return metered(where, at, input_tokens=i, output_tokens=o, total_tokens=t)


where = {"trajectory": trajectories, "at": times}
said = where | {"text": st.text(max_size=5), "step_index": steps}
tool = where | {"call_id": st.sampled_from("xyz"), "name": st.just("f")}
events = st.one_of(
    st.builds(e.Text, **said),
    st.builds(e.Thought, **said),
    st.builds(usages, trajectories, times, amounts, amounts, amounts),
    st.builds(e.ToolCall, **tool),
    st.builds(e.ToolResult, **tool),
    st.builds(
        e.Step,
        **where,
        step_index=steps,
        kind=st.just("text"),
        source=st.sampled_from(["model", "system"]),
        target=st.just("user"),
        status=st.sampled_from(["active", "done", "error"]),
        http_code=st.sampled_from([None, 429]),
    ),
)
turns = st.lists(st.lists(events, max_size=12), max_size=4).map(
    lambda found: [
        Turn(agent_id=1 + n % 2, turn_id=n + 1, event_log=[begun(), *events, over()])
        for n, events in enumerate(found)
    ]
)


def fold_with_looks(turns, looks):
    columns = Columns()
    book = SessionBuilder(columns, "live", source="live")
    folds, number = {}, 0
    for turn in turns:
        fold = folds.setdefault(turn.agent_id, EventTables(book.agent(turn.agent_id)))
        fold.begin(turn.turn_id, "Hello")
        for event in turn.event_log:
            fold.add(event)
            number += 1
            if number in looks:
                book.sync()
    book.sync()
    return {name: rows.data for name, rows in columns.tables.items()}


@given(turns, st.sets(st.integers(0, 40)))
def test_looking_in_between_changes_nothing(turns, looks):
    assert fold_with_looks(turns, looks) == fold_with_looks(turns, set())


@given(turns, st.integers(0, 30))
def test_more_events_change_no_earlier_model_call(turns, cut):
    flat = [event for turn in turns for event in turn.event_log]
    before = fold_turns([Turn(event_log=flat[:cut])])["model_calls"].data
    after = fold_turns([Turn(event_log=flat)])["model_calls"].data
    for name, values in before.items():
        assert after[name][: len(values)] == values


@given(turns)
@pytest.mark.slow
def test_keys_are_unique_and_references_resolve(turns):
    tables = {
        name: frame(TABLES[name], rows.data) for name, rows in fold_turns(turns).tables.items()
    }
    for name, found in tables.items():
        assert not found.duplicated(list(TABLES[name].key)).any()
    known = {
        "turn_id": set(tables["turns"]["turn_id"]),
        "agent_id": set(tables["agents"]["agent_id"]),
        "trajectory_id": set(tables["trajectories"]["trajectory_id"]),
    }
    for found in tables.values():
        for column, values in known.items():
            if column in found:
                assert set(found[column].dropna()) <= values


@given(turns)
def test_sums_by_turn_and_by_trajectory_are_those_of_the_events(turns):
    columns = fold_turns(turns)
    calls = frame(TABLES["model_calls"], columns["model_calls"].data)
    calls = calls[calls["status"].eq("metered")]
    told = [event for turn in turns for event in turn.event_log if isinstance(event, e.Usage)]
    assert len(calls) == len(told)
    for name in TOKENS:
        known = [getattr(event.usage, name) for event in told]
        assert calls[name].sum() == sum(value for value in known if value is not None)
        assert calls[name].isna().sum() == known.count(None)
    rows = frame(TABLES["turns"], columns["turns"].data)
    assert rows["n_model_calls"].sum() == len(told)


@pytest.mark.parametrize("prompt", [None, ()])
def test_prompt_may_be_missing(prompt):
    assert one([Turn(prompt=prompt, event_log=[begun()])], "turns")["status"] == "running"
