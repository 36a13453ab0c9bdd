"""The real harness, for a recording: found, started, and ended with all that it started.

Rule 1: its stderr is the stand-in's own, so that the client reads the same.
Rule 2: it is in the stand-in's process group, so that a signal to the group ends both.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from agy_nb.cassette.record.stderr_tee import MOST
from agy_nb.cassette.shim import handshake
from agy_nb.cassette.shim.client_socket import WebSocket
from agy_nb.cassette.shim.errors import HandshakeError, NoHarnessError

PATH_VARIABLE = "ANTIGRAVITY_HARNESS_PATH"
WITHIN = "AGY_NB_STAND_IN"
"""Set for programs that `agy-nb harness` starts, so that it cannot start itself endlessly."""

_CONNECT_S = 10.0
_EXIT_S = 5.0
_MOST = 2000
_GONE_S = 1.0
_SAID_S = 0.1


def find() -> Path:
    """Find the harness's binary as the SDK does, without the variable, which names the stand-in.

    Raises:
        NoHarnessError: There is none.
    """
    name = "localharness.exe" if sys.platform == "win32" else "localharness"
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec("google.antigravity")  # found, not imported
        for folder in (spec and spec.submodule_search_locations) or ():
            path = Path(folder) / "bin" / name
            if path.exists():
                return path
    found = shutil.which("localharness")
    if found is None:
        raise NoHarnessError(
            "there is no real harness to record: google-antigravity is not installed here, and no "
            "localharness is on the PATH. Pass it with --harness PATH"
        )
    return Path(found)


class RealHarness:
    """A harness that starts; `wait_for_address` says when it has started.

    Args:
        path: Its binary.
        greeting: What the client said.
        quiet: Whether to write its stderr only if it does not start.
        environ: Its environment; None for that of this process.
        keeps_stderr: Whether to keep a copy of its stderr, see `stderr_text`.

    Raises:
        NoHarnessError: It does not start.
    """

    def __init__(
        self,
        path: Path,
        greeting: bytes,
        *,
        quiet: bool = False,
        environ: Mapping[str, str] | None = None,
        keeps_stderr: bool = False,
    ) -> None:
        environ = os.environ if environ is None else environ
        if os.environ.get(WITHIN):
            raise NoHarnessError(
                f"{path} is itself a launcher of agy-nb harness and would start itself endlessly. "
                "Pass the real harness with --harness PATH"
            )
        self._stderr = tempfile.TemporaryFile() if quiet else None  # noqa: SIM115 - closed by stop()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - what the user named, or the SDK's own
                [path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if keeps_stderr else self._stderr,
                env={key: v for key, v in environ.items() if key != PATH_VARIABLE} | {WITHIN: "1"},
            )
        except OSError as error:
            raise NoHarnessError(
                f"{path} cannot be started: {error.strerror or error}. Pass another one with "
                "--harness PATH"
            ) from error
        self._path = path
        self._copied = b""
        self._copying = threading.Thread(target=self._copy_stderr, name="stderr", daemon=True)
        if keeps_stderr:
            self._copying.start()
        assert self._process.stdin is not None
        self._refused: OSError | None = None
        try:
            handshake.write_message(self._process.stdin, greeting)
        except OSError as error:
            self._refused = error

    def wait_for_address(self) -> None:
        """Wait until it has started. Blocks.

        Raises:
            NoHarnessError: It does not start.
        """
        assert self._process.stdout is not None
        try:
            if self._refused is not None:
                raise self._refused
            message = handshake.read_message(self._process.stdout)
            self._port, self._key = handshake.parse_address(message)
        except (OSError, HandshakeError) as error:
            code = self._end()
            said = self.said()
            self._forget()
            raise NoHarnessError(
                f"{self._path} does not start (exit code {code}): {said}. Pass another one with "
                "--harness PATH"
            ) from error

    def said(self) -> str:
        """Return the end of its stderr, as far as it is known here."""
        if self._stderr is None:
            return "its messages are above"
        self._stderr.seek(0)
        return self._stderr.read()[-_MOST:].decode("utf-8", "replace").strip() or "it said nothing"

    def _copy_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._copied = (self._copied + line)[-MOST:]
            with contextlib.suppress(OSError):  # the client reads it no more
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()

    def stderr_text(self) -> str:
        """Return its text on stderr so far, after a short wait for the end. Blocks."""
        if self._copying.is_alive():
            self._copying.join(_SAID_S)
        return self._copied.decode("utf-8", "replace")

    async def connect(self) -> WebSocket:
        """Open a WebSocket to the harness, of the library websockets.

        Raises:
            NoHarnessError: It does not listen.
        """
        from websockets.asyncio.client import connect

        sock = await self._socket()
        try:
            return await connect(
                f"ws://127.0.0.1:{self._port}/",
                sock=sock,  # through no proxy
                additional_headers={"x-goog-api-key": self._key},
                max_size=None,
                compression=None,
                ping_interval=None,
            )
        except BaseException:  # also a cancelled caller
            sock.close()
            raise

    async def _socket(self) -> socket.socket:
        """Open a connection. The harness reports its port a moment before it listens."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _CONNECT_S
        refused: OSError | None = None
        while True:
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                sock = socket.socket(family, socket.SOCK_STREAM)
                sock.setblocking(False)  # noqa: FBT003 - the standard library's
                try:
                    await loop.sock_connect(sock, (host, self._port))
                except OSError as error:
                    sock.close()
                    refused = error
                except BaseException:  # a cancelled caller
                    sock.close()
                    raise
                else:
                    return sock
            if self._process.poll() is not None or loop.time() > until:
                raise NoHarnessError(f"the harness does not listen on its port: {refused}")
            await asyncio.sleep(0.02)

    def hang_up(self) -> None:
        """Close its stdin: it ends by itself then. Call `stop` afterwards."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def stop(self) -> int:
        """End it: it goes once its stdin is closed, or is made to. Blocks.

        Returns:
            Its exit code.
        """
        self._forget()
        return self._end()

    def _forget(self) -> None:
        if self._stderr is not None:
            self._stderr.close()

    def _end(self) -> int:
        self.hang_up()
        try:
            code = self._process.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._copying.is_alive():
            self._copying.join(_GONE_S)  # the client reads the last words as well
        return code
