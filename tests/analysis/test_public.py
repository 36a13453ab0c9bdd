"""What `load` and a live runtime give, by its public names."""

import pytest

import agy_nb as agy
from agy_nb.analysis import Prices, Sessions, Tables, load
from agy_nb.analysis.builders.live_tables import LiveTables
from tests.analysis.conftest import save, two_calls


@pytest.fixture
def sessions(tmp_path):
    save(tmp_path / "c", two_calls())
    return load(tmp_path, prices=None)


def test_recordings_are_sessions_and_a_live_runtime_gives_tables(sessions):
    assert isinstance(sessions, Sessions)
    assert isinstance(sessions, Tables)
    assert type(LiveTables().tables()) is Tables


def test_prices_fill_the_cost_columns_and_leave_the_table_as_it_was(sessions):
    calls = sessions.model_calls
    before = calls.copy()
    model = calls["model"].iloc[0]
    priced = Prices(own={model: (1.0, 0.5, 2.0)}).add_to(calls)
    assert calls.equals(before)
    assert list(priced.columns) == list(calls.columns)
    assert priced["cost_status"].tolist() == ["override"] * len(calls)
    expected = [
        ((row.input_tokens - (row.cache_read_tokens or 0)) * 1.0
         + (row.cache_read_tokens or 0) * 0.5 + row.output_tokens * 2.0) / 1e6
        for row in calls.astype(object).where(calls.notna(), None).itertuples()
    ]  # fmt: skip
    assert priced["cost_usd"].tolist() == pytest.approx(expected)


def test_context_is_drawn_a_point_for_each_model_call(sessions):
    axes = sessions.plot_context()
    drawn = sum(len(line.get_xdata()) for line in axes.get_lines())
    assert drawn == len(sessions.model_calls) > 0


def test_sessions_can_be_loaded_again_with_other_options():
    sessions = agy.load(["cassettes/plain_chat", "cassettes/host_tools"])
    again = agy.load(sessions, text=True)
    assert again.recordings == sessions.recordings
    assert len(agy.load([sessions, "cassettes/plain_chat"])) == 2
    assert sessions.now() is sessions
