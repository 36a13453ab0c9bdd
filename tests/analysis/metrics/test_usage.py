from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
import pytest
from hypothesis import given, strategies as st

import agy_nb as agy
from agy_nb.analysis import usage_df
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.events import Event, Text, Usage
from agy_nb.protocol.values import TokenUsage, Trajectory

ROOT = Trajectory(id="a" * 32)
CHILD = Trajectory(id="b" * 32, parent_id=ROOT.id, depth=1)


@dataclass
class Turn:
    agent_id: int = 1
    turn_id: int = 1
    event_log: list[Event] = field(default_factory=list)


def metered(where: Trajectory = ROOT, **tokens: int) -> Usage:
    usage = TokenUsage(**tokens)
    return Usage(trajectory=where, usage=usage, trajectory_total=usage, session_total=usage)


def test_calls_of_a_turn_are_summed_subagents_included():
    turn = Turn(
        event_log=[
            metered(input_tokens=10, output_tokens=5, total_tokens=15),
            metered(CHILD, input_tokens=1, output_tokens=2, total_tokens=3),
        ]
    )
    [row] = usage_df([turn]).to_dict("records")
    assert row["n_model_calls"] == 2
    assert row["total_tokens"] == 18


def test_trajectories_are_told_apart():
    turn = Turn(
        event_log=[
            Text(trajectory=ROOT, text="hi"),
            metered(CHILD, total_tokens=3),
            metered(total_tokens=15),
        ]
    )
    table = usage_df([turn], by="trajectory")
    assert table["trajectory_id"].tolist() == [ROOT.id, CHILD.id]
    assert table["parent_trajectory_id"].isna().tolist() == [True, False]
    assert table["total_tokens"].tolist() == [15, 3]


def test_unknown_is_na_and_measured_zero_is_zero():
    row = usage_df([Turn(event_log=[metered(input_tokens=7, reasoning_tokens=0)])]).iloc[0]
    assert row["reasoning_tokens"] == 0
    assert row["cache_read_tokens"] is pd.NA


def test_turn_without_a_metered_call_has_unknown_tokens():
    row = usage_df([Turn(event_log=[Text(text="partial")])]).iloc[0]
    assert row["n_model_calls"] == 0
    assert row["total_tokens"] is pd.NA


def test_one_response_needs_no_list():
    assert len(usage_df(Turn())) == 1


@pytest.mark.parametrize("by", ["turn", "trajectory"])
def test_empty_table_has_the_types_of_a_full_one(by):
    full = usage_df([Turn(event_log=[metered(total_tokens=1)])], by=by)
    pd.testing.assert_series_equal(usage_df([], by=by).dtypes, full.dtypes)
    assert set(map(str, full.dtypes)) <= {"Int64", "string"}


def test_unknown_grouping_is_refused():
    with pytest.raises(InvalidInputError, match="by must be one of turn, trajectory") as info:
        usage_df([], by="day")
    assert info.value.field == "by"


@given(st.lists(st.tuples(st.sampled_from([ROOT, CHILD]), st.integers(0, 10**12))))
@pytest.mark.slow
def test_trajectories_sum_to_the_turn(calls):
    turn = Turn(event_log=[metered(where, total_tokens=tokens) for where, tokens in calls])
    whole, parts = usage_df(turn), usage_df(turn, by="trajectory")
    assert parts["n_model_calls"].sum() == whole["n_model_calls"].sum() == len(calls)
    assert parts["total_tokens"].sum() == whole["total_tokens"].sum()


def test_a_notebook_shows_tokens_and_cost_of_a_wide_table():
    """pandas shows the first ten columns and the last ten."""
    shown = list(agy.load("cassettes/plain_chat").usage(by="turn").columns)[:10]
    assert shown[-6:-1] == [
        "n_model_calls", "input_tokens", "output_tokens", "total_tokens", "cost_usd"
    ]  # fmt: skip
