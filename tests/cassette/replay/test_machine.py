"""The replay of one session, without any I/O: what is released when, and what does not fit."""

import itertools
import json
import re

import pytest
from hypothesis import given, strategies as st

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.placeholders import Placeholders
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.replay.machine import SessionMachine
from agy_nb.cassette.replay.session_matcher import (
    PlaySettings,
    SessionMatcher,
    answered_from_record,
)
from agy_nb.cassette.storage.cassette_reader import Cassette, by_session
from agy_nb.cassette.storage.format import Header
from agy_nb.errors import InvalidInputError


def released(machine):
    found = []
    while (release := machine.release()) is not None:
        found.append(json.loads(release.message))
    return found


@pytest.fixture
def machine(session_of, hello):
    return SessionMachine(session_of(*hello), path="c")


def test_frames_are_released_when_what_they_depended_on_has_come(machine, hello):
    assert released(machine) == []
    machine.receive(hello[0])
    assert released(machine) == [hello[1]]
    machine.receive(hello[2])
    assert released(machine) == hello[3:5]
    machine.receive(hello[5])
    assert released(machine) == hello[6:]
    assert machine.exhausted
    assert machine.unplayed_error() is None


def test_answers_may_come_in_any_order(session_of, frames):
    calls = [frames.call(f"call-{n}") for n in range(4)]
    hooks = [frames.hook(f"hook-{n}") for n in range(1)]
    answers = [frames.result(f"call-{n}", n) for n in range(4)] + [frames.hook_answer("hook-0")]
    session = session_of(
        frames.config(), frames.prompt("go"), *calls, *hooks,
        *itertools.chain(*zip(answers, [frames.step(f"after {n}") for n in range(5)], strict=True)),
    )  # fmt: skip
    orders = []
    for order in itertools.permutations(answers):
        machine = SessionMachine(session)
        machine.receive(frames.config())
        machine.receive(frames.prompt("go"))
        got = released(machine)
        for answer in order:
            machine.receive(answer)
            got += released(machine)
        assert machine.unplayed_error() is None
        orders.append(got)
    assert len(orders) == 120
    assert all(order == orders[0] for order in orders)


def test_prompt_that_differs_is_shown(machine, hello, frames):
    machine.receive(hello[0])
    with pytest.raises(CassetteMismatchError) as caught:
        machine.receive(frames.prompt("good bye"))
    error = caught.value
    assert (error.phase, error.session, error.turn) == ("prompt", 0, 1)
    assert error.expected == hello[2]
    assert error.actual == frames.prompt("good bye")
    assert error.differs_at == "userInput.parts[0].text"
    assert "-hello\n+good bye" in error.diff
    assert "ignore=['userInput.parts[0].text']" in str(error)
    assert 'record_mode="all"' in str(error)


def test_word_in_a_long_text_is_found(session_of, frames):
    words = [f"word{n}" for n in range(500)]
    machine = SessionMachine(session_of(frames.config(), frames.prompt(" ".join(words))))
    machine.receive(frames.config())
    words[250] = "changed"
    with pytest.raises(CassetteMismatchError) as caught:
        machine.receive(frames.prompt(" ".join(words)))
    assert "[-word250-] {+changed+}" in caught.value.diff
    assert len(str(caught.value)) < 1500


def test_path_into_embedded_json_is_shown_and_can_be_ignored(session_of, frames):
    session = session_of(
        frames.config(), frames.prompt("x"), frames.call("1"),
        frames.result("1", {"time": 1, "temp": 20}),
    )  # fmt: skip
    for ignore, fits in [((), False), (("toolResponse.responseJson.result.time",), True),
                         (("toolResponse.responseJson.*.time",), True)]:  # fmt: skip
        machine = SessionMachine(session, comparer=Comparer(ignore=ignore))
        machine.receive(frames.config())
        machine.receive(frames.prompt("x"))
        released(machine)
        answer = frames.result("1", {"temp": 20, "time": 2})
        if fits:
            machine.receive(answer)
        else:
            with pytest.raises(CassetteMismatchError, match=r"responseJson\.result\.time"):
                machine.receive(answer)


@pytest.mark.parametrize(
    ("matcher", "changed"),
    [
        ("prompt", {"userInput": {"parts": [{"text": "other"}]}}),
        ("result", {"toolResponse": {"id": "1", "responseJson": "0"}}),
        ("hook", {"callHookResponse": {"requestId": "h", "errorMessage": "x"}}),
        ("approval", {"policyDecisionResponse": {"requestId": "p", "outcome": "DENY"}}),
    ],
)
def test_matcher_that_is_left_out_compares_nothing(session_of, frames, matcher, changed):
    opening = [frames.config(), frames.call("1"), frames.hook("h"), frames.ask("p")]
    answers = {
        "prompt": frames.prompt("x"),
        "result": frames.result("1", 1),
        "hook": frames.hook_answer("h"),
        "approval": frames.decision("p"),
    }
    session = session_of(*opening, answers[matcher])
    names = ["config", "prompt", "result", "hook", "approval", "question"]
    for match_on, fits in [(names, False), ([n for n in names if n != matcher], True)]:
        machine = SessionMachine(session, comparer=Comparer(match_on))
        machine.receive(opening[0])
        released(machine)
        if fits:
            machine.receive(changed)
        else:
            with pytest.raises(CassetteMismatchError):
                machine.receive(changed)


def two_turns(frames, first=(), second=()):
    return [
        frames.config(), frames.ready(),
        frames.prompt("one"), frames.step("1"), *first, frames.idle(),
        frames.prompt("two"), frames.step("2", index=1), *second, frames.idle(),
    ]  # fmt: skip


def trigger(text="wake up"):
    return {"automatedTrigger": {"content": text}}


@pytest.mark.parametrize("what", ["halt", "trigger"])
@pytest.mark.parametrize(("recorded", "sent"), [(1, 2), (2, 1)])
def test_cancel_or_trigger_in_another_turn_is_refused(session_of, frames, what, recorded, sent):
    extra = frames.halt() if what == "halt" else trigger()
    machine = SessionMachine(
        session_of(*two_turns(frames, *([extra] if n == recorded else [] for n in (1, 2))))
    )
    sent_frames = [frames.config(), frames.prompt("one"), frames.prompt("two")]
    sent_frames.insert(1 + sent, extra)

    def play():
        for frame in sent_frames:
            machine.receive(frame)
            released(machine)

    with pytest.raises(CassetteMismatchError) as caught:
        play()
    assert caught.value.phase == "extra"
    assert "was recorded in turn" in str(caught.value)


@pytest.mark.parametrize("what", ["halt", "trigger"])
@pytest.mark.parametrize("turn", [1, 2])
def test_cancel_or_trigger_in_its_turn_is_replayed(session_of, frames, what, turn):
    extra = frames.halt() if what == "halt" else trigger()
    lines = two_turns(frames, *([extra] if n == turn else [] for n in (1, 2)))
    machine = SessionMachine(session_of(*lines))
    got = []
    for frame in lines:
        if frame.keys() & {"config", "userInput", "haltRequest", "automatedTrigger"}:
            machine.receive(frame)
            got += released(machine)
    assert machine.unplayed_error() is None
    assert got == [f for f in lines if f.keys() & {"stepUpdate", "trajectoryStateUpdate",
                                                    "initializeConversationResponse"}]  # fmt: skip


def test_cancel_of_a_turn_is_not_one_of_the_next(session_of, frames):
    """Both turns were cancelled; a client that cancels only the second one differs."""
    machine = SessionMachine(session_of(*two_turns(frames, [frames.halt()], [frames.halt()])))
    machine.receive(frames.config())
    machine.receive(frames.prompt("one"))
    machine.receive(frames.prompt("two"))
    with pytest.raises(CassetteMismatchError, match="One was recorded in turn 1"):
        machine.receive(frames.halt())


def test_agent_that_closes_early_is_no_mismatch(session_of, frames):
    machine = SessionMachine(session_of(*two_turns(frames), frames.goodbye()))
    machine.receive(frames.config())
    machine.receive(frames.prompt("one"))
    machine.receive(frames.goodbye())
    assert machine.error is None


def test_later_value_of_this_run_replaces_the_recorded_one_too(session_of, frames):
    recorded = [frames.config(), frames.ready()]
    for turn in range(2):
        recorded += [frames.prompt("It is 09:05"), frames.step("09:05 it is", index=turn)]
    machine = SessionMachine(
        session_of(*recorded), comparer=Comparer(normalize=[re.compile(r"\d\d:\d\d")])
    )
    machine.receive(frames.config())
    said = []
    for now in ("10:00", "11:00"):
        machine.receive(frames.prompt(f"It is {now}"))
        said.append(released(machine)[-1]["stepUpdate"]["text"])
    assert said == ["10:00 it is", "11:00 it is"]


def test_unknown_matcher_is_refused():
    with pytest.raises(InvalidInputError, match="prompt"):
        Comparer(["body"])


def test_client_that_asks_more_than_recorded_is_told(machine, hello, frames):
    for frame in (hello[0], hello[2]):
        machine.receive(frame)
    released(machine)
    machine.receive(hello[5])
    released(machine)
    with pytest.raises(CassetteMismatchError, match="none is left in the recording") as caught:
        machine.receive(frames.prompt("and now?"))
    assert caught.value.phase == "extra"


def test_answer_to_a_call_that_was_not_recorded_is_told(machine, hello, frames):
    for frame in (hello[0], hello[2]):
        machine.receive(frame)
    released(machine)
    with pytest.raises(CassetteMismatchError, match="waits for: toolResponse to call-1"):
        machine.receive(frames.result("call-99", 3))


def test_answer_before_its_question_is_told(machine, hello):
    machine.receive(hello[0])
    with pytest.raises(CassetteMismatchError, match="before it was asked"):
        machine.receive(hello[5])


def test_session_left_unplayed_is_told(machine, hello):
    machine.receive(hello[0])
    released(machine)
    error = machine.unplayed_error()
    assert error.phase == "unplayed"
    assert "hello" in str(error)
    assert "allow_unplayed=True" in str(error)


def test_after_a_mismatch_every_frame_raises_the_same(machine, hello, frames):
    machine.receive(hello[0])
    for _ in range(2):
        with pytest.raises(CassetteMismatchError, match="good bye"):
            machine.receive(frames.prompt("good bye"))
    with pytest.raises(CassetteMismatchError, match="good bye"):
        machine.receive(hello[2])


def test_halt_stands_between_what_came_before_and_after(session_of, frames):
    session = session_of(
        frames.config(), frames.prompt("x"), frames.step("a"), frames.halt(), frames.step("b")
    )
    machine = SessionMachine(session)
    machine.receive(frames.config())
    machine.receive(frames.prompt("x"))
    assert released(machine) == [frames.step("a")]
    assert machine.waits_for_the_client
    assert "was cancelled at this point" in str(machine.stalled(1))
    machine = SessionMachine(session)
    for frame in (frames.config(), frames.prompt("x"), frames.halt()):
        machine.receive(frame)
    assert released(machine) == [frames.step("a"), frames.step("b")]


def test_tool_at_work_is_no_stall(machine, hello):
    machine.receive(hello[0])
    machine.receive(hello[2])
    released(machine)
    assert not machine.waits_for_the_client


def test_prompt_that_comes_before_its_time_begins_a_turn_all_the_same(session_of, frames):
    session = session_of(
        frames.config(), frames.ready(), frames.prompt("one"), frames.idle(), frames.prompt("two"),
        frames.step("b"), frames.halt(),
    )  # fmt: skip
    machine = SessionMachine(session)
    for frame in (frames.config(), frames.prompt("one"), frames.prompt("two")):
        machine.receive(frame)
    assert released(machine) == [frames.ready(), frames.idle(), frames.step("b")]
    assert machine.waits_for_the_client


# --- a person's answers -------------------------------------------------------------------------

ASKS = {"policyConfig": {"rules": [{"ruleId": "rule_0", "decision": "POLICY_DECISION_ASK_USER"}]}}


@pytest.mark.parametrize(("approvals", "seen"), [("replay", False), ("run", True)])
def test_approval_comes_from_the_recording_unless_asked_for(session_of, frames, approvals, seen):
    config = frames.config(**ASKS)
    session = session_of(
        config, frames.prompt("x"), frames.ask("1"), frames.decision("1"), frames.step("done")
    )
    answered = answered_from_record(config, approvals=approvals, questions="run")
    machine = SessionMachine(session, answered=answered)
    machine.receive(config)
    machine.receive(frames.prompt("x"))
    assert (frames.ask("1") in released(machine)) is seen
    assert machine.exhausted is not seen


def test_policy_without_a_person_runs(session_of, frames):
    config = frames.config(policyConfig={"rules": [{"ruleId": "rule_0", "decision": "DENY"}]})
    session = session_of(config, frames.ask("1"), frames.decision("1"))
    machine = SessionMachine(
        session, answered=answered_from_record(config, approvals="replay", questions="replay")
    )
    machine.receive(config)
    assert released(machine) == [frames.ask("1")]


def test_question_is_shown_but_not_asked(session_of, frames):
    waiting = frames.step(
        "Which?", index=3, state="STATE_WAITING_FOR_USER", questionsRequest={"q": 1}
    )
    answer = {"questionResponse": {"trajectoryId": "c0", "stepIndex": 3, "response": {}}}
    session = session_of(frames.config(), waiting, waiting, answer, frames.step("Ah."))
    answered = answered_from_record({}, approvals="run", questions="replay")
    machine = SessionMachine(session, answered=answered)
    machine.receive(frames.config())
    first, second, last = released(machine)
    assert "questionsRequest" not in first["stepUpdate"]
    assert first == second
    assert last == frames.step("Ah.")


# --- what differs from run to run ---------------------------------------------------------------


def workspace(path, **fields):
    return {"config": {"workspaces": [{"filesystemWorkspace": {"directory": path}}]} | fields}


def test_folders_and_conversation_are_translated_both_ways(session_of, frames):
    places = {"{{agy:home}}": "/home/me", "{{agy:tmp}}": "/tmp"}
    then = workspace("{{agy:home}}/then", cascadeId="old-id")
    now = workspace("/tmp/pytest-1/now", cascadeId="new-id")
    redactor = Redactor(environ={}, places=places)
    session = session_of(
        then, frames.step("wrote {{agy:home}}/then/a.txt, {{agy:home}}/b", trajectory="old-id"),
        frames.call("1", path="{{agy:home}}/then/a.txt"), frames.result("1", "{{agy:home}}/then"),
    )  # fmt: skip
    machine = SessionMachine(
        session,
        substitution=Placeholders(then, now, redact=redactor.text, places=places),
        redact=redactor.frame,
    )
    machine.receive(now)
    step, call = released(machine)
    assert step["stepUpdate"]["text"] == "wrote /tmp/pytest-1/now/a.txt, /home/me/b"
    assert step["stepUpdate"]["trajectoryId"] == "new-id"
    assert json.loads(call["toolCall"]["argumentsJson"]) == {"path": "/tmp/pytest-1/now/a.txt"}
    machine.receive(frames.result("1", "/tmp/pytest-1/now"))


# --- several sessions ---------------------------------------------------------------------------


def matcher_of(tmp_path, lines_of, *sessions, **settings):
    lines = [
        line for number, frames in enumerate(sessions)
        for line in lines_of(frames, session=number, end={"by": "client"})
    ]  # fmt: skip
    settings.setdefault("redactor", Redactor(environ={}, places={}))
    return SessionMatcher(
        Cassette(tmp_path / "c", Header(complete=True), by_session(lines)),
        PlaySettings(places={}, **settings),
    )


def test_sessions_are_found_by_configuration(tmp_path, lines_of, frames):
    configs = [frames.config(appDataDir=f"/{n}", agentBehavior=f"B{n}") for n in range(3)]
    matcher = matcher_of(tmp_path, lines_of, *[[config] for config in configs])
    for number in (2, 0, 1):
        assert matcher.acquire(configs[number]).session.number == number
    assert matcher.errors(allow_unplayed=False) == []


def test_what_went_wrong_first_is_told_first(tmp_path, lines_of, frames):
    config = frames.config()
    matcher = matcher_of(tmp_path, lines_of, [config, frames.ready(), frames.prompt("Hello")])
    machine = matcher.acquire(config)
    released(machine)
    with pytest.raises(CassetteMismatchError):
        machine.receive(frames.prompt("Bye"))
    with pytest.raises(CassetteMismatchError, match="the prompt differs"):
        matcher.acquire(config)  # as a client does that starts its agent again
    assert [error.phase for error in matcher.errors(allow_unplayed=False)] == ["prompt"]


def test_frames_that_are_missing_are_a_reason(tmp_path, frames):
    recording = Cassette(tmp_path / "c", Header(complete=True), (), partial=True)
    with pytest.raises(CassetteMismatchError, match="0 agents were, and the recording is partial"):
        SessionMatcher(recording, PlaySettings(places={})).acquire(frames.config())


def test_sessions_alike_are_told_apart_by_their_first_prompt(tmp_path, lines_of, frames):
    config = frames.config()
    matcher = matcher_of(
        tmp_path, lines_of,
        *[[config, frames.ready(f"c{n}"), frames.prompt(f"p{n}"), frames.step(f"a{n}")]
          for n in range(3)],
    )  # fmt: skip
    machines = [matcher.acquire(config) for _ in range(2)]
    for machine in machines:
        released(machine)
    for machine, number in zip(machines, (1, 2), strict=True):
        matcher.rematch(machine, frames.prompt(f"p{number}"))
        machine.receive(frames.prompt(f"p{number}"))
        assert released(machine) == [frames.step(f"a{number}")]
    last = matcher.acquire(config)
    matcher.rematch(last, frames.prompt("p0"))
    last.receive(frames.prompt("p0"))
    assert matcher.errors(allow_unplayed=False) == []


@given(starts=st.permutations(range(4)), prompts=st.permutations(range(4)))
def test_agents_alike_may_start_and_ask_in_any_order(starts, prompts):
    from pathlib import Path

    from tests.cassette.conftest import (
        Frames as frames,  # noqa: N813
        to_lines,
    )

    config = frames.config()
    matcher = matcher_of(
        Path("x"), to_lines,
        *[[config, frames.ready(f"c{n}"), frames.prompt(f"p{n}"), frames.step(f"a{n}")]
          for n in range(4)],
    )  # fmt: skip
    machines = {}
    for number in starts:
        machines[number] = matcher.acquire(config)
        released(machines[number])
    for number in prompts:
        matcher.rematch(machines[number], frames.prompt(f"p{number}"))
        machines[number].receive(frames.prompt(f"p{number}"))
        assert released(machines[number]) == [frames.step(f"a{number}")]
    assert matcher.errors(allow_unplayed=False) == []


def test_configuration_that_differs_is_shown(tmp_path, lines_of, frames):
    matcher = matcher_of(tmp_path, lines_of, [frames.config(systemInstructions="Be kind.")])
    with pytest.raises(CassetteMismatchError) as caught:
        matcher.acquire(frames.config(systemInstructions="Be brief."))
    assert caught.value.phase == "config"
    assert "-Be kind.\n+Be brief." in caught.value.diff
    assert matcher.errors(allow_unplayed=False) == [caught.value]


@pytest.mark.parametrize(
    "setting",
    [
        {"comparer": Comparer(ignore=["config.systemInstructions"])},
        {"comparer": Comparer(["prompt"])},
    ],
)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("at_once", [True, False])
def test_agents_that_differ_in_what_is_ignored_may_ask_in_any_order(
    tmp_path, lines_of, frames, setting, order, at_once
):
    def config(number, day):
        return frames.config(systemInstructions=f"Agent {number}, it is {day}.")

    matcher = matcher_of(
        tmp_path, lines_of,
        *[[config(n, "Monday"), frames.ready(f"c{n}"), frames.prompt(f"p{n}"), frames.step(f"a{n}")]
          for n in range(3)],
        **setting,
    )  # fmt: skip
    machines = {}

    def start(number):
        machines[number] = matcher.acquire(config(number, "Friday"))
        released(machines[number])

    for number in order if at_once else ():
        start(number)
    for number in order[1:] + order[:1]:
        if not at_once:
            start(number)
        matcher.rematch(machines[number], frames.prompt(f"p{number}"))
        machines[number].receive(frames.prompt(f"p{number}"))
        assert released(machines[number]) == [frames.step(f"a{number}")]
    assert matcher.errors(allow_unplayed=False) == []


def test_agents_that_differ_in_what_counts_are_not_exchanged(tmp_path, lines_of, frames):
    def config(number, day):
        return frames.config(systemInstructions=f"It is {day}.", agentBehavior=f"B{number}")

    matcher = matcher_of(
        tmp_path, lines_of,
        *[[config(n, "Monday"), frames.prompt(f"p{n}")] for n in range(2)],
        comparer=Comparer(ignore=["config.systemInstructions"]),
    )  # fmt: skip
    machine = matcher.acquire(config(0, "Friday"))
    matcher.rematch(machine, frames.prompt("p1"))
    with pytest.raises(CassetteMismatchError, match="the prompt differs from the recording"):
        machine.receive(frames.prompt("p1"))


def test_configuration_that_differs_may_be_ignored(tmp_path, lines_of, frames):
    now = frames.config(systemInstructions="Be brief.")
    for setting in (
        {"comparer": Comparer(ignore=["config.systemInstructions"])},
        {"comparer": Comparer(["prompt"])},
    ):
        matcher = matcher_of(
            tmp_path, lines_of, [frames.config(systemInstructions="Be kind.")], **setting
        )
        assert matcher.acquire(now).session.number == 0


def test_keys_ports_paths_and_tool_order_mean_nothing(tmp_path, lines_of, frames):
    def config(n, tools):
        endpoint = {"baseUrl": f"http://127.0.0.1:{n}", "apiKey": f"key-{n}"}
        return workspace(
            f"/ws{n}", models=[{"geminiApiEndpoint": endpoint}], tools=tools,
            systemInstructions=f"You work in /ws{n}.",
        )  # fmt: skip

    one, two = {"name": "one"}, {"name": "two"}
    matcher = matcher_of(tmp_path, lines_of, [config(1, [one, two])])
    assert matcher.acquire(config(22, [two, one])).session.number == 0


def test_one_agent_too_many_is_told(tmp_path, lines_of, frames):
    matcher = matcher_of(tmp_path, lines_of, [frames.config()])
    matcher.acquire(frames.config())
    with pytest.raises(CassetteMismatchError, match="one more agent"):
        matcher.acquire(frames.config())


def test_agent_never_started_is_told(tmp_path, lines_of, frames):
    matcher = matcher_of(tmp_path, lines_of, [frames.config()], [frames.config()])
    matcher.acquire(frames.config())
    (error,) = matcher.errors(allow_unplayed=False)
    assert "session 1 was never started" in str(error)
    assert matcher.errors(allow_unplayed=True) == []


def test_hand_edited_session_without_configuration_is_no_crash(tmp_path, lines_of, frames):
    matcher = matcher_of(tmp_path, lines_of, [frames.prompt("x")], [])
    with pytest.raises(CassetteMismatchError):
        matcher.acquire(frames.config())


@pytest.mark.parametrize(
    ("cancelled", "said"),
    [
        ((), "The recording goes on with messages of the harness."),
        ((2,), "One was recorded in turn 2.\nThe recording goes on with messages of the harness."),
    ],
)
def test_cancel_in_the_first_turn_names_what_comes_next(session_of, frames, cancelled, said):
    story = [frames.config(), frames.ready()]
    for turn in (1, 2):
        halt = [frames.halt()] if turn in cancelled else []
        story += [frames.prompt("go"), frames.step("a"), *halt, frames.step("b"), frames.idle()]
    machine = SessionMachine(session_of(*story), path="c", comparer=Comparer())
    machine.receive(story[0])
    machine.release()
    machine.receive(story[2])
    machine.release()
    with pytest.raises(CassetteMismatchError, match=re.escape(said)) as caught:
        machine.receive(frames.halt())
    assert "been played" not in str(caught.value)
