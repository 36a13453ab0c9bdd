"""Cassettes against what they stand in for: a live harness, a bare socket, vcrpy's YAML."""

import asyncio
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace

import pytest
import yaml
from google.antigravity import Agent

from agy_nb import cli
from agy_nb.cassette import use_cassette
from agy_nb.cassette.inspect.transcript import transcript
from agy_nb.cassette.replay.fake_process import FakeProcess
from agy_nb.cassette.replay.replay_socket import SESSION_ENDED_MESSAGE
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import read_header, read_lines
from agy_nb.cassette.storage.writer import CassetteWriter
from agy_nb.sdk.process import interception, launch
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting

TURNS = 5
ROUNDS = 15

pytestmark = pytest.mark.real


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"fine in {city}"


async def session(at) -> str:
    async with Agent(at.config(tools=[weather])) as agent:
        said = [await (await agent.chat(f"prompt {turn}")).text() for turn in range(TURNS)]
    return " ".join(said)


def script(request):
    last = request.tool_results
    return say(["It ", "is ", "fine."] * 5) if last else call("weather", city="Oslo")


class BareSocket:
    """The same frames, given out after each frame of the client, with nothing checked."""

    def __init__(self, groups) -> None:
        self._groups = iter(groups)
        self._frames: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, message) -> None:
        for frame in next(self._groups, ()):
            self._frames.put_nowait(frame)
        if "sessionEndRequest" in message:
            self._frames.put_nowait(SESSION_ENDED_MESSAGE)

    async def recv(self) -> str:
        return await self._frames.get()

    def __aiter__(self):
        return self

    __anext__ = recv

    async def close(self, code=1000, reason="") -> None:
        pass


def groups_of(recording):
    """The harness's frames that follow each frame of the client."""
    groups = []
    for line in recording.sessions[0].lines:
        if line.direction == "client":
            groups.append([])
        else:
            groups[-1].append(json.dumps(line.frame))
    return groups


@pytest.fixture
def recorded(loop, tmp_path):
    async def record():
        async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"):
            return await session(Setting(model.base_url, tmp_path / "then"))

    loop.run(record())
    return tmp_path / "c"


@pytest.fixture
def live(loop, tmp_path):
    model = loop.run(ScriptedModel(script).start())
    yield Setting(model.base_url, tmp_path / "live")
    loop.run(model.stop())


@pytest.mark.benchmark(group="a recorded session")
def test_replay_against_the_live_harness(loop, recorded, live, tmp_path, side_by_side, record):
    at = Setting(NO_MODEL, tmp_path / "now")

    async def replayed():
        async with use_cassette(recorded, "none"):
            return await session(at)

    result = side_by_side(lambda: loop.run(replayed()), lambda: loop.run(session(live)), ROUNDS)
    value = f"{1 / result.ratio:.0f} ({1000 * min(result.ours):.1f} ms per session)"
    record(f"wire replay: sessions/s over live, {TURNS} turns with tools", value, ">= 100")


@pytest.mark.benchmark(group="a recorded session")
def test_replay_against_a_bare_socket(loop, recorded, tmp_path, benchmark, record):
    at = Setting(NO_MODEL, tmp_path / "now")
    groups = groups_of(load(recorded))

    async def bare():
        async def connect(start):
            return launch.Connected(FakeProcess(), BareSocket(groups))

        with interception.intercepted(connect):
            return await session(at)

    async def replayed():
        async with use_cassette(recorded, "none"):
            return await session(at)

    def cpu(work) -> float:
        began = time.process_time()
        loop.run(work())
        return time.process_time() - began

    assert loop.run(bare()) == loop.run(replayed())
    pairs = sorted(cpu(replayed) / cpu(bare) for _ in range(31))
    benchmark.pedantic(lambda: loop.run(replayed()), rounds=1)
    benchmark.extra_info["ratio"] = pairs[15]
    record("wire replay: CPU over a bare in-memory socket", f"{pairs[15]:.2f}", "<= 1.3")


@pytest.mark.benchmark(group="recording")
def test_recording_costs_little(loop, live, tmp_path, side_by_side, record):
    names = itertools.count()

    async def recorded():
        async with use_cassette(tmp_path / f"r{next(names)}", record_model=False):
            await session(live)

    result = side_by_side(lambda: loop.run(recorded()), lambda: loop.run(session(live)), ROUNDS)
    record("recording: a session's time over unrecorded", f"{result.ratio:.3f}", "<= 1.03")


@pytest.mark.benchmark(group="recording")
@pytest.mark.parametrize("again", [False, True], ids=["a new cassette", "the same again"])
def test_recording_through_the_stand_in(
    again, loop, live, tmp_path, side_by_side, record, monkeypatch, capsys
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # an installed package has them
    names = itertools.count()

    def cpu_of_children() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    spent: dict[str, list[float]] = {"bare": [], "recorded": []}

    def run(name: str) -> None:
        before = cpu_of_children()
        loop.run(session(live))
        spent[name].append(cpu_of_children() - before)

    def recorded() -> None:
        cassette = tmp_path / ("c" if again else f"c{next(names)}")
        options = ["--record", str(cassette), "--write-launcher", str(tmp_path / "h")]
        cli.main(["harness", *options])  # a few milliseconds; makes this run a new program
        with monkeypatch.context() as environ:
            environ.setenv("ANTIGRAVITY_HARNESS_PATH", str(tmp_path / "h"))
            run("recorded")

    result = side_by_side(recorded, lambda: run("bare"), 10)
    added = statistics.median(a - b for a, b in zip(result.ours, result.theirs, strict=True))
    pairs = list(zip(spent["recorded"], spent["bare"], strict=False))[1:]  # without the warm-up
    cpu = statistics.median(a - b for a, b in pairs)
    ratio = statistics.median(a / b for a, b in pairs)
    value = (
        f"{added:.2f} s, {cpu:.2f} s of CPU ({result.ratio:.1f} times the bare session, "
        f"{ratio:.1f} times its CPU)"
    )
    what = "again" if again else "once"
    record(f"agy-nb harness --record {what}: added to an agent of {TURNS} turns", value, "<= 0.2 s")


@pytest.fixture
def large(recorded):
    """Make a cassette of many frames from a recorded one."""

    def make(frames: int):
        lines = [line for line in read_lines(recorded) if line.direction != "end"]
        folder = recorded.parent / f"large{frames}"
        if folder.exists():
            return folder
        many = itertools.islice(itertools.cycle(lines), frames)
        CassetteWriter(folder, replace(read_header(recorded), sessions=()), keep=many).finish(dict)
        return folder

    return make


@pytest.mark.benchmark(group="loading")
def test_load_against_yaml(large, side_by_side, record):
    folder = large(10_000)
    text = yaml.dump([line.frame for line in read_lines(folder)], Dumper=yaml.CDumper)
    result = side_by_side(
        lambda: load(folder), lambda: yaml.load(text, Loader=yaml.CLoader), rounds=3
    )
    record("load of 10,000 frames: YAML's time over ours", f"{1 / result.ratio:.0f}", ">= 20")


MOST = int(os.environ.get("AGY_BENCH_FRAMES", "100_000"))
"""Frames of the largest cassette; a million take a minute and two gigabytes."""

MEMORY = """
import resource, sys
from pathlib import Path
from agy_nb.cassette.storage.cassette_reader import load

def resident():  # not the highest ever, which a process takes over from the one that started it
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

before = resident()
recording = load(Path(sys.argv[1]))
print(resident() - before)
"""


@pytest.mark.benchmark(group="loading")
def test_load_grows_with_the_frames(large, benchmark, record):
    def took(frames: int) -> float:
        folder = large(frames)
        began = time.process_time()
        load(folder)
        return (time.process_time() - began) / frames

    def memory(frames: int) -> float:
        command = [sys.executable, "-c", MEMORY, str(large(frames))]
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        return int(found.stdout) / frames

    few = min(took(1_000) for _ in range(5))
    many = min(took(MOST) for _ in range(3))
    record(f"load: time per frame, {MOST:,} over 1,000 frames", f"{many / few:.2f}", "about 1")
    ratio = memory(MOST) / memory(10_000)
    record(f"load: memory per frame, {MOST:,} over 10,000 frames", f"{ratio:.2f}", "about 1")
    folder = large(100_001)
    tracemalloc.start()
    lines = sum(1 for _line in transcript(folder))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    benchmark.pedantic(lambda: load(folder), rounds=1)
    assert lines > 1_000
    record("show: peak memory for 100,000 frames", f"{peak / 1e3:.0f} kB", "not the whole file")
