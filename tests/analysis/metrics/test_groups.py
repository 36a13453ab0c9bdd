"""Usage and summaries by several keys, by periods in a zone, and by labels."""

import datetime as dt

import pandas as pd
import pytest

from agy_nb.analysis import load
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.values import Trajectory
from tests.analysis.conftest import CHILD, ROOT, Wire, save

OTHER = Trajectory(id="c" * 32)
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


SHIPPED = "cassettes"


@pytest.mark.parametrize("by", ["session", "agent", "turn", "trajectory", ["tool", "session"]])
@pytest.mark.parametrize("question", ["usage", "summary", "latency"])
def test_groups_within_a_session_have_its_name_after_its_id(by, question):
    sessions = load([f"{SHIPPED}/plain_chat", f"{SHIPPED}/host_tools"])
    found = getattr(sessions, question)(by)
    columns = list(found.columns)
    place = columns.index("session_id")
    assert columns[place + 1] == "session_name"
    names = sessions.sessions.set_index("session_id")["session_name"]
    assert found["session_name"].tolist() == found["session_id"].map(names).tolist()
    first = found["session_name"] if by != ["tool", "session"] else found["tool"].fillna("~")
    assert first.is_monotonic_increasing  # sorted by the name that the reader knows


@pytest.mark.parametrize("by", ["color", ["day", "color"], 5, [None], [["turn"]], {"turn"}])
def test_unknown_key_is_refused(sessions, by):
    for ask in (sessions.usage, sessions.summary):
        with pytest.raises(InvalidInputError, match="by must be one of"):
            ask(by)


@pytest.mark.parametrize(
    ("limits", "field"), [({"tz": 3}, "tz"), ({"since": 3.5}, "since"), ({"until": 5}, "until")]
)
def test_time_of_another_type_is_refused(sessions, limits, field):
    with pytest.raises(InvalidInputError, match=f"^{field} must be") as caught:
        sessions.usage("day", **limits)
    assert caught.value.field == field


def test_two_keys_of_one_name_are_refused(sessions):
    one = sessions.sessions.set_index("session_id")["n_turns"].rename("mine")
    for by in ([one, one], [one.rename("model")], ["day", "day"], [one.rename("total_tokens")]):
        with pytest.raises(InvalidInputError, match="give your key another name"):
            sessions.usage(by)


def test_a_function_sees_the_session_and_its_failures_are_named(sessions):
    [name] = sessions.sessions["session_name"]
    assert sessions.usage(lambda rows: rows["session_name"])["key"].tolist() == [name]
    with pytest.raises(InvalidInputError, match="by=key fails on the table model_calls: KeyError"):
        sessions.usage(lambda rows: rows["nothing"])


# -- every key answers every question ------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two sessions: with a subagent and tools, and across midnight."""
    folder = tmp_path_factory.mktemp("mixed")
    wire = Wire(start=MIDNIGHT + 100).begin().prompt()
    wire.usage(prompt=10, answer=1).tool("call-1").step(2, text="Two.").usage(prompt=20, answer=2)
    wire.step(1, where=CHILD, text="Hm").usage(CHILD, prompt=40, answer=4)
    save(folder / "a", wire.idle(CHILD).idle().end())
    save(folder / "b", across(MIDNIGHT - 3601))  # `save` adds an hour
    labels = {"a": {"user": "ada"}, "b": {"user": "bob"}}
    return load(folder).with_labels(labels)


KEYS = [
    "session", "turn", "agent", "model", "trajectory", "subagent", "hour", "day", "week", "month",
    "user", pd.Series(dtype="object", name="team"), lambda rows: rows["agent_id"],
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key if isinstance(key, str) else None)
@pytest.mark.slow
def test_every_key_divides_every_sum(mixed, key):
    for by in (key, [key, "day"] if str(key) != "day" else [key, "model"]):
        usage = mixed.usage(by, tz="UTC")
        assert (usage["total_tokens"].sum(), usage["n_model_calls"].sum()) == (77 + 303, 5)
        summary = mixed.summary(by, tz="UTC")
        assert summary["total_tokens"].sum() == 77 + 303
        assert (summary["n_turns"].sum(), summary["n_model_calls"].sum()) == (2, 5)
        assert mixed.latency(by, tz="UTC")["n_model_calls"].sum() == 5
        for table in (usage, summary):
            assert not table.duplicated(list(table.columns[: len(KEYS)])).any()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key if isinstance(key, str) else None)
@pytest.mark.slow
def test_every_key_divides_tools(mixed, key):
    usage = mixed.usage(["tool", key], tz="UTC")
    assert (usage["n_tool_calls"].tolist(), usage["attributed_tokens"].tolist()) == ([1], [22.0])
    assert mixed.summary([key, "tool"], tz="UTC")["n_tool_calls"].tolist() == [1]


def test_a_column_of_requests_is_a_key_too(mixed):
    def size(calls):
        return calls["output_tokens"].gt(2).map({True: "long", False: "short"})

    usage = mixed.usage(size)
    assert dict(zip(usage["size"], usage["total_tokens"], strict=True)) == {
        "long": 44,
        "short": 336,
    }


@pytest.mark.parametrize(
    ("limits", "tokens"),
    [
        ({"since": "2026-03-02"}, 279),
        ({"until": "2026-03-01"}, 101),
        ({"where": {"session_name": "b"}}, 303),
        ({"where": "session_name == 'b'", "since": "2026-03-02"}, 202),
    ],
)
@pytest.mark.slow
def test_every_question_takes_limits(mixed, limits, tokens):
    assert mixed.usage((), **limits, tz="UTC")["total_tokens"].sum() == tokens
    assert mixed.summary(**limits, tz="UTC")["total_tokens"].sum() == tokens
    count = mixed.filter(**limits, tz="UTC").usage(())["n_model_calls"].sum()
    assert mixed.latency(**limits, tz="UTC")["n_model_calls"].sum() == count


def test_load_takes_the_same_limits(tmp_path):
    save(tmp_path / "night", across())
    save(tmp_path / "b", Wire(start=MIDNIGHT).begin().prompt().usage(prompt=7).idle().end())
    sessions = load(tmp_path, since="2026-03-02", where={"session_name": "night"}, tz="UTC")
    assert sessions.usage(())["total_tokens"].tolist() == [202]
    assert [each.sessions["session_name"].tolist() for each in sessions] == [["night"]]
    with pytest.raises(InvalidInputError, match="since must be"):
        load(tmp_path, since="soon")
    with pytest.raises(InvalidInputError, match="does not select sessions"):
        load(tmp_path, where="nothing == 1").usage()


# -- parts of the cost, and speed ----------------------------------------------------------------


def test_usage_has_the_parts_of_the_cost(tmp_path):
    pytest.importorskip("genai_prices")
    wire = Wire().begin().prompt().step(1, text="Hi")
    wire.usage(prompt=1_000_000, cached=400_000, answer=600, thoughts=400).idle().end()
    row = load(save(tmp_path / "c", wire)).usage(()).iloc[0]
    assert row["input_cost_usd"] == pytest.approx(0.6 * 0.3 + 0.4 * 0.03)
    assert row["cache_read_cost_usd"] == pytest.approx(0.4 * 0.03)
    assert row["cache_saved_usd"] == pytest.approx(0.4 * 0.27)
    assert row["output_cost_usd"] == pytest.approx(1000 * 2.5e-6)
    assert row["reasoning_cost_usd"] == pytest.approx(400 * 2.5e-6)
    assert row["cost_usd"] == pytest.approx(row["input_cost_usd"] + row["output_cost_usd"])
    assert pd.isna(row["failed_cost_usd"])


def test_usage_has_the_cost_of_failed_turns(tmp_path):
    pytest.importorskip("genai_prices")
    wire = Wire().begin().prompt().usage(prompt=1_000_000)
    wire.idle().prompt().usage(prompt=2_000_000)
    failed = {"error": {"errorMessage": "no such key", "httpCode": 401}}
    wire.step(3, state="ERROR", source="SYSTEM", **failed).idle(**failed).end()
    sessions = load(save(tmp_path / "c", wire))
    assert sessions.turns["status"].tolist() == ["ok", "error"]
    usage = sessions.usage(())
    assert usage["failed_cost_usd"].tolist() == [pytest.approx(0.6)]
    assert sessions.usage("turn")["failed_cost_usd"].fillna(0).tolist() == [0, pytest.approx(0.6)]


def slow(tmp_path, *seconds):
    """Calls that take some time, each with 100 tokens."""
    wire = Wire().begin()
    for number, each in enumerate(seconds):
        wire.prompt().add("harness", wire.usage_frame(), each / 4) if number else wire.prompt()
        wire.step(number + 1, text="Hi", state="ACTIVE")
        wire.now += 0
        wire.lines[-1]["dt"] = each / 4
        wire.usage(prompt=1, answer=100)
        wire.lines[-1]["dt"] = each * 3 / 4
        wire.idle()
    return load(save(tmp_path / "c", wire.end()))


def test_latency_has_percentiles_of_calls(tmp_path):
    sessions = slow(tmp_path, *range(1, 101))
    calls = sessions.model_calls
    [row] = sessions.latency().to_dict("records")
    assert row["n_model_calls"] == 100
    for name in ("ttft", "duration"):
        for label, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
            expected = calls[name].dt.total_seconds().quantile(share)
            assert row[f"{name}_{label}"].total_seconds() == pytest.approx(expected, abs=1e-5)
    speed = 100 / calls["duration"].dt.total_seconds()
    assert row["tokens_per_second_p50"] == pytest.approx(speed.median())
    usage = sessions.usage(()).iloc[0]
    total = calls["duration"].dt.total_seconds().sum()
    assert usage["model_time"].total_seconds() == pytest.approx(total)
    assert usage["tokens_per_second"] == pytest.approx(100 * 100 / total)


def test_latency_of_nothing_is_unknown(tmp_path):
    sessions = load(save(tmp_path / "c", Wire().begin().prompt().idle().end()))
    assert sessions.latency("model").empty
    full = slow(tmp_path / "full", 1, 2).latency("model")
    assert (sessions.latency("model").dtypes == full.dtypes).all()


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
@pytest.mark.slow
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
    with pytest.raises(KeyError, match="no sessions have the id or name 'x'"):
        two["x"]
    with pytest.raises(KeyError, match=r"'turns'; the table is \.turns"):
        two["turns"]


@pytest.mark.slow
def test_filtered_sessions_are_a_collection_too(two):
    chosen = two.filter(until="2026-03-02", tz="UTC")
    assert len(chosen) == 1
    assert [each.usage(())["total_tokens"].tolist() for each in chosen] == [[303]]
    assert chosen["night"].sessions["session_name"].tolist() == ["night"]
    assert two.filter(since="2030-01-01")  # also true without sessions
    assert len(two.filter(since="2030-01-01")) == 0


def test_a_turn_belongs_to_the_trajectory_of_its_time(tmp_path):
    """A conversation that is cleared goes on with another trajectory."""
    wire = Wire().begin().prompt().usage(prompt=1).idle()
    wire.prompt().usage(OTHER, prompt=2).idle(OTHER).end()
    sessions = load(save(tmp_path / "c", wire))
    summary = sessions.summary("trajectory").set_index("trajectory_id")
    assert summary["n_turns"].to_dict() == {ROOT.id: 1, OTHER.id: 1}
    assert summary["total_tokens"].to_dict() == {ROOT.id: 1, OTHER.id: 2}


@pytest.mark.slow
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
