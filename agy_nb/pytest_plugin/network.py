"""`--agy-block-network`: a test can connect to this machine and to the allowed hosts only.

The functions replaced here serve connections and name look-ups, of sync and async code alike.
pytest-socket with a list of allowed hosts guards `connect` alone: look-ups, `connect_ex`, `sendto`
and `sendmsg` would pass.

Child processes get the address of a proxy that does not exist, however they are started; see
`sdk.process.child_environment`. So the harness, and every other program that follows proxy
settings, can connect to this machine only. Programs that ignore proxy settings are not blocked.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NoReturn

import pytest

from agy_nb.pytest_plugin.errors import NetworkBlockedError
from agy_nb.pytest_plugin.plugin_options import settings_of

_CLOSED_PORT = "http://127.0.0.1:9"  # the discard port, on which no program listens
_PROXIES = {
    "HTTP_PROXY": _CLOSED_PORT,
    "HTTPS_PROXY": _CLOSED_PORT,
    "ALL_PROXY": _CLOSED_PORT,
    "NO_PROXY": "localhost,127.0.0.1,::1",
}
_PROXY_VARIABLES = _PROXIES | {name.lower(): value for name, value in _PROXIES.items()}
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_CONNECT = ("connect", "connect_ex")
_LOOK_UP = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Block while a test and its fixtures run."""
    with blocked(item.config.stash[settings_of].allow_hosts):
        return (yield)


class AllowedHosts:
    """The machines to which tests can connect: this one, and those that are named.

    Args:
        names: Names and addresses of further hosts.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._addresses: set[str] = set()

    def require(self, what: str, host: object, port: object = None) -> None:
        """Check that a host is allowed.

        Raises:
            NetworkBlockedError: It is another machine.
        """
        name = _text(host)
        if not is_loopback(host) and name.lower() not in self._names | self._addresses:
            _refuse(what, name if port is None else f"{name}:{port}")

    def require_socket(self, sock: socket.socket, address: Any) -> None:
        """Check that a socket's peer is allowed; see `require`."""
        if sock.family in _INTERNET and isinstance(address, tuple):
            self.require("a connection to", address[0], address[1])

    def learn(self, host: object, found: Any) -> None:
        """Allow the addresses that a look-up found for a host that was named."""
        if _text(host).lower() in self._names:
            self._addresses.update(_addresses_in(found))


def _addresses_in(found: Any) -> Generator[str, None, None]:
    """Yield the texts of the result of a look-up, which include its addresses."""
    if isinstance(found, str):
        yield found.lower()
    elif isinstance(found, list | tuple):
        for each in found:
            yield from _addresses_in(each)


@contextlib.contextmanager
def blocked(allow: Iterable[str] = ()) -> Generator[None, None, None]:
    """Refuse connections of this process to other machines while the block runs.

    Args:
        allow: Names or addresses of other machines to which it can connect.

    Raises:
        NetworkBlockedError: In the code that connects to another machine.
    """
    from agy_nb.sdk.process import child_environment

    allow = tuple(allow)
    hosts = AllowedHosts(allow)
    proxies = _dead_proxies(allow)
    with pytest.MonkeyPatch.context() as patch, child_environment.changed(lambda _: proxies):
        for name in _CONNECT:
            patch.setattr(
                socket.socket, name, _guarded_connect(getattr(socket.socket, name), hosts)
            )
        patch.setattr(socket.socket, "sendto", _guarded_sendto(socket.socket.sendto, hosts))
        if hasattr(socket.socket, "sendmsg"):  # not on Windows
            patch.setattr(socket.socket, "sendmsg", _guarded_sendmsg(socket.socket.sendmsg, hosts))
        patch.setattr(socket, "getnameinfo", _guarded_name(socket.getnameinfo, hosts))
        for name in _LOOK_UP:
            patch.setattr(socket, name, _guarded_look_up(getattr(socket, name), hosts))
        yield


def _guarded_connect(original: Callable[..., Any], hosts: AllowedHosts) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any) -> Any:
        hosts.require_socket(self, address)
        return original(self, address)

    return connect


def _guarded_sendto(original: Callable[..., Any], hosts: AllowedHosts) -> Callable[..., Any]:
    def sendto(self: socket.socket, data: Any, *rest: Any) -> Any:
        # With flags, the address is the third argument; it is the last one in any case.
        hosts.require_socket(self, rest[-1] if rest else None)
        return original(self, data, *rest)

    return sendto


def _guarded_sendmsg(original: Callable[..., Any], hosts: AllowedHosts) -> Callable[..., Any]:
    def sendmsg(self: socket.socket, buffers: Any, *rest: Any) -> Any:
        hosts.require_socket(self, rest[2] if len(rest) > 2 else None)  # noqa: PLR2004 - data, flags, it
        return original(self, buffers, *rest)

    return sendmsg


def _guarded_look_up(original: Callable[..., Any], hosts: AllowedHosts) -> Callable[..., Any]:
    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        hosts.require("the look-up of", host)
        found = original(host, *args, **kwargs)
        # A program connects to the address that it has looked up, not to the name.
        hosts.learn(host, found)
        return found

    return look_up


def _guarded_name(original: Callable[..., Any], hosts: AllowedHosts) -> Callable[..., Any]:
    def name_of(address: Any, flags: int) -> Any:
        if not flags & socket.NI_NUMERICHOST:
            hosts.require("the look-up of", address[0])
        return original(address, flags)

    return name_of


def _dead_proxies(allow: Sequence[str]) -> dict[str, str]:
    direct = ",".join([_PROXY_VARIABLES["NO_PROXY"], *allow])
    return _PROXY_VARIABLES | {"NO_PROXY": direct, "no_proxy": direct}


def _refuse(what: str, host: str) -> NoReturn:
    raise NetworkBlockedError(
        f"--agy-block-network: {what} {host} is refused. Replay the test from a cassette, "
        "use a server on 127.0.0.1, or allow the host with --agy-allow-hosts",
        host=host,
    )


def is_loopback(host: object) -> bool:
    """Return whether a host is this machine, without a look-up.

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
