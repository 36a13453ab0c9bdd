"""Cards: tool calls, approvals, questions, errors and footers, each a line and what is below."""

import base64
import time

import pytest
from hypothesis import given, strategies as st

from agy_nb.protocol.events import (
    Approval,
    ApprovalState,
    Question,
    ToolCall,
    ToolResult,
    TurnState,
)
from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    MediaPart,
    QuestionOption,
    SlashCommandPart,
    TextPart,
    TokenUsage,
)
from agy_nb.terminal import revealed
from agy_nb.widgets.response import (
    approval_text,
    call_details,
    cards,
    headline,
    html_values,
    tool_calls,
)
from tests.cli.test_terminal import INVISIBLE
from tests.widgets.hostile import OUR_TAGS, PAYLOADS, faults, read, skeleton, text_of


def call(name="search", **args) -> ToolCall:
    return ToolCall(call_id="c", name=name, args=args)


def answered(result=None, error=None) -> ToolResult:
    return ToolResult(call_id="c", name="search", result=result, error=error)


def pending(**args) -> Approval:
    return Approval(approval_id="a", tool="run", args=args, state=ApprovalState.PENDING)


ACTIONS = {"+": "LINE_ACTION_INSERT", "-": "LINE_ACTION_DELETE", " ": "LINE_ACTION_NONE"}


def edited(*lines: str) -> dict:
    """A result of the harness's edit tool: signs and texts by turns."""
    pairs = zip(lines[::2], lines[1::2], strict=True)
    lines_ = [{"text": text, "action": ACTIONS[sign]} for sign, text in pairs]
    return {"diff_block": [{"start_line": 0, "end_line": 3, "lines": lines_}]}


# -- hostile text ----------------------------------------------------------------------------------

FIELDS = {
    "prompt": lambda text: cards.prompt((TextPart(text=text),)),
    "attachment": lambda text: cards.prompt(
        (MediaPart(kind="image", mime_type=text or "x", data=b"", description=text),)
    ),
    "slash command": lambda text: cards.prompt((SlashCommandPart(name=text),)),
    "tool name": lambda text: tool_calls.tool(call(text), None),
    "server": lambda text: tool_calls.tool(ToolCall(call_id="c", name="x", server=text), None),
    "argument's name": lambda text: tool_calls.tool(call(**{text: 1}), None),
    "argument": lambda text: tool_calls.tool(call(query=text), answered()),
    "command": lambda text: tool_calls.tool(call(CommandLine=text), answered()),
    "state": lambda text: tool_calls.tool(call(), None, text),
    "arguments": lambda text: tool_calls.tool_body(call(query={text: [text]}), None),
    "text result": lambda text: tool_calls.tool_body(call(), answered(f"x{text}")),
    "result": lambda text: tool_calls.tool_body(call(), answered({text: [text]})),
    "long result": lambda text: tool_calls.tool_body(call(), answered({text: [text] * 900})),
    "printed result": lambda text: tool_calls.tool_body(
        call(), answered({"combined_output": f"x{text}", "exit_code": 1})
    ),
    "changed line": lambda text: tool_calls.tool_body(call(), answered(edited("+", f"x{text}"))),
    "file": lambda text: tool_calls.tool_body(call(path=text, content=f"x{text}"), None),
    "approval of a file": lambda text: call_details.call_details(
        {"path": text, "content": f"x{text}"}
    ),
    "error in the row": lambda text: tool_calls.tool(call(), answered(error=text)),
    "tool that asks": lambda text: approval_text.approval(
        Approval(approval_id="a", tool=text, state=ApprovalState.PENDING)
    ),
    "tool's error": lambda text: tool_calls.tool_body(call(), answered(error=text)),
    "approval of a command": lambda text: call_details.call_details({"command": text, "x": text}),
    "approval of a change": lambda text: call_details.call_details(
        {"old_string": text, "new_string": f"x{text}", "path": text}
    ),
    "approval of anything": lambda text: call_details.call_details({text: text}),
    "reason": lambda text: approval_text.approval_body(
        Approval(approval_id="a", tool=text, state=ApprovalState.PENDING, reason=f"x{text}")
    ),
    "decision": lambda text: approval_text.approval_body(
        Approval(
            approval_id="a", tool="x", state=ApprovalState.DENIED, reason=text, decided_by=text
        )
    ),
    "answer": lambda text: cards.question(
        Question(
            question_id="q",
            questions=(AskedQuestion(question="?", options=(QuestionOption(id="1", text=text),)),),
            answers=(Answer(selected=("1", text), text=text),),
        )
    ),
    "error": lambda text: cards.error(text, text),
    "cost": lambda text: cards.footer(TurnState.DONE, None, None, f"x{text}"),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.slow
def test_no_payload_changes_the_elements_of_a_card(field):
    wanted = skeleton(FIELDS[field]("harmless"))
    for payload in PAYLOADS:
        assert skeleton(FIELDS[field](payload)) == wanted, payload


@pytest.mark.slow
def test_nothing_hostile_is_left_of_a_question():
    for payload in PAYLOADS:
        html = cards.question_text(AskedQuestion(question=payload))
        assert faults(html) == [], payload


# -- tool calls ------------------------------------------------------------------------------------


def test_line_of_a_call_names_the_tool_and_the_argument_that_says_most():
    assert text_of(headline.headline("run", {"Cwd": "/", "CommandLine": "ls  -la"})) == "run ls -la"
    assert (
        text_of(headline.headline("view", {"Limit": 3, "AbsolutePath": "/a.txt"})) == "view /a.txt"
    )
    assert text_of(headline.headline("view", {"file_path": "/a", "end_line": 9})) == "view /a"
    assert text_of(headline.headline("add", {"a": 1, "b": "x"})) == 'add a=1, b="x"'
    assert text_of(headline.headline("find", {}, "files")) == "files · find "


def test_long_line_is_cut():
    assert len(text_of(headline.headline("run", {"command": "x" * 500}))) < 100


@pytest.mark.parametrize(
    ("result", "state", "words"),
    [
        (None, "", "Running"),
        (None, "cancelled", "cancelled"),
        (answered("fine"), "", "Done"),
        (answered(error="broken"), "", "Failed"),
    ],
)
def test_state_of_a_call_is_a_word(result, state, words):
    assert words in text_of(tool_calls.tool(call(), result, state))


def test_time_of_a_call_is_on_its_line():
    assert text_of(tool_calls.tool(call(), answered(), wait=1.25)).endswith("1.2 s")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ""),
        (0.0, "0.00 s"),
        (0.00001, "0.00 s"),
        (0.999, "1.00 s"),
        (9.96, "10.0 s"),
        (59, "59 s"),
        (61.9, "1 min 1 s"),
    ],
)
def test_durations_are_written_as_people_do(value, words):
    assert html_values.seconds(value) == words


def test_body_of_a_call_has_arguments_and_result_or_error():
    body = text_of(tool_calls.tool_body(call(q="x"), answered({"n": 1})))
    assert body == 'Arguments{\n  "q": "x"\n}Result{\n  "n": 1\n}'
    assert text_of(tool_calls.tool_body(call(), answered(error="broken"))) == "Errorbroken"
    assert tool_calls.tool_body(call(), None) == ""


def test_body_of_a_call_shows_a_command_and_a_change_as_such():
    assert text_of(tool_calls.tool_body(call(CommandLine="ls -la"), None)) == "$ ls -la"
    body = tool_calls.tool_body(call(old_string="a", new_string="b", path="f.py"), None)
    assert "-a\n+b" in text_of(body)


def test_binary_results_are_text_that_harms_nobody():
    binary = bytes(range(256)) * 10
    as_text = binary.decode("latin-1")
    for value in (as_text, base64.b64encode(binary).decode(), [*binary], {"data": as_text}):
        html = tool_calls.tool_body(call(), answered(value))
        assert not any(ord(c) < 32 and c not in "\t\n\r" for c in html)
        assert {tag for tag, _ in read(html).elements} <= OUR_TAGS


@pytest.mark.parametrize(
    "args",
    [
        {"content": "x" * 10_000_000},
        {"command": "x " * 5_000_000},
        {"old_string": "a\n" * 5_000_000, "new_string": "b\n" * 5_000_000},
        {"rows": [{"a": 1, "b": "x"}] * 500_000},
        {f"key {number}": number for number in range(300_000)},
    ],
    ids=["text", "command", "change", "rows", "keys"],
)
def test_ten_megabytes_of_arguments_are_not_shown_and_that_is_said(args):
    call_details.call_details({"warm": 1})
    began = time.process_time()
    html = call_details.call_details(args), headline.headline("run", args)
    assert time.process_time() - began < 0.5
    assert sum(map(len, html)) < 20 * html_values.LONGEST
    assert "You can only deny it here" in text_of(html[0])
    assert not call_details.is_shown(args)


def test_long_results_and_errors_are_clipped():
    for result in (answered("x" * 10_000_000), answered(error="x" * 10_000_000)):
        body = text_of(tool_calls.tool_body(call(), result))
        assert len(body) < 2 * html_values.LONGEST
        assert body.endswith("9,990,000 more characters")


# -- approvals -------------------------------------------------------------------------------------


def test_command_comes_first_as_one_would_type_it():
    shown = text_of(call_details.call_details({"Cwd": "/tmp", "CommandLine": "rm -rf build"}))
    assert shown.startswith("$ rm -rf build")
    assert '"Cwd": "/tmp"' in shown


def test_every_line_of_a_command_is_shown():
    command = "echo a\necho b\nrm -rf /"
    assert text_of(call_details.call_details({"command": command})) == f"$ {command}"


def test_change_of_a_text_is_a_diff():
    shown = text_of(
        call_details.call_details({"old_string": "a\nb", "new_string": "a\nc", "path": "x"})
    )
    assert "-b\n+c" in shown
    assert '"path": "x"' in shown


def test_call_without_arguments_says_so():
    assert text_of(call_details.call_details({})) == "This call has no arguments."


def test_characters_that_turn_a_command_around_are_shown():
    assert "\u202e" not in call_details.call_details({"command": "echo \u202egnp.exe"})


def decided(state, decided_by, reason=""):
    return Approval(
        approval_id="a",
        tool="run",
        args={"command": "ls"},
        state=state,
        reason=reason,
        decided_by=decided_by,
        wait=2.0,
    )


@pytest.mark.parametrize("state", [each for each in ApprovalState if each != "pending"])
def test_decision_is_a_word_with_its_time(state):
    line = text_of(approval_text.approval(decided(state, "user")))
    assert line.split()[0] in ("Allowed", "Denied", "Denied:")
    assert line.endswith("after 2.0 s")


@pytest.mark.parametrize(
    ("state", "decided_by", "reason", "words"),
    [
        ("allowed", "a click: once", "", "You allowed it once."),
        ("allowed", "typed: once", "", "You allowed it once."),
        ("allowed", "a click: this tool", "", "You always allow this tool."),
        ("allowed", "a click: this exact call", "", "You always allow this exact call."),
        ("allowed", "a click: edited", "", "You edited it and allowed it once."),
        ("denied", "a click: deny", "too risky", "You denied it: too risky"),
        ("denied", "a click: deny", "the user said no", "You denied it."),
        ("allowed", "user", "", "ask_user allowed it."),
        ("denied", "user", "too risky", "ask_user denied it: too risky"),
        ("allowed", "cassette", "", "The recording allowed it."),
        ("allowed", "a grant: this tool", "", "Your grant for this tool allowed it."),
        ("allowed", "my robot", "", "my robot allowed it."),
        ("timed_out", "default", "no answer within 2 s", "no answer within 2 s"),
        ("cancelled", "default", "the turn ended", "the turn ended"),
    ],
)
def test_decision_says_who_decided_and_why(state, decided_by, reason, words):
    event = decided(ApprovalState(state), decided_by, reason)
    assert text_of(approval_text.approval_body(event)) == f"{words}$ ls"


@pytest.mark.parametrize(
    "args",
    [
        {"command": "echo " + "x" * 30_000 + "; rm -rf /LAST"},
        {"content": "x" * 150_000 + "LAST"},
        {"CommandLine": "ls", "Cwd": "/LAST", "Env": {"A": ["b"] * 100}},
        {"cmd": "rm -rf /LAST", "command": "ls"},
        {"command": ["rm", "LAST"], "cmd": "ls"},
        {"old_string": "a", "new_string": "b", "TargetContent": "c", "ReplacementContent": "LAST"},
        {"old_string": "x\n" * 20_000, "new_string": "x\n" * 20_000 + "LAST", "path": "p"},
        {"rows": [*range(9_000), "LAST"]},
    ],
    ids=["command", "text", "others", "two commands", "list", "two changes", "change", "rows"],
)
def test_every_argument_is_on_the_card_to_its_end(args):
    assert call_details.is_shown(args)
    shown = text_of(call_details.call_details(args))
    assert "LAST" in shown
    assert "<details" not in call_details.call_details(args)
    for name in args:
        assert name in shown or name in (*call_details.COMMANDS, "old_string", "new_string")


def test_call_that_is_too_long_is_not_shown_and_says_so():
    args = {"content": "x" * call_details.LONGEST_CALL}
    assert not call_details.is_shown(args)
    assert "You can only deny it here" in text_of(call_details.call_details(args))


def test_two_commands_are_both_on_the_line():
    line = text_of(headline.headline("run", {"cmd": "rm -rf ~", "command": "ls"}))
    assert "rm -rf ~" in line


@pytest.mark.slow
@pytest.mark.parametrize("place", ["command", "content", "name", "tool", "change", "others"])
def test_every_invisible_character_of_a_call_is_shown(place):
    for character in INVISIBLE:
        text = f"a{character}b"
        args = {
            "command": {"command": text},
            "content": {"content": text},
            "name": {text: 1},
            "tool": {},
            "change": {"old_string": f"{text}c", "new_string": text},
            "others": {"command": "ls", "Cwd": text},
        }[place]
        event = pending(**args)
        if place == "tool":
            event = Approval(approval_id="a", tool=text, state=ApprovalState.PENDING)
        shown = text_of(approval_text.approval(event) + approval_text.approval_body(event))
        assert character not in shown, f"U+{ord(character):04X}"


TEXTS = st.text(alphabet="ab \t\r\n\x0b\x0c\x1c\x85\u2028é", max_size=40)


@given(TEXTS, TEXTS)
def test_change_shows_both_texts_whole(old, new):
    shown = text_of(call_details.call_details({"old_string": old, "new_string": new}))
    if old == new:
        assert '"old_string"' in shown
        return
    lines = shown.split("\n")
    for marks, text in ((" -", old), (" +", new)):
        whole = "\n".join(line[1:] for line in lines if line[:1] in marks)
        assert whole.replace("·", " ") == revealed(text, exact=True)


def test_change_of_line_ends_or_blanks_is_seen():
    for old, new in (("a\r\nb", "a\nb"), ("a ", "a"), ("a\tb", "a b"), ("a\n", "a")):
        shown = text_of(call_details.call_details({"old_string": old, "new_string": new}))
        removed, added = (
            [line[1:] for line in shown.split("\n") if line.startswith(mark)] for mark in "-+"
        )
        assert removed != added


def test_approval_that_waits_says_why_it_is_asked_for():
    event = Approval(
        approval_id="a", tool="run", args={}, state=ApprovalState.PENDING, reason="a policy"
    )
    assert text_of(approval_text.approval_body(event)).startswith("a policy")


# -- questions, prompts, footers -------------------------------------------------------------------


def test_question_keeps_what_was_answered():
    options = (QuestionOption(id="1", text="red"), QuestionOption(id="2", text="blue"))
    event = Question(
        question_id="q",
        questions=(
            AskedQuestion(question="Colours?", options=options, multiple=True),
            AskedQuestion(question="Name?"),
            AskedQuestion(question="Sure?"),
        ),
        answers=(
            Answer(selected=("1", "2"), text="or so"),
            Answer(text="Bo"),
            Answer(skipped=True),
        ),
    )
    said = text_of(cards.question(event)).replace("\n", " ")
    assert said == "Colours? red, blue, or soName? BoSure? Skipped"


def test_question_is_markdown():
    html = cards.question_text(AskedQuestion(question="Use `a` or *b*?"))
    assert html == "<p>Use <code>a</code> or <em>b</em>?</p>\n"


def test_prompt_shows_its_lines_and_names_what_is_attached():
    shown = cards.prompt(
        (
            TextPart(text="two\nlines"),
            MediaPart(kind="image", mime_type="image/png", data=b"1234", description="cat.png"),
            SlashCommandPart(name="goal"),
        )
    )
    assert text_of(shown) == "two\nlinesimage, image/png, 4 bytes: cat.png/goal"


def test_footer_has_state_tokens_cost_and_time():
    usage = TokenUsage(input_tokens=1200, output_tokens=30, total_tokens=1230)
    shown = text_of(cards.footer(TurnState.DONE, usage, 75, "0.01 $"))
    assert shown == "Done · 1,230 tokens (1,200 in · 30 out) · 0.01 $ · 1 min 15 s"
    assert text_of(cards.footer(TurnState.FAILED, None, None)) == "Failed"


@pytest.mark.parametrize("state", TurnState)
def test_every_state_of_a_turn_has_words(state):
    assert cards.status(state, None)


# -- files, commands, JSON -------------------------------------------------------------------------


def test_change_of_a_file_is_a_diff_with_its_size_in_the_row():
    result = answered(edited(" ", "def main():", "-", "    safe()", "+", "    run()"))
    shown = text_of(tool_calls.tool_body(call(file_path="a.py"), result))
    assert " def main():\n-    safe()\n+    run()" in shown
    assert "LINE_ACTION" not in shown
    assert "+1 \N{MINUS SIGN}1" in text_of(tool_calls.tool(call(file_path="a.py"), result))


def test_result_that_only_looks_like_a_change_is_json():
    for strange in ({"diff_block": [{"lines": 3}]}, {"diff_block": [7]}, {"diff_block": {}}):
        assert "diff_block" in text_of(tool_calls.tool_body(call(), answered(strange)))


def test_output_of_a_command_is_text_and_its_exit_code_is_in_the_row():
    result = answered({"exit_code": 3, "combined_output": "one\r\ntwo\r\n"})
    assert "one\ntwo" in text_of(tool_calls.tool_body(call(command_line="ls"), result))
    row = tool_calls.tool(call(command_line="ls"), result)
    assert "Exit code 3" in text_of(row)
    assert "agy-dot-bad" in row


def test_content_of_a_file_is_code_in_its_language():
    html = tool_calls.tool_body(call(TargetFile="/work/a.py", CodeContent="def f(): pass"), None)
    assert '<span class="agyc-k">def</span>' in html
    assert "/work/a.py" in text_of(html)


def test_long_result_is_folded_with_its_size():
    html = tool_calls.tool_body(call(), answered("a line\n" * 90))
    assert '<details class="agy-fold"><summary>Result' in html
    assert "91 lines, 630 characters" in text_of(html)
    assert "agy-fold" not in tool_calls.tool_body(call(), answered("short"))


def test_long_json_is_a_folded_tree():
    value = {"name": "x", "rows": [{"id": number, "n": "y" * 30} for number in range(50)]}
    html = tool_calls.tool_body(call(), answered(value))
    assert "rows 50 items" in text_of(html)
    assert "name: " in text_of(html)
    assert html.count("<details") <= 51


def test_tree_of_any_size_is_cut():
    html = tool_calls.tool_body(call(), answered([[number] * 40 for number in range(5_000)]))
    assert "more not shown" in text_of(html)
    assert len(html) < 200_000


def test_failure_says_its_error_in_the_row():
    shown = text_of(
        tool_calls.tool(call("lookup", key="17"), answered(error="KeyError: '17'\nat x"))
    )
    assert "KeyError: '17'" in shown
    assert "at x" not in shown


@pytest.mark.parametrize(
    ("tool", "args", "question"),
    [
        ("run_command", {"CommandLine": "ls"}, "Run a command?"),
        ("edit_file", {"TargetContent": "a", "ReplacementContent": "b"}, "Edit a file?"),
        ("create_file", {"TargetFile": "/a", "CodeContent": "b"}, "Write a file?"),
        ("send", {"to": "a"}, "Allow send?"),
    ],
)
def test_approval_asks_a_question(tool, args, question):
    event = Approval(approval_id="a", tool=tool, args=args, state=ApprovalState.PENDING)
    assert text_of(approval_text.approval(event)).startswith(question)


def test_approval_of_a_file_shows_all_of_its_content_and_all_other_arguments():
    shown = text_of(call_details.call_details({"path": "a.py", "content": "x = 1\n", "mode": 7}))
    assert "x = 1" in shown
    assert '"path": "a.py"' in shown
    assert '"mode": 7' in shown
