"""Events of turns become a page: what is on it, where, and the same for whoever comes late."""

import re
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, strategies as st

from agy_nb.protocol.events import (
    Approval,
    ApprovalState,
    Error,
    Question,
    State,
    StructuredOutput,
    Text,
    Thought,
    ToolCall,
    ToolException,
    ToolResult,
    TrajectoryState,
    TurnState,
    Usage,
    Waiting,
)
from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    ErrorInfo,
    Message,
    TextPart,
    TokenUsage,
    Trajectory,
)
from agy_nb.widgets.tree import node_tree
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.nodes import AppendText, Remove, Upsert, static
from tests.widgets.hostile import PAYLOADS, read, skeleton, text_of

ROOT = Trajectory(id="root")
CHILD = Trajectory(id="child", parent_id="root", depth=1)
GRANDCHILD = Trajectory(id="grandchild", parent_id="child", depth=2)


def page(*events, prompt=None) -> ConversationView:
    """A turn in which this happened."""
    transcript = ConversationView()
    transcript.begin_turn(prompt)
    for event in events:
        transcript.on_event(event)
    return transcript


def said(text, step=1, where=ROOT, at=0.0) -> Text:
    return Text(text=text, step_index=step, trajectory=where, at=at)


def called(key="c1", where=ROOT, at=0.0, **args) -> ToolCall:
    return ToolCall(call_id=key, name="search", args=args, trajectory=where, at=at)


def answered(key="c1", result=None, error=None, at=0.0) -> ToolResult:
    return ToolResult(call_id=key, name="search", result=result, error=error, at=at)


def asks(state=ApprovalState.PENDING, key="approval-1", where=ROOT, **parts) -> Approval:
    return Approval(
        approval_id=key, tool="run", args={"command": "ls"}, state=state, trajectory=where, **parts
    )


def failed(message="broken", *, fatal=False, refused=None, where=ROOT) -> Error:
    info = ErrorInfo(type="ModelError", message=message)
    return Error(error=info, fatal=fatal, refused_step=refused, trajectory=where)


def ended(state=TurnState.DONE, at=0.0) -> State:
    return State(state=state, at=at)


def kinds(transcript) -> list[str]:
    """The kinds of nodes of a page, in the order in which they are read."""
    classes = [attributes.get("class", "") for _, attributes in read(transcript.html()).elements]
    found = [each.split()[1].removeprefix("agy-") for each in classes if "agy-node" in each]
    return [kind for kind in found if kind != "block"]


# -- texts and thoughts ----------------------------------------------------------------------------


def test_answer_is_markdown():
    html = page(said("some *wo"), said("rds*\n"), ended()).html()
    assert "<p>some <em>words</em></p>" in html


def test_each_step_is_a_text_of_its_own():
    assert kinds(page(said("a", 1), said("b", 2))) == ["text", "text"]


def test_thoughts_are_folded_and_stand_before_the_answer():
    transcript = page(Thought(text="hm", step_index=1, trajectory=ROOT), said("so"))
    assert kinds(transcript) == ["thought", "text"]
    (details,) = [a for tag, a in read(transcript.html()).elements if tag == "details"]
    assert "open" not in details
    assert transcript.text() == "so"


def test_thoughts_between_two_texts_stand_between_them():
    thought = Thought(text="hm", step_index=1, trajectory=ROOT)
    assert kinds(page(said("a"), thought, said("b"))) == ["text", "thought", "text"]


def test_prompt_is_shown_as_it_was_typed():
    transcript = page(said("hi"), prompt=(TextPart(text="*not* <b>markup</b>"),))
    assert kinds(transcript) == ["prompt", "text"]
    assert "*not* &lt;b&gt;markup&lt;/b&gt;" in transcript.html()


def test_history_is_shown_as_prompts_and_answers():
    transcript = ConversationView()
    transcript.add_history(
        [
            Message(role="user", content="*ask*", trajectory=ROOT),
            Message(role="assistant", content="*say*", trajectory=ROOT),
        ]
    )
    assert kinds(transcript) == ["prompt", "text"]
    assert "*ask*" in transcript.html()
    assert "<em>say</em>" in transcript.html()


def test_link_that_one_text_defines_is_known_to_the_next():
    html = page(said("[x]: https://example.org\n\n", 1), said("see [x]", 2)).html()
    assert 'href="https://example.org"' in html


def test_looking_at_the_html_in_the_middle_of_a_word_changes_nothing():
    looked, whole = page(), page()
    for letter in "some *stress* and\n\n- a list\n":
        looked.on_event(said(letter))
        whole.on_event(said(letter))
        assert text_of(looked.html()).replace("*", "")
    looked.on_event(ended())
    whole.on_event(ended())
    assert looked.html() == whole.html()


# -- tool calls ------------------------------------------------------------------------------------


def test_call_is_a_card_between_the_texts_around_it():
    transcript = page(said("a", 1), called(q="x"), answered(result="y"), said("b", 2), ended())
    assert kinds(transcript) == ["text", "tool", "text", "footer"]
    shown = text_of(transcript.html())
    assert shown.index("a") < shown.index("search") < shown.index("Arguments") < shown.index("y")


def test_card_has_state_time_and_result():
    transcript = page(called(at=10.0))
    assert "Running" in transcript.html()
    transcript.on_event(answered(result={"n": 1}, at=12.5))
    html = transcript.html()
    assert "Running" not in html
    assert "Done" in html
    assert "2.5 s" in html
    assert kinds(transcript) == ["tool"]


def test_card_of_a_call_that_failed_has_its_error():
    html = page(called(), answered(error="no such <file>")).html()
    assert "Failed" in html
    assert "no such &lt;file&gt;" in html


def test_answers_find_their_calls_in_any_order():
    transcript = page(
        called("a", q="first"), called("b", q="second"), answered("b", "2"), answered("a", "1")
    )
    shown = text_of(transcript.html())
    assert shown.index("first") < shown.index("Result1") < shown.index("second")
    assert shown.index("second") < shown.index("Result2")


def test_call_that_is_told_again_is_one_card():
    transcript = page(called(), called(q="more"), answered(result="x"))
    assert kinds(transcript) == ["tool"]
    assert "more" in transcript.html()


def test_answer_to_a_call_of_nobody_is_no_card():
    assert kinds(page(answered("stranger", "x"))) == []


def test_ten_megabytes_of_arguments_are_a_card_that_says_so():
    html = page(called(q="x" * 10_000_000), answered(result="y" * 10_000_000)).html()
    assert len(html) < 50_000
    assert "9,990,000 more characters" in html


# -- subagents -------------------------------------------------------------------------------------


def test_subagent_has_a_thread_of_its_own_that_can_be_folded():
    transcript = page(
        called(),
        said("from the child", where=CHILD),
        called("c2", where=CHILD),
        said("deep", where=GRANDCHILD),
        answered("c1", "x"),
        said("from the root", 2),
        ended(),
    )
    assert kinds(transcript) == [
        *("tool", "subagent", "text", "tool", "subagent", "text"),
        *("text", "footer"),
    ]
    assert transcript.text() == "from the root"
    threads = [
        a for tag, a in read(transcript.html()).elements if "agy-subagent" in a.get("class", "")
    ]
    assert all("open" in each and each["aria-label"] == "Subagent" for each in threads)


def test_two_subagents_that_write_at_once_are_not_mixed():
    other = Trajectory(id="other", parent_id="root", depth=1)
    events = [said(word, where=where) for word in ("a", "b", "c") for where in (CHILD, other)]
    shown = text_of(page(*events).html())
    assert shown.count("abc") == 2


def test_subagent_of_an_unknown_trajectory_is_shown_at_the_root():
    assert kinds(page(said("x", where=GRANDCHILD))) == ["subagent", "text"]


# -- errors ----------------------------------------------------------------------------------------


def test_try_that_went_wrong_is_dropped_once_the_harness_goes_on():
    transcript = page(said("half of"), failed("overloaded", refused=1))
    assert "half of" in transcript.html()
    transcript.on_event(said("the whole", 2))
    assert "half of" not in transcript.html()
    assert "overloaded" in transcript.html()
    assert transcript.text() == "the whole"


def test_text_that_is_not_followed_by_another_try_stays():
    transcript = page(said("half of"), failed(fatal=True, refused=1), ended(TurnState.FAILED))
    assert "half of" in transcript.html()
    assert kinds(transcript) == ["text", "error", "footer"]


def test_error_of_a_subagent_drops_nothing_of_the_root():
    transcript = page(said("kept"), failed(refused=1, where=CHILD), said("more", 2))
    assert "kept" in transcript.html()


def test_error_that_ends_the_turn_looks_other_than_one_that_does_not():
    assert kinds(page(failed(fatal=False))) == ["notice"]
    assert kinds(page(failed(fatal=True))) == ["error"]


def test_turn_that_fails_with_its_last_step_tells_that_once():
    transcript = page(failed("a step failed"), failed("the turn failed", fatal=True))
    assert kinds(transcript) == ["error"]
    other = replace(failed(), error=ErrorInfo(type="SafetyError", message="no"))
    assert kinds(page(other, failed(fatal=True))) == ["notice", "error"]


def retried(code=429, **facts) -> Error:
    info = ErrorInfo(type="QuotaExceededError", message="no", http_code=code, retryable=True)
    return Error(error=info, fatal=False, trajectory=ROOT, **facts)


def test_repeated_calls_of_the_model_are_one_row():
    transcript = page(retried(), retried())
    assert kinds(transcript) == ["notice"]
    assert "<summary>Retrying (2): HTTP 429</summary>" in transcript.html()
    transcript.on_event(said("Here it is."))
    assert kinds(transcript) == ["notice", "text"]
    assert "<summary>Retried 2 times: HTTP 429</summary>" in transcript.html()


def test_retry_names_the_most_retries_that_the_agent_allows():
    transcript = page(retried(retry=1, max_retries=3), retried(retry=2, max_retries=3))
    assert "<summary>Retrying (2 of 3): HTTP 429</summary>" in transcript.html()


def test_turn_that_fails_after_retries_has_them_above_the_error():
    transcript = page(retried(), failed(fatal=True), ended(TurnState.FAILED))
    assert kinds(transcript) == ["notice", "error", "footer"]
    assert "Retried once: HTTP 429" in transcript.html()


def test_error_that_belongs_to_no_turn_is_shown_too():
    transcript = ConversationView()
    transcript.add_error("AgentNotStartedError", "it is gone")
    assert kinds(transcript) == ["error"]


# -- the harness's own tools -----------------------------------------------------------------------


def harness_call(name, key="t:1", **args) -> ToolCall:
    return ToolCall(call_id=key, name=name, args=args, source="builtin", trajectory=ROOT)


@pytest.mark.parametrize(
    ("asked", "args", "call"),
    [
        ("run_command", {"CommandLine": "ls"}, ("run_command", {"command_line": "ls"})),
        (
            "create_file",
            {"TargetFile": "/a", "CodeContent": "x"},
            ("edit_file", {"file_path": "/a"}),
        ),
    ],
)
def test_approved_call_of_the_harness_is_one_row_though_it_has_two_ids(asked, args, call):
    allowed = Approval(
        approval_id="a", tool=asked, args=args, state=ApprovalState.ALLOWED, call_id="other",
        trajectory=ROOT, decided_by="a click: once",
    )  # fmt: skip
    transcript = page(replace(allowed, state=ApprovalState.PENDING), allowed)
    assert kinds(transcript) == ["decided"]
    transcript.on_event(harness_call(call[0], **call[1]))
    assert kinds(transcript) == ["tool"]
    assert "Allowed by you" in text_of(transcript.html())


def test_decision_about_another_file_stays_a_row_of_its_own():
    allowed = Approval(
        approval_id="a", tool="edit_file", args={"TargetFile": "/b"}, call_id="other",
        state=ApprovalState.ALLOWED, trajectory=ROOT,
    )  # fmt: skip
    assert kinds(page(allowed, harness_call("edit_file", file_path="/a"))) == ["decided", "tool"]


def test_subagents_are_titled_by_their_roles_in_the_order_of_the_call():
    tasks = [{"Role": "<b>reader", "TypeName": "t"}, {"TypeName": "writer"}]
    other = replace(CHILD, id="child-2")
    start = harness_call("invoke_subagent", Subagents=tasks)
    transcript = page(start, said("one", where=CHILD), said("two", where=other))
    html = transcript.html()
    places = [html.index(f"<strong>{name}</strong>") for name in ("&lt;b&gt;reader", "writer")]
    assert places[0] < html.index("<p>one") < places[1] < html.index("<p>two")


def test_subagent_is_titled_when_its_name_comes_late():
    start = harness_call("invoke_subagent", Subagents=[{"Role": "reader"}])
    transcript = page(said("one", where=CHILD), start)
    assert "<strong>reader</strong>" in transcript.html()
    assert kinds(transcript) == ["subagent", "text", "tool"]


# -- approvals and questions -----------------------------------------------------------------------


def test_approval_waits_in_its_place_and_its_decision_stays_there():
    transcript = page(said("I will"), asks())
    assert list(transcript.pending) == ["approval-1"]
    assert kinds(transcript) == ["text", "approval"]
    transcript.on_event(asks(ApprovalState.DENIED, reason="not on a Friday", decided_by="a click"))
    transcript.on_event(said("as you wish", 2))
    assert transcript.pending == {}
    assert kinds(transcript) == ["text", "decided", "text"]
    assert "not on a Friday" in transcript.html()


@pytest.mark.slow
def test_hundred_approvals_stand_in_the_order_in_which_they_came():
    transcript = page(*(asks(key=f"approval-{number}") for number in range(100)))
    assert list(transcript.pending) == [f"approval-{number}" for number in range(100)]
    for number in range(0, 100, 2):
        transcript.on_event(asks(ApprovalState.ALLOWED, key=f"approval-{number}"))
    assert kinds(transcript) == ["decided", "approval"] * 50


def denied(key="c1"):
    return ToolResult(call_id=key, name="search", error="not allowed", denied=True)


def test_call_that_a_person_refused_is_one_card():
    refusal = asks(ApprovalState.DENIED, call_id="c1", reason="no")
    assert kinds(page(asks(call_id="c1"), refusal, called(), denied())) == ["decided"]
    # A subagent's call is asked about once it has begun.
    assert kinds(page(called(), asks(call_id="c1"), refusal, denied())) == ["decided"]


@pytest.mark.parametrize("first", ["approval", "call"])
def test_call_that_a_person_allowed_is_one_row(first):
    pending = asks(call_id="c1")
    allowed = asks(ApprovalState.ALLOWED, call_id="c1", decided_by="a click: once")
    events = [pending, allowed, called()] if first == "approval" else [called(), pending, allowed]
    transcript = page(*events)
    assert kinds(transcript) == ["tool"]
    assert "Allowed by you" in transcript.html()
    transcript.on_event(answered(result=1, at=2.5))
    assert kinds(transcript) == ["tool"]
    assert "You allowed it once." in transcript.html()


def test_call_that_was_edited_shows_the_edited_arguments():
    allowed = asks(
        ApprovalState.ALLOWED, call_id="c1", decided_by="a click: edited", edited={"q": "new"}
    )
    shown = text_of(page(allowed, called(q="old"), answered(result=1)).html())
    assert 'search q="new" Edited by you' in shown
    assert "Original call" in shown


def test_parallel_calls_are_rows_that_begin_with_what_differs():
    transcript = page(*(called(f"c{n}", same="x" * 200, q=n) for n in range(10)))
    assert kinds(transcript) == ["tool"] * 10
    heads = re.findall("<summary>(.*?)</summary>", transcript.html())
    assert [f"q={n}, same=" in text_of(head) for n, head in enumerate(heads)] == [True] * 10


def test_calls_on_one_file_are_told_apart():
    transcript = page(called("a", path="f.py", line=1), called("b", path="f.py", line=200))
    heads = re.findall("<summary>(.*?)</summary>", transcript.html())
    assert "line=1" in text_of(heads[0])
    assert "line=200" in text_of(heads[1])


def test_call_that_a_rule_refused_is_a_card_that_says_so():
    shown = page(called(), denied())
    assert kinds(shown) == ["tool"]
    assert "Denied" in text_of(shown.html())
    assert "not allowed" in text_of(shown.html())
    assert "Failed" not in text_of(shown.html())


def test_card_of_a_tool_that_raised_names_the_exception_and_has_its_traceback():
    raised = ToolException(
        call_id="c1", error_type="KeyError", message="KeyError('x')", traceback="in search"
    )
    for order in ((raised, answered(error="'x'")), (answered(error="'x'"), raised)):
        words = text_of(page(called(), *order).html())
        assert "KeyError: " in words
        assert "Failed" in words
        assert "in search" in words


def test_structured_output_is_shown_as_json():
    shown = page(StructuredOutput(value={"n": 42}))
    assert kinds(shown) == ["text"]
    assert '"n": 42' in text_of(shown.html())


def test_agent_that_was_stopped_says_why():
    stopped = TrajectoryState(state="idle", stop_reason="MAX_TOOL_CALLS_EXCEEDED")
    assert "Stopped: max tool calls exceeded" in text_of(page(stopped).html())
    assert kinds(page(TrajectoryState(state="idle", stop_reason="UNSPECIFIED"))) == []


def test_turn_of_a_trigger_says_that_it_is_one():
    transcript = ConversationView()
    transcript.begin_turn((TextPart(text="a file changed"),), "trigger")
    assert "Trigger" in text_of(transcript.html())
    assert "a file changed" in text_of(transcript.html())
    transcript.begin_turn((TextPart(text=""),), "wakeup")
    assert "Wake-up" in text_of(transcript.html())


def test_approval_of_a_subagent_is_in_its_thread():
    assert kinds(page(said("x", where=CHILD), asks(where=CHILD))) == [
        "subagent",
        "text",
        "approval",
    ]


def test_question_and_what_was_answered():
    asked = (AskedQuestion(question="Which <one>?"),)
    transcript = page(Question(question_id="q", questions=asked, trajectory=ROOT))
    assert list(transcript.pending) == ["q"]
    assert "Which &lt;one&gt;?" in transcript.html()
    transcript.on_event(
        Question(question_id="q", questions=asked, answers=(Answer(text="this"),), trajectory=ROOT)
    )
    assert transcript.pending == {}
    assert kinds(transcript) == ["answered"]
    assert "this" in transcript.html()


# -- the end ---------------------------------------------------------------------------------------


def test_footer_has_the_sum_of_the_tokens_and_the_time():
    def metered(number):
        tokens = TokenUsage(input_tokens=number, total_tokens=number)
        return Usage(usage=tokens, trajectory_total=tokens, session_total=tokens)

    transcript = page(said("x", at=100.0), metered(10), metered(5), ended(at=103.0))
    assert text_of(transcript.html()).endswith("Done · 15 tokens (15 in) · 3.0 s")


def test_stop_keeps_what_had_come_and_says_so():
    transcript = page(said("so far"), called(), ended(TurnState.CANCELLED))
    assert kinds(transcript) == ["text", "tool", "notice", "footer"]
    shown = text_of(transcript.html())
    assert "so far" in shown
    assert "Stopped search" in shown
    assert "Running" not in shown
    assert "Stopped. The partial answer was kept." in shown


def test_turn_that_waits_for_the_quota_says_until_when_and_can_be_given_up():
    until = 1_800_000_000.0
    transcript = page(Waiting(reason="quota", until=until, seconds=30.0))
    moment = datetime.fromtimestamp(until).astimezone()
    assert transcript.status == f"Waiting for the model's quota until {moment:%H:%M:%S}"
    assert transcript.status in text_of(transcript.html())
    assert transcript.stop_label == "Give up"
    transcript.on_event(State(state=TurnState.RUNNING))
    assert (transcript.status, transcript.stop_label) == ("Thinking", "")


def test_wait_for_the_quota_of_more_than_a_day_names_the_day():
    waiting = Waiting(reason="quota", until=1_800_000_000.0, seconds=100_000.0)
    assert " on 2027-01-1" in page(waiting).status


def test_state_of_the_turn_is_there_in_words():
    assert page(ended(TurnState.WAITING_FOR_USER)).status == "Waiting for you"
    approval = Approval(approval_id="a", tool="run", state=ApprovalState.PENDING)
    question = Question(question_id="q", questions=(AskedQuestion(question="Which?"),))
    waits = State(state=TurnState.WAITING_FOR_USER)
    assert page(approval, question, waits).status == "Waiting for approval"
    assert page(question, waits).status == "Waiting for your answer"


def test_second_turn_stands_below_the_first():
    transcript = page(said("one"), ended(), prompt=(TextPart(text="first"),))
    transcript.begin_turn((TextPart(text="second"),))
    transcript.on_event(said("two"))
    transcript.on_event(ended())
    assert kinds(transcript) == ["prompt", "text", "footer"] * 2


def test_clear_keeps_what_waits_for_somebody():
    transcript = page(said("before"), asks())
    transcript.changes()
    transcript.clear()
    (put,) = transcript.changes()
    assert put.id == "approval-1"
    assert kinds(transcript) == ["approval"]
    transcript.on_event(asks(ApprovalState.DENIED))
    assert kinds(transcript) == ["decided"]


def test_clear_forgets_all_and_the_turn_that_runs_goes_on():
    transcript = page(said("gone"), asks(), asks(ApprovalState.ALLOWED))
    transcript.clear()
    assert transcript.html() == ""
    transcript.on_event(said("more"))
    transcript.on_event(ended())
    assert kinds(transcript) == ["text", "footer"]
    assert "gone" not in transcript.html()


# -- hostile text ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_payload_in_any_field_changes_the_page():
    def events(text):
        where = Trajectory(id=text, parent_id="root", depth=1)
        return (
            ToolCall(call_id="c", name=text, args={"q": text}, server=text, trajectory=ROOT),
            ToolResult(call_id="c", name=text, result=f"x{text}"),
            ToolCall(call_id="d", name=text, args={text: 1}, trajectory=where),
            ToolResult(call_id="d", name=text, error=text),
            Approval(
                approval_id="a",
                tool=text,
                args={"command": text},
                state=ApprovalState.PENDING,
                reason=f"x{text}",
            ),
            Question(question_id="q", questions=(AskedQuestion(question="?"),)),
            ToolCall(call_id="e", name="t"),
            ToolException(call_id="e", error_type=text, message=text, traceback=text),
            ToolResult(call_id="e", name="t", error="x"),
            StructuredOutput(value=f"x{text}"),
            TrajectoryState(state="idle", stop_reason=text, message=text),
            Error(error=ErrorInfo(type=text, message=text), fatal=True),
            ended(TurnState.FAILED),
        )

    wanted = skeleton(page(*events("harmless"), prompt=(TextPart(text="harmless"),)).html())
    labels = [attributes.pop("aria-label", None) for _, attributes in wanted]
    assert "Approval of harmless" in labels
    for payload in PAYLOADS:
        found = skeleton(page(*events(payload), prompt=(TextPart(text=payload),)).html())
        for _, attributes in found:
            attributes.pop("aria-label", None)
        assert found == wanted, payload


# -- whoever comes late ----------------------------------------------------------------------------

WHERE = st.sampled_from([ROOT, CHILD, GRANDCHILD])
KEYS = st.sampled_from(["1", "2", "3"])
WORDS = st.sampled_from(
    ["word ", "*half", "*", "\n\n", "```\n", "- x\n", "[x]: /y\n", "[x]", "|a|\n"]
)
EVENTS = st.one_of(
    st.builds(Text, text=WORDS, step_index=st.integers(0, 2), trajectory=WHERE),
    st.builds(Text, text=WORDS, step_index=st.just(1), trajectory=st.just(ROOT)),
    st.builds(Thought, text=WORDS, step_index=st.integers(0, 2), trajectory=WHERE),
    st.builds(called, KEYS, WHERE),
    st.builds(answered, KEYS, st.just("result")),
    st.builds(asks, st.sampled_from(ApprovalState), KEYS.map("approval-{}".format), WHERE),
    st.builds(
        asks, st.sampled_from(ApprovalState), KEYS.map("approval-{}".format), WHERE, call_id=KEYS
    ),
    st.builds(ToolException, call_id=KEYS, error_type=st.just("KeyError"), message=st.just("x")),
    st.builds(failed, fatal=st.booleans(), refused=st.sampled_from([None, 1]), where=WHERE),
    st.builds(ended, st.sampled_from(TurnState)),
)


def same_page(changes) -> str:
    """What a front end shows after these changes."""
    assert all(isinstance(each, Upsert | AppendText | Remove) for each in changes)
    return static(changes)


@given(st.lists(EVENTS, max_size=30), st.data())
def test_snapshot_at_any_moment_and_what_follows_is_all_that_there_was(events, data):
    late_at = data.draw(st.integers(0, len(events)), label="late at")
    transcript = page()
    early, late = [], []
    for number, event in enumerate(events):
        if number == late_at:
            early += transcript.changes()
            late = transcript.snapshot()
        transcript.on_event(event)
        if data.draw(st.booleans(), label="looks"):
            new = transcript.changes()
            early += new
            late += new if number >= late_at else []
    new = transcript.changes()
    assert same_page(early + new) == same_page((late if late_at < len(events) else early) + new)


@given(st.lists(EVENTS, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_page_at_the_end_is_the_html_that_stays(events, looks):
    transcript = page()
    changes = []
    for event, look in zip([*events, ended()], [*looks, False], strict=False):
        transcript.on_event(event)
        if look:
            changes += transcript.changes()
    assert same_page(changes + transcript.changes()) == transcript.html()


@given(st.lists(EVENTS, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_html_that_is_kept_in_pieces_is_that_of_all_nodes(events, looks):
    transcript = page()
    for event, look in zip([*events, ended()], [*looks, True], strict=False):
        transcript.on_event(event)
        if look:
            all_nodes = [*transcript.snapshot(), *transcript._texts.open_blocks()]
            assert transcript.html() == static(all_nodes)


def test_html_of_a_long_page_is_not_made_again_after_each_turn(monkeypatch):
    made = []

    def counted(changes):
        changes = list(changes)
        made.append(len(changes))
        return static(changes)

    monkeypatch.setattr(node_tree, "static", counted)
    transcript = page()
    for number in range(200):
        transcript.begin_turn((TextPart(text=f"turn {number}"),))
        transcript.on_event(called(f"c{number}"))
        transcript.on_event(said("One.\n\nTwo.\n"))
        transcript.on_event(ended())
        assert f"turn {number}" in transcript.html()
    assert max(made) < 10
    assert len(made) < 200 * 10


@given(st.lists(EVENTS, max_size=30))
def test_snapshot_is_the_page(events):
    transcript = page(*events)
    snapshot = transcript.snapshot()
    assert same_page(snapshot) == same_page(transcript.changes())
    assert same_page(transcript.snapshot()) == same_page(snapshot)


@pytest.mark.slow
def test_event_costs_the_same_however_long_the_page_is():
    transcript = page()
    for number in range(3_000):
        transcript.on_event(said("word\n\n", number))
        transcript.on_event(called(str(number)))
        assert len(transcript.changes()) <= 6


# -- what is very long -----------------------------------------------------------------------------

LONG = "Some *words* of prose.\n\n" * 4_000


def test_card_after_a_long_text_stands_below_it_while_the_text_is_drawn():
    transcript = page(said(LONG), called(), said("And *then*?", 2))
    first = transcript.html()
    assert transcript.has_backlog
    assert first.count("words") == 4_000
    assert first.index("words") < first.index("search") < first.index("then")
    changes = []
    while transcript.has_backlog:
        changes += transcript.changes()
    changes += transcript.changes()
    for html in (transcript.html(), static(changes)):
        assert html.count("<em>words</em>") == 4_000
        assert html.rindex("words") < html.index("search") < html.index("<em>then</em>")


def test_long_text_that_was_refused_is_dropped_while_it_is_drawn():
    transcript = page(said(LONG), failed("overloaded", refused=1), said("Again.", 2))
    assert not transcript.has_backlog
    assert "words" not in transcript.html()


def test_history_with_a_long_message_is_markdown_too():
    transcript = ConversationView()
    transcript.add_history([Message(role="model", content=LONG)])
    assert transcript.html().count("<em>words</em>") == 4_000


def test_text_of_what_is_very_long_is_its_beginning():
    transcript = page(said("x" * 10_000_000))
    assert len(transcript.text()) < 1_000_100
    assert transcript.text().endswith("… 9,000,000 more characters")


def test_link_definition_holds_for_its_turn_and_its_trajectory():
    """Models number their sources from 1 in each answer."""
    transcript = page(said("[1]: https://example.org/first\n\nSee [1].\n"))
    transcript.begin_turn()
    transcript.on_event(said("[1]: https://example.org/second\n\nSee [1].\n"))
    transcript.on_event(said("[1]: https://example.org/third\n\nSee [1].\n", where=CHILD))
    transcript.begin_turn()
    transcript.on_event(said("See [1]."))
    transcript.on_event(State(trajectory=ROOT, state=TurnState.DONE))
    html = transcript.html()
    assert [
        html.count(f'href="https://example.org/{name}"') for name in ("first", "second", "third")
    ] == [1, 1, 1]
    assert "See [1]." in html


def test_link_definition_holds_for_all_texts_of_an_answer():
    transcript = page(
        said("[docs]: https://example.org/docs\n"),
        called(),
        answered(result="ok"),
        said("See the [docs].", step=2),
        State(trajectory=ROOT, state=TurnState.DONE),
    )
    assert 'href="https://example.org/docs"' in transcript.html()


def test_status_says_what_happens_now_and_since_when():
    running = State(state=TurnState.RUNNING, at=10.0)
    transcript = page(running, called(at=12.0))
    assert (transcript.status, transcript.since) == ("Running search", 12.0)
    transcript.on_event(answered(at=13.0))
    assert (transcript.status, transcript.since) == ("Thinking", 13.0)
    transcript.on_event(replace(said("so"), at=14.0))
    transcript.on_event(replace(said(" far"), at=15.0))
    assert (transcript.status, transcript.since) == ("Writing", 14.0)
