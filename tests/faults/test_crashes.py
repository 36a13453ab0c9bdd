"""A crash or a full disk at any write: the old cassette is whole, or the new one is.

`AGY_SOAK=1` tries every write, otherwise every seventh is tried.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.crashes import CRASHES, NEW
from tests.faults.failing_disk import FULL, KILLED

ALL = bool(os.environ.get("AGY_SOAK"))
STRIDE = 1 if ALL else 7
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600 if ALL else 120)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each write fails in a forked process")
@pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: crash.name)
def test_one_whole_cassette_is_left(crash, tmp_path, record_property):
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.crashes", crash.name, str(STRIDE), tmp_path],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=560 if ALL else 110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for fault, allowed in ((KILLED, crash.killed), (FULL, crash.full)):
        check([row for row in rows if row["fault"] == fault], fault, allowed)
        record_property("crash", f"{crash.name}, {fault}")


def check(rows, fault, allowed):
    *rows, last = rows
    assert len(rows) == len(range(1, last["writes"] + 1, STRIDE)) > 3
    for row in rows:
        assert "TRACEBACK" not in row["said"]
        assert row["now"] in allowed, row
        assert row["told"], f"it does not say where the partial recording is: {row}"
        assert not row["held"], f"the lock is held: {row}"
        if fault == FULL and row["now"] != NEW:
            assert "No space left" in row["said"]
    assert {row["now"] for row in rows} == set(allowed) or not ALL
