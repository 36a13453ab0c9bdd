"""Time and size of a suite of recorded tests; `python -m tests.benchmarks.recorded_suite -h`.

Twenty tests of two turns each are recorded. Their module and its cassettes are then copied, as
recording takes a real harness per test and is not the question. All tests replay at the wire.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PER_MODULE = 20
MODULE = f"""
import pytest

@pytest.mark.agy_cassette
@pytest.mark.parametrize("number", range({PER_MODULE}))
def test_talk(agy_agent, number):
    assert "Hello" in agy_agent.sync.chat_text(f"Hello, number {{number}}")
    assert "again" in agy_agent.sync.chat_text(f"Hello again, number {{number}}")
"""


def run(folder: Path, *arguments: str) -> tuple[float, str]:
    """Run pytest in a folder; return the seconds and its last line."""
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTEST_PLUGINS": "tests.support.echo_as_gemini",
        "CI": "",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environ, check=False, capture_output=True, text=True
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return seconds, done.stdout.strip().splitlines()[-1]


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Record, copy and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=500, help="number of tests (default 500)")
    parser.add_argument("--workers", default="2", help="workers of pytest-xdist (default 2)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_000.py").write_text(MODULE)
        seconds, line = run(folder, "--agy-record-mode=once")
        print(f"recorded {PER_MODULE} tests in {seconds:.1f} s: {line}")
        for number in range(1, options.tests // PER_MODULE):
            shutil.copy(folder / "test_000.py", folder / f"test_{number:03}.py")
            cassettes = folder / "cassettes"
            shutil.copytree(cassettes / "test_000", cassettes / f"test_{number:03}")
        used = size(folder / "cassettes")
        shared = sum(size(path) for path in (folder / "cassettes").rglob("_shared"))
        print(f"{used / 1e6:.2f} MB of cassettes, {shared / 1e6:.2f} MB of it shared texts")
        print(f"{(used - shared) / options.tests / 1e3:.1f} kB per test beside the shared texts")
        for arguments in ((), ("-n", options.workers)):
            seconds, line = run(folder, "--agy-record-mode=none", *arguments)
            print(f"replayed with {' '.join(arguments) or 'one process'}: {seconds:.1f} s: {line}")


if __name__ == "__main__":
    main()
