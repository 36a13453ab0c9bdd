"""A loopback HTTP server between harness and model. Chunks are passed on as they arrive.

Rule 1: this module knows HTTP, not cassettes. A `ProxyHandler` decides about each request.
Rule 2: the server has its own thread and event loop, because the SDK sometimes blocks the user's
loop, and because a process may have several loops.
Rule 3: the harness's address of a model is `/{token}/{session}/{upstream}`. So each request
identifies its session, and other users of the machine, who do not know the token, get a 404.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from agy_nb.cassette.http.relay import LONGEST_HEADER
from agy_nb.terminal import printable

if TYPE_CHECKING:
    from aiohttp import web

_log = logging.getLogger("agy_nb.cassette")

_HOP = frozenset(
    {"connection", "content-length", "host", "keep-alive", "proxy-authenticate",
     "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "accept-encoding"}
)  # fmt: skip
_MOST = 2**30
THREAD = "cassette gateway"
"""Name of the server's thread."""


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """A request of the harness.

    Attributes:
        session: Number of the harness's session.
        method: HTTP method.
        url: URL of the model, without the proxy.
        headers: All headers.
        body: The body.
    """

    session: int
    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ProxyResponse:
    """A response with a streamed body.

    Attributes:
        status: HTTP status code.
        reason: HTTP reason phrase.
        headers: Headers, without those of a single connection.
        chunks: The body. An exception breaks the connection.
    """

    status: int
    reason: str
    headers: list[tuple[str, str]]
    chunks: AsyncGenerator[bytes, None] = field(repr=False)


class ProxyHandler(Protocol):
    """Answers requests."""

    async def answer(self, asked: ProxyRequest) -> ProxyResponse:
        """Answer a request.

        Raises:
            ConnectionError: The proxy must break the connection.
        """
        ...

    async def aclose(self) -> None:
        """Release the handler's resources."""
        ...


class HttpProxy:
    """The proxy server.

    Args:
        answerer: Answers the requests, on the server's event loop.

    Attributes:
        token: Secret first part of each path; requests without it get a 404.
    """

    def __init__(self, answerer: ProxyHandler) -> None:
        self._answerer = answerer
        self._upstreams: list[str] = []
        self.token: str = secrets.token_urlsafe(16)
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] = lambda: None
        self._port = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1; does nothing if it listens already. Blocks shortly.

        Raises:
            OSError: No port is available.
        """
        if self._thread is not None:
            return
        began: queue.SimpleQueue[int | OSError] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(began)), name=THREAD, daemon=True
        )
        self._thread.start()
        port = began.get()
        if isinstance(port, OSError):
            self._thread = None
            raise port
        self._port = port

    def stop(self) -> None:
        """Stop listening and break open responses. Blocks shortly."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop()
            thread.join()

    def soon(self, work: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine on the server's loop without waiting for it. Call `start` first."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def hang_up(self) -> None:
        """Stop listening soon, without blocking."""
        self._thread = None
        with contextlib.suppress(RuntimeError):  # its loop has ended already
            self._stop()

    async def _serve(self, began: queue.SimpleQueue[int | OSError]) -> None:
        from aiohttp import web

        app = web.Application(client_max_size=_MOST)
        address = "/{token}/{session:\\d+}/{upstream:\\d+}{tail:.*}"
        app.router.add_route("*", address, self._handle)
        # A harness that hangs up ends the handler at once.
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True,
            max_line_size=LONGEST_HEADER, max_field_size=LONGEST_HEADER,
        )  # fmt: skip
        await runner.setup()
        over = asyncio.Event()
        self._loop = loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(over.set)
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            began.put(runner.addresses[0][1])
            await over.wait()
        except OSError as error:
            began.put(error)
        finally:
            await runner.cleanup()
            await self._answerer.aclose()

    def address(self, session: int, upstream: str) -> str:
        """Return the proxy's address of a model for one session."""
        upstream = upstream.rstrip("/")
        if upstream not in self._upstreams:
            self._upstreams.append(upstream)
        number = self._upstreams.index(upstream)
        return f"http://127.0.0.1:{self._port}/{self.token}/{session}/{number}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        known = secrets.compare_digest(request.match_info["token"].encode(), self.token.encode())
        number = int(request.match_info["upstream"])
        if not known or number >= len(self._upstreams):
            raise web.HTTPNotFound
        upstream = self._upstreams[number]
        tail = request.rel_url.raw_path.split("/", 4)
        path = f"/{tail[4]}" if len(tail) > 4 else ""  # noqa: PLR2004 - token, session, upstream
        query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        asked = ProxyRequest(
            int(request.match_info["session"]),
            request.method,
            f"{upstream}{path}{query}",
            {str(k): v for k, v in request.headers.items()},
            await request.read(),
        )
        response: web.StreamResponse | None = None
        try:
            answer = await self._answerer.answer(asked)
            response = web.StreamResponse(status=answer.status, reason=answer.reason or None)
            response.headers.extend(answer.headers)
            await response.prepare(request)
            async with contextlib.aclosing(answer.chunks) as chunks:
                async for chunk in chunks:
                    await response.write(chunk)
        except ConnectionError as error:
            if response is None:
                _log.warning("no answer from the model at %s: %s", printable(upstream), error)
            if request.transport is not None:
                request.transport.abort()  # as the model's server did
            return response or web.Response(status=502)
        await response.write_eof()
        return response


def passing(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that a proxy passes on."""
    return [(name, value) for name, value in headers if name.lower() not in _HOP]
