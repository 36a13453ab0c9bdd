"""Store the error of a request that got no answer, and raise it again in a replay.

vcrpy records answers only. A refused connection or a time-out would be a request without an
answer in the cassette, so that the replay would fail in another way than the recording did.
The error is stored in the place of a response, in `x_agy_error`. The error of a body that breaks
off is stored beside the part of the body that arrived, in `x_agy_cut`.
"""

from __future__ import annotations

import http.client
import importlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from agy_nb.cassette.http.response_fields import ERROR
from agy_nb.wire.json_values import number_of, object_of, text_of

_MODULES = frozenset(
    {"builtins", "socket", "ssl", "http.client", "urllib3.exceptions", "httpx", "httpx2",
     "aiohttp.client_exceptions"}
)  # fmt: skip
"""Modules whose errors are stored. A cassette may come from an attacker: it names no other."""
SENDING: Final = "agy_sending"
"""An attribute of errors that were raised before the request was sent, as while connecting."""


def response_of(error: Exception, text: Callable[[str], str]) -> dict[str, Any] | None:
    """Return an error as a response in vcrpy's format; None if it is not one of a connection.

    Args:
        error: What the client raised.
        text: Returns a text without secrets.
    """
    kind = type(error)
    if kind.__module__ not in _MODULES:
        return None
    stored: dict[str, Any] = {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "text": text(_text(error)),
    }
    if isinstance(error, OSError) and error.errno is not None:
        stored["errno"] = error.errno
    if getattr(error, SENDING, False):
        stored["sending"] = True
    if (key := getattr(error, "_conn_key", None)) is not None:  # aiohttp's errors of connections
        stored |= {"host": text(key.host), "port": key.port, "ssl": bool(key.is_ssl)}
    if isinstance(status := getattr(error, "status", None), int):  # of aiohttp's malformed answers
        stored["status"] = status
    if (asked := getattr(error, "request_info", None)) is not None:
        stored |= {"url": text(str(asked.real_url)), "method": asked.method}
    return {
        "status": {"code": 0, "message": kind.__name__},
        "headers": {},
        "body": {"string": b""},
        ERROR: stored,
    }


def error_of(response: dict[str, Any]) -> Exception | None:
    """Return the error that a response in vcrpy's format represents; None for a real response."""
    if ERROR not in response:
        return None
    stored = object_of(response[ERROR])
    text = text_of(stored.get("text"))
    kind = _kind(text_of(stored.get("type")))
    number = stored.get("errno")
    cause = OSError(number, text) if isinstance(number, int) else OSError(text)
    if "host" in stored:
        return _of_aiohttp(kind, stored, cause)
    if "url" in stored:
        return _of_answer(kind, stored, cause)
    try:
        error = kind(number, text) if isinstance(number, int) else kind(text)
    except TypeError:  # it takes the connection, too, which a replay does not have
        error = kind.__new__(kind)
        error.args = (text,)
    if stored.get("sending"):
        setattr(error, SENDING, True)
    return error


def _of_aiohttp(kind: type[Exception], stored: dict[str, Any], cause: OSError) -> Exception:
    from aiohttp import ClientConnectorError
    from aiohttp.client_reqrep import ConnectionKey

    if not issubclass(kind, ClientConnectorError):
        return cause
    host, port = text_of(stored.get("host")), number_of(stored.get("port"))
    key = ConnectionKey(host, port, bool(stored.get("ssl")), ssl=True, proxy=None,
                        proxy_auth=None, proxy_headers_hash=None)  # fmt: skip
    return kind(key, cause)


def _of_answer(kind: type[Exception], stored: dict[str, Any], cause: OSError) -> Exception:
    from aiohttp import ClientResponseError
    from vcr.stubs.aiohttp_stubs import URL, CIMultiDict, CIMultiDictProxy, RequestInfo

    if not issubclass(kind, ClientResponseError):
        return cause
    try:
        url = URL(text_of(stored.get("url")))
    except ValueError:  # redaction may leave a text that is not a URL
        url = URL()
    asked = RequestInfo(url, text_of(stored.get("method")), CIMultiDictProxy(CIMultiDict()), url)
    text = text_of(stored.get("text"))
    return kind(asked, (), status=number_of(stored.get("status")), message=text)


def _text(error: Exception) -> str:
    """Return the message of an error, without the parts that it adds when it is shown."""
    if hasattr(error, "request_info"):
        return str(getattr(error, "message", error))
    inner = getattr(error, "os_error", error)
    return inner.strerror or str(inner) if isinstance(inner, OSError) else str(inner)


def _kind(name: str) -> type[Exception]:
    module, _, name = name.rpartition(".")
    if module in _MODULES:
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            return ConnectionError
        if isinstance(found, type) and issubclass(found, Exception):
            return found
    return ConnectionError


# -- bodies that break off -----------------------------------------------------------------------


def cut_of(error: Exception, read: int) -> dict[str, Any]:
    """Return the error of a body that broke off, for `x_agy_cut`.

    Args:
        error: `http.client.IncompleteRead`, or `urllib3.exceptions.ProtocolError`.
        read: Bytes that arrived.
    """
    kind = type(error)
    inner = error.args[1] if len(error.args) > 1 else error
    stored: dict[str, Any] = {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "text": str(error.args[0]) if len(error.args) > 1 else str(error),
        "read": partial if isinstance(partial := getattr(inner, "partial", read), int) else read,
    }
    expected = getattr(inner, "expected", None)
    return stored | ({"expected": expected} if isinstance(expected, int) else {})


class CutBody(io.BytesIO):
    """A body that breaks off behind its last byte, as the client that was recorded saw it.

    Args:
        content: What arrived.
        cut: What `cut_of` returned.
    """

    def __init__(self, content: bytes, cut: Any) -> None:
        super().__init__(content)
        self._cut = object_of(cut)
        # `http.client` gives a short piece to callers that ask for pieces, and then an empty one.
        self._is_plain = text_of(self._cut.get("type")).startswith("http.client.")

    def read(self, size: int | None = -1, /, **_: Any) -> bytes:
        """Return the next bytes.

        Raises:
            Exception: The recorded error, at the end of what arrived.
        """
        whole = size is None or size < 0
        data = super().read(size)
        if whole or (not data and size != 0 and not self._is_plain):
            raise self._error(data)
        return data

    def getbuffer(self) -> Any:
        """Return a view of the body, of which vcrpy asks the length and the bytes."""
        return _CutView(len(self.getvalue()), lambda: self._error(self.getvalue()))

    def _error(self, data: bytes) -> Exception:
        expected = self._cut.get("expected")
        left = expected if isinstance(expected, int) else None
        if self._is_plain:
            return http.client.IncompleteRead(data, left)
        kind = _kind(text_of(self._cut.get("type")))
        text = text_of(self._cut.get("text"))
        if left is None:
            return kind(text)
        inner: Any = _kind("urllib3.exceptions.IncompleteRead")
        return kind(text, inner(number_of(self._cut.get("read")), left))


@dataclass(frozen=True, slots=True)
class _CutView:
    nbytes: int
    error: Callable[[], Exception]

    def tobytes(self) -> bytes:
        raise self.error()
