"""Many recordings on a Dask cluster give what one process gives."""

from __future__ import annotations

import gc
import os
import shutil

import pandas as pd
import pytest

import agy_nb as agy
from agy_nb.analysis import Prices
from agy_nb.analysis.cache import segments
from agy_nb.analysis.errors import MissingExtraError
from agy_nb.analysis.metrics.usage_columns import USAGE_KEYS
from agy_nb.analysis.read import dask_parts, on_dask
from agy_nb.analysis.read.discovery import RecordingPath, search
from agy_nb.analysis.read.on_dask import DaskSessions, parts_of
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError
from tests.analysis.conftest import Wire, save, two_calls

OWN = Prices(own={"gemini-2.5-flash": (1.0, 0.1, 10.0)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sessions of two models and two days, one that was cut off, one that is damaged."""
    folder = tmp_path_factory.mktemp("runs")
    for number in range(6):
        save(folder / f"c{number}", two_calls())
    late = Wire(start=1_790_000_000.0 + 86_400).begin(model="other").prompt()
    save(folder / "late", late.usage(prompt=7, answer=3).tool("call-9", name="look").idle().end())
    save(folder / "open", Wire().begin().prompt().usage(prompt=50).prompt(), complete=False)
    (save(folder / "bad", two_calls()) / "wire.jsonl").write_bytes(b"\x00garbage\n")
    return folder


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of its own."""
    import dask
    from dask.distributed import Client

    before = dask.config.get("scheduler", None)
    with Client(processes=True, n_workers=2, threads_per_worker=1, dashboard_address=":0") as it:
        yield it
    dask.config.set(scheduler=before)  # of the whole process


@pytest.fixture(scope="module")
def here(folder):
    return agy.load(folder, prices=OWN)


def in_parts(folder, cache):
    """The sessions in several parts."""
    recordings = search(folder).recordings
    sessions = DaskSessions(recordings, part_bytes=5000, prices=OWN, cache=cache)
    assert 3 < len(sessions.parts) < len(recordings)
    return sessions


@pytest.fixture(scope="module")
def there(folder, cluster, tmp_path_factory):
    """The same sessions on the cluster: read once, and asked by many tests."""
    return in_parts(folder, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def unread(folder, cluster, tmp_path):
    """The same sessions, before anything is read; their cache is in `tmp_path`."""
    return in_parts(folder, tmp_path / "cache")


@pytest.mark.parametrize("name", TABLES)
def test_table_of_a_cluster_is_the_same(here, there, name):
    pd.testing.assert_frame_equal(getattr(there, name), here.frame(name))


@pytest.mark.parametrize("name", ["turns", "model_calls", "problems", "commands", "steps"])
def test_dask_dataframe_has_the_rows_and_types_of_the_schema(here, there, name):
    table = there.dask(name)
    expected = here.frame(name)
    assert [str(kind) for kind in table.dtypes] == [str(kind) for kind in expected.dtypes]
    pd.testing.assert_frame_equal(table.compute().reset_index(drop=True), expected)


@pytest.mark.parametrize("limits", [{"since": "2026-09-23", "tz": "UTC"}, {"where": "n_turns > 1"}])
@pytest.mark.parametrize("name", ["model_calls", "turns", "sessions"])
def test_dask_dataframe_has_the_selected_rows(folder, cluster, tmp_path, limits, name):
    options = {"prices": OWN, "cache": tmp_path / "cache"} | limits
    expected = agy.load(folder, **options).frame(name)
    found = agy.load(folder, engine="dask", **options).dask(name).compute()
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected)


def test_copies_are_found_across_parts(folder, cluster, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(folder, runs)
    shutil.copytree(folder / "c0", runs / "zz-copy")
    one = agy.load(runs, prices=OWN, cache=False)
    other = DaskSessions(agy.load(runs).recordings, part_bytes=5000, prices=OWN, cache=False)
    for name in TABLES:
        pd.testing.assert_frame_equal(other.frame(name), one.frame(name))
    pd.testing.assert_frame_equal(other.dask("turns").compute().reset_index(drop=True), one.turns)


@pytest.mark.parametrize("by", USAGE_KEYS)
def test_sums_of_a_cluster_are_the_same(here, there, by):
    tz = {"tz": "UTC"} if by == "day" else {}
    pd.testing.assert_frame_equal(there.usage(by, **tz), here.usage(by, **tz))


def test_sums_that_dask_works_out_are_the_same(here, there):
    calls = there.dask("model_calls")
    assert calls["total_tokens"].sum().compute() == here.model_calls["total_tokens"].sum()
    by_model = calls.groupby("model")["cost_usd"].sum().compute()
    assert by_model["gemini-2.5-flash"] == pytest.approx(here.model_calls["cost_usd"].sum())


@pytest.mark.parametrize("by", [(), ("model",), ("day", "model"), ("tool",)])
def test_summary_of_a_cluster_is_the_same(here, there, by):
    pd.testing.assert_frame_equal(there.summary(by), here.summary(by))


def test_files_are_read_once_for_all_questions(unread, monkeypatch):
    unread.summary("model")

    def again(*_):
        pytest.fail("recordings were read again")

    monkeypatch.setattr(on_dask, "write_part", again)
    turns = unread.turns
    turns.loc[0, "turn_id"] = 99
    assert 99 not in unread.turns["turn_id"].tolist()
    unread.usage("day", tz="UTC")
    assert len(unread.dask("steps").compute()) == len(unread.steps)


def test_another_load_takes_the_files_of_the_first(unread, folder, tmp_path, monkeypatch):
    old = [os.utime(file, (1.7e9, 1.7e9)) for file in folder.rglob("*")]
    assert old
    unread.usage("model")
    monkeypatch.setattr(on_dask, "write_part", None)
    again = agy.load(folder, engine="dask", prices=OWN, cache=tmp_path / "cache")
    pd.testing.assert_frame_equal(again.usage("model"), unread.usage("model"))


def test_files_are_removed_with_the_sessions_without_a_cache(folder, cluster):
    sessions = agy.load(folder, engine="dask", prices=OWN, cache=False)
    sessions.usage()
    place = sessions._own.path
    assert list(place.rglob("*.parquet"))
    del sessions
    gc.collect()
    assert not place.exists()


def test_many_cassettes_have_a_part_for_each_worker(tmp_path, cluster):
    for number in range(9):
        save(tmp_path / f"c{number}", two_calls())
    assert len(agy.load(tmp_path, engine="dask").parts) >= 2


def test_a_long_recording_has_several_partitions(tmp_path, cluster, monkeypatch):
    wire = Wire().begin().prompt()
    for number in range(200):
        wire.step(number, text="word")
    save(tmp_path / "long", wire.usage(prompt=1, answer=1).idle().end())
    recordings = search(tmp_path).recordings
    monkeypatch.setattr(dask_parts, "ROW_GROUP", 60)
    monkeypatch.setattr(segments, "ROW_GROUP", 60)
    sessions = DaskSessions(recordings, cache=False)
    monkeypatch.setattr(on_dask, "_workers", lambda: 1)
    import dask

    with dask.config.set(scheduler="synchronous"):
        steps = sessions.dask("steps")
        assert steps.npartitions == 4
        assert len(steps.compute()) == 200
        assert set(steps.compute()["session_id"]) == set(sessions.sessions["session_id"])


def test_load_reads_with_dask_where_it_is_asked_to(here, folder, cluster):
    sessions = agy.load(folder, engine="dask", prices=OWN)
    assert len(sessions) == len(here)
    pd.testing.assert_frame_equal(sessions.usage("session"), here.usage("session"))


def test_another_price_is_that_of_the_workers(there):
    calls = there.with_prices(Prices(own={"gemini-2.5-flash": (2.0, 0.2, 20.0)})).model_calls
    assert calls["cost_usd"].sum() == pytest.approx(2 * there.model_calls["cost_usd"].sum())


def test_parquet_of_a_cluster_is_that_of_one_process(here, there, tmp_path):
    here.to_parquet(tmp_path / "here")
    there.to_parquet(tmp_path / "there")
    there.to_parquet(tmp_path / "there")
    for name, table in TABLES.items():
        one, other = (
            pd.read_parquet(tmp_path / place / name).sort_values(list(table.key), ignore_index=True)
            for place in ("here", "there")
        )
        pd.testing.assert_frame_equal(other[list(one.columns)], one, check_categorical=False)


def test_no_recordings_are_one_empty_part(tmp_path, cluster):
    sessions = agy.load(tmp_path, engine="dask")
    assert sessions.dask("turns").compute().empty
    assert sessions.usage("model").empty
    assert [str(kind) for kind in sessions.turns.dtypes] == [
        str(kind) for kind in agy.load(tmp_path).turns.dtypes
    ]


def test_unknown_engine_is_refused(folder):
    with pytest.raises(InvalidInputError, match="engine must be 'pandas' or 'dask', got 'spark'"):
        agy.load(folder, engine="spark")


def test_unknown_table_is_refused(there):
    with pytest.raises(KeyError, match="unknown table 'moods'"):
        there.dask("moods")


def test_without_dask_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dask", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'agy-nb\[dask\]'"):
        agy.load(folder, engine="dask")


def test_parts_are_of_about_one_size_and_in_order(tmp_path):
    recordings = []
    for number, size in enumerate((40, 40, 40, 300, 10)):
        file = tmp_path / f"{number}.jsonl"
        file.write_bytes(b"x" * size)
        recordings.append(RecordingPath(file, str(number)))
    names = [[recording.name for recording in part] for part in parts_of(recordings, 100)]
    assert names == [["0", "1"], ["2"], ["3"], ["4"]]
    assert parts_of((), 100) == [()]
    assert len(parts_of(recordings, 10**9, 3)) >= 3
