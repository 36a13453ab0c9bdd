"""A loopback HTTP server between harness and model. Chunks are passed on as they arrive.

Rule 1: this module knows addresses, not cassettes. A `ProxyHandler` decides about each request.
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
import re
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from agy_nb.cassette.http.http_server import HttpRequest, HttpResponse, HttpServer
from agy_nb.terminal import printable

_log = logging.getLogger("agy_nb.cassette")

_HOP = frozenset(
    {"connection", "content-length", "host", "keep-alive", "proxy-authenticate",
     "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "accept-encoding"}
)  # fmt: skip
_TARGET = re.compile(
    r"/(?P<token>[\x21-\x7e]+?)/(?P<session>\d{1,9})/(?P<upstream>\d{1,9})(?P<rest>[/?].*|)"
)
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


class ProxyHandler(Protocol):
    """Answers requests."""

    async def answer(self, asked: ProxyRequest) -> HttpResponse:
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
        server = HttpServer(self)
        over = asyncio.Event()
        self._loop = loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(over.set)
        try:
            began.put(await server.start())
            await over.wait()
        except OSError as error:
            began.put(error)
        finally:
            await server.stop()
            await self._answerer.aclose()

    def address(self, session: int, upstream: str) -> str:
        """Return the proxy's address of a model for one session."""
        upstream = upstream.rstrip("/")
        if upstream not in self._upstreams:
            self._upstreams.append(upstream)
        number = self._upstreams.index(upstream)
        return f"http://127.0.0.1:{self._port}/{self.token}/{session}/{number}"

    def is_known(self, target: str) -> bool:
        """See `HttpHandler`."""
        return self._parts(target) is not None

    def _parts(self, target: str) -> tuple[int, str, str] | None:
        """Return the session, the upstream and the rest of a request's target."""
        match = _TARGET.fullmatch(target)
        if match is None or not secrets.compare_digest(match["token"], self.token):
            return None
        number = int(match["upstream"])
        if number >= len(self._upstreams):
            return None
        return int(match["session"]), self._upstreams[number], match["rest"]

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """See `HttpHandler`."""
        parts = self._parts(request.target)
        assert parts is not None  # see `is_known`
        session, upstream, rest = parts
        asked = ProxyRequest(
            session, request.method, f"{upstream}{rest}", dict(request.headers), request.body
        )
        try:
            return await self._answerer.answer(asked)
        except ConnectionError as error:
            _log.warning("no answer from the model at %s: %s", printable(upstream), error)
            raise


def passing(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that a proxy passes on."""
    return [(name, value) for name, value in headers if name.lower() not in _HOP]
