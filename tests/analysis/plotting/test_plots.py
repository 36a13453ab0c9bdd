"""One chart, two ways to draw it: Matplotlib and Plotly show the same."""

from __future__ import annotations

import html
import math
import sys
from datetime import UTC, datetime

import pytest

from agy_nb.analysis import Prices, load
from agy_nb.analysis.errors import MissingExtraError
from agy_nb.analysis.plotting.bars import cost_chart, usage_chart
from agy_nb.analysis.plotting.charts import context_chart
from agy_nb.analysis.plotting.latency_chart import latency_chart
from agy_nb.analysis.plotting.timeline import timeline_chart
from agy_nb.errors import InvalidInputError
from tests.analysis.conftest import CHILD, START, Wire, save

BACKENDS = ["matplotlib", "plotly"]
CHARTS = {
    "plot_usage": usage_chart,
    "plot_cost": cost_chart,
    "plot_latency": latency_chart,
    "plot_context": context_chart,
    "plot_timeline": lambda sessions: timeline_chart(sessions, None, None),
}


@pytest.fixture
def sessions(tmp_path):
    """A session with a tool, a question to the user, a subagent and a turn that was cancelled."""
    wire = Wire().begin().prompt().usage(prompt=100, cached=40, answer=10, thoughts=5)
    wire.tool("call-1").step(0, where=CHILD, text="Yes.").usage(CHILD, prompt=30, answer=3)
    asked = {"toolName": "add", "callId": "call-2", "trajectoryId": "a" * 32}
    request = {"requestId": "9", "ruleId": "asks", "toolArgs": asked}
    wire.add("harness", {"policyDecisionRequest": request})
    answer = {"requestId": "9", "outcome": "POLICY_EVALUATION_OUTCOME_ALLOW"}
    wire.add("client", {"policyDecisionResponse": answer}, 0.2)
    wire.step(1, text="Two", state="ACTIVE").step(1, text=".").usage(prompt=150, answer=8).idle()
    wire.prompt().usage(prompt=7).step(2, text="Well", state="ACTIVE")
    wire.add("client", {"haltRequest": True}).idle().end()
    return load(
        save(tmp_path / "c", wire), prices=Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)})
    )


@pytest.fixture
def nothing(tmp_path):
    (tmp_path / "none").mkdir()
    return load(tmp_path / "none")


# -- what charts hold ----------------------------------------------------------------------------


def test_heights_of_a_turn_are_its_tokens(sessions):
    parts = {series.name: series for series in usage_chart(sessions, "order").series}
    assert parts["prompt, from the cache"].y[0] == 40
    assert parts["prompt, not cached"].y[0] == 100 + 30 + 150 - 40
    assert parts["thoughts"].y[0] == 5
    assert parts["answer"].top[0] == sessions.usage("turn")["total_tokens"].iloc[0]


def test_a_lower_bound_is_marked(sessions):
    [mark] = [series for series in usage_chart(sessions, "order").series if series.kind == "points"]
    assert (mark.name, mark.x) == ("at least this", (2.0,))


def test_shares_of_latencies_end_at_all(sessions):
    for series in latency_chart(sessions).series:
        assert series.y[-1] == 1
        assert list(series.x) == sorted(series.x)


def test_context_has_a_line_a_trajectory(sessions):
    lines = {series.name: series.y for series in context_chart(sessions).series}
    assert lines == {"agent 1": (100, 150, 7), "subagent bbbbbb": (30,)}


def test_what_is_not_among_the_first_is_pale_and_below(sessions):
    under, over, legend = context_chart(sessions, most=1).series
    assert (under.name, over.name, legend.name) == ("", "agent 1", "1 more")


def test_longest_prompts_have_a_colour_and_all_others_are_one_line(tmp_path):
    for number, prompt in enumerate((5, 900, 7, 8)):
        wire = Wire().begin().prompt().usage(prompt=prompt).usage(prompt=1).idle().end()
        save(tmp_path / f"c{number}", wire)
    under, over, legend = context_chart(load(tmp_path), most=1).series
    assert (over.name, over.y) == ("agent 1 of c1", (900.0, 1.0))
    assert [str(value) for value in under.y] == [
        "5.0",
        "1.0",
        "nan",
        "7.0",
        "1.0",
        "nan",
        "8.0",
        "1.0",
    ]
    assert legend.name == "3 more"


def test_timeline_of_a_session_that_is_not_there_is_refused(sessions):
    with pytest.raises(InvalidInputError, match="session 'nobody' has no turns"):
        timeline_chart(sessions, None, "nobody")


def test_timeline_has_a_row_a_trajectory_and_a_span_a_thing(sessions):
    chart = timeline_chart(sessions, 1, None)
    assert chart.rows == ("agent 1", "subagent bbbbbb")
    spans = {series.name: series for series in chart.series if series.kind == "span"}
    assert set(spans) == {"model works", "tool runs", "waits for the user"}
    assert spans["tool runs"].text == ("add",)
    assert spans["tool runs"].length == (pytest.approx(0.5),)
    assert spans["waits for the user"].length == (pytest.approx(0.2),)
    assert set(spans["model works"].y) == {0.0, 1.0}


def test_long_lines_are_thinned_and_keep_their_ends(tmp_path):
    wire = Wire().begin().prompt()
    for number in range(7001):
        wire.usage(prompt=number + 1)
    [line] = context_chart(load(save(tmp_path / "c", wire.idle().end()), prices=None)).series
    assert len(line.x) <= 2001
    assert (line.y[0], line.y[-1]) == (1, 7001)


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_every_chart_names_its_axes_with_units_and_draws_only_what_is_known(sessions, make):
    chart = make(sessions)
    assert chart.title
    assert any(unit in chart.x for unit in ("time", "seconds", "model call"))
    assert chart.y or chart.rows
    for series in chart.series:
        assert len(series.x) == len(series.y)
        assert not any(map(math.isnan, (*series.x, *series.y, *series.length)))


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_nothing_is_told_by_colour_alone(sessions, make):
    """Each colour of a chart is used once, and so is each pattern or mark beside it."""
    named = [series for series in make(sessions).series if series.name]
    assert len({series.colour for series in named}) == len(named)
    assert len({(s.kind, s.pattern, s.mark) for s in named}) == len(named)


# -- drawn ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("plot", CHARTS)
@pytest.mark.slow
def test_every_backend_names_the_same_axes(sessions, plot):
    chart = CHARTS[plot](sessions)
    ax, figure = (getattr(sessions, plot)(backend=backend) for backend in BACKENDS)
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == (chart.title, chart.x, chart.y)
    assert figure.layout.title.text == chart.title
    assert figure.layout.xaxis.title.text == chart.x
    assert (figure.layout.yaxis.title.text or "") == chart.y


@pytest.mark.parametrize("plot", CHARTS)
@pytest.mark.slow
def test_every_backend_draws_every_series(sessions, plot):
    chart = CHARTS[plot](sessions)
    names = {series.name for series in chart.series if series.name}
    ax, figure = (getattr(sessions, plot)(backend=backend) for backend in BACKENDS)
    assert {text.get_text() for text in ax.get_legend().get_texts()} == names
    assert {trace.name for trace in figure.data} == names
    points = sum(len(series.x) for series in chart.series)
    assert sum(len(trace.y) for trace in figure.data) == points


def test_bars_of_every_backend_are_as_high_as_the_tokens(sessions):
    total = sessions.usage("turn")["total_tokens"].iloc[0]
    ax, figure = (sessions.plot_usage(by="order", backend=backend) for backend in BACKENDS)
    assert max(bar.get_y() + bar.get_height() for bar in ax.patches) == total
    assert max(t.base[0] + t.y[0] for t in figure.data if t.type == "bar") == total


def test_rows_of_a_timeline_are_named_in_every_backend(sessions):
    ax, figure = (sessions.plot_timeline(1, backend=backend) for backend in BACKENDS)
    names = ["agent 1", "subagent bbbbbb"]
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    assert list(figure.layout.yaxis.ticktext) == names


@pytest.mark.parametrize("plot", CHARTS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.slow
def test_plot_of_nothing_says_so_in_every_backend(nothing, plot, backend):
    drawn = getattr(nothing, plot)(backend=backend)
    if backend == "matplotlib":
        said = [text.get_text() for text in drawn.texts]
    else:
        said = [note.text for note in drawn.layout.annotations]
    assert said == [CHARTS[plot](nothing).nothing]
    assert said[0]


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_thousands_of_turns_are_drawn_as_steps(tmp_path, backend):
    wire = Wire().begin()
    for _ in range(6000):
        wire.prompt().usage(prompt=10, cached=3, answer=2).idle()
    drawn = load(save(tmp_path / "c", wire.end()), prices=None).plot_usage(
        by="order", backend=backend
    )
    if backend == "plotly":
        assert {trace.line.shape for trace in drawn.data} == {"hvh"}  # no slopes
    else:
        assert len(drawn.collections) == 3


def test_a_name_with_tags_is_text_to_plotly(tmp_path):
    wire = Wire().begin().prompt().tool("1", name="<b>add</b>").usage(prompt=1).idle().end()
    figure = load(save(tmp_path / "c", wire)).plot_timeline(backend="plotly")
    assert "&lt;b>add&lt;/b>" in {word for trace in figure.data for word in trace.text}


@pytest.mark.parametrize("name", ["cost $x^ and $y_", r"a$\frac$b", "<b>tag</b>", "_hidden"])
def test_names_are_text_and_no_formulas(tmp_path, name):
    for hour, place in enumerate(("a", name)):
        save(
            tmp_path / place, Wire(start=START + hour).begin().prompt().usage(prompt=5).idle().end()
        )
    sessions = load([tmp_path / "a", tmp_path / name.split("/")[0]])
    last = sessions.sessions["session_name"].iloc[-1]
    ax, figure = (sessions.plot_context(backend=backend) for backend in BACKENDS)
    timeline = sessions.plot_timeline(1, session_id=last)
    for drawn in (ax, timeline):
        drawn.figure.savefig(tmp_path / "plot.png")
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown[-1] == f"agent 1 of {last}"
    assert html.unescape(figure.data[-1].name) == shown[-1]
    assert timeline.get_title() == f"{last}: turn 1: ok"


def test_long_names_leave_room_for_the_drawing(tmp_path):
    for number in range(2):
        wire = Wire().begin().prompt().usage(prompt=5).idle().end()
        save(tmp_path / f"{'long' * 20}{number}{'name' * 20}", wire)
    ax = load(tmp_path).plot_context()
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(set(names)) == 2
    assert max(map(len, names)) < 60
    ax.figure.draw_without_rendering()
    assert ax.get_position().width > 0.4


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("plot", ["plot_usage", "plot_context"])
@pytest.mark.slow
def test_what_is_counted_has_whole_numbers(tmp_path, plot, count):
    """An axis from 0.3 to 1.7 with rounded numbers reads 0, 1, 1, 1, 2."""
    wire = Wire().begin()
    for _ in range(count):
        wire.prompt().usage(prompt=5).idle()
    sessions = load(save(tmp_path / "c", wire.end()))
    by = {"by": "order"} if plot == "plot_usage" else {}
    ax, figure = (getattr(sessions, plot)(backend=backend, **by) for backend in BACKENDS)
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [*range(1, count + 1)]
    assert list(figure.layout.xaxis.tickvals) == [*range(1, count + 1)]


def test_highest_point_is_not_cut(tmp_path):
    wire = Wire().begin().prompt().usage(prompt=50).usage(prompt=60).idle().end()
    ax = load(save(tmp_path / "c", wire)).plot_context()
    assert ax.get_ylim() == (0, pytest.approx(63))


def test_latencies_within_a_decade_have_ticks_of_their_own(sessions):
    assert sessions.plot_latency(backend="plotly").layout.xaxis.dtick is None


def test_interactive_plots_are_files_of_their_own(sessions, tmp_path):
    page = tmp_path / "plot.html"
    sessions.plot_usage(backend="plotly").write_html(page, include_plotlyjs=False)
    assert "prompt, from the cache" in page.read_text(encoding="utf-8")


# -- cost, time, and texts of any script ---------------------------------------------------------


def test_cost_bars_add_up_and_are_stacked_by_model(sessions):
    own = Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)})
    priced = sessions.with_prices(own)
    total = priced.usage(())["cost_usd"].iloc[0]
    chart, so_far = cost_chart(priced), cost_chart(priced, cumulative=True)
    [bars, bound] = chart.series
    assert (bars.name, sum(bars.y)) == ("gemini-2.5-flash", pytest.approx(total))
    assert so_far.series[0].top[-1] == pytest.approx(total)
    assert bound.name == "at least this"  # a turn was cancelled during a model call


def test_cost_is_stacked_by_labels(sessions):
    labelled = sessions.with_labels({sessions.sessions["session_name"].iloc[0]: {"user": "ada"}})
    priced = labelled.with_prices(Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)}))
    assert cost_chart(priced, "user").series[0].name == "ada"
    with pytest.raises(InvalidInputError, match="cost cannot be stacked by 'day'"):
        priced.plot_cost("day")
    assert cost_chart(priced, ["user"]).series[0].name == "ada"
    with pytest.raises(InvalidInputError, match="stacked by one key, got"):
        priced.plot_cost(["user", "model"])
    with pytest.raises(InvalidInputError, match=r"use plot_cost\(by=\.\.\.\)"):
        priced.plot_usage("agent")


def test_chart_without_prices_names_the_model_and_the_remedy(sessions):
    unpriced = sessions.with_prices(None)
    assert cost_chart(unpriced).nothing == (
        "no price for gemini-2.5-flash; set prices with tables.with_prices(Prices(own=...))"
    )


def test_sessions_are_divided_and_bars_lie_at_their_times(tmp_path):
    for day in range(3):
        wire = Wire(start=START + 86_400 * day).begin().prompt().usage(prompt=5).idle().end()
        save(tmp_path / f"c{day}", wire)
    sessions = load(tmp_path, cache=False)
    assert usage_chart(sessions, "order").dividers == (1.5, 2.5)
    chart = usage_chart(sessions, tz="UTC")
    assert chart.time_x
    [bars] = chart.series
    assert len(bars.x) == 3
    for at, started in zip(bars.x, sessions.turns["started_at"], strict=True):
        assert abs(at - started.timestamp()) <= bars.width


def test_bars_over_time_hold_what_usage_says_of_each_day(tmp_path):
    """A turn across midnight is on two days."""
    before = datetime(2026, 9, 21, 23, 59, 59, 500_000, UTC).timestamp()
    wire = Wire(start=before).begin().prompt().usage(prompt=1_000_000)
    wire.add("client", {}, 86_400 * 70).usage(prompt=500).idle().end()
    sessions = load(save(tmp_path / "c", wire), cache=False)
    weeks = sessions.usage("week", tz="UTC")["total_tokens"].tolist()
    assert weeks == [1_000_000, 500]
    for chart in (usage_chart(sessions, tz="UTC"), cost_chart(sessions, tz="UTC")):
        assert chart.x == "time, per week"
        assert len(chart.series[0].x) == 2
    assert list(usage_chart(sessions, tz="UTC").series[0].y) == weeks
    so_far = cost_chart(sessions, cumulative=True, tz="UTC").series[0]
    assert (len(so_far.x), len(set(so_far.y))) == (11, 2)  # weeks without a call show the sum, too


def test_cost_without_a_price_is_marked_as_a_lower_bound(tmp_path):
    own = Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)})
    for day, model in enumerate(["gemini-2.5-flash", "no-price"]):
        wire = Wire(start=START + 86_400 * 9 * day).begin(model=model).prompt().usage(prompt=9)
        save(tmp_path / model, wire.idle().end())
    bars, bound = cost_chart(load(tmp_path, prices=own, cache=False)).series
    assert [cost > 0 for cost in bars.y] == [True, False]
    assert (bound.name, bound.x, bound.y) == ("at least this", bars.x[1:], (0.0,))


def test_context_prefers_the_longer_of_equal_conversations(tmp_path):
    for name, count in (("a_short", 1), ("b_long", 30)):
        wire = Wire().begin().prompt()
        for _ in range(count):
            wire.usage(prompt=100)
        save(tmp_path / name, wire.idle().end())
    _, line, _ = context_chart(load(tmp_path, cache=False), most=1).series
    assert line.name == "agent 1 of b_long"


def test_dark_styles_are_kept(sessions, monkeypatch):
    import plotly.io
    from matplotlib import pyplot as plt

    with plt.style.context("dark_background"):
        ax = sessions.plot_usage()
    assert ax.patches[0].get_edgecolor()[:3] == (0, 0, 0)  # patterns are seen on the colours
    monkeypatch.setattr(plotly.io.templates, "default", "plotly_dark")
    template = sessions.plot_usage(backend="plotly").layout.template
    assert template.layout.paper_bgcolor == plotly.io.templates["plotly_dark"].layout.paper_bgcolor


@pytest.mark.slow
def test_a_turn_of_thousands_of_calls_is_drawn_in_one_collection_per_kind(tmp_path):
    wire = Wire().begin().prompt()
    for number in range(5_000):
        wire.tool(str(number), name="查询").usage(prompt=5)
    sessions = load(save(tmp_path / "c", wire.idle().end()), cache=False)
    drawn = sessions.plot_timeline()
    drawn.figure.canvas.draw()
    assert len(drawn.collections) <= 4


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.filterwarnings("error")
@pytest.mark.slow
def test_names_in_any_script_are_drawn_without_a_warning(tmp_path, backend):
    names = ["日本語 😀", "한국어", "العربية", "family 👨‍👩‍👧"]
    for hour, name in enumerate(names):
        wire = Wire(start=START + 3600 * hour).begin().prompt().usage(prompt=5).idle().end()
        save(tmp_path / name, wire)
    sessions = load(tmp_path, cache=False)
    for drawn in (
        sessions.plot_context(backend=backend),
        sessions.plot_timeline(1, session_id=names[0], backend=backend),
    ):
        if backend == "matplotlib":
            drawn.figure.canvas.draw()


@pytest.mark.parametrize("backend", BACKENDS)
def test_size_of_a_figure_is_in_inches(sessions, backend):
    drawn = sessions.plot_usage(backend=backend, figsize=(5, 4))
    if backend == "plotly":
        assert (drawn.layout.width, drawn.layout.height) == (500, 400)
    else:
        assert tuple(drawn.figure.get_size_inches()) == (5, 4)


# -- refused -------------------------------------------------------------------------------------


def test_unknown_backend_is_refused(sessions):
    with pytest.raises(InvalidInputError, match="backend must be one of matplotlib, plotly, got"):
        sessions.plot_usage(backend="bokeh")


def test_axes_are_refused_where_there_are_none(sessions):
    ax = sessions.plot_usage()
    with pytest.raises(InvalidInputError, match="ax= is for Matplotlib"):
        sessions.plot_usage(backend="plotly", ax=ax)


@pytest.mark.parametrize(("backend", "extra"), [("matplotlib", "plot"), ("plotly", "interactive")])
def test_without_its_library_the_extra_is_named(sessions, backend, extra, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == backend]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(MissingExtraError, match=rf"agy-nb\[{extra}\]"):
        sessions.plot_usage(backend=backend)


def test_default_is_matplotlib(sessions):
    from matplotlib.axes import Axes

    assert isinstance(sessions.plot_usage(), Axes)
    assert isinstance(load(sessions.recordings[0].path).plot_latency(), Axes)


# -- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["session", "agent", ["model"], lambda calls: calls["model"]])
def test_latency_has_a_line_per_group(by):
    recorded = load(["cassettes/plain_chat", "cassettes/host_tools"])
    lines = latency_chart(recorded, by).series
    calls = recorded.model_calls
    metered = calls[calls["status"].eq("metered")]["duration"].count()
    assert sum(len(line.x) for line in lines) == metered
    assert len(lines) == len(recorded.usage(by))
    assert all(line.y[-1] == 1.0 for line in lines)


def test_latency_of_many_groups_shows_those_with_most_calls():
    recorded = load("cassettes")
    assert len(recorded) > 7
    *shown, others = latency_chart(recorded, "session").series
    assert len(shown) == 6
    assert others.name.startswith(f"{len(recorded.latency('session')) - 6} more (")


@pytest.mark.parametrize(
    ("plot", "given", "message"),
    [
        ("plot_latency", ("mood",), r"by must be one of session, .*; got 'mood'"),
        ("plot_latency", (["model", "day"],), r"by one key, got \['model', 'day'\]"),
        ("plot_context", ("agent",), "by must be 'trajectory', got 'agent'"),
        ("plot_usage", ("agent",), "by must be 'time' or 'order', got 'agent'"),
        ("plot_cost", (["model", "day"],), r"by one key, got \['model', 'day'\]"),
        ("plot_branches", ("none",), "session 'none' has no agents"),
        ("plot_timeline", ("agent",), "there is no turn 'agent'"),
    ],
)
def test_an_argument_that_a_plot_does_not_take_is_named(sessions, plot, given, message):
    with pytest.raises(InvalidInputError, match=message):
        getattr(sessions, plot)(*given)


@pytest.mark.parametrize("plot", CHARTS)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ax": 3}, "ax must be Matplotlib's Axes, .* got 3"),
        ({"figsize": 3}, "figsize must be two numbers > 0, .* got 3"),
        ({"figsize": (3, "a")}, "figsize must be two numbers"),
        ({"figsize": (3, -1)}, "figsize must be two numbers"),
        ({"backend": "gnuplot"}, "backend must be one of matplotlib, plotly, got 'gnuplot'"),
    ],
)
def test_a_drawing_that_is_not_possible_is_refused(sessions, plot, given, message):
    with pytest.raises(InvalidInputError, match=message):
        getattr(sessions, plot)(**given)


@pytest.mark.parametrize("most", ["5", -1, 2.5, True])
def test_number_of_lines_is_a_whole_number(sessions, most):
    with pytest.raises(InvalidInputError, match="most must be a whole number >= 0, got"):
        sessions.plot_context(most=most)
