"""`--agy-block-network`: a test can connect to this machine only.

The functions replaced here serve connections and name look-ups, of sync and async code alike.
pytest-socket with a list of allowed hosts guards `connect` alone: look-ups, `connect_ex`, `sendto`
and `sendmsg` would pass.

Child processes get the address of a proxy that does not exist. So the harness, and every other
program that follows proxy settings, can connect to this machine only. Programs that ignore proxy
settings are not blocked.
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

_CLOSED_PORT = "http://127.0.0.1:9"  # the discard port, on which no program listens
_PROXIES = {
    "HTTP_PROXY": _CLOSED_PORT,
    "HTTPS_PROXY": _CLOSED_PORT,
    "ALL_PROXY": _CLOSED_PORT,
    "NO_PROXY": "localhost,127.0.0.1,::1",
}
_PROXY_VARIABLES = _PROXIES | {name.lower(): value for name, value in _PROXIES.items()}
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_ENV = list(inspect.signature(subprocess.Popen).parameters).index("env")  # if passed by position
_CONNECT = ("connect", "connect_ex")
_LOOK_UP = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Block while a test and its fixtures run."""
    with blocked():
        return (yield)


@contextlib.contextmanager
def blocked() -> Generator[None, None, None]:
    """Refuse connections of this process to other machines while the block runs.

    Raises:
        NetworkBlockedError: In the code that connects to another machine.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in _CONNECT:
            patch.setattr(socket.socket, name, _guarded_connect(getattr(socket.socket, name)))
        patch.setattr(socket.socket, "sendto", _guarded_sendto(socket.socket.sendto))
        if hasattr(socket.socket, "sendmsg"):  # not on Windows
            patch.setattr(socket.socket, "sendmsg", _guarded_sendmsg(socket.socket.sendmsg))
        start = subprocess.Popen.__init__
        patch.setattr(subprocess.Popen, "__init__", _without_network(start))
        patch.setattr(socket, "getnameinfo", _guarded_name(socket.getnameinfo))
        for name in _LOOK_UP:
            patch.setattr(socket, name, _guarded_look_up(getattr(socket, name)))
        yield


def _guarded_connect(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any) -> Any:
        _require_loopback(self, address)
        return original(self, address)

    return connect


def _guarded_sendto(original: Callable[..., Any]) -> Callable[..., Any]:
    def sendto(self: socket.socket, data: Any, *rest: Any) -> Any:
        _require_loopback(self, rest[-1] if rest else None)
        return original(self, data, *rest)

    return sendto


def _guarded_sendmsg(original: Callable[..., Any]) -> Callable[..., Any]:
    def sendmsg(self: socket.socket, buffers: Any, *rest: Any) -> Any:
        _require_loopback(self, rest[2] if len(rest) > 2 else None)  # noqa: PLR2004 - data, flags, it
        return original(self, buffers, *rest)

    return sendmsg


def _guarded_look_up(original: Callable[..., Any]) -> Callable[..., Any]:
    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_loopback(host):
            _refuse("the look-up of", _text(host))
        return original(host, *args, **kwargs)

    return look_up


def _guarded_name(original: Callable[..., Any]) -> Callable[..., Any]:
    def name_of(address: Any, flags: int) -> Any:
        if not flags & socket.NI_NUMERICHOST and not is_loopback(address[0]):
            _refuse("the look-up of", _text(address[0]))
        return original(address, flags)

    return name_of


def _without_network(original: Callable[..., None]) -> Callable[..., None]:
    def start(self: Any, *args: Any, **kwargs: Any) -> None:
        if len(args) <= _ENV:
            kwargs["env"] = {
                **(os.environ if kwargs.get("env") is None else kwargs["env"]),
                **_PROXY_VARIABLES,
            }
        original(self, *args, **kwargs)

    return start


def _require_loopback(sock: socket.socket, address: Any) -> None:
    if sock.family in _INTERNET and isinstance(address, tuple) and not is_loopback(address[0]):
        _refuse("a connection to", f"{_text(address[0])}:{address[1]}")


def _refuse(what: str, host: str) -> NoReturn:
    raise NetworkBlockedError(
        f"--agy-block-network: {what} {host} is refused. Replay the test from a cassette, "
        "or use a server on 127.0.0.1",
        host=host,
    )


def is_loopback(host: object) -> bool:
    """Say whether a host is this machine, without a look-up.

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
