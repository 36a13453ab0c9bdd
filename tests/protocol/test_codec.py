"""JSON for every message: what is written is read again, and nothing else is."""

import json
from typing import get_args

import pytest
from hypothesis import given, settings, strategies as st

from agy_nb import errors
from agy_nb.protocol import commands as c, events as e, replies as r, values as v
from agy_nb.protocol.codec import decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
SECONDS = st.floats(0, 1e9)
COUNT = st.integers(0, 2**60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)


def maybe(strategy):
    return st.none() | strategy


TRAJECTORY = st.builds(v.Trajectory, id=TEXT, parent_id=maybe(TEXT), depth=st.integers(0, 9))
USAGE = st.builds(
    v.TokenUsage,
    input_tokens=maybe(COUNT),
    cache_read_tokens=maybe(COUNT),
    output_tokens=maybe(COUNT),
    reasoning_tokens=maybe(COUNT),
    total_tokens=maybe(COUNT),
    service_tier=maybe(TEXT),
)
PART = (
    st.builds(v.TextPart, text=TEXT)
    | st.builds(
        v.MediaPart,
        kind=st.sampled_from(["image", "document", "audio", "video"]),
        mime_type=TEXT,
        data=st.binary(max_size=20),
        description=maybe(TEXT),
    )
    | st.builds(v.SlashCommandPart, name=TEXT)
)
PROMPT = st.lists(PART, min_size=1, max_size=3).map(tuple)
ERROR = st.builds(
    v.ErrorInfo,
    type=TEXT,
    message=TEXT,
    http_code=maybe(st.integers(100, 599)),
    retry_after=maybe(SECONDS),
    duration=maybe(SECONDS),
    operation=maybe(TEXT),
    hinted=maybe(st.booleans()),
    field=maybe(TEXT),
    partial_text=maybe(TEXT),
)
KNOWN = {
    "agent_id": st.integers(1, 2**60),
    "turn_id": st.integers(1, 2**60),
    "prompt": PROMPT,
    "timeout": SECONDS,
    "config": OBJECT,
    "messages": st.lists(
        st.builds(
            v.Message,
            role=st.sampled_from(["user", "model", "system", "unknown"]),
            content=TEXT,
            trajectory=TRAJECTORY,
        ),
        max_size=3,
    ).map(tuple),
    "turn": COUNT,
    "workspace": st.sampled_from(["share", "copy"]),
    "branch": maybe(st.integers(1, 2**60)),
    "turn_ids": st.lists(COUNT, max_size=3).map(tuple),
    "turns": COUNT,
    "usage": USAGE,
    "indices": st.lists(COUNT, max_size=3).map(tuple),
    "error": ERROR,
    "trajectory": TRAJECTORY,
    "at": NUMBER,
    "args": OBJECT,
    "result": JSON,
    "value": JSON,
    "frame": OBJECT,
    "labels": st.dictionaries(TEXT, TEXT, max_size=3),
    "history": st.lists(
        st.builds(v.Message, role=st.just("user"), content=TEXT, trajectory=TRAJECTORY), max_size=2
    ).map(tuple),
    "trajectory_usages": st.lists(
        st.builds(v.TrajectoryUsage, trajectory=TRAJECTORY, usage=USAGE), max_size=2
    ).map(tuple),
    "wait": maybe(SECONDS),
    "questions": st.lists(
        st.builds(
            v.AskedQuestion,
            question=TEXT,
            options=st.lists(st.builds(v.QuestionOption, id=TEXT, text=TEXT), max_size=2).map(
                tuple
            ),
            multiple=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    "answers": maybe(
        st.lists(
            st.builds(
                v.Answer,
                selected=st.lists(TEXT, max_size=2).map(tuple),
                text=TEXT,
                skipped=st.booleans(),
            ),
            max_size=2,
        ).map(tuple)
    ),
    "trajectory_total": USAGE,
    "session_total": USAGE,
    "step_index": COUNT,
    "refused_step": maybe(COUNT),
    "retry": maybe(st.integers(1, 2**31)),
    "max_retries": maybe(COUNT),
    "seconds": st.floats(0, 1e9),
    "until": st.floats(0, 1e12),
    "http_code": maybe(st.integers(100, 599)),
    "state": None,
    "type": None,
}


def strategy_for(cls):
    fields = {
        name: KNOWN[name]
        for name in cls.__dataclass_fields__
        if name in KNOWN and KNOWN[name] is not None
    }
    if cls in {e.ToolResult, e.Step}:
        fields["error"] = TEXT
    if cls is c.Trigger:
        fields["text"] = TEXT.filter(bool)
    if cls is e.Approval:
        fields["state"] = st.sampled_from(e.ApprovalState)
    if cls is e.State:
        fields["state"] = st.sampled_from(e.TurnState)
    if cls is e.Error:
        fields["fatal"] = st.booleans()
    return st.builds(cls, **fields, **{name: TEXT for name in _texts(cls) if name not in fields})


def _texts(cls):
    return [name for name, field in cls.__dataclass_fields__.items() if field.type == "str"]


FAMILIES = [c.Command, r.Reply, e.AnyEvent]
CLASSES = [cls for family in FAMILIES for cls in get_args(get_args(family)[0])]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@given(data=st.data())
@settings(max_examples=settings.default.max_examples // 3)  # of each of sixty classes
def test_what_is_written_is_read_again(cls, data):
    message = data.draw(strategy_for(cls))
    text = encode(message)
    assert "\n" not in text
    assert decode(text) == message
    assert decode(text.encode()) == message


def test_the_moment_survives_though_it_is_no_part_of_equality():
    event = e.Text(text="x", at=12.5)
    assert decode(encode(event)).at == 12.5
    assert event == e.Text(text="x", at=99)


def call(args):
    """A tool call on the wire, with arguments that no encoder would write."""
    message = '{"type":"tool_call","call_id":"x","name":"f","args":%s}' % args  # noqa: UP031
    return f'{{"family":"event","message":{message}}}'


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


@given(depth=st.integers(0, 98))
def test_what_is_nested_is_read_again(depth):
    message = e.ToolCall(call_id="x", name="f", args={"a": nested(depth)})
    assert decode(encode(message)) == message


@pytest.mark.parametrize("depth", [99, 200, 250, 300, 900])
def test_what_is_nested_too_deep_is_refused_on_both_sides(depth):
    with pytest.raises(errors.InvalidMessageError, match="deeper than 100 levels") as raised:
        encode(e.ToolCall(call_id="x", name="f", args={"a": nested(depth)}))
    assert raised.value.field.startswith("tool_call.args.a.0")
    assert len(raised.value.field) < 80
    with pytest.raises(errors.InvalidMessageError, match="deeper than 100 levels"):
        decode(call('{"a":' + "[" * depth + "0" + "]" * depth + "}"))


def written(family="command", **message):
    return json.dumps({"family": family, "message": message})


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (written(type="is_idle", agent_id=1, more=2), "is_idle.more"),
        (written(type="is_idle"), "is_idle.agent_id"),
        (written(type="is_idle", agent_id="1"), "is_idle.agent_id"),
        (written(type="is_idle", agent_id=True), "is_idle.agent_id"),
        (written(type="is_idle", agent_id=1.5), "is_idle.agent_id"),
        (written(type="is_idle", agent_id=0), "is_idle.agent_id"),
        (written(type="wait_for_wakeup", agent_id=1, timeout=-1), "wait_for_wakeup.timeout"),
        (written(type="chat", agent_id=1, prompt=[]), "chat.prompt"),
        (written(type="chat", agent_id=1, prompt="x"), "chat.prompt"),
        (written(type="nothing"), "type"),
        (written(agent_id=1), "type"),
        (
            written("event", type="text", text="x", trajectory={"depth": -1}),
            "text.trajectory.depth",
        ),
        (written("gossip", type="is_idle"), "family"),
        ('{"family":"command"}', "family"),
        ('{"family":"command","message":null}', "message"),
        ('{"family":"command","message":[]}', "message"),
        ("[]", "family"),
        (call('{"a":NaN}'), "tool_call.args.a"),
        (call('{"a":[1,-Infinity]}'), "tool_call.args.a.1"),
        (call('{"a":1e999}'), "tool_call.args.a"),
        (call(r'{"a":"\ud800"}'), "tool_call.args.a"),
        (call(r'{"\ud800":1}'), "tool_call.args"),
        (call('{"a":%s}' % ("9" * 5_000)), "tool_call.args.a"),
        (call('{"a":-%s}' % ("9" * 5_000)), "tool_call.args.a"),
        (call('{"a":1,"a":2}'), "a"),
        (
            written(
                type="chat",
                agent_id=1,
                prompt=[{"type": "media", "kind": "image", "mime_type": "x", "data": "*"}],
            ),
            "chat.prompt.0.media.data",
        ),
        (written(type="chat", agent_id=1, prompt=[{"type": "smell"}]), "chat.prompt.0.type"),
    ],
)
def test_what_does_not_fit_is_named(text, field):
    with pytest.raises(errors.InvalidMessageError) as raised:
        decode(text)
    assert raised.value.field == field


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nonsense",
        b"\xff\xfe",
        "[" * 100_000,
        "9" * 9_999,
        "\ufeff{}",
        None,
        3,
    ],
)
def test_what_is_no_message_is_one_clear_error(text):
    with pytest.raises(errors.InvalidMessageError):
        decode(text)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (e.ToolCall(call_id="x", name="f", args={"a": [1.0, float("nan")]}), "tool_call.args.a.1"),
        (e.ToolCall(call_id="x", name="f", args={"a": {1, 2}}), "tool_call.args.a"),
        (e.Text(text="\ud800"), "text.text"),
        (e.Text(text=3), "text.text"),
        (e.ToolCall(call_id="x", name="f", args={"a": 10**5_000}), "tool_call.args.a"),
        (e.ToolCall(call_id="x", name="f", args={"a": (1, 2)}), "tool_call.args.a"),
        (e.ToolCall(call_id="x", name="f", args={"a": b"x"}), "tool_call.args.a"),
        (e.State(state="running"), "state.state"),
        (c.Chat(agent_id=1, prompt=[v.TextPart(text="x")]), "chat.prompt"),
        (c.Chat(agent_id=1, prompt=()), "chat.prompt"),
        (c.IsIdle(agent_id=0), "is_idle.agent_id"),
        (c.WaitForWakeup(agent_id=1, timeout=float("inf")), "wait_for_wakeup.timeout"),
    ],
)
def test_what_cannot_be_written_is_named(message, field):
    with pytest.raises(errors.InvalidMessageError) as raised:
        encode(message)
    assert raised.value.field == field


def test_handle_of_a_turn_stays_in_its_process():
    reply = r.ChatStarted(agent_id=1, turn_id=2, response=object())
    text = encode(reply)
    assert "response" not in text
    assert decode(text).response is None
    with pytest.raises(errors.InvalidMessageError, match="must not be in the JSON"):
        decode(text.replace('"turn_id":2', '"turn_id":2,"response":3'))


def test_what_holds_itself_cannot_be_written():
    args = {}
    args["a"] = args
    with pytest.raises(errors.InvalidMessageError, match="deep"):
        encode(e.ToolCall(call_id="x", name="f", args=args))


@pytest.mark.parametrize("junk", ["is_idle", None, v.TextPart(text="x"), object()])
def test_what_is_no_message_cannot_be_written(junk):
    with pytest.raises(errors.InvalidMessageError):
        encode(junk)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@given(data=st.data())
@pytest.mark.slow
def test_a_field_that_is_not_known_is_named_wherever_it_is(cls, data):
    outer = json.loads(encode(data.draw(strategy_for(cls))))
    outer["message"]["more"] = 1
    with pytest.raises(errors.InvalidMessageError) as raised:
        decode(json.dumps(outer))
    assert raised.value.field == f"{outer['message']['type']}.more"
