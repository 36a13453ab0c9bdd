"""Recordings behind URLs are those on a disk."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

import agy_nb as agy
from agy_nb.analysis.cache import parts, store
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError
from tests.analysis.conftest import START, Wire, save, two_calls

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def folder(tmp_path):
    runs = tmp_path / "runs"
    for days, day in enumerate(("mon", "tue")):
        for number in range(2):
            save(runs / day / f"c{number}", two_calls(start=START + 86_400 * days))
    (save(runs / "tue" / "bad", two_calls()) / "wire.jsonl").write_bytes(b"\x00garbage\n")
    last = Wire(start=START + 172_800).begin().prompt().usage(prompt=50)
    save(runs / "wed" / "open", last, complete=False)
    return runs


@pytest.fixture
def bucket(folder):
    """The same files in the memory of this process."""
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/bucket", recursive=True)
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


def assert_same_but_paths(found, expected):
    for name in TABLES:
        one, other = (
            each.frame(name).drop(columns="path", errors="ignore") for each in (found, expected)
        )
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("engine", ["pandas", "dask"])
@pytest.mark.slow
def test_tables_are_those_of_the_files(bucket, folder, engine, tmp_path):
    found = agy.load(bucket, engine=engine, cache=tmp_path / "cache")
    assert_same_but_paths(found, agy.load(folder, cache=False))
    assert found.sessions["path"].iloc[0] == "memory:///bucket/mon/c0"
    assert set(found.problems["path"]) <= set(found.sessions["path"])


def test_a_pattern_names_folders_in_folders(bucket, folder):
    found = agy.load(f"{bucket}/*/c*")
    assert found.sessions["session_name"].tolist() == ["c0", "c1", "c0", "c1"]
    assert_same_but_paths(found, agy.load(str(folder / "*" / "c*")))


def test_one_recording_has_its_own_name(bucket):
    assert agy.load(f"{bucket}/wed/open").sessions["session_name"].tolist() == ["open"]


def test_the_cache_knows_what_has_changed(bucket, tmp_path, monkeypatch):
    read = []
    real = parts.read_file
    monkeypatch.setattr(
        parts, "read_file", lambda path, **more: read.append(more["name"]) or real(path, **more)
    )
    monkeypatch.setattr(store, "WORTH_RECORDINGS", 1)
    first = agy.load(bucket, cache=tmp_path / "cache")
    first.usage()
    save(tmp_path / "other", Wire().begin().prompt().usage(prompt=5).idle().end())
    fsspec.filesystem("memory").put(
        str(tmp_path / "other" / "wire.jsonl"), "/bucket/mon/c1/wire.jsonl"
    )
    read.clear()
    again = agy.load(bucket, cache=tmp_path / "cache")
    assert again.usage("session").equals(agy.load(bucket, cache=False).usage("session"))
    assert read[0] == "mon/c1"
    assert read.count("mon/c0") == 1  # without the cache


def test_local_urls_are_paths(folder):
    found = agy.load(folder.as_uri())
    assert_same_but_paths(found, agy.load(folder))
    assert found.sessions["path"].tolist() == agy.load(folder).sessions["path"].tolist()


@pytest.mark.parametrize("engine", ["pandas", "dask"])
def test_a_pattern_without_a_match_is_a_problem(bucket, engine):
    found = agy.load(f"{bucket}/*/nothing*", engine=engine)
    assert found.problems["problem"].tolist() == ["nothing_found"]
    assert found.problems["path"].tolist() == [f"{bucket}/*/nothing*"]


def test_nothing_behind_a_url_is_refused(bucket):
    with pytest.raises(InvalidInputError, match="there is nothing at"):
        agy.load(f"{bucket}/none")


@pytest.mark.parametrize(
    ("url", "words"), [("nosuch://bucket/x", "unknown protocol"), ("s3://bucket/*/c", "s3fs")]
)
def test_a_url_that_cannot_be_opened_says_why(url, words, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InvalidInputError, match=words):
        agy.load(url)
