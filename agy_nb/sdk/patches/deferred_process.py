"""The process that the SDK believes it has started; the real one follows when the SDK connects.

The SDK starts its harness in four steps on the event loop: it spawns a process, writes a
configuration to its stdin, reads an address from its stdout (which blocks until the harness is up)
and connects a WebSocket to that address. Only the last step is asynchronous. So the first three are
answered from memory here, with an address that only we understand. When the SDK connects to it, the
real process is started, in a thread, and gets the bytes that the SDK wrote.
"""

from __future__ import annotations

import io
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.antigravity.proto import localharness_pb2

from agy_nb.errors import HarnessError
from agy_nb.sdk.process import harness_process as processes

_wire: Any = localharness_pb2  # its names are made at run time
_LENGTH = struct.Struct("<I")
_PORT = 9  # "discard": it is never connected to


@dataclass(frozen=True, slots=True)
class Address:
    """Where a harness listens.

    Attributes:
        port: On this machine.
        api_key: What a client must show.
    """

    port: int
    api_key: str


class DeferredProcess:
    """Looks like a `subprocess.Popen` to the SDK, before and after the real process is there.

    Args:
        key: Goes into the address that the SDK reads, as its API key.
        command: The program and its arguments.
        options: Further arguments for `subprocess.Popen`.
    """

    def __init__(self, key: str, command: list[str], options: dict[str, Any]) -> None:
        address = _wire.OutputConfig(port=_PORT, api_key=key).SerializeToString()
        self._given = _Pipe()
        self._answer = io.BytesIO(_LENGTH.pack(len(address)) + address)
        self._nothing = _Pipe()
        self._real: Any = None
        self._let_go = False
        self._stderr: Any = None
        self.returncode: int | None = None
        self.key = key
        self.command = command
        self.options = options

    def __getattr__(self, name: str) -> Any:
        if self._real is None:
            raise AttributeError(name)
        return getattr(self._real, name)

    def __bool__(self) -> bool:
        """Return False once the SDK need not end it: the SDK asks before it waits for the exit."""
        return not self._let_go

    @property
    def binary_path(self) -> str:
        """The program."""
        return str(self.command[0])

    @property
    def save_dir(self) -> str | None:
        """Where the harness saves conversations, as the SDK has told it."""
        given = self._given.written[_LENGTH.size :]
        return _wire.InputConfig.FromString(given).storage_directory or None

    def start(self, take_note: Callable[[subprocess.Popen[bytes]], None]) -> Address:
        """Start the real process and read its address. Blocks until it is up.

        Args:
            take_note: Called with the process as soon as there is one.

        Raises:
            HarnessError: It does not start, or gives no address.
        """
        try:
            process = processes.spawn(self.command, **self.options)
        except OSError as error:
            raise HarnessError(str(error)) from error
        take_note(process)
        self.become(process)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(self._given.written)
            process.stdin.flush()
            length = process.stdout.read(_LENGTH.size)
            answer = process.stdout.read(_LENGTH.unpack(length)[0])
            config = _wire.OutputConfig.FromString(answer)
        except Exception as error:
            process.kill()
            words = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
            why = f"it said {words!r}" if words else f"it gave no address ({error})"
            raise HarnessError(why) from error
        return Address(config.port, config.api_key)

    def become(self, process: Any) -> None:
        """Forward all calls to this process from now on."""
        self._real = process

    def let_go(self) -> None:
        """Have the SDK end nothing: the end of the process is seen to elsewhere."""
        self._let_go = True

    @property
    def stdin(self) -> Any:
        """The real pipe; before that one that keeps the bytes."""
        return self._given if self._real is None else self._real.stdin

    @property
    def stdout(self) -> Any:
        """The real pipe; before that one that holds our address."""
        return self._answer if self._real is None else self._real.stdout

    @property
    def stderr(self) -> Any:
        """The real pipe; before that an empty one."""
        if self._stderr is not None:
            return self._stderr
        return self._nothing if self._real is None else self._real.stderr

    def tee_stderr(self, tee: Callable[[Any], Any]) -> Any:
        """Have the SDK read stderr through another stream; return that stream."""
        self._stderr = tee(self.stderr)
        return self._stderr

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        return self.returncode if self._real is None else self._real.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit; a process that was never started has exited."""
        return 0 if self._real is None else int(self._real.wait(timeout=timeout))

    def kill(self) -> None:
        """End the process."""
        if self._real is not None:
            self._real.kill()

    terminate = kill


class _Pipe:
    """A pipe in memory: keeps the bytes that are written, and has nothing to read."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        del size
        return b""

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
