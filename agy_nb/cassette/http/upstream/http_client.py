"""A client of HTTP/1.1 that passes on what a model sends: nothing is decoded, and nothing added.

h11 reads and writes the messages. It is imported in a tenth of the time of a whole client, and it
accepts what the harness accepts, such as a doubled `Content-Length`. The harness's own client is
Go's, so redirects are followed as Go follows them: the harness would follow them past the
recording. It sets no time limit, since the harness has its own.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from string import punctuation
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import h11

from agy_nb.cassette.http.http_connection import (
    HttpConnection,
    decoded,
    decoded_headers,
    encoded_headers,
)
from agy_nb.cassette.http.upstream.relay import UpstreamAnswer
from agy_nb.cassette.http.upstream.routes import Route, Streams, basic_auth, connected, route_of

_MOST_REDIRECTS = 10
_AS_GET = {301, 302, 303}
_AGAIN = {307, 308}
"""Status codes of redirects that keep the method and the body."""
_OF_BODIES = {"content-type", "content-encoding", "content-language", "content-location"}
_SECRET = {"authorization", "www-authenticate", "cookie", "cookie2"}
"""Headers that another server does not get."""


class _ClosedUnansweredError(ConnectionResetError):
    """The server closed a connection that was used before, and did not read the request."""


class HttpClient:
    """Make requests in this process; an `UpstreamRelay`. For one event loop."""

    def __init__(self) -> None:
        self._idle: dict[Route, list[_Connection]] = {}
        self._open: set[_Connection] = set()

    async def start(self) -> None:
        """See `UpstreamRelay`."""

    async def request(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> UpstreamAnswer:
        """See `UpstreamRelay`."""
        asked = _Asked(method, url, list(headers), body)
        try:
            for _ in range(_MOST_REDIRECTS):
                answer = await self._ask(asked)
                moved = asked.moved(answer)
                if moved is None:
                    return answer
                answer.close()
                asked = moved
        except (OSError, ValueError, h11.ProtocolError) as error:
            raise _broken(error) from error
        raise ConnectionResetError(f"more than {_MOST_REDIRECTS - 1} redirects from {url}")

    async def _ask(self, asked: _Asked) -> _Answer:
        url = urlsplit(asked.url)
        route = route_of(url)
        request = asked.message(url, route)
        connection = self._reused(route) or await self._opened(route)
        try:
            response = await self._head(connection, request, asked.body)
        except _ClosedUnansweredError:  # as each server does after some time
            connection = await self._opened(route)
            response = await self._head(connection, request, asked.body)
        headers = decoded_headers(response)
        return _Answer(response.status_code, decoded(response.reason), headers, connection, self)

    async def _head(
        self, connection: _Connection, request: h11.Request, body: bytes
    ) -> h11.Response:
        try:
            return await connection.ask(request, body)
        except BaseException:
            self.drop(connection)
            raise

    def _reused(self, route: Route) -> _Connection | None:
        idle = self._idle.get(route, [])
        while idle:
            connection = idle.pop()
            if not connection.is_closed:
                return connection
            self.drop(connection)
        return None

    async def _opened(self, route: Route) -> _Connection:
        connection = _Connection(route, await connected(route, lambda: self._trust))
        self._open.add(connection)
        return connection

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """Trusts the authorities of the system, whose certificates are read only for https."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def keep(self, connection: _Connection) -> None:
        """Use a connection again, whose answer was read."""
        self._idle.setdefault(connection.route, []).append(connection)

    def drop(self, connection: _Connection) -> None:
        """Close a connection."""
        self._open.discard(connection)
        connection.abort()

    async def close(self) -> None:
        """See `UpstreamRelay`."""
        for connection in tuple(self._open):
            self.drop(connection)
        self._idle.clear()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, as the caller or a redirect wants it."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes

    def message(self, url: SplitResult, route: Route) -> h11.Request:
        """Return the head of the request."""
        path = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
        host = url.netloc.rpartition("@")[2]
        target = f"http://{host}{path}" if route.is_forwarded else path
        headers = [(b"Host", host.encode("ascii" if host.isascii() else "idna"))]
        headers += encoded_headers(self.headers)
        names = {name.lower() for name, _ in self.headers}
        if "authorization" not in names and (proof := basic_auth(url)):
            headers.append((b"Authorization", proof))
        if route.is_forwarded and (proof := basic_auth(urlsplit(route.proxy))):
            headers.append((b"Proxy-Authorization", proof))
        if self.body or self.method not in ("GET", "HEAD"):
            headers.append((b"Content-Length", str(len(self.body)).encode()))
        return h11.Request(
            method=self.method, target=quote(target, safe=punctuation), headers=headers
        )

    def moved(self, answer: _Answer) -> _Asked | None:
        """Return the request that an answer redirects to, None if it does not redirect."""
        to = next((value for name, value in answer.headers if name.lower() == "location"), "")
        if not to or answer.status not in _AS_GET | _AGAIN:
            return None
        url = urljoin(self.url, to)
        method, body, left = self.method, self.body, set()
        if answer.status in _AS_GET and method not in ("GET", "HEAD"):
            method, body, left = "GET", b"", _OF_BODIES
        if urlsplit(url).hostname != urlsplit(self.url).hostname:
            left = left | _SECRET
        headers = [(name, value) for name, value in self.headers if name.lower() not in left]
        return _Asked(method, url, headers, body)


class _Connection(HttpConnection):
    """A connection to a server or a proxy."""

    def __init__(self, route: Route, streams: Streams) -> None:
        super().__init__(h11.CLIENT, *streams)
        self.route = route
        self._was_used = False
        self._has_data = False

    async def ask(self, request: h11.Request, body: bytes) -> h11.Response:
        """Send a request, and return the head of the response."""
        was_used, self._has_data = self._was_used, False
        self._was_used = True
        try:
            await self.send(request, h11.Data(data=body), h11.EndOfMessage())
            return await self._response()
        except (OSError, h11.RemoteProtocolError) as error:
            # Only then is the request sent again. After a first byte, or on a new connection, the
            # server may have begun to work on it, and a model would answer, and cost, twice.
            if was_used and not self._has_data:
                raise _ClosedUnansweredError(str(error)) from error
            raise

    async def _response(self) -> h11.Response:
        while not isinstance(event := self.next_event(), h11.Response):
            goes_on = isinstance(event, h11.InformationalResponse)
            if not goes_on and not (event is h11.NEED_DATA and await self.read()):
                raise ConnectionResetError("the server closed the connection before it answered")
        return event

    async def read(self) -> bool:
        """See `HttpConnection`."""
        has_read = await super().read()
        self._has_data = self._has_data or has_read
        return has_read


@dataclass(slots=True)
class _Answer:
    """An `UpstreamAnswer` of this process."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    _connection: _Connection = field(repr=False)
    _client: HttpClient = field(repr=False)
    _is_read: bool = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """See `UpstreamAnswer`. Bytes that arrive together are one chunk."""
        pieces: list[bytes] = []
        try:
            while True:
                event = self._connection.next_event()
                if isinstance(event, h11.Data):
                    pieces.append(bytes(event.data))
                elif event is h11.NEED_DATA:
                    if pieces:
                        yield b"".join(pieces)
                        pieces = []
                    await self._connection.read()
                else:
                    break
        except (OSError, h11.RemoteProtocolError) as error:
            raise _broken(error) from error
        if pieces:
            yield b"".join(pieces)
        self._is_read = True
        if self._connection.is_reusable():
            self._client.keep(self._connection)
        else:
            self._client.drop(self._connection)

    def close(self) -> None:
        """See `UpstreamAnswer`."""
        if not self._is_read:
            self._client.drop(self._connection)


def _broken(error: Exception) -> ConnectionError:
    return ConnectionResetError(str(error) or type(error).__name__)
