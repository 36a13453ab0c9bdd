"""The guards in tests/conftest.py do catch what they are there for."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path

import blockbuster
import pytest

import agy_nb

CONFTEST = Path(__file__).parents[1] / "conftest.py"

BLOCKS = compile(
    "def block():\n    time.sleep(0.001)\n",
    str(Path(agy_nb.__file__).with_name("example.py")),
    "exec",
)


def block_as_our_code() -> None:
    names = {"time": time}
    exec(BLOCKS, names)
    names["block"]()


async def test_blocking_call_of_ours_on_the_loop_is_an_error():
    with pytest.raises(blockbuster.BlockingError, match=r"time\.sleep"):
        block_as_our_code()


async def test_blocking_call_in_a_thread_is_fine():
    await asyncio.to_thread(block_as_our_code)


async def test_blocking_call_of_the_test_itself_is_fine(tmp_path):
    (tmp_path / "file").write_text("text")


@pytest.mark.blocking_allowed
async def test_marker_switches_the_guard_off():
    block_as_our_code()


async def test_call_from_a_foreign_thread_is_an_error():
    loop = asyncio.get_running_loop()
    with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
        await asyncio.to_thread(loop.call_soon, print)


async def test_slow_callback_is_reported(caplog):
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "took" in caplog.text


def test_no_key_is_in_the_environment():
    assert "GEMINI_API_KEY" not in os.environ


def test_loopback_is_reachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 9), timeout=1)",
        "socket.getaddrinfo('example.org', 443)",
        "with socket.socket() as s: s.connect_ex(('192.0.2.1', 9))",
    ],
)
def test_swallowed_network_use_still_fails_the_test(pytester, attempt):
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makepyfile(
        f"""
        import contextlib, socket

        def test_reaches_out():
            with contextlib.suppress(Exception):
                {attempt}
        """
    )
    pytester.makeini(
        "[pytest]\nmarkers = blocking_allowed\nasyncio_default_fixture_loop_scope = function\n"
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the test reached for the network: *"])


LEFT: list[object] = []


@pytest.mark.parametrize("number", range(3))
async def test_guards_leave_no_wrapper_behind(number):
    LEFT.append(_depth(socket.socket.connect))
    assert len(set(LEFT)) == 1


def _depth(function) -> int:
    """How many wrappers a function stands in."""
    inner = [
        cell.cell_contents
        for cell in getattr(function, "__closure__", None) or ()
        if callable(cell.cell_contents)
    ]
    return 1 + max((_depth(each) for each in inner if each is not function), default=0)
