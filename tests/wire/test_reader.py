"""The reader of the wire, frame by frame: what each says, and what nonsense does to it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from agy_nb.protocol import events as e
from agy_nb.protocol.values import ModalityTokens, TextPart
from agy_nb.wire import WireReader

ROOT, CHILD, GRANDCHILD = "a" * 32, "b" * 32, "c" * 32


def step(index=1, *, state="DONE", source="MODEL", target="USER", where=ROOT, **body):
    return {
        "stepUpdate": {
            "trajectoryId": where,
            "stepIndex": index,
            "state": f"STATE_{state}",
            "source": f"SOURCE_{source}",
            "target": f"TARGET_{target}",
            **body,
        }
    }


def usage(where=ROOT, **counts):
    return {"usageUpdate": {"agents": [{"trajectoryId": where, "usage": counts}], "total": counts}}


def begun(text="Hello"):
    reader = WireReader()
    reader.client({"userInput": {"parts": [{"text": text}]}})
    return reader


def only(kind, found):
    return [event for event in found if isinstance(event, kind)]


def pieces(found):
    return [event.text for event in found if isinstance(event, e.Text)]


def test_prompt_begins_a_turn():
    found = WireReader().client({"userInput": {"parts": [{"text": "Hello"}]}}, 5.0)
    assert found == [
        e.TurnBegan(prompt=(TextPart(text="Hello"),)),
        e.State(state=e.TurnState.RUNNING),
    ]
    assert found[0].at == 5.0


def test_trigger_begins_a_turn_of_its_own_kind():
    found = WireReader().client({"automatedTrigger": "a file changed"})
    assert (found[0].kind, found[0].prompt[0].text) == ("trigger", "a file changed")


def trajectory(state, where=ROOT, **body):
    return {"trajectoryStateUpdate": {"trajectoryId": where, "state": f"STATE_{state}", **body}}


def turns(found):
    return [
        (event.kind, event.prompt[0].text) if isinstance(event, e.TurnBegan) else str(event.state)
        for event in found
        if isinstance(event, e.TurnBegan | e.State)
    ]


def test_trigger_in_a_turn_that_runs_belongs_to_that_turn():
    reader = begun()
    assert reader.client({"automatedTrigger": "a file changed"}) == []
    assert turns(reader.harness(trajectory("FULLY_IDLE"))) == ["done"]


def test_harness_that_goes_on_by_itself_begins_a_turn():
    reader = begun()
    assert turns(reader.harness(trajectory("RUNNING"))) == []
    reader.harness(trajectory("FULLY_IDLE"))
    assert turns(reader.harness(trajectory("RUNNING", CHILD))) == []
    assert turns(reader.harness(trajectory("RUNNING"))) == [("wakeup", ""), "running"]
    assert turns(reader.harness(trajectory("FULLY_IDLE"))) == ["done"]


def test_prompt_that_a_hook_denies_is_a_denied_turn():
    reader = begun()
    verdict = {"decision": "DENY", "reason": "not on a Friday"}
    assert reader.client({"callHookResponse": {"requestId": "1", "preTurnResult": verdict}}) == []
    found = reader.harness(trajectory("CANCELLED", error="not on a Friday"))
    assert turns(found) == ["denied"]
    (error,) = only(e.Error, found)
    assert (error.fatal, error.error.type, error.error.reason) == (
        True,
        "TurnDeniedError",
        "not on a Friday",
    )
    reader.client({"userInput": {"parts": [{"text": "On Monday?"}]}})
    assert turns(reader.harness(trajectory("FULLY_IDLE"))) == ["done"]


def test_configuration_names_model_endpoint_and_tools():
    config = {
        "models": [
            {"name": "painter", "types": ["MODEL_TYPE_IMAGE"], "geminiApiEndpoint": {}},
            {"name": "thinker", "types": ["MODEL_TYPE_TEXT"], "vertexEndpoint": {}},
        ],
        "tools": [{"name": "add"}],
        "customSubagents": [{"name": "scout", "model": {"name": "small"}}, {"name": "other"}],
        "cascadeId": "c1",
    }
    (found,) = WireReader().client({"config": config})
    assert found == e.SessionConfigured(
        model="thinker",
        endpoint="vertex",
        host_tools=("add",),
        conversation_id="c1",
        subagents={"scout": "small", "other": None},
    )


def test_text_comes_from_deltas_and_a_whole_text_repeats_nothing():
    reader = begun()
    found = [
        *reader.harness(step(state="ACTIVE", textDelta="Hel", text="Hel")),
        *reader.harness(step(state="ACTIVE", textDelta="lo", text="Hello")),
        *reader.harness(step(state="ACTIVE", textDelta="", text="Hello")),
        *reader.harness(step(textDelta="", text="Hello!")),
        *reader.harness(step(textDelta="", text="Hello!")),
    ]
    assert pieces(found) == ["Hel", "lo", "!"]
    assert [each.status for each in only(e.Step, found)] == ["active", "done"]


def test_thoughts_are_no_text():
    reader = begun()
    found = reader.harness(step(thinkingDelta="Hm.", thinking="Hm.", textDelta="Yes", text="Yes"))
    assert [each.text for each in only(e.Thought, found)] == ["Hm."]
    assert pieces(found) == ["Yes"]


def test_structured_output_is_a_value_and_no_text():
    reader = begun()
    finish = {"outputString": '{"n":42}'}
    found = reader.harness(step(text="Finished", textDelta="Finished", finish=finish))
    assert [each.value for each in only(e.StructuredOutput, found)] == [{"n": 42}]
    assert pieces(found) == []
    assert only(e.Step, found)[0].kind == "finish"


def test_host_tool_has_its_call_its_step_and_what_the_model_saw():
    reader = begun()
    call = {"id": "1", "name": "add", "argumentsJson": '{"x":1,"y":2.5}'}
    shown = step(state="ACTIVE", target="ENVIRONMENT", customTool={"toolCall": call})
    (status,) = reader.harness(shown)
    assert (status.tool, status.call_id, status.kind) == ("add", "1", "tool_call")
    (called,) = reader.harness({"toolCall": call | {"trajectoryId": ROOT}})
    assert (called.args, called.source, called.step_index) == ({"x": 1, "y": 2.5}, "custom", 1)
    (answer,) = reader.client({"toolResponse": {"id": "1", "responseJson": '{"result": 3}'}})
    assert (answer.result, answer.error, answer.trajectory.id) == (3, None, ROOT)


def test_builtin_tool_has_the_names_that_the_sdk_uses():
    reader = begun()
    target = {"filePath": "file:///work/a%20b.txt"}
    diff = {"diffBlock": [{"startLine": 0, "lines": [{"text": "one"}]}]}
    words = {"text": "Tool execution", "textDelta": "Tool execution"}
    call, _ = only(
        (e.ToolCall, e.Step),
        reader.harness(step(state="ACTIVE", target="ENVIRONMENT", editFile=target, **words)),
    )[::-1]
    assert (call.name, call.source, call.args) == (
        "edit_file",
        "builtin",
        {"file_path": "/work/a b.txt"},
    )
    found = reader.harness(step(target="ENVIRONMENT", editFile=target | diff, **words))
    (result,) = only(e.ToolResult, found)
    assert result.result == {"diff_block": [{"start_line": 0, "lines": [{"text": "one"}]}]}
    assert result.call_id == call.call_id
    assert pieces(found) == []


def test_mcp_tool_names_its_server():
    reader = begun()
    tool = {"serverName": "shop", "toolName": "price", "argumentsJson": '{"item":"tea"}'}
    found = reader.harness(step(state="ACTIVE", target="ENVIRONMENT", mcpTool=tool))
    (call,) = only(e.ToolCall, found)
    assert (call.name, call.source, call.server, call.args) == (
        "price", "mcp", "shop", {"item": "tea"},
    )  # fmt: skip


TEA = {"serverName": "shop", "toolName": "price", "argumentsJson": '{"item":"tea"}'}


def mcp(reader, frames):
    """The results of MCP calls in the events of some frames."""
    found = [event for frame in frames for event in reader.harness(frame)]
    return [result.result for result in only(e.ToolResult, found)]


def mcp_step(index, state="DONE", **body):
    return step(index, state=state, target="ENVIRONMENT", mcpTool=TEA, **body)


def mcp_result(result, **more):
    about = {"serverName": "shop", "toolName": "price", "trajectoryId": ROOT, "stepIndex": 7}
    return {
        "callHookRequest": {"requestId": "h", "postToolArgs": about | {"result": result} | more}
    }


def reporting():
    reader = begun()
    reader.client({"config": {"enabledHooks": ["LIFECYCLE_HOOK_POST_TOOL"]}})
    return reader


@pytest.mark.parametrize("late", [True, False])
def test_mcp_result_comes_before_or_after_the_end_of_its_step(late):
    reader = reporting()
    frames = [mcp_step(1), mcp_result("3 euros")]
    assert mcp(reader, frames if late else frames[::-1]) == ["3 euros"]
    idle = {"trajectoryStateUpdate": {"trajectoryId": ROOT, "state": "STATE_FULLY_IDLE"}}
    assert mcp(reader, [idle]) == []


def test_mcp_results_belong_to_the_oldest_call():
    reader = reporting()
    frames = [mcp_step(1, "ACTIVE"), mcp_step(2, "ACTIVE"), mcp_step(1), mcp_result("one")]
    assert mcp(reader, [*frames, mcp_result("two"), mcp_step(2)]) == ["one", "two"]


def test_result_that_does_not_come_is_none():
    assert mcp(begun(), [mcp_step(1)]) == [None]  # there is no hook
    reader = reporting()
    assert mcp(reader, [mcp_step(1)]) == []
    found = reader.harness(step(2, text="Done.", textDelta="Done."))
    assert [event.type for event in found][:2] == ["tool_result", "text"]
    assert mcp(reader, [mcp_step(3)]) == []
    assert only(e.ToolResult, reader.end("client"))[0].result is None
    assert mcp(reporting(), [mcp_step(1, "ERROR", errorMessage="no"), mcp_step(1)]) == [None]


PRE_TOOL = {"toolName": "get_weather", "argumentsJson": '{"city":"Rome"}', "trajectoryId": ROOT}


def denied(reader, frames):
    found = []
    for direction, frame in frames:
        found += (reader.client if direction == "client" else reader.harness)(frame)
    words = 'no ("denied by pre-tool hook: no")'
    found += reader.harness(
        step(state="ERROR", errorMessage="no", error={"errorMessage": words, "httpCode": 0})
    )
    return only(e.ToolCall, found), only(e.ToolResult, found), only(e.Step, found)


def test_call_that_a_hook_refuses_is_a_call_and_a_denied_result():
    request = {"requestId": "h0", "preToolArgs": PRE_TOOL | {"callId": "c1"}}
    verdict = {"requestId": "h0", "preToolResult": {"decision": "DENY", "reason": "no"}}
    calls, results, steps = denied(
        begun(),
        [("harness", {"callHookRequest": request}), ("client", {"callHookResponse": verdict})],
    )
    assert [(call.name, call.args, call.call_id) for call in calls] == [
        ("get_weather", {"city": "Rome"}, "c1")
    ]
    assert [(each.denied, each.error) for each in results] == [(True, "no")]
    assert [(each.tool, each.status) for each in steps] == [("get_weather", "error")]


def test_call_that_a_policy_of_the_client_refuses_is_denied_once():
    request = {"requestId": "1", "ruleId": "rule_0", "toolArgs": PRE_TOOL | {"callId": "c1"}}
    answer = {"requestId": "1", "outcome": "POLICY_EVALUATION_OUTCOME_DENY", "denyReason": "no"}
    calls, results, _ = denied(
        begun(),
        [
            ("harness", {"policyDecisionRequest": request}),
            ("client", {"policyDecisionResponse": answer}),
        ],
    )
    assert len(calls) == len(results) == 1
    assert results[0].denied


def test_call_that_a_fixed_rule_refuses_has_the_tool_of_the_rule():
    reader = WireReader()
    rule = {"tool": "get_weather", "name": "weather rule", "decision": "POLICY_DECISION_DENY"}
    reader.client(
        {"config": {"policyConfig": {"rules": [rule]}, "tools": [{"name": "get_weather"}]}}
    )
    reader.client({"userInput": {"parts": [{"text": "go"}]}})
    label = 'Denied by policy "weather rule".'
    words = f'{label} ("denied by pre-tool hook: {label}")'
    found = reader.harness(
        step(state="ERROR", errorMessage=label, error={"errorMessage": words, "httpCode": 0})
    )
    (call,) = only(e.ToolCall, found)
    assert (call.name, call.source) == ("get_weather", "custom")
    assert [each.denied for each in only(e.ToolResult, found)] == [True]


def test_call_that_no_rule_allows_has_the_tool_that_the_harness_names():
    label = 'No policy rule matched tool "run_command"; denied (fail-closed).'
    error = {"errorMessage": f'{label} ("denied by pre-tool hook: {label}")', "httpCode": 0}
    found = begun().harness(step(state="ERROR", errorMessage=label, error=error))
    assert [(call.name, call.source) for call in only(e.ToolCall, found)] == [
        ("run_command", "builtin")
    ]


def test_arguments_of_a_subagent_come_from_the_hook_that_saw_them():
    reader = begun()
    about = {
        "toolName": "invoke_subagent",
        "argumentsJson": '{"task":"look"}',
        "trajectoryId": ROOT,
    }
    reader.harness({"callHookRequest": {"requestId": "h0", "preToolArgs": about}})
    found = reader.harness(step(state="ACTIVE", target="ENVIRONMENT", invokeSubagent={}))
    assert [call.args for call in only(e.ToolCall, found)] == [{"task": "look"}]


def test_usage_is_the_difference_of_two_readings_with_every_detail():
    reader = begun()
    first = {"promptTokenCount": "100", "candidatesTokenCount": "5", "totalTokenCount": "105"}
    details = {
        "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": "90"}],
        "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": "7"}],
        "thoughtsTokenCount": "2",
        "cachedContentTokenCount": "10",
        "serviceTier": "FLEX",
    }
    reader.harness(usage(**first))
    second = {"promptTokenCount": "250", "candidatesTokenCount": "9", "totalTokenCount": "261"}
    (metered,) = reader.harness(usage(**second, **details))
    call = metered.usage
    assert (call.input_tokens, call.output_tokens, call.total_tokens) == (150, 6, 156)
    assert (call.cache_read_tokens, call.reasoning_tokens, call.tool_use_tokens) == (10, 2, 7)
    assert call.input_details == (ModalityTokens(modality="image", tokens=90),)
    assert call.service_tier == "FLEX"
    assert metered.trajectory_total.total_tokens == 261
    assert reader.harness(usage(**second, **details)) == []


def test_history_of_a_resumed_conversation_is_read_and_its_steps_are_not():
    reader = WireReader()
    past = step(3, source="USER", target="MODEL", text="before")["stepUpdate"]
    counts = {"promptTokenCount": "40", "totalTokenCount": "40"}
    body = {
        "cascadeId": "c1",
        "history": [past],
        "cumulativeUsage": counts,
        "trajectoryUsage": [{"trajectoryId": ROOT, "usage": counts}],
    }
    (opened,) = reader.harness({"initializeConversationResponse": body})
    assert opened.resumed
    assert [message.content for message in opened.history] == ["before"]
    assert opened.usage.total_tokens == 40
    assert reader.harness(step(2, text="old", textDelta="old")) == []
    (metered,) = reader.harness(usage(promptTokenCount="50", totalTokenCount="50"))
    assert metered.usage.total_tokens == 10


@pytest.mark.parametrize(
    ("label", "code", "expected"),
    [
        ("SAFETY", 0, "SafetyError"),
        ("BLOCKLIST", 0, "SafetyError"),
        ("PROHIBITED_CONTENT", 0, "SafetyError"),
        ("The maximum token limit was reached.", 0, "MaxTokensError"),
        ("", 429, "QuotaExceededError"),
        ("", 500, "BackendError"),
        ("anything else", 0, "BackendError"),
    ],
)
def test_error_step_has_the_class_that_its_label_or_code_says(label, code, expected):
    reader = begun()
    frame = step(
        state="ERROR", source="SYSTEM", errorMessage=label,
        error={"errorMessage": "words", "httpCode": code},
    )  # fmt: skip
    (error,) = only(e.Error, reader.harness(frame))
    assert (error.error.type, error.fatal) == (expected, False)
    assert error.error.http_code == (code or None)
    idle = {"trajectoryStateUpdate": {"trajectoryId": ROOT, "state": "STATE_FULLY_IDLE"}}
    rest, fatal, state = reader.harness(idle)
    assert isinstance(rest, e.TrajectoryState)
    assert (fatal.error.type, fatal.fatal) == (expected, True)
    assert state.state is e.TurnState.FAILED


def test_output_after_an_error_makes_it_harmless():
    reader = begun()
    reader.harness(step(1, state="ERROR", source="SYSTEM", error={"httpCode": 429}))
    assert (reader.failures, reader.failure.http_code) == (1, 429)
    reader.harness(step(2, state="ACTIVE", textDelta="ok", text="ok"))
    assert (reader.failures, reader.failure) == (0, None)
    idle = {"trajectoryStateUpdate": {"trajectoryId": ROOT, "state": "STATE_FULLY_IDLE"}}
    assert reader.harness(idle)[-1] == e.State(state=e.TurnState.DONE)


def test_stop_reason_of_a_trajectory_is_the_sdks_word():
    reader = begun()
    stop = {"trajectoryId": ROOT, "state": "STATE_FULLY_IDLE"}
    (rest, _) = reader.harness(
        {"trajectoryStateUpdate": stop | {"stopReason": "STOP_REASON_MAX_TOOL_CALLS_EXCEEDED"}}
    )
    assert rest.stop_reason == "MAX_TOOL_CALLS_EXCEEDED"
    assert begun().harness({"trajectoryStateUpdate": stop})[0].stop_reason == "UNSPECIFIED"


def test_parent_that_comes_later_is_filled_in_and_depth_counts_from_the_root():
    reader = begun()
    reader.harness(step(0, where=ROOT, source="USER", text="go"))
    (early,) = only(e.Text, reader.harness(step(0, where=CHILD, textDelta="x", text="x")))
    assert early.trajectory.is_root  # not known better yet
    running = {"trajectoryId": CHILD, "parentTrajectoryId": ROOT, "state": "STATE_RUNNING"}
    reader.harness({"trajectoryStateUpdate": running})
    (late,) = only(e.Text, reader.harness(step(1, where=CHILD, textDelta="y", text="y")))
    assert (late.trajectory.parent_id, late.trajectory.depth) == (ROOT, 1)
    below = step(0, where=GRANDCHILD, parentTrajectoryId=CHILD, textDelta="z", text="z")
    assert only(e.Text, reader.harness(below))[0].trajectory.depth == 2


def test_trajectory_that_is_its_own_parent_is_a_root():
    found = begun().harness(step(where=ROOT, parentTrajectoryId=ROOT, textDelta="x", text="x"))
    assert all(event.trajectory.is_root for event in found)


def test_questions_and_their_answers_belong_together():
    reader = begun()
    asked = {"question": "Which?", "choices": ["red", "blue"], "isMultiSelect": True}
    request = {"questions": [{"multipleChoice": asked}]}
    waits = step(state="WAITING_FOR_USER", target="UNSPECIFIED", questionsRequest=request)
    (question,) = only(e.Question, reader.harness(waits) + reader.harness(waits))
    assert [option.text for option in question.questions[0].options] == ["red", "blue"]
    given = {"answers": [{"multipleChoiceAnswer": {"selectedChoiceIndices": [1]}}]}
    (answered,) = reader.client(
        {"questionResponse": {"trajectoryId": ROOT, "stepIndex": 1, "response": given}}
    )
    assert answered.question_id == question.question_id
    assert answered.answers[0].selected == ("2",)


def test_host_notes_alone_say_how_turns_and_approvals_went():
    reader = WireReader()
    note = e.AgentStarted(agent_id=3, labels={"user": "ada"})
    assert reader.host(note) == [note]
    found = reader.client({"userInput": {"parts": [{"text": "go"}]}})
    idle = {"trajectoryStateUpdate": {"trajectoryId": ROOT, "state": "STATE_FULLY_IDLE"}}
    found += reader.harness(idle) + reader.end("client")
    assert only(e.State, found) == []
    assert found[-1] == e.SessionClosed(by="client")


def test_refusal_that_a_note_names_marks_the_answer_as_denied():
    reader = begun()
    reader.harness({"toolCall": {"id": "1", "name": "add", "trajectoryId": ROOT}})
    reader.host(e.ToolDenied(call_id="1", reason="no"))
    (result,) = reader.client({"toolResponse": {"id": "1", "errorMessage": "no"}})
    assert result.denied


# --- what makes no sense ---


def test_unknown_frame_is_kept_as_it_came():
    frame = {"brandNew": {"x": 1}, "seqNum": "7"}
    assert WireReader().harness(frame) == [e.UnknownFrame(direction="harness", frame=frame)]


def test_unknown_fields_change_nothing():
    plain = begun().harness(step(textDelta="x", text="x"))
    assert begun().harness(step(textDelta="x", text="x", brandNew={"y": 2})) == plain


@pytest.mark.parametrize(
    "count", ["-1", -1, "9223372036854775808", 2**80, "many", 1.5, True, [], {}]
)
def test_count_that_cannot_be_one_is_unknown_and_a_problem(count):
    found = begun().harness(usage(promptTokenCount=count, totalTokenCount="5"))
    (metered,) = only(e.Usage, found)
    assert metered.usage.input_tokens is None
    assert {each.problem for each in only(e.Problem, found)} == {"bad_count"}


def test_counter_that_goes_back_is_a_problem_and_costs_nothing():
    reader = begun()
    reader.harness(usage(promptTokenCount="100", totalTokenCount="100"))
    found = reader.harness(usage(promptTokenCount="60", totalTokenCount="60"))
    assert only(e.Usage, found) == []
    assert [each.problem for each in found] == ["counter_went_back"]


def test_steps_out_of_order_and_repeated_are_each_read_once():
    reader = begun()
    found = [
        event
        for index in (5, 3, 5, 4, 3)
        for event in reader.harness(step(index, textDelta="", text=f"step {index}"))
    ]
    assert pieces(found) == ["step 5", "step 3", "step 4"]


def test_steps_that_are_never_closed_take_no_room_for_ever():
    reader = WireReader()
    for turn in range(50):
        reader.client({"userInput": {"parts": [{"text": "go"}]}})
        for index in range(20):
            reader.harness(step(20 * turn + index, state="ACTIVE", textDelta="x", text="x"))
    kept = reader._connection.trajectories[ROOT]
    assert len(kept.steps) + len(kept._before) <= 40


@pytest.mark.parametrize("body", [None, [], "x", 7, True])
@pytest.mark.parametrize(
    "kind",
    [
        "stepUpdate", "usageUpdate", "toolCall", "trajectoryStateUpdate", "policyDecisionRequest",
        "callHookRequest", "initializeConversationResponse",
    ],
)  # fmt: skip
def test_body_of_a_wrong_type_is_a_problem_and_not_an_exception(kind, body):
    (found,) = begun().harness({kind: body})
    assert found.problem == "damaged_frame"


def words(text):
    return st.sampled_from(text.split())


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = words(
    "trajectoryId parentTrajectoryId stepIndex state source target text textDelta thinking "
    "thinkingDelta errorMessage error customTool mcpTool editFile finish questionsRequest id name "
    "argumentsJson arguments requestId ruleId toolArgs preToolArgs agents total history cascadeId "
    "usage promptTokenCount totalTokenCount depth stopReason response parts outcome"
)
VALUES = NONSENSE | st.sampled_from(
    [
        "STATE_ACTIVE",
        "STATE_DONE",
        "STATE_ERROR",
        "SOURCE_MODEL",
        "SOURCE_SYSTEM",
        "TARGET_USER",
        ROOT,
    ]
)
BODIES = st.dictionaries(FIELDS, VALUES | st.dictionaries(FIELDS, VALUES, max_size=4), max_size=9)
FRAMES = st.one_of(
    st.tuples(
        words(
            "stepUpdate usageUpdate toolCall trajectoryStateUpdate policyDecisionRequest "
            "callHookRequest initializeConversationResponse sessionEndResponse"
        ),
        BODIES | VALUES,
    ).map(lambda pair: ("harness", {pair[0]: pair[1]})),
    st.tuples(
        words(
            "config userInput automatedTrigger haltRequest toolResponse policyDecisionResponse "
            "callHookResponse questionResponse toolConfirmation"
        ),
        BODIES | VALUES,
    ).map(lambda pair: ("client", {pair[0]: pair[1]})),
)


@given(st.lists(FRAMES, max_size=12))
def test_no_frame_makes_the_reader_raise(frames):
    reader = WireReader()
    for direction, frame in frames:
        for event in (reader.client if direction == "client" else reader.harness)(frame, 1.0):
            assert isinstance(event, e.Event)
            assert math.isfinite(event.at)
    reader.end("client")


def test_exception_of_a_tool_passes_through_as_it_is():
    note = e.ToolException(call_id="1", error_type="KeyError", message="KeyError('x')")
    assert WireReader().host(note) == [note]


@pytest.mark.parametrize(
    ("error_type", "sent", "error"),
    [
        ("KeyError", "'customer 17'", "KeyError: 'customer 17'"),
        ("AssertionError", "AssertionError", "AssertionError"),
        ("SystemExit", "SystemExit: bye", "SystemExit: bye"),
    ],
)
def test_result_of_a_tool_that_raised_has_class_and_traceback(error_type, sent, error):
    reader = begun()
    reader.harness({"toolCall": {"id": "1", "name": "find"}})
    reader.host(
        e.ToolException(call_id="1", error_type=error_type, message="m", traceback="in find")
    )
    (result,) = reader.client({"toolResponse": {"id": "1", "errorMessage": sent}})
    assert (result.error, result.error_type, result.traceback) == (error, error_type, "in find")


def test_new_conversation_opens_without_a_history():
    (opened,) = WireReader().harness({"initializeConversationResponse": {"cascadeId": "c1"}})
    assert opened == e.SessionOpened(conversation_id="c1")


def test_hook_that_fails_refuses_the_call():
    reader = begun()
    about = {"requestId": "h0", "preToolArgs": PRE_TOOL | {"callId": "c1"}}
    reader.harness({"callHookRequest": about})
    failed = {"requestId": "h0", "errorMessage": "Hook failed"}
    found = reader.client({"callHookResponse": failed})
    assert [(each.denied, each.error) for each in only(e.ToolResult, found)] == [
        (True, "Hook failed")
    ]
