"""Processes and threads that tests start: each is over when its test is, also if the test fails."""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import threading
import time
import warnings
from asyncio.base_subprocess import BaseSubprocessTransport
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

# Python's own helpers, which live as long as the process that they help.
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")

KILLED_S = 5.0
"""How long a killed process may take to end on a busy machine, in seconds."""

OURS = ("cassette ", "agy_nb-", "agy_nb packs")
"""How the names of the package's own threads begin."""


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen]:
    """Start a process; at the end of the block it is killed and its pipes are closed."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):  # what it did not read, it never will
                    pipe.close()


@contextmanager
def forgotten_pipes() -> Iterator[None]:
    """Collect the pipes that the SDK's own agents leave to the garbage collector where they do.

    The collector would warn of them in a later test, which would fail.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


async def output_of(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """All that a process prints until it ends; a test that is broken off kills it."""
    try:
        return await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def children() -> dict[int, str]:
    """The processes that this one started and that still run, each with its command.

    Empty where the system does not list them, as on macOS.
    """
    found: dict[int, str] = {}
    with suppress(AttributeError):  # Windows has no waitid
        try:
            # One call to the system instead of one per thread: most tests start no process.
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return found
    for listed in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            for pid in map(int, listed.read_text().split()):
                command = command_of(pid)
                if command is not None and not any(helper in command for helper in HELPERS):
                    found[pid] = command
    return found


def command_of(pid: int) -> str | None:
    """The command line of a process, None when it has ended."""
    folder = Path(f"/proc/{pid}")
    try:
        if (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
            return None
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return None


def end_new_children(known: dict[int, str], patience_s: float = 5.0) -> list[str]:
    """Wait for the processes that are not known yet; kill those that stay, and name them."""
    deadline = time.monotonic() + patience_s
    left = {}
    for pid, command in children().items():
        if pid not in known and not _ends(pid, deadline - time.monotonic()):
            left[pid] = command
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _ends(pid, KILLED_S)
    if left:
        _forget(set(left))
    return list(left.values())


def threads_left(known: set[threading.Thread], patience_s: float = 5.0) -> list[str]:
    """Wait for the package's threads that are not known yet; name those that stay.

    Threads of an executor wait for more work until their loop or the process ends.
    """
    deadline = time.monotonic() + patience_s
    left = []
    for thread in set(threading.enumerate()) - known:
        if thread.name.startswith(OURS):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                left.append(thread.name)
    return sorted(left)


def _forget(killed: set[int]) -> None:
    """Wait for what was killed, and close its pipes: the collector warns of neither later on."""
    for each in gc.get_objects():
        if isinstance(each, BaseSubprocessTransport) and each._pid in killed:
            if each._loop is None or each._loop.is_closed():
                each._closed = True  # without its loop it cannot close itself
                for pipe in filter(None, (protocol.pipe for protocol in each._pipes.values())):
                    if pipe._pipe is not None:
                        pipe._pipe.close()
                        pipe._pipe = None
        elif isinstance(each, subprocess.Popen) and each.pid in killed:
            each.poll()
            for pipe in filter(None, (each.stdin, each.stdout, each.stderr)):
                with suppress(OSError):
                    pipe.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _ends(pid: int, patience_s: float) -> bool:
    """Whether a child ends in time; it stays to be waited for by what started it."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], max(0, patience_s))[0])
    finally:
        os.close(watched)
