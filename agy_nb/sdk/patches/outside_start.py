"""Lead harnesses that a program starts by itself through `agy_nb.sdk.process.launch`.

A program can have a `ConnectionStrategy` of its own, such as one whose agents share a pool of
harness processes. It starts a process with `subprocess` or asyncio, and opens a WebSocket per
conversation with `websockets`. While an interceptor is set, two attributes are replaced:

| attribute | effect |
| --- | --- |
| `subprocess.Popen.__init__` | a replay starts a small idle program instead of the harness |
| `websockets.asyncio.client.connect.__await__` | each conversation goes to the interceptor |

asyncio starts its processes with `subprocess.Popen` as well. A client that opens its WebSocket in
another way cannot be replayed: it connects to the idle program, which does not listen.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from ipaddress import ip_address
from pathlib import PurePath
from typing import Any, Self
from urllib.parse import urlsplit

from google.antigravity.proto import localharness_pb2

from agy_nb.errors import HarnessError
from agy_nb.sdk.interfaces.harness_socket import Socket
from agy_nb.sdk.process import interceptor, launch
from agy_nb.sdk.process.harness_process import GroupProcess
from agy_nb.sdk.process.refused_harness import PATH_VARIABLE

KEY_HEADER = "x-goog-api-key"
"""The header in which a client shows the harness's key."""

_NAMES = ("localharness", "localharness.exe")
_IDLE_KEY = secrets.token_hex(16)
_IDLE_PORT = 9
"""The port "discard", which the idle program reports. Nothing listens there."""
_IDLE = """
import sys
sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))
sys.stdout.buffer.flush()
sys.stdin.buffer.read()
"""

_invalid: ContextVar[Exception | None] = ContextVar("agy_nb_invalid_endpoint", default=None)
"""Why the SDK would refuse the configuration of the running task's next conversation."""


class OutsideStart(launch.HarnessStart):
    """One conversation with a harness that the program started by itself.

    Args:
        open_socket: Opens the real WebSocket.
        key: The key that the program shows to the harness.
        binary: The program of the harness; empty if it was started before the interceptor was set.
    """

    is_outside = True

    def __init__(
        self, open_socket: Callable[[], Awaitable[Socket]], key: str, binary: str = ""
    ) -> None:
        super().__init__()
        self._open_socket = open_socket
        self._key = key
        self._binary = binary
        self.invalid: Exception | None = _invalid.get()
        _invalid.set(None)

    @property
    def binary_path(self) -> str:
        """See `HarnessStart.binary_path`."""
        return self._binary

    async def spawn(self, route: launch.Route | None = None) -> launch.Connected:
        """Connect to the harness, which the program has started.

        Raises:
            HarnessError: The harness was replaced for a replay, or `route` is not supported.
            AntigravityValidationError: The SDK refuses the configuration.
        """
        if self.invalid is not None:
            raise self.invalid
        if route is not None:
            msg = (
                "the program started this harness by itself, so its connection cannot be led "
                "through a proxy. Test with agents of agy_nb or of the SDK's own strategies"
            )
            raise HarnessError(msg)
        if self._key == _IDLE_KEY:
            msg = (
                "the program started this harness while a cassette was replayed, so there is no "
                "real harness. Start the harness, or its pool, in the block that records"
            )
            raise HarnessError(msg)
        return launch.Connected(None, await self._open_socket())


class _OutsideSocket:
    """A socket of an interceptor with the rest of the interface of `ClientConnection`."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __aiter__(self) -> Any:
        return self._inner.__aiter__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._inner.close()


def put_off(error: Exception) -> None:
    """Keep the SDK's refusal of an endpoint until it is known whether a harness is needed."""
    _invalid.set(error)


@contextlib.contextmanager
def led() -> Iterator[None]:
    """Redirect harnesses that the program starts itself to the interceptor."""
    from websockets.asyncio.client import connect

    popen: Any = subprocess.Popen
    connection: Any = connect
    init, wait = popen.__init__, connection.__await__
    binaries = [""]

    def start(process: Any, args: Any, *rest: Any, **options: Any) -> None:
        is_ours = isinstance(process, GroupProcess) or interceptor.is_let_through()
        if is_ours or not _is_harness(args, options.get("env")):
            init(process, args, *rest, **options)
            return
        binaries.append(os.fspath(args[0]))
        if not interceptor.runs_outside_harness():
            args = _idle_command()
            options.pop("executable", None)
        init(process, args, *rest, **options)

    def opened(self: Any) -> Any:
        key = _key_for_harness(self)
        if interceptor.is_let_through() or not key:
            return wait(self)

        async def open_socket() -> Any:
            with interceptor.let_through():
                return await self

        return _answered(OutsideStart(open_socket, key, binaries[-1])).__await__()

    popen.__init__, connection.__await__ = start, opened
    try:
        yield
    finally:
        # Otherwise another library has put its own function over ours, and keeps ours inside.
        if popen.__init__ is start:
            popen.__init__ = init
        if connection.__await__ is opened:
            connection.__await__ = wait


async def _answered(start: OutsideStart) -> _OutsideSocket:
    launch.recorded_results.set(None)
    return _OutsideSocket((await interceptor.intercept(start)).socket)


def _is_harness(args: Any, env: Any) -> bool:
    if isinstance(args, str | bytes | os.PathLike) or not args:
        return False  # one text is a command line of a shell
    try:
        program = os.fspath(args[0])
    except (TypeError, KeyError, IndexError):
        return False
    if not isinstance(program, str):
        return False
    variable = PATH_VARIABLE
    named = {os.environ.get(variable), env.get(variable) if isinstance(env, dict) else None}
    return PurePath(program).name in _NAMES or program in named


def _idle_command() -> list[str]:
    """Return a command that answers like a harness, and waits until its stdin is closed."""
    wire: Any = localharness_pb2  # its names are made at run time
    address = wire.OutputConfig(port=_IDLE_PORT, api_key=_IDLE_KEY).SerializeToString()
    message = struct.pack("<I", len(address)) + address
    return [sys.executable, "-I", "-S", "-c", _IDLE, message.hex()]


def _key_for_harness(connecting: Any) -> str:
    """Return the key of a connection to a harness; empty for connections to something else."""
    from websockets.datastructures import Headers

    address = urlsplit(str(connecting.uri))
    if address.scheme != "ws" or address.path not in ("", "/") or not _is_here(address.hostname):
        return ""
    headers = Headers(getattr(connecting, "additional_headers", None) or {})
    return headers.get(KEY_HEADER, "")


def _is_here(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
