"""Where a request is sent: directly, or through a proxy of the environment, as Go's client does.

The harness would send the request itself, and it is written in Go. `HTTP_PROXY`, `HTTPS_PROXY` and
`NO_PROXY` count, and the settings of macOS and Windows. A server of this machine is never behind a
proxy.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import h11

from agy_nb.cassette.http.http_connection import READ_BYTES, HttpConnection

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_PORTS = {"http": 80, "https": 443}
_NEXT_ADDRESS_S = 0.25
"""Seconds after which the next address of a host is tried."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where requests go. Requests with equal routes can share a connection.

    Attributes:
        scheme: `http` or `https`.
        host: The server's name or address.
        port: The server's port.
        proxy: URL of the proxy; empty for none.
    """

    scheme: str
    host: str
    port: int
    proxy: str = ""

    @property
    def is_forwarded(self) -> bool:
        """Whether the proxy reads the requests, so that they name the server."""
        return bool(self.proxy) and self.scheme == "http"


def route_of(url: SplitResult) -> Route:
    """Return the route of a request.

    Raises:
        ValueError: The URL names no server.
    """
    if url.scheme not in _PORTS or not url.hostname:
        raise ValueError(f"{url.geturl()!r} is not an http:// or https:// address")
    port = url.port or _PORTS[url.scheme]
    is_direct = _is_local(url.hostname) or proxy_bypass(url.hostname)
    proxy = "" if is_direct else getproxies().get(url.scheme, "")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return Route(url.scheme, url.hostname, port, proxy)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def basic_auth(url: SplitResult) -> bytes:
    """Return the value of a header for the user and the password of a URL; empty without them.

    Example:
        >>> basic_auth(urlsplit("http://me:p%40ss@proxy:8080"))
        b'Basic bWU6cEBzcw=='
    """
    if url.username is None:
        return b""
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return b"Basic " + base64.b64encode(pair.encode())


async def connected(route: Route, trust: Callable[[], ssl.SSLContext]) -> Streams:
    """Connect to the server of a route.

    Args:
        route: The route.
        trust: Returns the settings of TLS; called only where TLS is needed.

    Raises:
        OSError: The server or the proxy does not answer, or its certificate is not trusted.
        ValueError: The environment's proxy is not an address.
    """
    is_tls = route.scheme == "https"
    if not route.proxy:
        return await _opened(route.host, route.port, trust() if is_tls else None)
    proxy = urlsplit(route.proxy)
    if proxy.scheme not in _PORTS or not proxy.hostname:
        raise ValueError(
            f"the environment's proxy for {route.scheme}:// is a {proxy.scheme}:// address; only "
            "http:// and https:// proxies are supported"
        )
    port = proxy.port or _PORTS[proxy.scheme]
    streams = await _opened(proxy.hostname, port, trust() if proxy.scheme == "https" else None)
    if is_tls:
        try:
            await _through_proxy(streams, route, proxy)
            await streams[1].start_tls(trust(), server_hostname=route.host)
        except BaseException:
            streams[1].transport.abort()
            raise
    return streams


async def _opened(host: str, port: int, context: ssl.SSLContext | None) -> Streams:
    return await asyncio.open_connection(
        host, port, ssl=context, happy_eyeballs_delay=_NEXT_ADDRESS_S, limit=READ_BYTES
    )


async def _through_proxy(streams: Streams, route: Route, proxy: SplitResult) -> None:
    """Ask the proxy for a connection to the server."""
    connection = HttpConnection(h11.CLIENT, *streams)
    host = f"[{route.host}]" if ":" in route.host else route.host
    target = f"{host}:{route.port}".encode("ascii" if host.isascii() else "idna")
    headers = [(b"Host", target)]
    if proof := basic_auth(proxy):
        headers.append((b"Proxy-Authorization", proof))
    request = h11.Request(method="CONNECT", target=target, headers=headers)
    await connection.send(request, h11.EndOfMessage())
    event = await connection.receive()
    while isinstance(event, h11.InformationalResponse):
        event = await connection.receive()
    status = event.status_code if isinstance(event, h11.Response) else 0
    if not 200 <= status < 300:  # noqa: PLR2004 - the range of success
        said = f"answered with {status}" if status else "hung up"
        raise ConnectionResetError(f"the proxy {proxy.hostname} {said} for {route.host}")
