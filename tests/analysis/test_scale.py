"""A quarter of a million steps: read in one pass, in memory that goes with the tables."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.analysis.conftest import ROOT, Wire, header

TURNS, STEPS = 250, 1000

READ = """
import json, resource, sys
import numpy, pandas, pyarrow
from agy_nb.analysis.loading import load
from agy_nb.analysis.schema import TABLES

def most():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

before = most()
sessions = load(sys.argv[1], cache=False)
tables = {name: sessions.frame(name) for name in TABLES}
peak = most() - before
print(json.dumps({
    "peak": peak,
    "size": int(sum(table.memory_usage(deep=True).sum() for table in tables.values())),
    "rows": {name: len(table) for name, table in tables.items()},
    "tokens": int(tables["model_calls"]["total_tokens"].sum()),
    "chars": int(tables["turns"]["response_chars"].sum()),
    "problems": tables["problems"]["problem"].tolist(),
}))
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What another process, which has done nothing before, says of reading it."""
    folder = tmp_path_factory.mktemp("long") / "c"
    folder.mkdir()
    (folder / "header.json").write_text(json.dumps(header()))
    step = (
        '{"s":0,"d":"harness","dt":0.001,"f":{"stepUpdate":{"trajectoryId":"%s","stepIndex":%d,'
        '"state":"STATE_DONE","source":"SOURCE_MODEL","target":"TARGET_USER","textDelta":"word"}}}\n'
    )
    wire = Wire().begin()
    with (folder / "wire.jsonl").open("w") as file:
        for turn in range(TURNS):
            file.write(wire.prompt().text())
            wire.lines.clear()
            first = turn * STEPS
            file.writelines(step % (ROOT.id, first + number) for number in range(STEPS))
            wire.usage(prompt=10, answer=1).idle()
        file.write(wire.end().text())
    done = subprocess.run(
        [sys.executable, "-c", READ, folder], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_quarter_of_a_million_steps_are_all_there(measured):
    assert measured["rows"]["steps"] == TURNS * STEPS
    assert measured["rows"]["turns"] == TURNS
    assert measured["tokens"] == 11 * TURNS
    assert measured["chars"] == 4 * TURNS * STEPS
    assert measured["problems"] == []


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(sys.platform == "win32", reason="no such figures")
def test_reading_takes_at_most_three_times_the_memory_of_the_tables(measured):
    assert measured["size"] > 25_000_000
    assert measured["peak"] < 3 * measured["size"]
