"""What we write, others read: DuckDB, Polars and Dask give our numbers."""

from __future__ import annotations

import duckdb
import pandas as pd
import polars as pl
import pytest
from dask import dataframe

from agy_nb.analysis import Prices, load
from agy_nb.analysis.schema import TABLES
from tests.analysis.conftest import START, Wire, save, two_calls

DAY = 86_400

pytestmark = [
    pytest.mark.filterwarnings("ignore:The inplace keyword"),  # Dask's own
    pytest.mark.slow,  # three libraries take seconds to load
]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Sessions of three days."""
    folder = tmp_path_factory.mktemp("runs")
    for number in range(3):
        wire = Wire(start=START + number * DAY).begin().prompt()
        wire.usage(prompt=10 * (number + 1), answer=1).tool(f"call-{number}").usage(prompt=5)
        save(folder / f"c{number}", wire.idle().end())
    save(folder / "again", two_calls())
    return load(folder, prices=Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)}))


@pytest.fixture(scope="module")
def data(sessions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    sessions.to_parquet(folder)
    return folder


@pytest.fixture
def by_day(sessions):
    """Tokens and dollars of each day, as pandas counts them here."""
    usage = sessions.usage("day", tz="UTC")
    assert len(usage) == 3
    days = usage["day"].dt.strftime("%Y-%m-%d")
    return {
        day: (tokens, pytest.approx(cost))
        for day, tokens, cost in zip(days, usage["total_tokens"], usage["cost_usd"], strict=True)
    }


def test_duckdb_sums_the_data_set_by_day(data, by_day):
    rows = duckdb.sql(
        "select utc_day::varchar, sum(total_tokens)::bigint, sum(cost_usd)"
        f" from read_parquet('{data}/model_calls/**/*.parquet', hive_partitioning = true)"
        " group by 1"
    ).fetchall()
    assert {day: (tokens, cost) for day, tokens, cost in rows} == by_day


def test_polars_sums_the_data_set_by_day(data, by_day):
    table = (
        pl.scan_parquet(data / "model_calls", hive_partitioning=True)
        .group_by(pl.col("utc_day").cast(pl.String))
        .agg(pl.col("total_tokens").sum(), pl.col("cost_usd").sum())
        .collect()
    )
    assert {day: (tokens, cost) for day, tokens, cost in table.rows()} == by_day


def test_dask_sums_the_data_set_by_day(data, by_day):
    table = dataframe.read_parquet(data / "model_calls")
    sums = table.groupby("utc_day", observed=True)[["total_tokens", "cost_usd"]].sum().compute()
    assert {str(day): (row.total_tokens, row.cost_usd) for day, row in sums.iterrows()} == by_day


def test_a_day_has_files_of_its_own(data, sessions):
    first = sessions.turns["started_at"].min().strftime("%Y-%m-%d")
    rows = duckdb.sql(
        f"select filename from read_parquet('{data}/turns/**/*.parquet', filename = true,"
        f" hive_partitioning = true) where utc_day = '{first}'"
    ).fetchall()
    assert len(rows) == 2
    assert {row[0].split("utc_day=")[1][:10] for row in rows} == {first}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_its_rows_in_every_reader(data, sessions, name):
    count = len(sessions.frame(name))
    files = f"{data}/{name}/**/*.parquet"
    [(found,)] = duckdb.sql(f"select count(*) from read_parquet('{files}')").fetchall()
    assert found == count
    assert pl.read_parquet(data / name).height == count
    assert len(dataframe.read_parquet(data / name)) == count


def test_types_survive_in_dask_and_polars(data):
    turns = dataframe.read_parquet(data / "turns").dtypes.astype(str)
    assert turns["duration"] == "timedelta64[us]"
    assert turns["started_at"] == "datetime64[us, UTC]"
    assert turns["n_model_calls"] == "Int64"
    schema = pl.read_parquet_schema(next((data / "turns").rglob("*.parquet")))
    assert schema["duration"] == pl.Duration("us")
    assert schema["started_at"] == pl.Datetime("us", "UTC")


def test_durations_are_whole_microseconds_in_duckdb(data, sessions):
    """Parquet has no durations: readers that know nothing of Arrow see a number."""
    [(found,)] = duckdb.sql(
        f"select sum(duration)::bigint from read_parquet('{data}/turns/**/*.parquet')"
    ).fetchall()
    assert found == sessions.turns["duration"].sum() // pd.Timedelta(1, "us")


def test_arrow_is_taken_as_it_is(sessions):
    arrow = sessions.to_arrow("turns")
    [(found,)] = duckdb.sql("select sum(n_model_calls)::bigint from arrow").fetchall()
    table = pl.from_arrow(arrow)
    assert found == table["n_model_calls"].sum() == sessions.turns["n_model_calls"].sum()
    assert table["duration"].dtype == pl.Duration("us")


def test_numbers_are_shared_with_polars_and_not_copied(sessions):
    arrow = sessions.to_arrow("model_calls")
    [chunk] = arrow["total_tokens"].chunks
    back = pl.from_arrow(arrow)["total_tokens"].to_arrow()
    assert back.buffers()[1].address == chunk.buffers()[1].address
