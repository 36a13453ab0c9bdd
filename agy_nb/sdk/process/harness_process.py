"""A harness's process, from before its start until after its end. Nothing here blocks the loop.

Rule 1: a process that is not wanted any more while it starts is ended as soon as it is there.
Rule 2: it is never in our process group, so that a kernel interrupt does not kill it.
Rule 3: the processes that it started end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from agy_nb.errors import HarnessError
from agy_nb.sdk.process.executor import run_in_thread

if TYPE_CHECKING:
    from agy_nb.sdk.patches.deferred_process import DeferredProcess

EXIT_GRACE_S = 5.0
"""Seconds a harness gets to exit by itself once its stdin is closed."""


class HarnessProcess:
    """The process behind one agent, from before its start until after its end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Any = None
        self._doomed = False
        self._deferred: DeferredProcess | None = None

    def born(self, process: subprocess.Popen[bytes]) -> None:
        """Take note of the process. In the thread of the start.

        Raises:
            HarnessError: It is not wanted any more; it was ended at once.
        """
        self._process = process
        if self._doomed:
            process.kill()
            _reap(process, 0)
            raise HarnessError("its start was cancelled")

    def connected(self, socket: Any) -> None:
        """Take note of the WebSocket to the process."""
        self._socket = socket

    def asked_for(self, deferred: DeferredProcess) -> None:
        """Take note of the process that the SDK believes it has started."""
        self._deferred = deferred

    def let_go(self) -> None:
        """Have the SDK end nothing, and wait for nothing: `stop` does."""
        if self._deferred is not None:
            self._deferred.let_go()

    @property
    def save_dir(self) -> str | None:
        """Where it saves conversations, None before the start."""
        return None if self._deferred is None else self._deferred.save_dir

    @property
    def pid(self) -> int | None:
        """The process id, None before the start."""
        return self._process.pid if self._process else None

    @property
    def exited(self) -> bool:
        """Whether there was a process and it has ended. Never blocks."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """End the process, and the processes that it started, at once. Never blocks."""
        self._doomed = True
        self._hang_up()
        if self._process is not None:
            _kill_group(self._process)

    async def stop(self, *, grace: float = EXIT_GRACE_S) -> int | None:
        """Let the process exit, or make it; blocks no loop.

        Args:
            grace: Seconds it gets to exit by itself.

        Returns:
            Its exit code (negative: the signal that ended it), None if it was never started.
        """
        process = self._process
        if process is None:
            return None
        code = await asyncio.shield(run_in_thread(_reap, process, grace))
        self._process = None
        self._hang_up()
        return code

    def _hang_up(self) -> None:
        """End the socket: the SDK gives one up that has much left to be read, or no other end."""
        transport = getattr(self._socket, "transport", None)
        if transport is not None:
            transport.abort()
        self._socket = None


def _reap(process: subprocess.Popen[bytes], grace: float) -> int | None:
    with contextlib.suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        process.wait()
    _kill_group(process)
    for pipe in (process.stdout, process.stderr):
        if pipe and not pipe.closed:
            with contextlib.suppress(OSError, ValueError):
                pipe.close()
    return process.returncode


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        subprocess.Popen.kill(process)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class _LedGroup(subprocess.Popen[bytes]):
    """Takes the processes that it started along when it is killed.

    The SDK kills a harness that does not connect and then reads its stderr on the loop, to the end:
    a child that holds the pipe open would block the loop for as long as it lives.
    """

    def kill(self) -> None:
        _kill_group(self)


def spawn(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
    """Start a process like `subprocess.Popen`, in a group of its own. Blocks for a moment.

    Raises:
        OSError: The program is missing, or is not a program.
    """
    if sys.platform == "win32":
        kwargs.setdefault("creationflags", subprocess.CREATE_NEW_PROCESS_GROUP)
    else:
        kwargs.setdefault("start_new_session", True)
    return _LedGroup(*args, **kwargs)
