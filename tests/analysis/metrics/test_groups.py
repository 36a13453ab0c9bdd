"""Usage and summaries by several keys, by periods in a zone, and by labels."""

import datetime as dt

import pandas as pd
import pytest

from agy_nb.analysis import load
from agy_nb.errors import InvalidInputError
from tests.analysis.conftest import Wire, save

MIDNIGHT = dt.datetime(2026, 3, 2, tzinfo=dt.UTC).timestamp()  # a Monday


def across(start=MIDNIGHT - 1):
    """A turn with a call before midnight and one after it."""
    wire = Wire(start=start).begin().prompt().usage(prompt=100, answer=1)
    wire.add("harness", wire.usage_frame(), 5)  # nothing new, five seconds later
    return wire.step(1, text="Hi").usage(prompt=200, answer=2).idle().end()


@pytest.fixture
def sessions(tmp_path):
    return load(save(tmp_path / "c", across()))


def test_a_turn_across_midnight_is_split_the_same_way_everywhere(sessions):
    usage, summary = sessions.usage("day", tz="UTC"), sessions.summary("day", tz="UTC")
    assert usage["day"].dt.day.tolist() == summary["day"].dt.day.tolist() == [1, 2]
    assert usage["total_tokens"].tolist() == summary["total_tokens"].tolist() == [101, 202]
    assert usage["n_model_calls"].tolist() == summary["n_model_calls"].tolist() == [1, 1]
    assert summary["n_turns"].tolist() == [1, 0]
    vienna = sessions.usage("day", tz="Europe/Vienna")
    assert vienna["total_tokens"].tolist() == [303]


@pytest.mark.parametrize(
    ("period", "starts"),
    [
        ("hour", ["2026-03-01 23:00", "2026-03-02 00:00"]),
        ("day", ["2026-03-01", "2026-03-02"]),
        ("week", ["2026-02-23", "2026-03-02"]),
        ("month", ["2026-03-01"]),
    ],
)
def test_periods_begin_at_their_start(sessions, period, starts):
    usage = sessions.usage(period, tz="UTC")
    assert usage[period].tolist() == [pd.Timestamp(start) for start in starts]


def test_several_keys_are_groups_of_all_of_them(tmp_path):
    save(tmp_path / "a", across())
    save(
        tmp_path / "b",
        Wire(start=MIDNIGHT).begin("gemini-2.5-pro").prompt().usage(prompt=7).idle().end(),
    )
    sessions = load(tmp_path)
    usage = sessions.usage(["day", "model"], tz="UTC")
    assert list(usage.columns[:2]) == ["day", "model"]
    assert usage["total_tokens"].sum() == 310
    assert set(usage["model"]) == {"gemini-2.5-flash", "gemini-2.5-pro"}
    summary = sessions.summary(["day", "model"], tz="UTC")
    assert summary["total_tokens"].tolist() == usage["total_tokens"].tolist()


def test_a_column_of_your_own_is_a_key(sessions):
    [session] = sessions.sessions["session_id"]
    user = pd.Series({session: "ada"}, name="user")
    assert sessions.usage([user])["user"].tolist() == ["ada"]
    assert sessions.summary(user)["n_turns"].tolist() == [1]

    def own(table):
        return table["agent_id"].astype("string") + "!"

    assert sessions.usage(own)["own"].tolist() == ["1!"]


@pytest.mark.parametrize("by", ["color", ["day", "color"], 5, [None]])
def test_unknown_key_is_refused(sessions, by):
    for ask in (sessions.usage, sessions.summary):
        with pytest.raises(InvalidInputError, match="by must be of"):
            ask(by)


def test_trajectory_is_no_key_of_a_summary(sessions):
    with pytest.raises(InvalidInputError, match="use usage"):
        sessions.summary("trajectory")


# -- selections and labels -----------------------------------------------------------------------


@pytest.fixture
def two(tmp_path):
    """Two sessions: one on the night before 2 March, one on 10 March."""
    save(tmp_path / "night", across())
    later = Wire(start=MIDNIGHT + 8 * 86_400).begin().prompt().usage(prompt=7).idle().end()
    save(tmp_path / "later" / "c", later)
    return load(tmp_path)


@pytest.mark.parametrize(
    ("limits", "tokens"),
    [
        ({}, 310),
        ({"since": "2026-03-02"}, 209),
        ({"until": "2026-03-01"}, 101),
        ({"since": "2026-03-02", "until": "2026-03-02"}, 202),
        ({"since": dt.date(2026, 3, 3)}, 7),
        ({"until": dt.datetime(2026, 3, 2, tzinfo=dt.UTC)}, 101),
        ({"until": "2026-03-02T00:00:00+01:00"}, 0),
        ({"since": "1d"}, 0),
        ({"since": dt.timedelta(days=1)}, 0),
    ],
)
def test_time_limits_select_requests(two, limits, tokens):
    chosen = two.filter(**limits, tz="UTC")
    assert chosen.model_calls["total_tokens"].sum() == tokens
    assert chosen.usage("session")["total_tokens"].sum() == tokens
    assert chosen.usage(())["total_tokens"].sum() == tokens


def test_a_session_stays_as_long_as_something_in_it_does(two):
    chosen = two.filter(since="2026-03-02", until="2026-03-02", tz="UTC")
    assert chosen.sessions["session_name"].tolist() == ["night"]
    assert len(chosen.agents) == len(chosen.trajectories) == 1
    assert chosen.turns.empty


@pytest.mark.parametrize("limit", ["soon", "", "2026-13-40", 5.5j, "7 parsecs"])
def test_unknown_moment_is_refused(two, limit):
    for name in ("since", "until"):
        with pytest.raises(InvalidInputError, match=f"{name} must be a date"):
            two.filter(**{name: limit})


@pytest.mark.parametrize(
    "where",
    [
        "session_name == 'night'",
        {"session_name": "night"},
        lambda sessions: sessions["session_name"].str.startswith("n"),
    ],
)
def test_sessions_are_selected_by_their_columns(two, where):
    chosen = two.filter(where=where)
    assert chosen.usage(())["total_tokens"].tolist() == [303]
    assert chosen.sessions["session_name"].tolist() == ["night"]


@pytest.mark.parametrize("where", ["nothing == 1", {"color": 1}, "(("])
def test_where_that_makes_no_sense_is_refused(two, where):
    with pytest.raises(InvalidInputError, match="does not select sessions"):
        two.filter(where=where)


def test_sessions_are_a_collection(two):
    assert two["night"].usage(())["total_tokens"].tolist() == [303]
    [first, _] = two.sessions["session_id"]
    assert len(two[first].turns) == 1
    assert [len(each.turns) for each in two] == [1, 1]
    with pytest.raises(KeyError, match="0 sessions have the id or name 'x'"):
        two["x"]


def test_labels_are_columns_and_keys(two):
    [first, second] = two.sessions["session_id"]
    table = pd.DataFrame({"session_id": [first, second], "user": ["ada", "bob"], "arm": [1, 2]})
    for labels in (table, {first: {"user": "ada"}, "night": {"user": "bob"}}):
        labelled = two.with_labels(labels)
        assert set(labelled.sessions["user"]) == {"ada", "bob"}
        assert labelled.usage("user")["user"].tolist() == ["ada", "bob"]
        assert labelled.summary(["user", "day"], tz="UTC")["n_turns"].sum() == 2
        assert labelled.filter(where={"user": "ada"}).summary()["n_turns"].tolist() == [1]
    assert "user" not in two.sessions


@pytest.mark.parametrize("labels", [pd.DataFrame({"user": ["ada"]}), {"night": {"turn_id": 5}}])
def test_labels_name_sessions_and_no_column(two, labels):
    with pytest.raises(InvalidInputError, match=r"labels need|is a column of the tables"):
        two.with_labels(labels)
