"""A server of HTTP/1.1 on this machine, for the requests of a harness. h11 reads and writes them.

A client that hangs up ends the work on its request at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import h11

from agy_nb.cassette.http.http_connection import (
    READ_BYTES,
    HttpConnection,
    decoded_headers,
    encoded,
    encoded_headers,
)

_log = logging.getLogger("agy_nb.cassette")

_LARGEST_BODY = 2**30
_GRACE_S = 0.1
"""Seconds in which requests may end after `HttpServer.stop`."""
_WITHOUT_BODY = {204, 304}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request.

    Attributes:
        method: HTTP method.
        target: Path and query, as they were sent.
        headers: Names and values in their order.
        body: The body.
    """

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response with a streamed body.

    Attributes:
        status: HTTP status code.
        reason: HTTP reason phrase.
        headers: Headers, without those of a single connection.
        chunks: The body. A `ConnectionError` breaks the connection.
    """

    status: int
    reason: str
    headers: list[tuple[str, str]]
    chunks: AsyncGenerator[bytes, None] = field(repr=False)


class HttpHandler(Protocol):
    """Answers the requests of a server."""

    def is_known(self, target: str) -> bool:
        """Return whether to read a request's body; otherwise the client gets a 404."""
        ...

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer a request.

        Raises:
            ConnectionError: The server must break the connection.
        """
        ...


class HttpServer:
    """Listen on a free port of 127.0.0.1. For one event loop.

    Args:
        handler: Answers the requests.
    """

    def __init__(self, handler: HttpHandler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Start to listen, and return the port.

        Raises:
            OSError: No port is available.
        """
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=READ_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and break open connections."""
        if self._server is not None:
            self._server.close()
        if self._busy:
            await asyncio.wait(self._busy, timeout=_GRACE_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = _Connection(h11.SERVER, reader, writer)
        try:
            while (head := await connection.next_request()) is not None:
                self._busy.add(task)
                await connection.answer(head, self._handler)
                self._busy.discard(task)
                if not connection.is_reusable():
                    break
        except (OSError, ValueError, h11.ProtocolError) as error:
            _log.debug("a request was cut off: %s", error)
        except asyncio.CancelledError:
            pass  # by `stop`; a task of asyncio's streams reports it otherwise
        finally:
            self._tasks.discard(task)
            self._busy.discard(task)
            connection.abort()


class _Connection(HttpConnection):
    """A connection of a client."""

    async def next_request(self) -> h11.Request | None:
        """Wait for the head of a request; None if the client hung up."""
        event = await self.receive()
        return event if isinstance(event, h11.Request) else None

    async def answer(self, head: h11.Request, handler: HttpHandler) -> None:
        """Read the body of a request, and send the response."""
        target = head.target.decode("ascii")
        if not handler.is_known(target):
            refusal = h11.Response(status_code=404, headers=[(b"Connection", b"close")])
            await self.send(refusal, h11.EndOfMessage())
            return
        method, headers = head.method.decode("ascii"), decoded_headers(head)
        request = HttpRequest(method, target, headers, await self._body())
        await self._while_connected(self._respond(request, handler))

    async def _body(self) -> bytes:
        pieces, size = [], 0
        while isinstance(event := await self.receive(), h11.Data):
            pieces.append(bytes(event.data))
            size += len(event.data)
            if size > _LARGEST_BODY:
                raise ConnectionResetError(f"the request has more than {_LARGEST_BODY} bytes")
        return b"".join(pieces)

    async def _respond(self, request: HttpRequest, handler: HttpHandler) -> None:
        response = await handler.respond(request)
        async with contextlib.aclosing(response.chunks) as chunks:
            headers = encoded_headers(response.headers)
            reason = encoded(response.reason)
            await self.send(
                h11.Response(status_code=response.status, headers=headers, reason=reason)
            )
            has_body = request.method != "HEAD" and response.status not in _WITHOUT_BODY
            async for chunk in chunks:
                if has_body:
                    await self.send(h11.Data(data=chunk))
        await self.send(h11.EndOfMessage())

    async def _while_connected(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work, and cancel it if the client hangs up."""
        # The harness hangs up when its turn is cancelled. Without this, the request to the model
        # would go on, and its answer would be recorded as one that the harness had received.
        working = asyncio.ensure_future(work)
        hang_up = asyncio.ensure_future(self._hang_up())
        try:
            await asyncio.wait({working, hang_up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, hang_up):
                task.cancel()
            done = await asyncio.gather(working, hang_up, return_exceptions=True)
        if isinstance(done[0], Exception):
            raise done[0]

    async def _hang_up(self) -> None:
        """Return when the client hangs up. Earlier bytes are kept for its next request."""
        while await self.read():
            pass
