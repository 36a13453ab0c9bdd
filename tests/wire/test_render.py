"""Events of a session as lines of text."""

import pytest

from agy_nb.protocol import events as e
from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    ErrorInfo,
    MediaPart,
    QuestionOption,
    SlashCommandPart,
    TextPart,
    TokenUsage,
    Trajectory,
)
from agy_nb.wire.summaries.render import SessionText

CHILD = Trajectory(id="c1", parent_id="r", depth=1)
GRANDCHILD = Trajectory(id="c2", parent_id="c1", depth=2)
DENIED = e.ApprovalState.DENIED


def lines(*found):
    text = SessionText()
    return [line for event in found for line in text.take(event)]


def words(*found):
    return [" ".join(line.split()) for line in lines(*found)]


def call(call_id="1", **fields):
    return e.ToolCall(call_id=call_id, name="run_command", args={"command": "ls"}, **fields)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (call(), 'Call run_command(command="ls")'),
        (e.ToolCall(call_id="1", name="t", args={"": "odd"}), 'Call t("odd")'),
        (
            e.ToolCall(call_id="1", name="price", args={"n": 2}, source="mcp", server="shop"),
            "Call price(n=2) on MCP server shop",
        ),
        (e.ToolResult(call_id="1", name="t", result={"a": 1}), 'Result t: {"a": 1}'),
        (e.ToolResult(call_id="1", name="t"), "Result t: done"),
        (e.ToolResult(call_id="1", name="t", error="no luck"), "Failed t: no luck"),
        (e.ToolResult(call_id="1", name="t", error="no", denied=True), "Denied t: no"),
        (e.StructuredOutput(value={"n": 42}), 'Output {"n": 42}'),
        (
            e.Error(error=ErrorInfo(type="SafetyError", message="blocked"), fatal=False),
            "Error SafetyError: blocked",
        ),
        (
            e.TrajectoryState(state="idle", stop_reason="MAX_TOOL_CALLS_EXCEEDED"),
            "Stopped MAX_TOOL_CALLS_EXCEEDED",
        ),
        (e.AgentStarted(agent_id=1, labels={"user": "ada"}), "Labels user=ada"),
        (
            e.AgentStarted(agent_id=2, parent_agent_id=1, forked_after_turn=3),
            "Fork of agent 1, after turn 3",
        ),
        (
            e.TurnsAbandoned(agent_id=1, after_turn=0, turn_ids=(1,)),
            "Rewound agent 1 goes on before its first turn",
        ),
        (e.Problem(problem="bad_count", detail="-1"), "Problem bad count: -1"),
        (
            e.UnknownFrame(direction="harness", frame={"new": 1}),
            'Unknown from the harness: {"new": 1}',
        ),
        (
            e.SessionClosed(by="harness", code=1006, reason="lost"),
            "End closed by the harness (1006 lost)",
        ),
        (
            e.Step(step_index=1, kind="compaction", source="system", target="model", status="done"),
            "Compaction the context was made shorter",
        ),
    ],
)
def test_each_kind_of_event_is_a_line(event, expected):
    assert words(event) == [expected]


@pytest.mark.parametrize(
    "event",
    [
        e.State(state=e.TurnState.RUNNING),
        e.TrajectoryState(state="idle", stop_reason="UNSPECIFIED"),
        e.Step(step_index=1, kind="text", source="model", target="user", status="active"),
        e.SessionOpened(conversation_id="c"),
        e.AgentStarted(agent_id=1),
    ],
)
def test_what_says_nothing_to_a_reader_is_left_out(event):
    assert words(event) == []


def test_pieces_of_a_text_are_one_line_once_it_is_whole():
    done = e.Step(step_index=1, kind="text", source="model", target="user", status="done")
    pieces = [e.Thought(text="hm", step_index=1), e.Text(text="Hel", step_index=1)]
    assert words(*pieces) == ["Thinking hm"]
    assert words(*pieces, e.Text(text="lo", step_index=1), done) == ["Thinking hm", "Agent Hello"]


def test_long_text_is_cut_on_its_line_and_says_how_long_it_is():
    many = [e.Text(text="many\nwords ") for _ in range(1000)]
    (line,) = lines(*many, e.State(state=e.TurnState.DONE))[:1]
    assert "many words many words" in line
    assert line.endswith("... (11,000 characters)")
    assert len(line) < 260


def test_prompt_names_media_and_commands():
    prompt = (
        TextPart(text="look"),
        MediaPart(kind="image", mime_type="image/png", data=b"123"),
        SlashCommandPart(name="plan"),
    )
    assert words(e.TurnBegan(prompt=prompt)) == [
        "Turn 1",
        "Prompt look [image/png, 3 bytes] /plan",
    ]


@pytest.mark.parametrize(("kind", "label"), [("trigger", "Trigger hi"), ("wakeup", "Wake-up the")])
def test_turn_says_what_began_it(kind, label):
    assert words(e.TurnBegan(prompt=(TextPart(text="hi"),), kind=kind))[1].startswith(label)


def test_subagents_are_named_where_the_trajectory_changes():
    root = Trajectory(id="r")
    found = lines(
        call(trajectory=root), call("2", trajectory=CHILD), call("3", trajectory=GRANDCHILD),
        call("4", trajectory=GRANDCHILD), call("5", trajectory=CHILD),
    )  # fmt: skip
    assert [line[: len(line) - len(line.lstrip())].count("  ") for line in found] == [
        1, 1, 2, 2, 3, 3, 1, 2,
    ]  # fmt: skip
    heads = [line.strip() for line in found if "Subagent" in line]
    assert heads == ["Subagent 1", "Subagent 2", "Subagent 1"]


def approval(state, **fields):
    return e.Approval(approval_id="a", tool="rm", args={"path": "/"}, state=state, **fields)


def test_approval_says_who_decided_how_and_when():
    allowed = approval(
        e.ApprovalState.ALLOWED, decided_by="ada", wait=2.14, edited={"path": "/tmp"}
    )
    assert words(allowed) == ['Approval rm: allowed by ada after 2.1 s; it runs as rm(path="/tmp")']
    denied = approval(DENIED, decided_by="a rule", reason="too risky")
    assert words(denied) == ['Approval rm(path="/"): denied by a rule (too risky)']
    late = approval(e.ApprovalState.TIMED_OUT)
    assert "no answer in time" in words(late)[0]


def test_call_that_an_approval_denied_is_one_line():
    refused = e.ToolCall(call_id="1", name="rm", args={"path": "/"})
    answer = e.ToolResult(call_id="1", name="rm", error="no", denied=True)
    assert len(words(approval(DENIED, call_id="1"), refused, answer)) == 1
    assert words(refused, answer) == ['Call rm(path="/")', "Denied rm: no"]


def test_approval_that_was_never_answered_is_named_at_the_end():
    pending = approval(e.ApprovalState.PENDING)
    assert words(pending, e.SessionClosed(by="unknown"))[0] == "Approval rm: not answered"


def test_exception_of_a_tool_is_shown_with_its_class():
    raised = e.ToolException(call_id="1", error_type="KeyError", message="KeyError('x')")
    failed = e.ToolResult(call_id="1", name="t", error="'x'")
    assert words(raised, failed) == ["Failed t: KeyError: 'x'"]


def test_question_and_answer_use_the_words_of_the_options():
    asked = AskedQuestion(
        question="Which?",
        options=(QuestionOption(id="1", text="red"), QuestionOption(id="2", text="blue")),
    )
    question = e.Question(question_id="q", questions=(asked,))
    answers = (Answer(selected=("2",), text="please"),)
    answered = e.Question(question_id="q", questions=(asked,), answers=answers)
    assert words(question, answered) == ["Question Which? (red, blue)", "Answer blue, please"]
    skipped = e.Question(question_id="q", questions=(asked,), answers=(Answer(skipped=True),))
    assert words(skipped) == ["Answer skipped"]


def test_turn_ends_with_its_tokens_and_its_time():
    usage = TokenUsage(input_tokens=1000, cache_read_tokens=10, output_tokens=5, total_tokens=1005)
    metered = e.Usage(usage=usage, trajectory_total=usage, session_total=usage)
    found = words(
        e.TurnBegan(prompt=(TextPart(text="go"),), at=10.0),
        metered,
        metered,
        e.State(state=e.TurnState.DONE, at=12.5),
    )
    assert found[2] == "Usage 1,005 tokens (1,000 in, 10 cached, 5 out)"
    assert found[-1] == "Done 2 model calls, 2,010 tokens (2,000 in, 20 cached, 10 out); 2.5 s"


def test_error_that_ends_a_turn_is_shown_once():
    info = ErrorInfo(type="BackendError", message="gone", http_code=500)
    found = words(
        e.Error(error=info, fatal=False),
        e.Error(error=info, fatal=True),
        e.State(state=e.TurnState.FAILED),
    )
    assert found == ["Error BackendError (HTTP 500): gone", "Failed"]
