"""The process of a harness, from before its start until after its end. Never blocks the loop.

Rule 1: a process that is cancelled during its start is killed as soon as it exists.
Rule 2: it has its own process group, so that a kernel interrupt does not kill it.
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
"""Seconds that a harness gets to exit after its stdin is closed."""


class HarnessProcess:
    """The process behind one agent, from before its start until after its end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Any = None
        self._kill_on_attach = False
        self._deferred: DeferredProcess | None = None

    def attach(self, process: subprocess.Popen[bytes]) -> None:
        """Set the process. Called in the thread that starts it.

        Raises:
            HarnessError: The start was cancelled; the process was killed.
        """
        # `kill` sets its mark and then looks for the process. With the opposite order here, a kill
        # at any moment is seen by one of the two threads.
        self._process = process
        if self._kill_on_attach:
            process.kill()
            _reap(process, 0)
            raise HarnessError("the start of the harness was cancelled")

    def connected(self, socket: Any) -> None:
        """Set the WebSocket to the process."""
        self._socket = socket

    def asked_for(self, deferred: DeferredProcess) -> None:
        """Set the object that the SDK uses as its process."""
        self._deferred = deferred

    def let_go(self) -> None:
        """Keep the SDK from ending the process and waiting for it, because `stop` does both."""
        if self._deferred is not None:
            self._deferred.let_go()

    @property
    def save_dir(self) -> str | None:
        """The folder of saved conversations, None before the start."""
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
        """Kill the process and the processes that it started. Never blocks."""
        self._kill_on_attach = True
        self._hang_up()
        if self._process is not None:
            _kill_group(self._process)

    async def stop(self) -> int | None:
        """Wait for the exit of the process, and kill it after `EXIT_GRACE_S` seconds.

        Returns:
            The exit code (negative for a signal), None if the process was never started.
        """
        process = self._process
        if process is None:
            return None
        # A thread cannot be cancelled, and a process whose exit code is not read stays as a zombie.
        code = await asyncio.shield(run_in_thread(_reap, process, EXIT_GRACE_S))
        self._process = None
        self._hang_up()
        return code

    def _hang_up(self) -> None:
        """Abort the socket, because the SDK leaves it open after a timeout of its own close."""
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


class GroupProcess(subprocess.Popen[bytes]):
    """A process that is killed together with the processes that it started.

    The SDK kills a harness that does not connect, and then reads its stderr to the end on the loop.
    A child of the harness that keeps the pipe open would block the loop for its whole life.
    """

    def kill(self) -> None:
        """Kill the process and the processes that it started."""
        _kill_group(self)

    def __del__(self) -> None:
        """Collect the exit code. The SDK does not, where a harness has refused to start."""
        if getattr(self, "_child_created", False):
            self.poll()
        super().__del__()


def spawn(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
    """Start a process like `subprocess.Popen`, in its own process group. Blocks shortly.

    Raises:
        OSError: The program does not exist or cannot be executed.
    """
    if sys.platform == "win32":
        kwargs.setdefault("creationflags", subprocess.CREATE_NEW_PROCESS_GROUP)
    else:
        kwargs.setdefault("start_new_session", True)
    return GroupProcess(*args, **kwargs)
