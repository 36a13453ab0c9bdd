"""A session as a person reads it, line for line, and what is said of two that differ."""

import pytest

from agy_nb.cassette.transcript import differences, transcript


def shown(path):
    return [line.strip() for line in transcript(path)]


def model_says(text, **fields):
    return {"source": "SOURCE_MODEL", "target": "TARGET_USER", "text": text} | fields


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        ({"haltRequest": True}, "cancel"),
        (
            {"toolResponse": {"id": "c", "responseJson": '{"result": 3}'}},
            'result   {"result": 3}',
        ),
        ({"toolResponse": {"id": "c", "errorMessage": "no such"}}, "result   no such"),
        (
            {"policyDecisionResponse": {"requestId": "r", "outcome": "OUTCOME_ALLOW"}},
            "decision allow",
        ),
        (
            {
                "policyDecisionResponse": {
                    "requestId": "r", "outcome": "OUTCOME_DENY", "denyReason": "not now",
                }
            },
            "decision deny not now",
        ),
        ({"questionResponse": {"answers": ["b"]}}, 'answer   {"answers": ["b"]}'),
        ({"toolCall": {"name": "add", "argumentsJson": '{"a": 1}'}}, 'call     add({"a": 1})'),
        ({"usageUpdate": {"total": {}}}, "usage    ? tokens in all"),
        (
            {"stepUpdate": model_says("Hello", state="STATE_DONE", thinking="hm")},
            "model    (hm) Hello",
        ),
        (
            {"stepUpdate": model_says("I", state="STATE_DONE", parentTrajectoryId="c0")},
            "subagent I",
        ),
        (
            {"stepUpdate": {"state": "STATE_ERROR", "errorMessage": "quota"}},
            "error    quota",
        ),
        (
            {"stepUpdate": {"state": "STATE_ERROR", "error": {"errorMessage": "inner"}}},
            "error    inner",
        ),
        (
            {"userInput": {"parts": [{"text": "a"}, {"media": {"mimeType": "image/png"}}, {}, 7]}},
            "user     a [image/png] [part] ?",
        ),
    ],
)  # fmt: skip
def test_each_kind_of_frame_is_a_line(cassette, frames, frame, line):
    path = cassette([frames.config(), frames.ready(), frame])
    assert shown(path)[2:-1] == [line]


@pytest.mark.parametrize(
    "frame",
    [
        {"stepUpdate": {"state": "STATE_ACTIVE", "source": "SOURCE_MODEL", "text": "Hel"}},
        {"stepUpdate": {"state": "STATE_DONE", "source": "SOURCE_SYSTEM", "text": "x"}},
        {"stepUpdate": model_says("", state="STATE_DONE", customTool={})},
        {"sessionEndRequest": True},
        {"toolResponse": "odd"},
        {"toolCall": "odd"},
    ],
)
def test_what_says_nothing_to_a_person_is_left_out(cassette, frames, frame):
    assert len(shown(cassette([frames.config(), frames.ready(), frame]))) == 3


def test_configuration_names_models_and_tools_and_the_end_says_who_ended(cassette, frames):
    path = cassette([frames.config(tools=[{"name": "add"}])], [frames.config()])
    assert shown(path) == [
        "session 0",
        "config   models: gemini-test; tools: add",
        "end      by the client",
        "session 1",
        "config   models: gemini-test; tools: none",
        "end      by the client",
    ]


def test_long_text_is_cut_and_stays_on_its_line(cassette, frames):
    path = cassette([frames.config(), frames.prompt("many\nwords " * 100)])
    line = shown(path)[2]
    assert line.startswith("user     many words many words")
    assert line.endswith("...")
    assert len(line) < 220


def told(one, other, **options):
    return list(differences(one, other, names=("before", "after"), **options))


@pytest.fixture
def pair(cassette, hello):
    """A cassette, and a function that makes another one to compare it with."""
    return cassette(hello, name="one"), lambda *sessions: cassette(*sessions, name="two")


def test_equal_sessions_differ_in_nothing(pair, hello):
    one, another = pair
    assert told(one, another(hello)) == []


def test_session_or_turn_that_only_one_has_is_named(pair, hello, frames):
    one, another = pair
    assert told(one, another(hello, hello)) == ["session 1: only in after"]
    longer = [*hello, frames.prompt("more"), frames.step("yes", index=2), frames.idle()]
    assert "session 0, turn 1: only in after" in told(one, another(longer))
    assert "session 0, turn 1: only in before" in told(another(longer), one)


def test_prompt_and_answers_that_differ_are_shown_side_by_side(pair, hello, frames):
    one, another = pair
    other = [
        frames.prompt("hallo") if frame == frames.prompt("hello") else frame for frame in hello
    ]
    found = told(one, another(other))
    assert found[0] == "session 0, turn 0: prompt differs"
    assert any(line.startswith("  -") and "hello" in line for line in found)
    assert any(line.startswith("  +") and "hallo" in line for line in found)
    assert told(one, another(other), parts=("usage",)) == []


def test_configuration_and_usage_that_differ_are_told(pair, hello, frames):
    one, another = pair
    other = [frames.config(tools=[{"name": "new"}]), *hello[1:-2], frames.usage(7), hello[-1]]
    found = told(one, another(other))
    assert "session 0: the configurations differ" in found
    assert "session 0: usage differs" in found
    assert told(one, another(other), parts=()) == []
