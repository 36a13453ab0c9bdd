"""Tables from the Parquet cache and from Dask, against a load of pandas without either."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.sessions import Sessions
from tests.analysis.conftest import ROOT, Wire, save
from tests.benchmarks.test_tables import mixed, of_length, whole

QUESTIONS = ("model", "day", "session")


def settled(folder: Path) -> Path:
    """Give all files an old time: a file that was just written is not kept in the cache."""
    for place in folder.rglob("*"):
        os.utime(place, (1.7e9, 1.7e9))
    return folder


def seconds_of_tables(folder: Path, cache: Path | bool) -> tuple[float, int]:
    """Seconds until every table is there, and the number of rows."""
    began = time.perf_counter()
    sessions = agy.load(folder, cache=cache)
    rows = sum(len(sessions.frame(name)) for name in TABLES)
    return time.perf_counter() - began, rows


def ratio_to_uncached(folder: Path, cache: Path) -> tuple[float, float, float]:
    """Load without the cache and from the cache by turns; return the ratio and both times."""
    filled = agy.load(folder, cache=cache)
    filled.usage("model")
    pairs = []
    for _ in range(2):
        without, rows = seconds_of_tables(folder, False)
        within, same = seconds_of_tables(folder, cache)
        assert same == rows
        pairs.append((within / without, without, within))
    return min(pairs)


@pytest.mark.timeout(240)
def test_a_million_frames_from_the_cache(tmp_path, record, benchmark):
    folder, frames = of_length(tmp_path / "runs" / "c", mixed, 1_000_000)
    ratio, without, within = ratio_to_uncached(settled(folder.parent), tmp_path / "cache")
    benchmark.pedantic(lambda: None, rounds=1)
    value = f"{ratio:.3f} of the first load ({without:.1f} s, {within:.2f} s)"
    record(f"all tables of {frames:,} frames from the cache", value, "<= 0.05")
    assert ratio < 0.05 * 1.5  # other work on the machine


@pytest.mark.timeout(240)
def test_ten_thousand_cassettes_from_the_cache(tmp_path, record, benchmark):
    ratio, without, within = ratio_to_uncached(many(tmp_path / "runs"), tmp_path / "cache")
    benchmark.pedantic(lambda: None, rounds=1)
    value = f"{ratio:.3f} of the first load ({without:.1f} s, {within:.2f} s)"
    record("all tables of 10,000 cassettes from the cache", value, "<= 0.2")
    assert ratio < 0.2 * 1.5  # other work on the machine


def many(folder: Path, count: int = 10_000) -> Path:
    """Write cassettes, each of a conversation of its own."""
    wire = Wire().begin()
    for turn in range(4):
        mixed(wire, turn)
    first = save(folder / "c00000", wire.end())
    text, head = ((first / name).read_text() for name in ("wire.jsonl", "header.json"))
    for number in range(1, count):
        place = folder / f"c{number:05}"
        place.mkdir()
        (place / "header.json").write_text(head)
        (place / "wire.jsonl").write_text(text.replace(ROOT.id, f"{number:032x}"))
    return settled(folder)


@pytest.fixture(scope="module")
def cluster():
    from dask.distributed import Client

    with Client(processes=True, n_workers=2, threads_per_worker=1, dashboard_address=":0") as it:
        yield it


def seconds_of_questions(sessions: Sessions) -> float:
    began = time.perf_counter()
    for by in QUESTIONS:
        sessions.usage(by, tz="UTC")
    return time.perf_counter() - began


@pytest.mark.timeout(240)
def test_second_question_to_dask(tmp_path, cluster, record, benchmark):
    folder = many(tmp_path / "runs", 3_000)
    here = agy.load(folder, cache=False)
    there = agy.load(folder, cache=tmp_path / "cache", engine="dask")
    assert len(there.parts) >= 2
    assert len(there.usage("session")) == len(here.usage("session")) == 3_000
    pairs = [(seconds_of_questions(there), seconds_of_questions(here)) for _ in range(5)]
    ratio = min(theirs / ours for theirs, ours in pairs)
    benchmark.pedantic(lambda: None, rounds=1)
    record("a later question to Dask, against pandas", f"{ratio:.2f} times", "<= 2")
    assert ratio < 2


@pytest.mark.timeout(240)
def test_a_recording_of_400_megabytes_on_dask(tmp_path, cluster, record, benchmark):
    folder, _ = of_length(tmp_path / "runs" / "c", whole, 1_400_000)
    size = (folder / "wire.jsonl").stat().st_size
    assert size > 400e6
    sessions = agy.load(settled(folder.parent), cache=tmp_path / "cache", engine="dask")
    steps = sessions.dask("steps")
    assert len(steps) == len(agy.load(folder.parent, cache=tmp_path / "cache").steps)
    benchmark.pedantic(lambda: None, rounds=1)
    record(f"parts of a recording of {size / 1e6:.0f} MB", f"{steps.npartitions}", "several")
    assert steps.npartitions > 2
