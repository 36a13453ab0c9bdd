"""Recordings, whole and damaged, give what they have."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from agy_nb.analysis.loading import load
from agy_nb.analysis.read.discovery import search
from agy_nb.analysis.read.from_cassette import read_file
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError
from agy_nb.wire import parsing
from tests.analysis.conftest import CHILD, ROOT, START, Wire, save, two_calls

BLOCKED = "The response was blocked by content safety filters. Please try rephrasing your request."


def problems(sessions):
    return sessions.problems["problem"].tolist()


def test_model_calls_are_the_differences_of_the_counter(recording):
    calls = load(recording).model_calls
    assert calls["total_tokens"].tolist() == [115, 128]
    assert calls["uncached_input_tokens"].tolist() == [60, 120]
    assert calls["output_tokens"].tolist() == [15, 8]
    assert calls["reasoning_tokens"].tolist() == [5, 0]
    assert calls["model"].tolist() == ["gemini-2.5-flash"] * 2


def test_turn_of_a_recording(recording):
    [turn] = load(recording).turns.to_dict("records")
    assert (turn["status"], turn["n_model_calls"], turn["n_tool_calls"]) == ("ok", 2, 1)
    assert (turn["prompt_chars"], turn["response_chars"]) == (9, 4)
    assert turn["ttft"].total_seconds() == pytest.approx(0.55)


def test_tool_call_of_a_recording(recording):
    [call] = load(recording).tool_calls.to_dict("records")
    assert (call["tool"], call["kind"], call["status"], call["step_index"]) == (
        "add",
        "host",
        "ok",
        1,
    )
    assert call["duration"].total_seconds() == pytest.approx(0.5)
    assert call["read_by_call"] == 1


def test_resumed_sessions_past_is_no_call(tmp_path):
    past = {"promptTokenCount": "100", "candidatesTokenCount": "84", "totalTokenCount": "184"}
    wire = Wire().begin(
        cumulativeUsage=past,
        trajectoryUsage=[{"trajectoryId": ROOT.id, "usage": past}],
        history=[{"trajectoryId": ROOT.id, "stepIndex": 0, "text": "earlier"}],
    )
    wire.totals[ROOT.id] = [100, 0, 84, 0]
    wire.prompt().add("harness", wire.usage_frame()).step(1, text="Hi").usage(
        prompt=1000, answer=57
    )
    sessions = load(save(tmp_path / "c", wire.idle().end()))
    assert sessions.model_calls["total_tokens"].tolist() == [1057]
    agent = sessions.agents.iloc[0]
    assert agent["resumed"]
    assert agent["reported_total_tokens"] - agent["baseline_total_tokens"] == 1057
    assert len(sessions.steps) == 1


def test_subagents_tokens_are_its_own(tmp_path):
    wire = Wire().begin().prompt().usage(prompt=10).step(0, where=CHILD, text="They are nice.")
    wire.usage(where=CHILD, prompt=5, answer=2).usage(prompt=30).idle().end()
    sessions = load(save(tmp_path / "c", wire))
    usage = sessions.usage("trajectory").set_index("trajectory_id")
    assert usage["total_tokens"].to_dict() == {ROOT.id: 40, CHILD.id: 7}
    assert usage.loc[CHILD.id, "parent_trajectory_id"] == ROOT.id
    calls = sessions.model_calls
    assert calls["model_source"].tolist() == ["config", "inherited", "config"]
    assert sessions.turns["response_chars"].tolist() == [0]


def test_cancelled_turn_is_a_lower_bound(tmp_path):
    wire = Wire().begin().prompt().step(0, text="One, ", state="ACTIVE")
    wire.add("client", {"haltRequest": True}).idle().end()
    sessions = load(save(tmp_path / "c", wire))
    row = sessions.usage("turn").iloc[0]
    assert sessions.turns["status"].tolist() == ["cancelled"]
    assert row["tokens_are_lower_bound"]
    assert row.isna()["total_tokens"]


def test_failed_call_has_its_error(tmp_path):
    failed = {"error": {"errorMessage": "exhausted", "httpCode": 429}}
    wire = Wire().begin().prompt().step(0, state="ERROR", source="SYSTEM", **failed)
    wire.step(1, text="After all.").usage(prompt=9).idle().end()
    sessions = load(save(tmp_path / "c", wire))
    error = sessions.errors.iloc[0]
    assert (error["error_type"], error["http_code"], error["fatal"]) == (
        "QuotaExceededError",
        429,
        False,
    )
    assert sessions.turns["n_refused"].tolist() == [1]
    assert not sessions.usage("turn")["tokens_are_lower_bound"].any()
    assert sessions.turns["status"].tolist() == ["ok"]


def test_failure_that_nothing_follows_ends_the_turn_also_where_the_client_leaves(tmp_path):
    failed = {"error": {"errorMessage": "no such key", "httpCode": 401}}
    wire = Wire().begin().prompt().step(0, state="ERROR", source="SYSTEM", **failed).end()
    sessions = load(save(tmp_path / "c", wire))
    [turn] = sessions.turns.to_dict("records")
    assert (turn["status"], turn["error_type"], turn["http_code"]) == ("error", "BackendError", 401)
    assert (turn["n_refused"], turn["n_usage_unknown"]) == (1, 0)
    assert sessions.errors["fatal"].tolist() == [True]


def test_client_that_leaves_in_the_middle_of_an_answer_cancels_it(tmp_path):
    failed = {"error": {"errorMessage": "exhausted", "httpCode": 429}}
    wire = Wire().begin().prompt().step(0, state="ERROR", source="SYSTEM", **failed)
    sessions = load(save(tmp_path / "c", wire.step(1, text="One, ", state="ACTIVE").end()))
    assert sessions.turns["status"].tolist() == ["cancelled"]
    assert sessions.errors["fatal"].tolist() == [False]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (BLOCKED, "SafetyError"),
        ("The maximum token limit was reached.", "MaxTokensError"),
    ],
)
def test_failure_without_a_code_has_the_name_that_it_has_live(tmp_path, words, name):
    wire = Wire().begin().prompt().usage(prompt=9)
    wire.step(0, state="ERROR", source="SYSTEM", errorMessage=words).idle(error={"message": "x"})
    sessions = load(save(tmp_path / "c", wire.end()))
    assert sessions.errors["error_type"].tolist() == [name]
    assert sessions.turns["error_type"].tolist() == [name]
    assert sessions.turns["n_usage_unknown"].tolist() == [0]


def test_several_connections_of_one_recording(tmp_path):
    sessions = load(save(tmp_path / "c", two_calls(0), two_calls(1)))
    assert sessions.agents["agent_id"].tolist() == [1, 2]
    assert sessions.turns["turn_id"].tolist() == [1, 2]
    assert sessions.sessions["n_model_calls"].tolist() == [4]


def test_harness_clock_that_goes_back_changes_no_duration(tmp_path):
    lines = two_calls().text().splitlines()
    for number, line in enumerate(lines[4:], start=4):
        data = json.loads(line)
        if "timestampMicros" in data["f"]:
            data["f"]["timestampMicros"] = str(1_000_000 * (100 - number))
        lines[number] = json.dumps(data)
    sessions = load(save(tmp_path / "c", text="\n".join(lines) + "\n"))
    assert sessions.turns["duration"].tolist() == load(save(tmp_path / "d", two_calls())).turns["duration"].tolist()  # fmt: skip  # noqa: E501


# -- bad input -----------------------------------------------------------------------------------


def test_empty_folder(tmp_path):
    sessions = load(tmp_path)
    assert all(len(sessions.frame(name)) == 0 for name in TABLES if name != "problems")
    assert problems(sessions) == ["nothing_found"]


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(InvalidInputError, match="there is nothing at"):
        load(tmp_path / "no")


def test_pattern_without_a_hit_is_empty(tmp_path):
    assert len(load(str(tmp_path / "*"))) == 0


def test_one_bad_file_among_many(tmp_path):
    for number in range(50):
        save(tmp_path / f"c{number:02}", two_calls())
    (tmp_path / "c07" / "wire.jsonl").write_bytes(b"\x00\xff garbage\n" * 3)
    sessions = load(tmp_path)
    assert len(sessions.model_calls) == 2 * 49
    bad = sessions.sessions.set_index("session_name")["session_id"]["c07"]
    assert set(sessions.problems["session_id"]) == {bad}
    assert "damaged" in problems(sessions)


def test_session_that_is_still_recorded(tmp_path):
    text = two_calls().text()[:-150]  # in the middle of a line
    sessions = load(save(tmp_path / "c.partial", text=text, complete=False))
    assert sessions.sessions["complete"].tolist() == [False]
    assert problems(sessions) == ["partial", "partial", "not_closed"]
    assert sessions.model_calls["total_tokens"].tolist() == [115, 128]
    assert sessions.agents["state"].tolist() == ["lost"]
    assert sessions.turns["status"].tolist() == ["running"]
    assert sessions.usage("session")["tokens_are_lower_bound"].all()


def test_arguments_of_ten_megabytes_stay_small(tmp_path):
    """The host tool's are text on the wire, a built-in tool's an object."""
    large = json.dumps({"password": "hunter2hunter2", "text": "x" * 10_000_000})
    call = {"id": "1", "name": "add", "argumentsJson": large, "trajectoryId": ROOT.id}
    wire = Wire().begin().prompt().add("harness", {"toolCall": call})
    file = {"createFile": {"path": "a.txt", "content": "y" * 10_000_000}}
    wire.step(1, state="ACTIVE", target="ENVIRONMENT", **file).usage(prompt=1)
    columns = read_file(save(tmp_path / "c", wire.idle().end()))
    kept = columns["tool_calls"].data["args_json"]
    assert all(len(str(value)) < 10_000 for value in kept)
    cells = load(tmp_path / "c").tool_calls["args_json"]
    assert cells.str.len().max() <= 2000
    assert not cells.str.contains("hunter2").any()


def test_newer_format_is_told_of_and_left(tmp_path):
    save(tmp_path / "old", two_calls(), version=1)
    save(tmp_path / "new", two_calls(), version=99)
    sessions = load(tmp_path)
    assert problems(sessions) == ["newer_format"]
    assert sessions.usage("session").set_index("session_name")["n_model_calls"]["old"] == 2
    assert len(sessions.model_calls) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": "other", "version": 1}', "null"])
def test_recording_with_a_broken_header_is_read(tmp_path, damage):
    folder = save(tmp_path / "c", two_calls())
    (folder / "header.json").write_text(damage)
    sessions = load(folder)
    assert problems(sessions) == ["damaged"]
    assert len(sessions.model_calls) == 2


def test_any_other_file_is_told_of(tmp_path):
    (tmp_path / "notes.txt").write_text("not a session")
    sessions = load(tmp_path / "notes.txt")
    assert problems(sessions) == ["not_a_session"]
    assert "only cassettes" in sessions.problems["detail"][0]


def test_wire_alone_is_read(recording):
    (recording / "header.json").unlink()
    sessions = load(recording / "wire.jsonl")
    assert problems(sessions) == ["not_a_session"]
    assert len(sessions.model_calls) == 2


def test_changes_of_a_damaged_frame_are_not_applied_to_an_older_one(recording):
    lines = (recording / "wire.jsonl").read_text().splitlines()
    at = next(place for place, line in enumerate(lines) if '"stepUpdate"' in line) + 1
    whole = load(recording).steps["text_chars"].tolist()
    words = '{"text": "Never sent", "textDelta": "Never sent", "thinking": ""}'
    change = f'{{"s": 0, "d": "harness", "dt": 0, "t": 1, "c": {{"stepUpdate": {words}}}}}'
    lines[at:at] = ['{"s": 0, "d": "harness", "dt": 0, "f": {"stepUp', change]
    (recording / "wire.jsonl").write_text("\n".join(lines) + "\n")
    sessions = load(recording)
    assert sessions.problems["detail"].tolist()[1:] == ["2 lines in all"]
    assert sessions.steps["text_chars"].tolist() == whole


def test_damaged_line_costs_only_itself(recording):
    lines = (recording / "wire.jsonl").read_text().splitlines()
    lines[3:3] = ['{"s": 0}', '{"s": 0, "d": "harness", "dt": 0, "f": {"stepUpdate": 7}}', "no"]
    (recording / "wire.jsonl").write_text("\n".join(lines) + "\n")
    sessions = load(recording)
    assert problems(sessions) == ["damaged", "damaged_frame", "damaged"]
    assert sessions.problems["line"].tolist()[0] == 4
    assert len(sessions.model_calls) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"text": "How much?"', '"text": "How much? \\ud83d"'),
        ('"promptTokenCount": "100"', f'"promptTokenCount": "{10**30}"'),
        ('"dt": 0.0', '"dt": 1e300'),
        ('"dt": 0.0', f'"dt": {300_000 * 366 * 86_400}.0'),
        ('"s": 0', f'"s": {10**30}'),
    ],
)
@pytest.mark.slow
def test_value_that_no_column_holds_takes_nothing_else_along(tmp_path, old, new):
    """Half a character in one prompt was the end of every table of every session."""
    save(tmp_path / "whole", two_calls())
    wire = save(tmp_path / "odd", two_calls()) / "wire.jsonl"
    assert old in wire.read_text()
    wire.write_text(wire.read_text().replace(old, new))
    sessions = load(tmp_path, text=True)
    for name in TABLES:
        sessions.frame(name)
    usage = sessions.usage("session").set_index("session_name")["total_tokens"]
    assert usage["whole"] == 243
    sessions.usage("day")


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_half_a_character_is_a_question_mark_in_every_storage(tmp_path, storage):
    wire = Wire().begin().prompt("Hello \ud83d").usage(prompt=1).idle().end()
    with pd.option_context("mode.string_storage", storage):
        messages = load(save(tmp_path / "c", wire), text=True).messages
    assert messages["text"].tolist() == ["Hello ?"]


def test_two_of_one_name_are_told_apart(tmp_path):
    for hour, place in enumerate(("a", "b")):
        save(tmp_path / place / "same", two_calls(start=START + hour * 3600))
    sessions = load([tmp_path / "a" / "same", tmp_path / "b" / "same", tmp_path / "a"])
    assert sessions.sessions["session_name"].tolist() == ["same", "same"]
    assert sessions.sessions["session_id"].is_unique
    assert len(sessions.model_calls) == 4


def test_names_below_a_folder_are_paths(tmp_path):
    for place in ("a", "b"):
        save(tmp_path / place / "same", two_calls())
    found = [recording.name for recording in search(tmp_path).recordings]
    assert found == ["a/same", "b/same"]
    assert [r.name for r in search(str(tmp_path / "*")).recordings] == ["same", "same"]


@pytest.mark.parametrize("pattern", ["**", "*", "*/*", "**/*.jsonl", "*/wire.jsonl"])
@pytest.mark.slow
def test_what_a_pattern_finds_twice_is_read_once(tmp_path, pattern):
    """The folder and each file in it, or else every sum is a multiple."""
    for name in ("a", "b"):
        save(tmp_path / name, two_calls())
    sessions = load(str(tmp_path / pattern))
    assert sessions.sessions["session_name"].tolist() == ["a", "b"]
    assert len(sessions.model_calls) == 4
    assert problems(sessions) == []


def test_what_is_named_in_two_ways_is_read_once(recording, monkeypatch):
    monkeypatch.chdir(recording.parent)
    sessions = load([recording, recording.name, f"../{recording.parent.name}/{recording.name}"])
    assert len(sessions) == 1
    assert problems(sessions) == []


def test_a_generator_of_paths_is_a_list_of_them(recording):
    assert len(load(recording.parent.glob("*"))) == 1


@pytest.mark.parametrize("path", [None, 5, b"cassettes", "", [None]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InvalidInputError, match=r"path, a pattern|nothing at ''"):
        load(path)


def test_missing_usage_is_told_of(tmp_path):
    wire = Wire().begin().prompt().step(0, text="Hi").idle().end()
    assert problems(load(save(tmp_path / "c", wire))) == ["usage_missing"]


def test_counter_that_goes_back_is_told_of(tmp_path):
    wire = Wire().begin().prompt().usage(prompt=100)
    wire.totals[ROOT.id] = [40, 0, 0, 0]
    wire.add("harness", wire.usage_frame()).idle().end()
    sessions = load(save(tmp_path / "c", wire))
    assert "counter_went_back" in problems(sessions)
    assert sessions.model_calls["total_tokens"].tolist() == [100]


def test_text_is_kept_only_where_it_is_asked_for(recording):
    assert load(recording).messages["text"].isna().all()
    assert load(recording, text=True).messages["text"].tolist() == ["How much?", "Two."]
    assert load(recording, chunks=True).chunks["chars"].tolist() == [4]


# -- parsers -------------------------------------------------------------------------------------


@pytest.fixture(params=["orjson", "json"])
def parser(request, monkeypatch):
    if request.param == "json":
        monkeypatch.setitem(sys.modules, "orjson", None)
    parser = parsing.json_parser()
    assert (parser is json.loads) == (request.param == "json")
    monkeypatch.setattr(parsing, "_parse_json", parser)


@pytest.mark.parametrize("text", ["\ud800 half a pair", "Übergröße", "\x00", "x" * 100_000])
def test_every_parser_reads_every_text(parser, tmp_path, text):
    wire = Wire().begin().prompt(text).step(0, text=text).usage(prompt=1).idle().end()
    sessions = load(save(tmp_path / "c", wire), text=False)
    assert sessions.turns["prompt_chars"].tolist() == [len(text)]
    assert problems(sessions) == []


@pytest.mark.parametrize("end", ["", " ", "\r", "{}", "x", "\x00"])
@pytest.mark.slow
def test_every_parser_finds_the_same_damage(parser, recording, end):
    lines = (recording / "wire.jsonl").read_text().splitlines()
    lines[3] += end
    (recording / "wire.jsonl").write_bytes("\n".join(lines).encode() + b"\n")
    sessions = load(recording)
    assert problems(sessions) == (["damaged"] if end in ("{}", "x", "\x00") else [])
    assert len(sessions.model_calls) == 2


def test_every_parser_leaves_a_line_that_is_cut_off(parser, recording):
    path = recording / "wire.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    sessions = load(recording)
    assert problems(sessions) == ["partial", "not_closed"]


# -- properties ----------------------------------------------------------------------------------

amounts = st.tuples(*[st.integers(0, 10**6)] * 4)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.sampled_from([ROOT, CHILD]), amounts),
        st.tuples(st.just("again"), st.none(), st.none()),
        st.tuples(st.just("turn"), st.none(), st.none()),
        st.tuples(st.just("say"), st.sampled_from([ROOT, CHILD]), st.integers(0, 5)),
    ),
    max_size=20,
)


def play(acts):
    wire = Wire().begin().prompt()
    for kind, where, what in acts:
        if kind == "call":
            wire.usage(where, *what)
        elif kind == "again" and wire.totals:
            wire.add("harness", wire.usage_frame())
        elif kind == "turn":
            wire.idle().prompt()
        elif kind == "say":
            wire.step(what, where=where, text="word")
    return wire.idle().end()


def read(tmp, text):
    folder = save(tmp / "c", text=text)
    return {name: rows.data for name, rows in read_file(folder).tables.items()}


@given(acts)
def test_calls_sum_to_the_counter(tmp_path_factory, acts):
    wire = play(acts)
    calls = read(tmp_path_factory.mktemp("c"), wire.text())["model_calls"]
    for where in (ROOT, CHILD):
        counter = wire.totals.get(where.id, [0, 0, 0, 0])
        mine = [
            n
            for n, (thread, status) in enumerate(
                zip(calls["trajectory_id"], calls["status"], strict=True)
            )
            if thread == where.id and status == "metered"
        ]
        assert sum(calls["input_tokens"][n] for n in mine) == counter[0]
        assert sum(calls["output_tokens"][n] for n in mine) == counter[2] + counter[3]
        assert sum(calls["total_tokens"][n] for n in mine) == counter[0] + counter[2] + counter[3]


@given(acts, st.data())
def test_cut_recording_has_the_same_first_calls(tmp_path_factory, acts, data):
    text = play(acts).text()
    cut = data.draw(st.integers(0, len(text)))
    whole = read(tmp_path_factory.mktemp("c"), text)["model_calls"]
    part = read(tmp_path_factory.mktemp("c"), text[:cut])["model_calls"]
    for name, values in part.items():
        assert whole[name][: len(values)] == values


@given(st.binary(max_size=200), st.data())
def test_any_bytes_are_read_without_an_error(tmp_path_factory, junk, data):
    raw = bytearray(two_calls().text().encode())
    place = data.draw(st.integers(0, len(raw)))
    raw[place : place + len(junk)] = junk
    folder = save(tmp_path_factory.mktemp("c") / "c", text="")
    (folder / "wire.jsonl").write_bytes(raw)
    for rows in read_file(folder).tables.values():
        assert len({len(values) for values in rows.data.values()}) == 1


def test_step_that_is_told_of_after_its_answer_is_no_second_call(tmp_path):
    shipped = Path(__file__).parents[3] / "cassettes" / "approval_granted"
    shutil.copytree(shipped, tmp_path / "c")
    lines = (tmp_path / "c" / "wire.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    answer = next(n for n, line in enumerate(lines) if '"toolResponse"' in line)
    steps = [n for n, line in enumerate(lines[:answer]) if '"customTool"' in line]
    assert steps
    late = [lines[n] for n in steps]
    rest = [line for n, line in enumerate(lines[: answer + 1]) if n not in steps]
    text = "".join([*rest, *late, *lines[answer + 1 :]])
    (tmp_path / "c" / "wire.jsonl").write_text(text, encoding="utf-8")
    before, after = load(shipped), load(tmp_path / "c")
    assert after.turns["n_tool_calls"].tolist() == before.turns["n_tool_calls"].tolist()
    columns = ["tool", "status", "step_index"]
    assert after.tool_calls[columns].equals(before.tool_calls[columns])
