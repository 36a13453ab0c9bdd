"""Reading recordings into tables, and keeping the books of a live turn."""

from __future__ import annotations

import json
import os
import time

import pandas as pd
import pytest

from agy_nb.analysis.builders.live_tables import LiveTables
from agy_nb.analysis.cache.parts import Assembly
from agy_nb.analysis.cache.recorded_tables import uncached
from agy_nb.analysis.read.discovery import search
from agy_nb.analysis.read.from_cassette import read_file
from agy_nb.analysis.schema import TABLES
from agy_nb.protocol.events import Text
from tests.analysis.builders.test_live_tables import Response
from tests.analysis.conftest import ROOT, START, Wire, save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sessions")
    wire = Wire().begin()
    for number in range(25):
        wire.prompt("What is next?").step(4 * number, source="USER", target="MODEL", text="x")
        for piece in range(8):
            wire.step(4 * number + 1, state="ACTIVE", text=f"piece {piece} ")
        wire.step(4 * number + 1, text="").tool(f"call-{number}")
        wire.usage(prompt=1000, cached=100, answer=50).idle()
    wire.end()
    for number in range(200):
        save(folder / f"c{number:04}", wire)
    return folder


def lines(folder):
    for path in sorted(folder.glob("*/wire.jsonl")):
        with path.open("rb") as file:
            yield from file


def timed_parse(folder):
    """Seconds that `json.loads` takes for every line, keeping nothing."""
    began = time.perf_counter()
    sum("f" in json.loads(line) for line in lines(folder))
    return time.perf_counter() - began


def read_tables(where):
    """Read every table, without a search for duplicates."""
    recordings = search(where).recordings
    options = {"chunks": False, "text": False, "model_requests": True}
    whole = Assembly(recordings, uncached(recordings, options))
    return {name: whole.frame(name) for name in TABLES}


def test_reading_costs_little_more_than_parsing(folder, side_by_side, record):
    def parse():
        return sum("f" in json.loads(line) for line in lines(folder))

    result = side_by_side(lambda: read_tables(folder), parse, rounds=5)
    record("tables, against json.loads alone", f"{result.ratio:.2f} times", "at most 2.5")
    assert result.ratio < 2.5 * 1.3  # other work on the machine


PATHS = (
    "s", "d", "dt", "f.timestampMicros",
    "f.userInput.parts[*].text",
    *(f"f.stepUpdate.{name}" for name in (
        "trajectoryId", "parentTrajectoryId", "stepIndex", "state", "source", "target", "textDelta",
        "thinkingDelta", "errorMessage", "error.httpCode",
    )),
    *(f"f.toolCall.{name}" for name in ("id", "name", "argumentsJson", "trajectoryId")),
    *(f"f.toolResponse.{name}" for name in ("id", "responseJson", "errorMessage")),
    *(f"f.usageUpdate.agents[*].usage.{name}" for name in (
        "promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount",
        "thoughtsTokenCount", "totalTokenCount",
    )),
    "f.trajectoryStateUpdate.state", "f.trajectoryStateUpdate.stopReason",
)  # fmt: skip
"""What the tables hold of this folder, as the places where it is in a line."""


def cpu(work):
    """Seconds of the processor: what else the machine does counts least here."""
    began = time.process_time()
    work()
    return time.process_time() - began


def test_reading_against_a_path_for_each_cell(folder, record, benchmark):
    """As a reader does that is told its columns as JSONPaths, one table of all lines."""
    from jsonpath_ng import parse

    paths = [parse(path) for path in PATHS]
    some = sorted(folder.glob("*"))[:60]

    def by_path():
        rows = []
        for place in some:
            with (place / "wire.jsonl").open("rb") as file:
                for raw in file:
                    line = json.loads(raw)
                    found = [path.find(line) for path in paths]
                    rows.append([hit[0].value if hit else None for hit in found])
        return pd.DataFrame(rows, columns=PATHS)

    def ours():
        return read_tables(some)

    ours()
    pairs = [(cpu(ours), cpu(by_path)) for _ in range(4)]
    faster = min(theirs for _, theirs in pairs) / min(mine for mine, _ in pairs)
    benchmark.pedantic(ours, rounds=1)
    record("tables, against one JSONPath per cell", f"{faster:.0f} times as fast", "20")
    assert faster > 20 / 1.3  # another interpreter, another processor


def test_reading_against_json_normalize(folder, side_by_side, record):
    """Which is mostly `json.loads`: 20 times as fast is beyond any reader of JSON in Python."""

    def normalize():
        return pd.json_normalize([json.loads(line) for line in lines(folder)])

    result = side_by_side(lambda: read_tables(folder), normalize, rounds=3)
    parsing = min(result.theirs) / min(timed_parse(folder) for _ in range(3))
    record(
        "tables, against json_normalize",
        f"{1 / result.ratio:.1f} times as fast",
        f"20; json.loads alone is {parsing:.1f}",
    )
    assert result.ratio < 1


@pytest.mark.timeout(600)
def test_ten_thousand_sessions_cost_ten_times_a_thousand(tmp_path, record, benchmark):
    """A hundred steps each: a million in all."""
    wire = Wire().begin()
    for number in range(10):
        wire.prompt("Next?")
        for place in range(9):
            wire.step(10 * number + place, text="A word.")
        wire.step(10 * number + 9, text="Done.").usage(prompt=1000, answer=50).idle()
    first = save(tmp_path / "first", wire.end())
    for number in range(10_000):
        place = tmp_path / "all" / f"{number // 1000}" / f"c{number:05}"
        place.mkdir(parents=True)
        for file in first.iterdir():
            os.link(file, place / file.name)
    rows = {}

    def read(where):
        rows[where] = len(read_tables(where)["steps"])

    read(tmp_path / "first")
    a_thousand = min(cpu(lambda: read(tmp_path / "all" / "0")) for _ in range(3))
    all_of_them = cpu(lambda: read(tmp_path / "all"))
    benchmark.pedantic(lambda: read(tmp_path / "first"), rounds=1)
    assert rows[tmp_path / "all"] == 1_000_000
    growth = all_of_them / a_thousand
    record("10,000 sessions, against 1,000", f"{growth:.1f} times ({all_of_them:.0f} s)", "10")
    assert growth < 13  # colder caches


def streamed(wire, turn):
    """An answer of a thousand pieces."""
    wire.prompt("Tell me.")
    for piece in range(1000):
        wire.step(turn, state="ACTIVE", text=f"piece {piece} ")
    wire.step(turn, text="").usage(prompt=1000, cached=100, answer=50).idle()


def mixed(wire, turn):
    """Thirteen frames: a prompt, an answer of eight pieces, and how the turn ends."""
    wire.prompt("What is next?").step(4 * turn, source="USER", target="MODEL", text="x")
    for piece in range(8):
        wire.step(4 * turn + 1, state="ACTIVE", text=f"piece {piece} ")
    wire.step(4 * turn + 1, text="").usage(prompt=1000, cached=100, answer=50).idle()


def whole(wire, turn):
    """Ten steps, each of which comes in one frame."""
    wire.prompt("Next?")
    for place in range(10):
        wire.step(10 * turn + place, text="A word.")
    wire.usage(prompt=1000, answer=50).idle()


def of_length(folder, add_turn, frames):
    """A recording of about so many frames, and how many it has."""
    wire = Wire().begin()
    folder.mkdir(parents=True)
    written = turn = 0
    save(folder, text="")
    with (folder / "wire.jsonl").open("w") as file:
        while written + len(wire.lines) < frames:
            add_turn(wire, turn)
            turn += 1
            if len(wire.lines) > 10_000:
                file.write(wire.text())
                written += len(wire.lines)
                wire.lines.clear()
        file.write(wire.end().text())
    return folder, written + len(wire.lines)


def per_frame(recording, rounds):
    """Microseconds of the processor for each frame, those of the fastest round."""
    folder, frames = recording
    return min(cpu(lambda: read_file(folder)) for _ in range(rounds)) / frames * 1e6


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("add_turn", "frames"), [(streamed, 100_000), (mixed, 1_000_000), (whole, 100_000)]
)
def test_a_frame_of_a_long_recording_costs_little(tmp_path, add_turn, frames, record, benchmark):
    pytest.importorskip("orjson")
    short, long = (of_length(tmp_path / str(size), add_turn, size) for size in (1000, frames))
    first, cost = per_frame(short, 20), per_frame(long, 3)
    benchmark.pedantic(lambda: read_file(short[0]), rounds=1)
    what = f"a frame into tables, {add_turn.__name__}"
    record(what, f"{cost:.1f} us of CPU ({frames:,} frames)", "at most 6")
    record(f"{what}, against one of 1,000", f"{cost / first:.2f} times", "at most 1.4")
    assert cost / first < 1.4 * 1.15  # colder caches while the machine does other work
    assert cost < 6 * 2  # another processor


def test_event_of_a_live_turn(record, benchmark):
    pieces = [Text(trajectory=ROOT, text="word ", step_index=1, at=START)] * 100_000

    def keep():
        telemetry, response = LiveTables(), Response(1)
        for piece in pieces:
            telemetry.event(1, response, piece)
        return telemetry.tables().steps

    cost = min(cpu(keep) for _ in range(5)) / len(pieces)
    benchmark.pedantic(keep, rounds=1)
    record("a live event into tables", f"{cost * 1e6:.1f} us of CPU", "at most 1.5")
    assert cost < 1.5e-6 * 3  # another processor
