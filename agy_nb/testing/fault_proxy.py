"""A proxy between the SDK and its harness that can inject faults.

The proxy changes nothing until you call a method of a connection. A fault applies to one connection
only, that of one start of a harness.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agy_nb.protocol.amounts import counted

if TYPE_CHECKING:
    import subprocess

    from agy_nb.sdk.process.launch import Connected, HarnessStart

_READ_BYTES = 1 << 16
_BATCH_BYTES = 1 << 18
_TEXT = 0x81
"""First byte of a frame: final, and text."""
_SHORT, _MEDIUM = 126, 127
"""Second byte of a frame whose length is in two or eight further bytes."""


class ProxiedConnection:
    """One connection between the SDK and a harness.

    Attributes:
        process: The process of the harness.
        port: Port of the proxy, to which the SDK connects.
        frames: Number of frames that the harness has sent.

    Example:
        >>> async with FaultProxy() as proxy:
        ...     agent = await agy.create_agent()
        ...     await agent.chat_text("Hello")
        'You said: Hello...'
        >>> proxy.connections[0].frames > 1
        True
    """

    def __init__(self, process: subprocess.Popen[bytes], target: int) -> None:
        self.process = process
        self.port: int = 0
        self.frames: int = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._open = asyncio.Event()
        self._open.set()
        self._change: Callable[[bytes], bytes] | None = None
        self._down: asyncio.StreamWriter | None = None
        self._pumps: set[asyncio.Task[Any]] = set()

    # -- faults ------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<ProxiedConnection on port {self.port}, {counted(self.frames, 'frame')}>"

    def cut(self) -> None:
        """Abort the connection. The harness keeps running."""
        for end in self._writers:
            end.transport.abort()

    def hold(self) -> None:
        """Hold all data in both directions until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Pass on the held data and all further data."""
        self._open.set()

    def corrupt(self, change: Callable[[bytes], bytes]) -> None:
        """Change the payload of each further frame of the harness.

        Args:
            change: Returns the new payload for a payload.
        """
        self._change = change

    async def flood(self, payloads: Iterable[bytes]) -> None:
        """Send frames to the SDK in the name of the harness, between two of its own.

        Args:
            payloads: Payloads of the frames, as UTF-8.

        Raises:
            RuntimeError: The SDK is not connected yet.
        """
        down, batch = self._down, bytearray()
        if down is None:
            raise RuntimeError("the SDK is not connected to this proxy yet")
        for payload in payloads:
            batch += _frame(_TEXT, payload)
            if len(batch) >= _BATCH_BYTES:
                down.write(bytes(batch))
                batch.clear()
                await down.drain()
        down.write(bytes(batch))
        await down.drain()

    # -- life --------------------------------------------------------------------------------

    async def open(self) -> None:
        """Listen for the SDK."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=listener)

    async def close(self) -> None:
        """Abort the connection and stop listening."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)

    async def _serve(self, sdk_in: asyncio.StreamReader, sdk_out: asyncio.StreamWriter) -> None:
        self._writers.append(sdk_out)
        try:
            harness_in, harness_out = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            sdk_out.transport.abort()
            return
        self._writers.append(harness_out)
        pumps = (
            asyncio.create_task(self._copy(sdk_in, harness_out)),
            asyncio.create_task(self._forward_frames(harness_in, sdk_out)),
        )
        self._pumps.update(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for end in (sdk_out, harness_out):
            end.close()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(_READ_BYTES):
            await self._open.wait()
            target.write(data)
            await target.drain()

    async def _forward_frames(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        """Pass on the harness's HTTP answer, and then its frames."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await source.readuntil(b"\r\n\r\n")
            await self._open.wait()
            target.write(head)
            self._down = target
            while True:
                first, payload = await _read_frame(source)
                await self._open.wait()
                self.frames += 1
                if self._change is not None and first == _TEXT:
                    payload = self._change(payload)
                target.write(_frame(first, payload))
                await target.drain()


class FaultProxy:
    """Inject faults into the connections between the SDK and its harnesses.

    Within `async with`, each start of a harness gets a connection through the proxy. This works for
    agents of agy_nb and for the SDK's own `Agent`.

    Args:
        at_start: Called with each new connection, after the start of the harness and before the SDK
            connects.

    Attributes:
        connections: The connections so far, oldest first.

    Example:
        >>> async with FaultProxy() as proxy, ScriptedModel(hang("Let me")) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     response = await agent.chat("go")
        ...     async for piece in response:
        ...         proxy.connections[-1].cut()
        Traceback (most recent call last):
        agy_nb.errors.HarnessError: the harness has ended: ...
    """

    def __init__(
        self, at_start: Callable[[ProxiedConnection], Awaitable[None]] | None = None
    ) -> None:
        self.at_start = at_start
        self.connections: list[ProxiedConnection] = []
        self._block = contextlib.ExitStack()

    def __repr__(self) -> str:
        return f"<FaultProxy, {counted(len(self.connections), 'connection')}>"

    async def __aenter__(self) -> Self:
        from agy_nb.sdk.process import interception

        self._block.enter_context(interception.intercepted(self._insert))
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._block.close()
        for connection in self.connections:
            await connection.close()

    async def _insert(self, start: HarnessStart) -> Connected:
        async def through(process: subprocess.Popen[bytes], port: int) -> int:
            connection = ProxiedConnection(process, port)
            await connection.open()
            self.connections.append(connection)
            if self.at_start is not None:
                await self.at_start(connection)
            return connection.port

        return await start.spawn(through)


async def _read_frame(source: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read the first byte and the payload of a frame. Frames of a server have no mask."""
    first, size = await source.readexactly(2)
    if size == _SHORT:
        size = int.from_bytes(await source.readexactly(2), "big")
    elif size == _MEDIUM:
        size = int.from_bytes(await source.readexactly(8), "big")
    return first, await source.readexactly(size)


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < _SHORT:
        head = bytes((first, size))
    elif size < 1 << 16:
        head = bytes((first, _SHORT)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, _MEDIUM)) + size.to_bytes(8, "big")
    return head + payload
