"""No text of a plot covers another, however many spans there are and however long their names."""

from __future__ import annotations

import itertools

import pytest

from agy_nb.analysis import Prices, load
from agy_nb.analysis.plotting.bars import cost_chart
from agy_nb.analysis.plotting.charts import GREEN, Chart, Series
from agy_nb.analysis.plotting.draw_matplotlib import axes
from tests.analysis.conftest import Wire, save

PRICES = Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)})
NAMES = (
    "read_the_whole_repository",
    "調べる天気予報サービス",
    "search 🦊 the 🚀 web for more",
    "x",
)


def timeline(rows: int) -> Chart:
    """A chart with four neighbouring spans per row."""
    places = [(row, number) for row in range(rows) for number in range(len(NAMES))]
    spans = Series(
        "tool runs", "span", GREEN, tuple(0.5 * number for _, number in places),
        tuple(float(row) for row, _ in places), length=(0.45,) * len(places),
        text=tuple(NAMES[number] for _, number in places), pattern="/",
    )  # fmt: skip
    labels = tuple(f"a_very_long_name_of_a_subagent_{row}" for row in range(rows))
    return Chart(
        "Turn", "seconds", "", (spans,), labels, x_range=(0.0, 2.0), y_range=(-0.6, rows - 0.4)
    )


def boxes(ax, texts):
    ax.figure.draw_without_rendering()
    return [text.get_window_extent() for text in texts if text.get_visible()]


def must_not_overlap(found):
    for one, other in itertools.combinations(found, 2):
        assert not one.overlaps(other), (one, other)


@pytest.mark.parametrize(("rows", "size"), [(1, None), (30, None), (1, (4, 2)), (30, (7, 3.4))])
@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
def test_names_of_a_timeline_do_not_overlap(rows, size):
    ax = axes(timeline(rows), figsize=size)
    words = boxes(ax, ax.texts)
    must_not_overlap(words)
    must_not_overlap(boxes(ax, ax.get_yticklabels()))
    whole = ax.get_window_extent()
    assert all(box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1 for box in words)
    if size is None:  # a smaller figure may have no room for words
        assert len(words) >= 3 * rows


@pytest.mark.parametrize("size", [(7, 3.4), (3, 2)])
def test_label_of_the_time_does_not_cover_the_date(tmp_path, size):
    wire = Wire().begin().prompt().usage(prompt=100, answer=10).step(0, text="One").idle()
    sessions = load(save(tmp_path / "c", wire.end()), prices=PRICES)
    ax = sessions.plot_cost(figsize=size)
    label, date = boxes(ax, [ax.xaxis.label, ax.xaxis.get_offset_text()])
    assert date.width > 0
    assert not label.overlaps(date)


def test_agents_of_one_session_are_named_without_it(tmp_path):
    wire = Wire().begin().prompt().usage(prompt=100, answer=10).step(0, text="One").idle().end()
    save(tmp_path / "c" / "one", wire)
    alone = load(tmp_path / "c", prices=PRICES)
    assert [series.name for series in cost_chart(alone, "agent").series][:1] == ["agent 1"]
    save(tmp_path / "c" / "two", Wire().begin().prompt().usage(prompt=50, answer=10).idle().end())
    both = load(tmp_path / "c", prices=PRICES)
    names = {series.name for series in cost_chart(both, "agent").series}
    assert names >= {"agent 1 of one", "agent 1 of two"}
