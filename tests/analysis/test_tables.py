"""Sums, prices, summaries, plots and ways out."""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from agy_nb.analysis import Prices, load
from agy_nb.analysis.cli import add_parser
from agy_nb.analysis.errors import MissingPricesWarning
from agy_nb.analysis.export.files import csv
from agy_nb.analysis.export.text_table import aligned, text_rows
from agy_nb.analysis.metrics import price_table
from agy_nb.analysis.metrics.compare import compare
from agy_nb.analysis.metrics.usage_columns import USAGE_KEYS
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.values import TokenUsage
from tests.analysis.conftest import CHILD, ROOT, Wire, save, two_calls

OWN = Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)})


@pytest.fixture
def sessions(tmp_path):
    for number in range(3):
        save(tmp_path / f"c{number}", two_calls())
    return load(tmp_path, prices=OWN)


# -- sums ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["turn", "trajectory", "agent", "session", "model", "day"])
def test_every_grouping_has_the_same_sum(sessions, by):
    usage = sessions.usage(by, **({"tz": "Asia/Tokyo"} if by == "day" else {}))
    assert usage["total_tokens"].sum() == 3 * 243
    assert usage["n_model_calls"].sum() == 6
    assert usage["cost_usd"].sum() == pytest.approx(sessions.model_calls["cost_usd"].sum())


def test_cache_hit_ratio_is_cached_by_input(sessions):
    assert sessions.usage("model")["cache_hit_ratio"].tolist() == [pytest.approx(40 / 220)]


def test_tool_has_the_tokens_of_the_call_that_read_it(sessions):
    [row] = sessions.usage("tool").to_dict("records")
    assert (row["tool"], row["n_tool_calls"], row["attributed_tokens"]) == ("add", 3, 3 * 128)


def test_day_is_that_of_the_time_zone(tmp_path):
    wire = Wire(start=pd.Timestamp("2026-11-20 23:30", tz="UTC").timestamp())
    wire.begin().prompt().usage(prompt=5).idle().end()
    sessions = load(save(tmp_path / "c", wire))
    assert sessions.usage("day", tz="UTC")["day"].dt.day.tolist() == [20]
    assert sessions.usage("day", tz="Europe/Vienna")["day"].dt.day.tolist() == [21]


def test_day_is_that_of_the_local_clock_of_its_season(tmp_path, monkeypatch):
    """The offset of today, put on every day, moves what was done late on summer evenings."""
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    for name, day in (("summer", "2026-07-01"), ("winter", "2026-12-01")):
        wire = Wire(start=pd.Timestamp(f"{day} 22:30", tz="UTC").timestamp())
        save(tmp_path / name / "c", wire.begin().prompt().usage(prompt=5).idle().end())
    try:
        days = load(tmp_path).usage("day")["day"]
        assert days.dt.strftime("%m-%d").tolist() == ["07-02", "12-01"]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("tz", ["Mars/Phobos", "", "../etc", "Europe"])
@pytest.mark.parametrize("ask", ["usage", "summary"])
@pytest.mark.slow
def test_unknown_zone_is_refused(sessions, ask, tz):
    with pytest.raises(InvalidInputError, match="unknown time zone"):
        getattr(sessions, ask)(by="day", tz=tz)


@pytest.mark.parametrize("by", ["colour", ["model", "mood"], None])
def test_unknown_grouping_is_refused(sessions, by):
    with pytest.raises(InvalidInputError, match="by must be one of session, agent, turn"):
        sessions.usage(by)


def test_changing_a_table_changes_nothing_here(sessions):
    turns = sessions.turns
    turns.loc[0, "turn_id"] = 77
    turns["status"] = "mine"
    assert sessions.turns["status"].tolist() == ["ok"] * 3
    assert 77 not in sessions.turns["turn_id"].tolist()


# -- prices --------------------------------------------------------------------------------------


def price(**options):
    prices, model = options.pop("prices", Prices()), options.pop("model", "gemini-2.5-pro")
    more = {
        name: options.pop(name) for name in ("at", "n_searches", "model_version") & options.keys()
    }
    counts = {"input_tokens": 150_000, "output_tokens": 1000} | options
    return prices.of(model, TokenUsage(**counts), **more)


def test_calls_are_priced_one_by_one():
    """A sum would be priced at the tier of long prompts: 0.78 in place of 0.395 dollars."""
    assert 2 * price().total == pytest.approx(0.395)
    assert price(input_tokens=300_000, output_tokens=2000).total == pytest.approx(0.78)


@pytest.mark.parametrize("own", [(1, 2), 1, ("1", "2", "3"), (1, None, 3), (-1, 0, 1), "abc"])
def test_price_that_is_none_is_refused(own):
    with pytest.raises(InvalidInputError, match="the price of 'mine' must be three numbers"):
        Prices(own={"mine": own})


@pytest.mark.parametrize("wrong", [{"own": [1]}, {"aliases": {"mine": 5}}, {"aliases": "mine"}])
def test_prices_name_models(wrong):
    with pytest.raises(InvalidInputError, match="name"):
        Prices(**wrong)


def test_prices_must_be_some(sessions, tmp_path):
    for ask in (sessions.with_prices, lambda prices: load(tmp_path, prices=prices)):
        with pytest.raises(InvalidInputError, match=r"prices must be Prices\(...\)"):
            ask({"gemini-2.5-flash": (1.0, 0.1, 10.0)})


def test_price_has_its_table_and_model():
    found = price(model="models/gemini-2.5-pro")
    assert (found.status, found.model) == ("priced", "gemini-2.5-pro")
    assert found.table.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"model": "no-such-model"}, "unknown_model"),
        ({"model": None}, "unknown_model"),
        ({"service_tier": "priority"}, "unknown_tier"),
        ({"cache_read_tokens": 200_000}, "invalid_usage"),
        ({"input_tokens": None}, "invalid_usage"),
        ({"output_tokens": None}, "invalid_usage"),
        ({"service_tier": "standard"}, "priced"),
        ({"model": "mine", "prices": Prices(own={"mine": (1, 0.5, 2)})}, "override"),
        ({"model": "prod", "prices": Prices(aliases={"prod": "gemini-2.5-pro"})}, "priced"),
    ],
)
def test_what_is_not_known_has_no_price_and_says_why(options, status):
    found = price(**options)
    assert found.status == status
    assert (found.total is None) == (status not in ("priced", "override"))


def test_without_the_price_table_cost_is_unknown(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    found = price()
    assert (found.status, found.total) == ("no_price_table", None)


def test_missing_price_table_is_a_warning_once_where_cost_is_asked_for(sessions, monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setattr(price_table, "_warned", False)
    sessions = sessions.with_prices(Prices())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert sessions.turns.shape[0]  # no cost in this table
        assert caught == []
        assert sessions.usage("session")["cost_usd"].isna().all()
        sessions.summary()
        sessions.usage()
    [warning] = caught
    assert warning.category is MissingPricesWarning
    assert "pip install 'agy-nb[cost]'" in str(warning.message)
    assert warning.filename == __file__


def test_own_prices_need_no_price_table(sessions, monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setattr(price_table, "_warned", False)
    own = Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)})
    assert sessions.with_prices(own).usage("session")["cost_usd"].notna().all()
    assert sessions.with_prices(None).usage("session")["cost_usd"].isna().all()


def test_own_price_counts_cached_tokens_once():
    found = Prices(own={"m": (1.0, 0.1, 10.0)}).of(
        "m", TokenUsage(input_tokens=100, cache_read_tokens=40, output_tokens=15)
    )
    assert found.total == pytest.approx((60 * 1.0 + 40 * 0.1 + 15 * 10.0) / 1e6)


def test_sum_of_unknown_prices_is_unknown(sessions):
    usage = sessions.with_prices(Prices(aliases={"gemini-2.5-flash": "no-such"})).usage("session")
    assert usage["cost_usd"].isna().all()
    assert usage["n_unpriced_calls"].tolist() == [2, 2, 2]
    assert usage["cost_is_lower_bound"].all()
    assert not usage["tokens_are_lower_bound"].any()


def test_without_prices_cost_is_not_looked_up(sessions):
    calls = sessions.with_prices(None).model_calls
    assert calls["cost_usd"].isna().all()


@given(
    st.lists(
        st.one_of(st.none(), st.sampled_from(["gemini-2.5-flash", "no-such-model"])),
        min_size=1,
        max_size=6,
    )
)
@pytest.mark.slow
def test_unknown_price_never_becomes_zero(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("c")
    for number, model in enumerate(models):
        wire = Wire().begin(model=model).prompt().usage(prompt=10, answer=1).idle().end()
        save(folder / f"c{number}", wire)
    for row in load(folder).usage("session").to_dict("records"):
        assert pd.isna(row["cost_usd"]) or row["cost_usd"] > 0
        assert pd.isna(row["cost_usd"]) == (row["n_unpriced_calls"] == 1)


# -- summaries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [(), ("model",), ("agent",), ("day",), ("day", "model"), ("tool",)])
def test_summary_counts_everything_once(sessions, by):
    table = sessions.summary(by)
    counted = "n_tool_calls" if "tool" in by else "n_turns"
    assert table[counted].sum() == 3


def test_summary_has_shares_and_percentiles(sessions):
    [row] = sessions.summary().to_dict("records")
    assert row["tokens_per_turn"] == 243
    assert row["ttft_p50"].total_seconds() == pytest.approx(0.55)
    assert (row["error_rate"], row["retry_rate"]) == (0, 0)


def test_summary_tells_how_the_context_grows(tmp_path):
    """Of the agent's own prompts: that of a subagent is another one."""
    wire = Wire().begin()
    for number, (first, last) in enumerate(((100, 150), (180, 250), (260, 270))):
        wire.prompt().usage(prompt=first, answer=1).step(number, where=CHILD, text="Yes.")
        wire.usage(CHILD, prompt=9_000)
        wire.usage(prompt=last, answer=1).idle()
    [row] = load(save(tmp_path / "c", wire.end())).summary().to_dict("records")
    assert row["context_max"] == 270
    assert row["context_growth_per_turn"] == ((250 - 150) + (270 - 250)) / 2


def test_context_of_one_turn_has_not_grown(recording):
    row = load(recording).summary().iloc[0]
    assert row["context_max"] == 120
    assert row.isna()["context_growth_per_turn"]


def test_summary_has_days_of_the_time_zone(tmp_path):
    wire = Wire(start=pd.Timestamp("2026-11-20 23:30", tz="UTC").timestamp())
    wire.begin().prompt().usage(prompt=5).idle().end()
    sessions = load(save(tmp_path / "c", wire))
    for tz, day in (("UTC", 20), ("Asia/Tokyo", 21)):
        assert sessions.summary("day", tz=tz)["day"].dt.day.tolist() == [day]


def test_summary_by_anything_else_is_refused(sessions):
    with pytest.raises(InvalidInputError, match=r"by must be one of .* in a list; got 'mood'"):
        sessions.summary(["mood"])


@pytest.mark.parametrize("question", ["usage", "summary", "latency"])
def test_several_keys_as_several_arguments_are_refused(sessions, question):
    ask = getattr(sessions, question)
    with pytest.raises(InvalidInputError) as caught:
        ask("model", "day")
    assert str(caught.value) == (
        f"pass several keys in one list: {question}(['model', 'day']); got 2 arguments"
    )
    assert ask(["model", "day"]).columns[:2].tolist() == ["model", "day"]
    with pytest.raises(InvalidInputError, match=r"\(\[\.\.\.\]\); got 3 arguments"):
        ask("model", len, len)


def test_comparison_with_itself_is_noise(sessions):
    table = compare(sessions, sessions).set_index("figure")
    assert (table["difference"].dropna() == 0).all()
    assert table["within_noise"].dropna().all()
    assert table.loc["tokens per turn", "mean_a"] == 243


def test_comparison_sees_a_real_difference(sessions, tmp_path):
    for number in range(3):
        wire = Wire().begin().prompt().usage(prompt=1000 + number).idle().end()
        save(tmp_path / "new" / f"c{number}", wire)
    row = compare(sessions, load(tmp_path / "new")).set_index("figure").loc["tokens per turn"]
    assert row["difference"] == 1001 - 243
    assert not row["within_noise"]


@pytest.mark.parametrize("name", ["summary", "usage"])
def test_nothing_has_no_summary(tmp_path, name):
    assert len(getattr(load(tmp_path), name)()) == 0
    assert compare(load(tmp_path), load(tmp_path))["n_a"].tolist() == [0] * 9


# -- plots ---------------------------------------------------------------------------------------

PLOTS = ["plot_usage", "plot_latency", "plot_timeline", "plot_context"]


@pytest.fixture
def pyplot(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    from matplotlib import pyplot as plt

    plt.switch_backend("Agg")
    yield plt
    plt.close("all")


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.slow
def test_plot_names_its_axes_and_can_be_saved(sessions, plot, pyplot, tmp_path):
    options = {"session_id": "c1", "turn_id": 1} if plot == "plot_timeline" else {}
    ax = getattr(sessions, plot)(**options)
    assert ax.get_xlabel()
    assert ax.get_title()
    ax.figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


@pytest.mark.parametrize("plot", PLOTS)
def test_plot_of_nothing_says_so(tmp_path, plot, pyplot):
    ax = getattr(load(tmp_path), plot)()
    assert len(ax.texts) == 1


@pytest.mark.parametrize("plot", PLOTS)
def test_plot_draws_on_given_axes(sessions, plot, pyplot):
    _, mine = pyplot.subplots()
    assert getattr(sessions, plot)(ax=mine) is mine


@pytest.mark.slow
def test_plots_of_two_hundred_turns_and_unknown_times(tmp_path, pyplot):
    wire = Wire().begin()
    for number in range(80):
        wire.prompt().step(2 * number, text="Hi").usage(prompt=10, cached=3, answer=2, thoughts=1)
        wire.step(2 * number + 1, where=CHILD, text="x").idle()
    sessions = load(save(tmp_path / "c", wire.prompt()))
    for plot in PLOTS:
        getattr(sessions, plot)().figure.canvas.draw()


def test_timeline_of_an_ambiguous_turn_is_refused(sessions, pyplot):
    with pytest.raises(
        InvalidInputError, match="several sessions have a turn 1; choose one with session_id="
    ):
        sessions.plot_timeline(1)


# -- ways out ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_parquet_gives_the_same_tables_again(sessions, tmp_path):
    sessions.to_parquet(tmp_path / "out")
    sessions.to_parquet(tmp_path / "out")
    for name in TABLES:
        table = sessions.frame(name)
        again = pd.read_parquet(tmp_path / "out" / name)[list(table.columns)]
        assert [str(kind) for kind in again.dtypes] == [str(kind) for kind in table.dtypes]
        key = list(TABLES[name].key)
        here, there = (
            frame.astype({c: "string" for c in frame if frame[c].dtype == "category"})
            for frame in (table, again)  # a file keeps only the words that occur
        )
        pd.testing.assert_frame_equal(
            there.sort_values(key, ignore_index=True), here.sort_values(key, ignore_index=True)
        )


def test_parquet_leaves_what_it_has_not_written(sessions, tmp_path):
    """A folder `errors` or `turns` may be anybody's, a recording of that name too."""
    save(tmp_path / "turns", two_calls())
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(InvalidInputError, match="was not written by agy_nb"):
        sessions.to_parquet(tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_parquet_replaces_what_it_has_written(sessions, tmp_path):
    sessions.to_parquet(tmp_path / "out")
    notes = tmp_path / "out" / "turns" / ".DS_Store"
    notes.touch()
    load([]).to_parquet(tmp_path / "out")
    for name in TABLES:
        assert len(pd.read_parquet(tmp_path / "out" / name)) == 0
    assert notes.exists()


def test_parquet_is_split_by_day(sessions, tmp_path):
    sessions.to_parquet(tmp_path / "out")
    [day] = (tmp_path / "out" / "model_calls").iterdir()
    assert day.name.startswith("utc_day=2026-")


def test_arrow_has_the_types(sessions):
    schema = sessions.to_arrow("turns").schema
    assert str(schema.field("started_at").type) == "timestamp[us, tz=UTC]"
    assert str(schema.field("n_model_calls").type) == "int64"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
@pytest.mark.slow
def test_formulas_in_csv_are_harmless(tmp_path, name):
    wire = Wire().begin(model=name).prompt().tool("1", name=name).usage(prompt=1).idle().end()
    sessions = load(save(tmp_path / "c", wire))
    for table in (sessions.tool_calls, sessions.model_calls, sessions.usage("tool")):
        assert "'" + name in csv(table)
    assert "-1" in csv(pd.DataFrame({"x": [-1]}))


def test_csv_has_durations_in_seconds(sessions, tmp_path):
    sessions.to_csv(tmp_path / "out")
    turns = pd.read_csv(tmp_path / "out" / "turns.csv")
    assert turns["ttft_s"].tolist() == pytest.approx([0.55] * 3)
    assert turns["approval_wait_s"].isna().all()


# -- the command ---------------------------------------------------------------------------------


def command(*argv):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["usage", *map(str, argv)])
    return arguments.run(arguments)


@pytest.mark.parametrize("by", USAGE_KEYS)
@pytest.mark.slow
def test_command_shows_a_table(sessions, tmp_path, capsys, by):
    assert command(tmp_path, "--by", by) == 0
    lines = capsys.readouterr().out.splitlines()
    first = USAGE_KEYS[by][0].name
    assert lines[0].split()[0] == first.replace("session_id", "session_name")
    rows = len(sessions.usage(by))
    has_total = rows > 1 and by != "tool"
    assert len(lines) == 1 + rows + has_total
    assert lines[-1].startswith("total") == has_total


@pytest.mark.slow
def test_command_has_several_keys_and_limits(sessions, tmp_path, capsys):
    assert command(tmp_path, "--by", "session", "--breakdown", "--json", "--tz", "UTC") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["model"] for row in rows} == {"gemini-2.5-flash"}
    assert command(tmp_path, "--by", "day,model", "--until", "2001-01-01") == 0
    assert capsys.readouterr().out == "no turns\n"
    with pytest.raises(InvalidInputError):
        command(tmp_path, "--since", "soon")
    assert command(tmp_path, "--by", "day,mood") == 2
    assert "by must be one of session, " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command(tmp_path, "--by", "day,")
    assert "'' is not a key; use one or several of turn, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("price", "shown"), [(100.0, "0.022000"), (0.001, "0.0000002"), (0.0, "0.000000")]
)
def test_command_shows_no_cost_as_nothing_that_is_something(price, shown):
    usage = pd.DataFrame({"n_model_calls": [1], "cost_usd": [220 * price / 1e6]})
    usage["cost_is_lower_bound"] = False
    assert aligned(text_rows(usage)).split()[-1] == shown


def test_command_marks_lower_bounds(tmp_path, capsys):
    wire = Wire().begin().prompt().usage(prompt=100).prompt()
    save(tmp_path / "c", wire, complete=False)
    assert command(tmp_path / "c") == 0
    out, err = capsys.readouterr()
    assert ">=100" in out
    assert "partial" in err


def test_command_gives_json_and_csv(sessions, tmp_path, capsys):
    command(tmp_path, "--format", "json", "--by", "model")
    [row] = json.loads(capsys.readouterr().out)
    assert row["total_tokens"] == 3 * 243
    command(tmp_path, "--format", "csv", "--no-cost", "--output", tmp_path / "u.csv")
    assert pd.read_csv(tmp_path / "u.csv")["cost_usd"].isna().all()


def test_command_writes_parquet(sessions, tmp_path):
    with pytest.raises(InvalidInputError, match="needs --output"):
        command(tmp_path, "--format", "parquet")
    options = "--by", "session", "--format", "parquet", "--output", tmp_path / "u.parquet"
    assert command(tmp_path, *options) == 0
    assert len(pd.read_parquet(tmp_path / "u.parquet")) == 3
    with pytest.raises(OSError, match="No such file") as caught:
        command(tmp_path, "--format", "parquet", "--output", tmp_path / "nowhere" / "u.parquet")
    assert caught.value.filename.endswith("u.parquet")


@pytest.mark.slow
def test_command_that_finds_nothing_says_where(tmp_path, capsys):
    """A shell gives a pattern that finds nothing on as it is."""
    for path in (tmp_path / "run*", tmp_path, "nope*", "a\nb*"):
        assert command(path) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err == (
            f"agy-nb: no recording found at {str(path)!r}; name a cassette, a folder or a pattern\n"
        )


def test_command_names_each_pattern_that_finds_nothing(sessions, tmp_path, capsys):
    assert command(tmp_path, tmp_path / "nope*", "--by", "session") == 1
    out, err = capsys.readouterr()
    assert "243" in out
    assert "nope*" in err
    assert err.count("\n") == 1


def test_command_with_nothing_but_problems_fails(tmp_path, capsys):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "header.json").write_text("{")
    assert command(tmp_path / "c") == 1
    assert "damaged" in capsys.readouterr().err


def test_terminal_gets_no_control_characters(tmp_path, capsys):
    wire = Wire().begin(model="\x1b[31mred").prompt().usage(prompt=1).idle().end()
    command(save(tmp_path / "c", wire), "--by", "model")
    assert "\x1b" not in capsys.readouterr().out


def test_unknown_time_zone_is_refused(sessions, tmp_path):
    with pytest.raises(InvalidInputError, match="time zone"):
        command(tmp_path, "--by", "day", "--tz", "Mars/Phobos")


def test_root_is_named_in_every_trajectory(sessions):
    assert set(sessions.trajectories["trajectory_id"]) == {ROOT.id}


NAMES = [
    "my-tuned", "models/my-tuned", "google/my-tuned", "publishers/google/models/my-tuned",
    "projects/p/locations/global/publishers/google/models/my-tuned",
]  # fmt: skip


@pytest.mark.parametrize("called", NAMES)
@pytest.mark.parametrize("named", NAMES)
def test_alias_and_own_price_count_for_every_way_to_write_a_model(called, named):
    usage = TokenUsage(input_tokens=1_000_000, output_tokens=0, total_tokens=1_000_000)
    alias = Prices(aliases={named: "gemini-2.5-flash"}).of(called, usage)
    assert alias.status == "priced"
    assert alias.total == Prices().of("gemini-2.5-flash", usage).total
    assert Prices(own={named: (5.0, 1.0, 1.0)}).of(called, usage).total == 5.0


def test_exact_name_comes_before_another_way_to_write_it():
    usage = TokenUsage(input_tokens=1_000_000, output_tokens=0, total_tokens=1_000_000)
    prices = Prices(own={"models/mine": (1.0, 1.0, 1.0), "mine": (2.0, 1.0, 1.0)})
    assert prices.of("mine", usage).total == 2.0
    assert prices.of("models/mine", usage).total == 1.0
