"""The messages themselves: frozen, typed, and quiet about what users say."""

import dataclasses
from typing import get_args

import pytest
from hypothesis import given, strategies as st

from agy_nb import errors
from agy_nb.protocol import commands as c, events as e, replies as r, values as v
from agy_nb.protocol.error_codec import to_error, to_info

COMMANDS = get_args(get_args(c.Command)[0])
ALL = [*COMMANDS, *get_args(get_args(r.Reply)[0]), *get_args(get_args(e.AnyEvent)[0])]
KINDS = {
    c.Kind.QUERY: {
        c.GetHistory,
        c.GetTurnCount,
        c.GetTotalUsage,
        c.GetLastTurnUsage,
        c.GetCompactionIndices,
        c.GetLastResponse,
        c.IsIdle,
    },
    c.Kind.LIFECYCLE: {c.CreateAgent, c.Fork, c.ShutdownAgent},
    c.Kind.CHAT: {c.Chat},
    c.Kind.OPERATION: {
        c.Send,
        c.Trigger,
        c.Cancel,
        c.WaitForIdle,
        c.SignalIdle,
        c.WaitForWakeup,
        c.Rewind,
        c.ClearHistory,
        c.Delete,
        c.Disconnect,
    },
    c.Kind.GLOBAL: {c.Shutdown},
}


def test_there_are_twenty_two_commands_each_of_its_kind():
    assert len(COMMANDS) == 22
    assert {kind: {cls for cls in COMMANDS if cls.kind is kind} for kind in c.Kind} == KINDS


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_messages_are_frozen_slotted_and_keyword_only(cls):
    assert cls.__dataclass_params__.frozen
    assert "__slots__" in vars(cls)
    assert all(field.kw_only for field in dataclasses.fields(cls))


def test_tags_are_unique_within_a_family():
    for family in (c.Command, r.Reply, e.AnyEvent):
        tags = [cls.__dataclass_fields__["type"].default for cls in get_args(get_args(family)[0])]
        assert len(tags) == len(set(tags))


@pytest.mark.parametrize("cls", [c.Chat, c.Send])
def test_repr_shows_no_prompt(cls):
    prompt = (v.TextPart(text="secret"), v.MediaPart(kind="image", mime_type="x", data=b"secret"))
    assert "secret" not in repr(c.Chat(agent_id=1, prompt=prompt))
    assert "secret" not in repr(c.Trigger(agent_id=1, text="secret"))


def test_repr_shows_no_configuration():
    assert "secret" not in repr(c.CreateAgent(config={"api_key": "secret"}))


def test_unknown_tokens_stay_unknown():
    total = v.TokenUsage(input_tokens=3) + v.TokenUsage(input_tokens=4)
    assert (total.input_tokens, total.output_tokens) == (7, None)


def test_difference_of_counters_is_never_negative():
    less, more = v.TokenUsage(total_tokens=3), v.TokenUsage(total_tokens=5)
    assert (more - less).total_tokens == 2
    assert (less - more).total_tokens == 0


def test_usage_is_empty_when_it_holds_no_token():
    assert v.TokenUsage(input_tokens=0).is_empty
    assert not v.TokenUsage(output_tokens=1).is_empty


def test_root_is_told_from_a_subagent_by_depth_or_parent():
    assert v.Trajectory(id="a").is_root
    assert not v.Trajectory(id="b", parent_id="a").is_root
    assert not v.Trajectory(id="b", depth=1).is_root


ERRORS = [
    errors.AgyError("x"),
    errors.InvalidInputError("x", field="timeout"),
    errors.InvalidPromptError("x"),
    errors.InvalidConfigError("x"),
    errors.InvalidMessageError("x"),
    errors.BackendError("x", http_code=500),
    errors.HarnessError("x"),
    errors.QuotaExceededError(7, hinted=False),
    errors.SafetyError("x"),
    errors.MaxTokensError("x"),
    errors.UnsupportedSdkError("x"),
    errors.BudgetExceededError("x", budget="max_turn_tokens", limit=10, used=11),
    errors.AgyTimeoutError(3, "send"),
    errors.TurnCancelledError("partial"),
    errors.TurnDeniedError("not on a Friday"),
    errors.CheckpointError("x"),
    errors.DeadlockError("x"),
    errors.AgentNotStartedError("x"),
    errors.ChannelClosedError("x"),
    errors.WrongLoopError("x"),
]


def test_the_list_of_errors_is_complete():
    defined = {cls for cls in vars(errors).values() if isinstance(cls, type)}
    assert {type(error) for error in ERRORS} == {
        cls for cls in defined if issubclass(cls, errors.AgyError)
    }


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_error_survives_the_way_over_data(error):
    again = to_error(to_info(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (errors.QuotaExceededError(7), True),
        (errors.BackendError("x", http_code=503), True),
        (errors.BackendError("x", http_code=408), True),
        (errors.BackendError("x", http_code=401), False),
        (errors.BackendError("x"), False),
        (errors.BackendError("x", retryable=True), True),
        (errors.HarnessError("x"), False),
        (errors.AgyTimeoutError(3, "chat"), True),
        (errors.SafetyError("x"), False),
        (errors.InvalidPromptError("x"), False),
        (errors.TurnCancelledError(), False),
        (errors.BudgetExceededError("x", budget="b", limit=1, used=None), False),
    ],
    ids=repr,
)
def test_every_error_says_whether_another_try_makes_sense(error, retryable):
    assert error.retryable is retryable
    assert to_info(error).retryable is retryable
    assert to_error(to_info(error)).retryable is retryable


def test_foreign_error_becomes_a_backend_error():
    assert to_info(ValueError("x")) == v.ErrorInfo(type="BackendError", message="ValueError: x")


@pytest.mark.parametrize("name", ["NoSuchError", "annotations", "os"])
def test_unknown_error_becomes_a_backend_error(name):
    again = to_error(v.ErrorInfo(type=name, message="x"))
    assert type(again) is errors.BackendError


def test_error_that_is_written_by_another_version_has_all_its_attributes():
    again = to_error(v.ErrorInfo(type="QuotaExceededError", message="x"))
    assert vars(again) == {
        "http_code": None,
        "retryable": False,
        "retry_after": None,
        "hinted": None,
    }


def test_events_know_their_trajectory_and_commands_their_agent():
    assert all(
        "trajectory" in cls.__dataclass_fields__ for cls in get_args(get_args(e.AnyEvent)[0])
    )
    without = {cls for cls in COMMANDS if "agent_id" not in cls.__dataclass_fields__}
    assert without == {c.CreateAgent, c.Shutdown}


def test_a_union_is_complete_every_message_class_of_its_module_is_a_member():
    for module, family in ((c, c.Command), (r, r.Reply), (e, e.AnyEvent)):
        tagged = {
            cls
            for cls in vars(module).values()
            if dataclasses.is_dataclass(cls)
            and cls.__module__ == module.__name__
            and "type" in cls.__dataclass_fields__
        }
        assert tagged == set(get_args(get_args(family)[0]))


@pytest.mark.parametrize("cls", COMMANDS, ids=lambda cls: cls.__name__)
def test_the_kind_of_a_command_is_no_field_that_somebody_could_set(cls):
    assert isinstance(cls.kind, c.Kind)
    assert "kind" not in {field.name for field in dataclasses.fields(cls)}


def test_frozen_messages_refuse_a_new_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        c.IsIdle(agent_id=1).agent_id = 2


USAGES = st.builds(
    v.TokenUsage,
    input_tokens=st.none() | st.integers(0, 99),
    output_tokens=st.none() | st.integers(0, 99),
    total_tokens=st.none() | st.integers(0, 99),
)


@given(USAGES, USAGES, USAGES)
def test_usage_adds_up_in_any_order(a, b, c):
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + v.TokenUsage() == a


@given(USAGES, USAGES)
def test_usage_taken_away_again_leaves_what_was_there(a, b):
    left = (a + b) - b
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert getattr(left, name) in {getattr(a, name), getattr(a, name) or 0}


def test_timeout_is_pythons_timeout_too():
    assert issubclass(errors.AgyTimeoutError, TimeoutError)
