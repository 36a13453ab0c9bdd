"""The socket between the SDK and its harness, led through a cable that a test can damage.

Rule 1: a cable changes nothing until it is told to.
Rule 2: a fault holds for one line, that of one start; the next start gets a sound one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import subprocess

    from agy_nb.sdk.process.launch import Connected, HarnessStart

_READ_BYTES = 1 << 16
_BATCH_BYTES = 1 << 18
_TEXT = 0x81
"""A frame's first byte: whole, and text."""
_SHORT, _MEDIUM = 126, 127
"""What a frame's second byte says where the length stands in two or in eight more bytes."""


class ProxiedConnection:
    """One connection between the SDK and a harness.

    Attributes:
        process: The harness.
        port: Where the SDK finds it, in place of the harness's own port.
        frames: Frames that have come from the harness.

    Example:
        >>> async with FaultProxy() as cable:
        ...     agent = await agy.create_agent()
        ...     await agent.chat_text("Hello")
        'You said: Hello...'
        >>> cable.lines[0].frames > 1
        True
    """

    def __init__(self, process: subprocess.Popen[bytes], target: int) -> None:
        self.process = process
        self.port = 0
        self.frames = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._ends: list[asyncio.StreamWriter] = []
        self._runs = asyncio.Event()
        self._runs.set()
        self._change: Callable[[bytes], bytes] | None = None
        self._down: asyncio.StreamWriter | None = None
        self._pumps: set[asyncio.Task[Any]] = set()

    # -- faults ------------------------------------------------------------------------------

    def cut(self) -> None:
        """Break the connection without a word; the harness itself lives on."""
        for end in self._ends:
            end.transport.abort()

    def hold(self) -> None:
        """Let nothing through, either way, until `release`."""
        self._runs.clear()

    def release(self) -> None:
        """Let through what was held, and all that follows."""
        self._runs.set()

    def corrupt(self, change: Callable[[bytes], bytes]) -> None:
        """Change what each frame of the harness says, from now on.

        Args:
            change: Makes of a frame's payload another one.
        """
        self._change = change

    async def flood(self, payloads: Iterable[bytes]) -> None:
        """Send frames to the SDK as if they were the harness's, between two of its own.

        Args:
            payloads: What the frames say; UTF-8.

        Raises:
            RuntimeError: Nobody is connected to it yet.
        """
        down, batch = self._down, bytearray()
        if down is None:
            raise RuntimeError("nobody is connected to this line yet")
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
        """Break the connection and stop to listen."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)

    async def _serve(self, sdk_in: asyncio.StreamReader, sdk_out: asyncio.StreamWriter) -> None:
        self._ends.append(sdk_out)
        try:
            harness_in, harness_out = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            sdk_out.transport.abort()
            return
        self._ends.append(harness_out)
        pumps = (
            asyncio.create_task(self._copy(sdk_in, harness_out)),
            asyncio.create_task(self._lead(harness_in, sdk_out)),
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
            await self._runs.wait()
            target.write(data)
            await target.drain()

    async def _lead(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """From the harness to the SDK: its HTTP answer, then frame by frame."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await source.readuntil(b"\r\n\r\n")
            await self._runs.wait()
            target.write(head)
            self._down = target
            while True:
                first, payload = await _read_frame(source)
                await self._runs.wait()
                self.frames += 1
                if self._change is not None and first == _TEXT:
                    payload = self._change(payload)
                target.write(_frame(first, payload))
                await target.drain()


class FaultProxy:
    """Leads every harness that is started within its block through a line of its own.

    Holds for agents of our runtime and for code that uses the SDK's `Agent` directly.

    Args:
        at_start: Called with the line of each start once the harness is up and before the SDK
            connects to it.

    Attributes:
        lines: The lines so far, oldest first.

    Example:
        >>> async with FaultProxy() as cable, ScriptedModel(hang("Let me")) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     response = await agent.chat("go")
        ...     async for piece in response.text_stream():
        ...         cable.lines[-1].cut()
        Traceback (most recent call last):
        agy_nb.errors.HarnessError: the harness has ended: ...
    """

    def __init__(
        self, at_start: Callable[[ProxiedConnection], Awaitable[None]] | None = None
    ) -> None:
        self.at_start = at_start
        self.lines: list[ProxiedConnection] = []
        self._block = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        from agy_nb.sdk.process import interception

        self._block.enter_context(interception.intercepted(self._lay))
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._block.close()
        for line in self.lines:
            await line.close()

    async def _lay(self, start: HarnessStart) -> Connected:
        async def through(process: subprocess.Popen[bytes], port: int) -> int:
            line = ProxiedConnection(process, port)
            await line.open()
            self.lines.append(line)
            if self.at_start is not None:
                await self.at_start(line)
            return line.port

        return await start.spawn(through)


async def _read_frame(source: asyncio.StreamReader) -> tuple[int, bytes]:
    """A frame's first byte and what it says; those of a server carry no mask."""
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
