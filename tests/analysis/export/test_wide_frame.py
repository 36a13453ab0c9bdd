"""Tables in a notebook: no column is hidden, whatever pandas' limit is."""

from __future__ import annotations

import pickle
import re

import pandas as pd
import pytest

import agy_nb as agy


@pytest.fixture(scope="module")
def sessions():
    return agy.load("cassettes/plain_chat")


def heads(html: str) -> list[str]:
    head = re.search(r"<thead>(.*?)</thead>", html, re.DOTALL)
    return re.findall(r"<th>(.*?)</th>", head[1])


@pytest.mark.parametrize(
    "ask",
    [
        lambda sessions: sessions.usage(by="turn"),
        lambda sessions: sessions.summary(by="agent"),
        lambda sessions: sessions.latency(by="model"),
        lambda sessions: sessions.model_calls,
        lambda sessions: sessions.sessions,
        lambda sessions: sessions.usage(by="turn").nlargest(1, "total_tokens"),
        lambda sessions: pickle.loads(pickle.dumps(sessions.usage(by="turn"))),
    ],
)
def test_a_notebook_shows_every_column(sessions, ask):
    table = ask(sessions)
    with pd.option_context("display.max_columns", 5):
        html = table._repr_html_()
    assert heads(html) == ["", *table.columns]
    assert html.startswith("<div style='overflow-x:auto")


def test_the_table_is_a_dataframe(sessions):
    usage = sessions.usage(by="turn")
    plain = pd.DataFrame(usage)
    assert type(plain) is pd.DataFrame
    pd.testing.assert_frame_equal(usage, plain)
    pd.testing.assert_frame_equal(plain, usage)
    assert usage.groupby("session_name")["total_tokens"].sum().tolist() == [214]


def test_tokens_and_cost_come_before_their_parts(sessions):
    columns = list(sessions.usage(by="turn").columns)
    first = columns[columns.index("n_model_calls") :][:5]
    assert first == ["n_model_calls", "input_tokens", "output_tokens", "total_tokens", "cost_usd"]


def test_the_setting_of_pandas_that_shows_text_is_followed(sessions):
    with pd.option_context("display.notebook_repr_html", False):
        assert sessions.usage(by="turn")._repr_html_() is None
