"""`--agy-block-network`: a test reaches this machine and no other.

Rule 1: connections and look-ups of names are refused, sync and async alike: both end
in the methods that are replaced here. pytest-socket with a list of allowed hosts guards `connect`
alone: look-ups, `connect_ex`, `sendto` and `sendmsg` would pass.
Rule 2: processes that a test starts get a proxy that is not there. The harness, and every other
program that heeds a proxy, then reaches this machine only; one that heeds none is not covered.
"""

from __future__ import annotations

import contextlib
import inspect
import ipaddress
import os
import socket
import subprocess
from collections.abc import Callable, Generator
from typing import Any, NoReturn

import pytest

from agy_nb.pytest_plugin.errors import NetworkBlockedError

_NOBODY = "http://127.0.0.1:9"  # the port that discards; nothing listens there any more
_PROXIES = {
    "HTTP_PROXY": _NOBODY,
    "HTTPS_PROXY": _NOBODY,
    "ALL_PROXY": _NOBODY,
    "NO_PROXY": "localhost,127.0.0.1,::1",
}
_DEAD_END = _PROXIES | {name.lower(): value for name, value in _PROXIES.items()}
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_ENV = list(inspect.signature(subprocess.Popen).parameters).index("env")  # its place, if unnamed
_CONNECT = ("connect", "connect_ex")
_LOOK_UP = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Block while a test and its fixtures run."""
    with blocked():
        return (yield)


@contextlib.contextmanager
def blocked() -> Generator[None, None, None]:
    """Refuse every host but this machine while the block lasts, for this whole process.

    Raises:
        NetworkBlockedError: In the code that reaches for one.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in _CONNECT:
            patch.setattr(socket.socket, name, _guarded_connect(getattr(socket.socket, name)))
        patch.setattr(socket.socket, "sendto", _guarded_sendto(socket.socket.sendto))
        if hasattr(socket.socket, "sendmsg"):  # not on Windows
            patch.setattr(socket.socket, "sendmsg", _guarded_sendmsg(socket.socket.sendmsg))
        start = subprocess.Popen.__init__
        patch.setattr(subprocess.Popen, "__init__", _without_network(start))
        for name in _LOOK_UP:
            patch.setattr(socket, name, _guarded_look_up(getattr(socket, name)))
        yield


def _guarded_connect(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any) -> Any:  # noqa: ANN401 - any address
        _must_be_here(self, address)
        return original(self, address)

    return connect


def _guarded_sendto(original: Callable[..., Any]) -> Callable[..., Any]:
    def sendto(self: socket.socket, data: Any, *rest: Any) -> Any:  # noqa: ANN401 - flags, address
        _must_be_here(self, rest[-1] if rest else None)
        return original(self, data, *rest)

    return sendto


def _guarded_sendmsg(original: Callable[..., Any]) -> Callable[..., Any]:
    def sendmsg(self: socket.socket, buffers: Any, *rest: Any) -> Any:  # noqa: ANN401 - see sendto
        _must_be_here(self, rest[2] if len(rest) > 2 else None)  # noqa: PLR2004 - data, flags, it
        return original(self, buffers, *rest)

    return sendmsg


def _guarded_look_up(original: Callable[..., Any]) -> Callable[..., Any]:
    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's
        if not is_loopback(host):
            _refuse("the look-up of", _text(host))
        return original(host, *args, **kwargs)

    return look_up


def _without_network(original: Callable[..., None]) -> Callable[..., None]:
    def start(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the method's
        if len(args) <= _ENV:
            kwargs["env"] = {
                **(os.environ if kwargs.get("env") is None else kwargs["env"]),
                **_DEAD_END,
            }
        original(self, *args, **kwargs)

    return start


def _must_be_here(sock: socket.socket, address: Any) -> None:  # noqa: ANN401 - any address
    if sock.family in _INTERNET and isinstance(address, tuple) and not is_loopback(address[0]):
        _refuse("a connection to", f"{_text(address[0])}:{address[1]}")


def _refuse(what: str, host: str) -> NoReturn:
    raise NetworkBlockedError(
        f"--agy-block-network: {what} {host} is refused, only this machine can be reached. "
        "Replay what the test needs, or let a server on 127.0.0.1 stand in for it",
        host=host,
    )


def is_loopback(host: object) -> bool:
    """Whether a host is this machine, without asking anybody.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("example.org")
        (True, True, False)
    """
    name = _text(host)
    if name in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def _text(host: object) -> str:
    if host is None:  # any address of this machine
        return ""
    return host.decode(errors="replace") if isinstance(host, bytes | bytearray) else str(host)
