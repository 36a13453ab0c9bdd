"""Make requests to a model in another process, so that patches of this process do not see them.

Libraries that record, fake or block HTTP in tests (vcrpy, pytest-recording, respx, responses,
aioresponses, pytest-httpx, pytest-socket) replace client or socket classes for the whole process.
If the recording's proxy made its requests here, they would be recorded in the user's own cassette,
with the API key in their headers, or would be blocked. `relay_process` makes them instead. The two
processes communicate over pipes, which none of these libraries patches.

A message is a head (`HEAD`: kind, number of the request, length), followed by `length` bytes.

`agy-nb harness` is a process of its own, so it makes its requests itself, with an `HttpClient`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import sys
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import Protocol

HEAD = struct.Struct(">BII")
REQUEST, CANCEL = 1, 2
ANSWER, CHUNK, END, ERROR = 3, 4, 5, 6
LENGTH = struct.Struct(">I")
"""Precedes a request's body: the length of its JSON description."""

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from agy_nb.cassette.http.upstream.relay_process import main; main()"
)
_GONE = "the process that makes the recording's requests has ended"


class UpstreamAnswer(Protocol):
    """An HTTP response whose body has not been read.

    Attributes:
        status: HTTP status code.
        reason: HTTP reason phrase.
        headers: Names and values in their order.
    """

    status: int
    reason: str
    headers: list[tuple[str, str]]

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the chunks of the body as they arrive.

        Raises:
            ConnectionError: The server broke the connection.
        """
        ...

    def close(self) -> None:
        """Stop reading. The connection is closed unless the whole body was read."""
        ...


class UpstreamRelay(Protocol):
    """Makes requests to models."""

    async def start(self) -> None:
        """Prepare for requests, so that the first one does not wait.

        Raises:
            ConnectionError: Requests are not possible.
        """
        ...

    async def request(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> UpstreamAnswer:
        """Make a request, and return the response when its headers have arrived.

        Args:
            method: HTTP method.
            url: Full URL.
            headers: All headers, in their order.
            body: Body of the request.

        Raises:
            ConnectionError: The server did not answer.
        """
        ...

    async def close(self) -> None:
        """Release everything that the requests use."""
        ...


@dataclass(slots=True)
class _RelayedAnswer:
    """An `UpstreamAnswer` that another process reads."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    _relay: Relay = field(repr=False)
    _number: int = field(repr=False)
    _messages: asyncio.Queue[tuple[int, bytes]] = field(repr=False)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """See `UpstreamAnswer`."""
        while True:
            kind, payload = await self._messages.get()
            if kind == END:
                return
            if kind == ERROR:
                raise ConnectionResetError(payload.decode())
            yield payload

    def close(self) -> None:
        """See `UpstreamAnswer`."""
        self._relay.forget(self._number)


@dataclass(slots=True, eq=False)
class Relay:
    """Control the process that makes the requests. For one event loop; started on first use."""

    _process: asyncio.subprocess.Process | None = None
    _reading: asyncio.Task[None] | None = None
    _starting: asyncio.Task[None] | None = None
    _answers: dict[int, asyncio.Queue[tuple[int, bytes]]] = field(default_factory=dict)
    _number: int = 0

    async def start(self) -> None:
        """Start the process, unless it runs.

        Raises:
            ConnectionError: The process cannot be started.
        """
        if self._process is not None and self._process.returncode is None:
            return
        if self._starting is None or self._starting.done():
            self._starting = asyncio.get_running_loop().create_task(self._start())
        # A separate task, so that a cancelled request does not cancel the start: asyncio hangs if
        # the start of a process is cancelled before its pipes are connected.
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _PROGRAM, json.dumps(sys.path),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except (OSError, NotImplementedError) as error:  # Windows' selector loop starts none
            raise ConnectionResetError(f"cannot start the relay process: {error}") from error
        self._reading = asyncio.get_running_loop().create_task(self._read(self._process))

    async def request(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> UpstreamAnswer:
        """See `UpstreamRelay`."""
        await self.start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        self._number += 1
        number = self._number
        messages = self._answers[number] = asyncio.Queue()
        about = json.dumps({"method": method, "url": url, "headers": list(headers)}).encode()
        payload = LENGTH.pack(len(about)) + about + body
        try:
            process.stdin.write(HEAD.pack(REQUEST, number, len(payload)) + payload)
            await process.stdin.drain()
            kind, answer = await messages.get()
        except BaseException:
            self.forget(number)
            raise
        if kind != ANSWER:
            self._answers.pop(number, None)
            raise ConnectionResetError(answer.decode())
        told = json.loads(answer)
        received = [(name, value) for name, value in told["headers"]]
        return _RelayedAnswer(told["status"], told["reason"], received, self, number, messages)

    def forget(self, number: int) -> None:
        """Ignore the rest of a response, and cancel its request."""
        process = self._process
        if self._answers.pop(number, None) is None or process is None or process.stdin is None:
            return
        with contextlib.suppress(OSError, RuntimeError):
            process.stdin.write(HEAD.pack(CANCEL, number, 0))

    async def close(self) -> None:
        """End the process, also during its start."""
        if self._starting is not None:
            await asyncio.wait([self._starting])
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while True:
                kind, number, length = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
                payload = await process.stdout.readexactly(length)
                messages = self._answers.get(number)
                if messages is not None:
                    messages.put_nowait((kind, payload))
        except (asyncio.IncompleteReadError, OSError):
            for messages in self._answers.values():
                messages.put_nowait((ERROR, _GONE.encode()))
            await process.wait()
