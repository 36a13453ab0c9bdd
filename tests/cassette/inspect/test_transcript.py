"""A cassette as text, read from its files."""

from pathlib import Path

from agy_nb.cassette.inspect.transcript import transcript

SHIPPED = Path(__file__).parents[3] / "cassettes"


def words(lines):
    return [" ".join(line.split()) for line in lines]


def shown(path):
    return words(transcript(path))


def test_sessions_turns_and_ends_are_named(cassette, hello, frames):
    path = cassette(hello, [frames.config(tools=[{"name": "add"}])])
    assert shown(path) == [
        "Session 0",
        "Model gemini-test",
        "Host tools none",
        "Turn 1",
        "Prompt hello",
        "Call add(a=1, b=2)",
        "Result add: 3",
        "Usage 105 tokens",
        "Done 1 model call, 105 tokens; 0.0 s",
        "End closed by the client",
        "Session 1",
        "Model gemini-test",
        "Host tools add",
        "End closed by the client",
    ]


def test_built_in_tool_is_shown_with_its_arguments_and_what_came_of_it():
    lines = shown(SHIPPED / "builtin_file_tools")
    (edit,) = [line for line in lines if line.startswith("Call edit_file")]
    assert edit.endswith('/work/notes.txt")')
    assert any(line.startswith("Result edit_file: {") for line in lines)
    assert not any("Tool execution" in line for line in lines)


def test_mcp_tool_is_shown_with_its_server():
    assert 'Call price(item="tea") on MCP server shop' in shown(SHIPPED / "mcp_server")


def test_refused_call_is_one_line():
    lines = shown(SHIPPED / "approval_refused")
    about = [line for line in lines if "get_weather(" in line]
    assert len(about) == 1
    assert about[0].startswith('Approval get_weather(city="Oslo"): denied')


def test_subagents_are_below_their_parent_and_numbered():
    lines = list(transcript(SHIPPED / "subagents"))
    root = next(line for line in lines if "invoke_subagent" in line)
    child = next(line for line in lines if "They purr." in line)
    assert child.index("Agent") == root.index("Call") + 2
    heads = {line.strip() for line in lines if line.strip().startswith("Subagent")}
    assert heads == {"Subagent 1", "Subagent 2"}


def test_error_is_shown_with_its_class_and_status():
    (error,) = [line for line in shown(SHIPPED / "quota") if line.startswith("Error")]
    assert error.startswith("Error QuotaExceededError (HTTP 429): ")
    lines = shown(SHIPPED / "unauthorised")
    assert [line for line in lines if line.startswith("Error BackendError (HTTP 401)")]
    assert [line for line in lines if line.startswith("Failed")]


def test_question_and_its_answer_are_in_words():
    lines = shown(SHIPPED / "ask_question")
    assert [line for line in lines if line.startswith("Question")]
    assert [line for line in lines if line.startswith("Answer")]


def test_resumed_session_begins_with_what_was_said_before():
    lines = shown(SHIPPED / "resume")
    at = next(i for i, line in enumerate(lines) if line.startswith("Resumed conversation"))
    assert lines[at + 1 : at + 3] == ["Prompt My name is Ada", "Agent Nice to meet you."]


def test_recording_that_was_cut_off_says_so(cassette, frames):
    path = cassette(
        [frames.config(), frames.prompt("go"), frames.step("I", state="STATE_ACTIVE")], end=None
    )
    assert shown(path)[-1].startswith("End the recording stops here")


def test_sessions_that_ran_at_the_same_time_are_named_where_they_change(
    raw_cassette, frames, lines_of
):
    first, second = (
        lines_of([frames.config(), frames.prompt(text)], session=number, end={"by": "client"})
        for number, text in enumerate(("one", "two"))
    )
    mixed = [line for pair in zip(first, second, strict=True) for line in pair]
    heads = [line for line in shown(raw_cassette({}, mixed)) if line.startswith("Session")]
    assert heads == ["Session 0", "Session 1"] * 3
