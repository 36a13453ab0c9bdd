"""No test leaves a process or a thread behind: the guard in tests/conftest.py."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.processes import children, end_new_children, started, threads_left

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="children are listed in /proc"
)

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def test_process_that_a_test_leaves_is_ended_and_named():
    before = children()
    process = subprocess.Popen(SLEEPS, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    [command] = end_new_children(before, patience_s=0)
    assert command.endswith("time.sleep(60)")
    process.stdout.close()
    assert process.returncode == -9
    assert children() == before


def test_process_that_ends_by_itself_is_waited_for():
    before = children()
    with started([sys.executable, "-c", "pass"]):
        assert end_new_children(before) == []


def test_process_that_was_there_before_is_left_alone():
    with started(SLEEPS) as process:
        assert end_new_children(children(), patience_s=0) == []
        assert process.poll() is None


def test_started_process_is_over_when_the_block_fails():
    with pytest.raises(ZeroDivisionError), started(SLEEPS, stdout=subprocess.PIPE) as process:
        raise ZeroDivisionError
    assert process.returncode == -9
    assert process.stdout.closed


def test_thread_of_the_package_that_stays_is_named():
    known, over = set(threading.enumerate()), threading.Event()
    for name in ("cassette learner", "a test's own"):
        threading.Thread(target=over.wait, name=name, daemon=True).start()
    assert threads_left(known, patience_s=0) == ["cassette learner"]
    over.set()
    assert threads_left(known) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "leaves",
    [
        "subprocess.Popen(COMMAND, stdout=subprocess.PIPE)",
        "asyncio.run(asyncio.create_subprocess_exec(*COMMAND, stdout=subprocess.PIPE))",
    ],
)
def test_guilty_test_fails_and_no_other(pytester, leaves, monkeypatch):
    """Python's collector would find the process in the test after it."""
    monkeypatch.setattr(end_new_children, "__defaults__", (0.2,))
    conftest = Path(__file__).parents[2] / "conftest.py"
    pytester.makeconftest(conftest.read_text(encoding="utf-8"))
    pytester.makeini(
        "[pytest]\nmarkers = blocking_allowed\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\n"
    )
    pytester.makepyfile(
        f"""
        import asyncio, gc, subprocess
        COMMAND = {SLEEPS!r}

        def test_leaves_a_process():
            process = {leaves}
            assert process is None

        def test_is_innocent():
            gc.collect()
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*the test left processes behind: *time.sleep(60)*"])
