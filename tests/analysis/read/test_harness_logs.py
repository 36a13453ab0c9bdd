"""What the harness keeps of conversations, read as far as it can be read."""

from __future__ import annotations

import gc
import json
import sqlite3
import warnings

import pytest

from agy_nb.analysis import load
from agy_nb.analysis.schema import TABLES
from agy_nb.cassette import use_cassette
from agy_nb.testing import ScriptedModel
from tests.cassette.scenarios import SCENARIOS, Setting

COUNTS = ("input_tokens", "cache_read_tokens", "output_tokens")
AGENT, CHILD, OTHER = "a" * 32, "b" * 32, "c" * 32


def prompt(text, *, source="USER_EXPLICIT", **more):
    wrapped = f"<USER_REQUEST>\n{text}\n</USER_REQUEST>\n<ADDITIONAL_METADATA>\nNow.\n"
    return {"source": source, "type": "USER_INPUT", "content": wrapped} | more


def answer(text="", *, tokens=(90, 10, 7), **more):
    usage = dict(zip(COUNTS, tokens or (), strict=False))
    said = {"content": text} if text else {}
    return {"source": "MODEL", "type": "PLANNER_RESPONSE"} | usage | said | more


def calls(*names, **more):
    return answer(tool_calls=[{"name": name, "args": {"x": 1}} for name in names], **more)


def ran(text, kind="AGENCY_TOOL_CALL", **more):
    content = f"Created At: 2026-11-21T10:00:02Z\nCompleted At: 2026-11-21T10:00:04Z\n{text}"
    return {"source": "MODEL", "type": kind, "content": content} | more


def write(folder, *steps, conversation=AGENT, name="transcript_full.jsonl", order=None):
    """A transcript, where the harness would put it below its `app_data_dir`."""
    place = folder / "brain" / conversation / ".system_generated" / "logs"
    place.mkdir(parents=True, exist_ok=True)
    stamped = [
        {"step_index": n, "status": "DONE", "created_at": f"2026-11-21T10:00:{n:02}Z"} | step
        for n, step in enumerate(steps)
    ]
    lines = [json.dumps(stamped[n]) + "\n" for n in order or range(len(stamped))]
    (place / name).write_text("".join(lines))
    return place / name


def database(path, steps=((0, 14, 3), (1, 15, 3), (2, 103, 3), (3, 15, 3), (4, 14, 3), (5, 15, 2))):
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as made:
        made.execute("create table trajectory_meta (trajectory_id text, cascade_id text)")
        made.execute("insert into trajectory_meta values (?, ?)", (path.stem, path.stem))
        made.execute("create table steps (idx integer, step_type integer, status integer)")
        made.executemany("insert into steps values (?, ?, ?)", steps)
    made.close()
    return path


def problems(sessions):
    return sessions.problems["problem"].tolist()


# -- as the harness writes them ------------------------------------------------------------------

SAME = {
    "turns": ["prompt_chars", "response_chars", "n_model_calls", "n_usage_unknown"],
    "model_calls": ["depth", "input_tokens", "cache_read_tokens", "output_tokens", "total_tokens"],
    "tool_calls": ["tool", "status", "turn_id"],
    "messages": ["role", "chars"],
    "trajectories": ["turn_id", "trajectory_id", "parent_trajectory_id", "depth", "n_model_calls"],
}  # fmt: skip


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK blocks the loop while it stops its harness
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # and leaves its pipes open
@pytest.mark.parametrize(
    "name",
    ["host_tools", "subagents", "cancel", "quota", "approval_refused", "builtin_file_tools"],
)
async def test_conversation_tells_what_its_recording_tells(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        async with (
            ScriptedModel(SCENARIOS[name].script(tmp_path)) as model,
            use_cassette(tmp_path / "cassette", "all", record_model=False),
        ):
            await SCENARIOS[name].play(Setting(model.base_url, tmp_path))
        gc.collect()
    recorded = load(tmp_path / "cassette")
    kept = load([tmp_path / "app", tmp_path / "save"])
    assert len(kept) == 1
    assert problems(kept) == []
    for table, columns in SAME.items():
        here, there = (
            tables.frame(table)[columns].astype("string").sort_values(columns, ignore_index=True)
            for tables in (recorded, kept)
        )
        assert here.to_dict("records") == there.to_dict("records"), table
    assert kept.sessions["source"].tolist() == ["conversation"]
    assert kept.agents["conversation_id"].tolist() == recorded.agents["conversation_id"].tolist()


@pytest.mark.real
@pytest.mark.blocking_allowed
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_database_tells_the_number_of_turns_and_that_it_tells_no_more(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        async with ScriptedModel(SCENARIOS["plain_chat"].script(tmp_path)) as model:
            await SCENARIOS["plain_chat"].play(Setting(model.base_url, tmp_path))
        gc.collect()
    [path] = (tmp_path / "save").glob("*.db")
    before = sorted(item.name for item in path.parent.iterdir())
    sessions = load(tmp_path / "save")
    assert len(sessions.turns) == 2
    assert len(sessions.steps) == 4
    assert sessions.usage("session")["total_tokens"].isna().all()
    assert problems(sessions) == ["unreadable"]
    assert sorted(item.name for item in path.parent.iterdir()) == before


# -- what is in a transcript ---------------------------------------------------------------------


def test_cached_tokens_are_part_of_the_prompt(tmp_path):
    """The harness leaves them out here, and counts them in on its wire."""
    sessions = load(write(tmp_path, prompt("Hello"), answer("Hi", tokens=(90, 10, 7))))
    [call] = sessions.model_calls.to_dict("records")
    assert (call["input_tokens"], call["cache_read_tokens"], call["total_tokens"]) == (100, 10, 107)
    assert call["uncached_input_tokens"] == 90


def test_what_is_not_told_is_unknown(tmp_path):
    sessions = load(write(tmp_path, prompt("Hello"), calls("add"), ran("2"), answer("Hi")))
    assert sessions.model_calls["reasoning_tokens"].isna().all()
    assert sessions.model_calls["cost_status"].unique().tolist() == ["unknown_model"]
    assert sessions.turns[["status", "ttft", "duration", "ended_at"]].isna().all(axis=None)
    assert sessions.tool_calls["duration"].isna().all()
    assert sessions.agents[["model", "state", "resumed"]].isna().all(axis=None)
    assert sessions.summary()["error_rate"].isna().all()


def test_only_the_users_own_words_are_the_prompt(tmp_path):
    sessions = load(write(tmp_path, prompt("Hello\nyou"), answer("Hi")), text=True)
    assert sessions.messages["text"].tolist() == ["Hello\nyou", "Hi"]
    assert sessions.turns["prompt_chars"].tolist() == [9]


def test_lines_are_ordered_by_step(tmp_path):
    steps = (prompt("Hello"), calls("add"), ran("2"), answer("Hi"))
    sessions = load(write(tmp_path, *steps, order=(0, 2, 1, 3)))
    [tool] = sessions.tool_calls.to_dict("records")
    assert (tool["tool"], tool["step_index"], tool["status"], tool["match"]) == (
        "add", 2, "ok", "step",
    )  # fmt: skip
    assert tool["read_by_call"] == 1


def test_several_tools_of_one_answer_have_their_results_in_order(tmp_path):
    failed = ran("Tool sub failed with error message: no luck")
    denied = {"source": "MODEL", "type": "ERROR_MESSAGE", "error": "denied by pre-tool hook: no"}
    steps = (prompt("Go"), calls("add", "sub", "rm", "later"), ran("2"), failed, denied)
    tools = load(write(tmp_path, *steps)).tool_calls
    assert tools["tool"].tolist() == ["add", "sub", "rm", "later"]
    assert tools["status"].tolist()[:3] == ["ok", "error", "denied"]
    assert tools["status"].isna().tolist() == [False, False, False, True]
    assert tools["error"].tolist()[1:3] == ["no luck", "denied by pre-tool hook: no"]


def test_kind_of_a_tool_is_that_of_its_step(tmp_path):
    """The name of an MCP server's tool has the server in it; where one ends, is not told."""
    steps = (ran("2"), ran("3 euros", "MCP_TOOL"), ran("a.txt", "VIEW_FILE"))
    sessions = load(write(tmp_path, prompt("Go"), calls("add", "mcp_shop_price", "view"), *steps))
    assert sessions.tool_calls["kind"].tolist() == ["host", "mcp", "builtin"]
    assert sessions.tool_calls["tool"].tolist()[1] == "mcp_shop_price"
    assert sessions.tool_calls["server"].isna().all()


def test_length_of_a_result_is_that_of_its_json(tmp_path):
    result = ran('Tool response for add:\n```json\n{"result": 2}\n```')
    sessions = load(write(tmp_path, prompt("Go"), calls("add"), result))
    assert sessions.tool_calls["result_chars"].tolist() == [len('{"result": 2}')]


def test_a_call_without_tokens_was_cut_off(tmp_path):
    sessions = load(write(tmp_path, prompt("Count"), answer("One, ", tokens=None)))
    assert sessions.turns["n_usage_unknown"].tolist() == [1]
    assert sessions.usage("session")["tokens_are_lower_bound"].all()


def test_a_prompt_without_an_answer_has_a_call_that_was_lost(tmp_path):
    sessions = load(write(tmp_path, prompt("Hello"), prompt("Again"), answer("Hi")))
    assert sessions.turns["n_usage_unknown"].tolist() == [1, 0]


def test_errors_of_the_model_have_their_code(tmp_path):
    error = {"source": "SYSTEM", "type": "ERROR_MESSAGE", "error": "busy", "error_code": 429}
    sessions = load(write(tmp_path, prompt("Hello"), error, answer("Hi")))
    [row] = sessions.errors.to_dict("records")
    assert (row["error_type"], row["http_code"], row["message"]) == (
        "QuotaExceededError",
        429,
        "busy",
    )
    assert sessions.turns["n_refused"].tolist() == [1]


def test_a_question_is_an_approval(tmp_path):
    sessions = load(write(tmp_path, prompt("Pick"), calls("ask_question"), ran("A1: blue")))
    assert sessions.approvals["decision"].tolist() == ["answered"]
    assert len(sessions.tool_calls) == 0


def test_a_trigger_is_no_prompt(tmp_path):
    sessions = load(write(tmp_path, prompt("Tick", source="SYSTEM"), answer("Hi")))
    assert sessions.turns["kind"].tolist() == ["trigger"]


# -- subagents -----------------------------------------------------------------------------------


def family(folder):
    made = f'Created the following subagents:\n{{\n  "conversationId":  "{CHILD}"\n}}'
    agent = (prompt("Ask"), calls("invoke_subagent"), ran(made, "INVOKE_SUBAGENT"), answer("Well."))
    sent = f"[Message] timestamp=2026-11-21T10:00:01Z sender={AGENT} priority=HIGH content=look"
    message = {"source": "SYSTEM", "type": "SYSTEM_MESSAGE", "content": sent}
    write(folder, message, answer("Found."), conversation=CHILD)
    return write(folder, *agent)


def test_subagent_is_a_trajectory_of_its_agent(tmp_path):
    family(tmp_path)
    sessions = load(tmp_path)
    assert sessions.sessions["session_id"].tolist() == [AGENT]
    usage = sessions.usage("trajectory").set_index("trajectory_id")
    assert usage["total_tokens"].to_dict() == {AGENT: 214, CHILD: 107}
    assert usage["parent_trajectory_id"].dropna().to_dict() == {CHILD: AGENT}
    assert sessions.turns["n_model_calls"].tolist() == [3]
    assert sessions.turns["response_chars"].tolist() == [5]


def test_subagent_alone_is_a_session(tmp_path):
    agent = family(tmp_path)
    agent.unlink()
    sessions = load(tmp_path)
    assert sessions.sessions["session_id"].tolist() == [CHILD]
    assert sessions.model_calls["total_tokens"].tolist() == [107]


def test_subagent_without_a_transcript_is_told_of(tmp_path):
    family(tmp_path)
    (tmp_path / "brain" / CHILD / ".system_generated" / "logs" / "transcript_full.jsonl").unlink()
    assert problems(load(tmp_path)) == ["partial"]


def test_subagents_that_name_each_other_are_read_once(tmp_path):
    path = family(tmp_path)
    line = path.read_text().splitlines()[2].replace('"step_index": 2', '"step_index": 9')
    path.write_text(path.read_text() + line + "\n")
    assert load(tmp_path).model_calls["trajectory_id"].tolist().count(CHILD) == 1


# -- where they are ------------------------------------------------------------------------------


def test_whole_transcript_is_taken_and_no_copy(tmp_path):
    path = write(tmp_path, prompt("Hello"), answer("Hi"))
    write(tmp_path, prompt("Hel"), answer("H"), name="transcript.jsonl")
    copies = path.parent / "chunks" / "transcript_full"
    copies.mkdir(parents=True)
    (copies / "00000000.jsonl").write_text(path.read_text())
    sessions = load(tmp_path)
    assert sessions.turns["prompt_chars"].tolist() == [5]


def test_short_transcript_is_taken_where_it_is_the_only_one(tmp_path):
    write(tmp_path, prompt("Hel"), answer("H"), name="transcript.jsonl")
    assert load(tmp_path).turns["prompt_chars"].tolist() == [3]


def test_conversation_that_is_there_twice_is_read_from_its_transcript(tmp_path):
    write(tmp_path / "app", prompt("Hello"), answer("Hi"))
    database(tmp_path / "save" / f"{AGENT}.db")
    database(tmp_path / "save" / f"{OTHER}.db")
    sessions = load([tmp_path / "app", tmp_path / "save"])
    assert sessions.sessions["session_id"].tolist() == [AGENT, OTHER]
    assert sessions.usage("session")["total_tokens"].fillna(0).tolist() == [107, 0]


def test_other_databases_are_left_alone(tmp_path):
    database(tmp_path / "my.db")
    assert len(load(tmp_path)) == 0


# -- bad input -----------------------------------------------------------------------------------


def test_damaged_lines_cost_only_themselves(tmp_path):
    path = write(tmp_path, prompt("Hello"), answer("Hi"))
    path.write_text('{"step_index": 0\n' + path.read_text() + "[]\n\x00\n{}\n")
    sessions = load(path)
    assert sessions.model_calls["total_tokens"].tolist() == [107]
    assert problems(sessions) == ["damaged", "damaged"]
    assert sessions.problems["line"].tolist()[0] == 1


@pytest.mark.parametrize(
    "step",
    [
        answer("Hi", tokens=("many", 1, 2)),
        answer("Hi", tool_calls="add"),
        answer("Hi", tool_calls=[7]),
        {"type": None, "source": None, "created_at": 7},
        {"type": "ERROR_MESSAGE", "source": "SYSTEM", "error_code": "high"},
    ],
)
def test_strange_values_are_problems_and_no_errors(tmp_path, step):
    sessions = load(write(tmp_path, prompt("Hello"), step, ran("x"), answer("Fine")))
    assert len(sessions.turns) == 1
    assert sessions.model_calls["total_tokens"].tolist()[-1] == 107
    assert set(problems(sessions)) <= {"damaged"}


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00", b"junk" * 999])
def test_what_is_no_database_is_told_of(tmp_path, content):
    (tmp_path / f"{AGENT}.db").write_bytes(content)
    sessions = load(tmp_path)
    assert problems(sessions) == ["not_a_session"]
    assert all(
        len(sessions.frame(name)) == 0 for name in TABLES if name not in ("sessions", "problems")
    )


def test_database_gives_its_steps_by_number_and_kind(tmp_path):
    sessions = load(database(tmp_path / f"{AGENT}.db"))
    assert sessions.turns["turn_id"].tolist() == [1, 2]
    assert sessions.steps["source"].tolist() == [
        "user", "model", "model", "model", "user", "model",
    ]  # fmt: skip
    assert sessions.steps["state"].tolist()[-2:] == ["done", "unknown"]
    assert "transcript" in sessions.problems["detail"][0]


def test_database_that_is_open_is_partial(tmp_path):
    path = database(tmp_path / f"{AGENT}.db")
    path.with_name(path.name + "-wal").write_bytes(b"")
    assert problems(load(path)) == ["partial", "unreadable"]
