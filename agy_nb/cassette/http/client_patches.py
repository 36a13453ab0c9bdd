"""Extend vcrpy's patches of HTTP clients, while a cassette of tools is open.

Rule 1: the error of a request that got no answer is recorded, and raised again in a replay. An
error after the answer is not recorded, such as that of aiohttp's `raise_for_status`: the client
raises it again for the recorded answer.
Rule 2: aiohttp's forms and JSON become bytes before vcrpy sees them. It would keep Python objects,
which cannot be redacted, written or compared.
Rule 3: these patches lie over vcrpy's. Apply them after vcrpy's, and remove them before.
Rule 4: a request of one thread does not take vcrpy's patches from the others. Whenever vcrpy makes
a real connection, it puts the real classes back for the whole process, so that requests of other
threads pass unrecorded at that moment. Only one line of Python needs that, see `_own_name`.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import importlib.util
import threading
import types
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from agy_nb.cassette.http.recorded_errors import SENDING, CutBody, cut_of, error_of, response_of
from agy_nb.cassette.http.response_fields import CUT

_PRELOAD = "_agy_preload"
_REDIRECTS = (301, 302, 303, 307, 308)

_asked: ContextVar[Any] = ContextVar("agy_nb_asked_request", default=None)
"""The request that this context makes now, because the cassette has no answer to it."""
_cut: ContextVar[Any] = ContextVar("agy_nb_cut_body", default=None)
"""How the body that this context has read broke off."""


@contextlib.contextmanager
def extended(cassette: Any, text: Callable[[str], str]) -> Iterator[None]:
    """Apply the patches for as long as the block runs.

    Args:
        cassette: vcrpy's `Cassette`, whose own patches are applied.
        text: Returns a text without secrets.
    """
    import vcr.patch
    import vcr.stubs

    _watch(cassette)

    def record(error: Exception) -> None:
        request = _asked.get()
        _asked.set(None)
        found = None if request is None else response_of(error, text)
        if found is not None:
            cassette.append(request, found)

    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(vcr.patch, "force_reset", contextlib.nullcontext))
        https = vars(vcr.stubs.VCRHTTPSConnection)["_baseclass"]
        stack.enter_context(patch.object(https, "__init__", _own_name(https)))
        for owner, name, wrap in _clients():
            stack.enter_context(patch.object(owner, name, wrap(getattr(owner, name), record)))
        yield


def _own_name(https: type) -> Callable[..., None]:
    """Return the `__init__` of `http.client.HTTPSConnection`, which finds its class by name.

    It calls `super(HTTPSConnection, self)`. That name means vcrpy's class while it is patched.
    """
    init: Any = https.__init__  # type: ignore[misc]  # of this class, not of an instance
    names = init.__globals__ | {https.__name__: https}
    found = types.FunctionType(
        init.__code__, names, init.__name__, init.__defaults__, init.__closure__
    )
    found.__kwdefaults__ = init.__kwdefaults__
    return found


def _watch(cassette: Any) -> None:
    """Note the requests that a cassette cannot answer, and raise the errors that it holds."""
    can_play, play, append = (
        cassette.can_play_response_for, cassette.play_response, cassette.append
    )  # fmt: skip
    playing = threading.Lock()

    def can_play_response_for(request: Any) -> Any:
        found = can_play(request)
        _asked.set(None if found or cassette.write_protected else request)
        return found

    def play_response(request: Any) -> Any:
        with playing:  # equal requests of several threads get an answer each
            response = play(request)
        if (error := error_of(response)) is not None:
            raise error
        return response

    def appended(request: Any, response: Any) -> None:
        _asked.set(None)  # it got its answer
        if (cut := _cut.get()) is not None:
            _cut.set(None)
            response[CUT] = cut  # here, as vcrpy's response of the recording has this object
        with playing:
            known = len(cassette.data)
            append(request, response)
            for index in range(known, len(cassette.data)):
                cassette.play_counts[index] += 1  # an equal request has another answer

    cassette.append = appended
    cassette.can_play_response_for = can_play_response_for
    cassette.play_response = play_response


Record = Callable[[Exception], None]
_Wrap = Callable[[Callable[..., Any], Record], Callable[..., Any]]


def _clients() -> Iterator[tuple[Any, str, _Wrap]]:
    """Yield what to patch: the owner, the name, and how to wrap it."""
    from vcr.stubs import VCRConnection, VCRHTTPResponse

    yield VCRConnection, "request", _noting_preload
    yield VCRConnection, "getresponse", _connected
    yield VCRHTTPResponse, "__init__", _body
    yield VCRHTTPResponse, "stream", _pieces
    yield urllib.request.AbstractHTTPHandler, "do_open", _urllib
    for name in ("httpx", "httpx2"):
        if importlib.util.find_spec(name):
            module = importlib.import_module(name)
            yield module.HTTPTransport, "handle_request", _blocking
            yield module.AsyncHTTPTransport, "handle_async_request", _awaited
    if importlib.util.find_spec("aiohttp"):
        import vcr.stubs.aiohttp_stubs
        from aiohttp import ClientSession

        yield ClientSession, "_request", _aiohttp
        yield vcr.stubs.aiohttp_stubs, "play_responses", _redirects


def _blocking(real: Callable[..., Any], record: Record) -> Callable[..., Any]:
    @functools.wraps(real)
    def request(*args: Any, **options: Any) -> Any:
        try:
            return real(*args, **options)
        except Exception as error:
            record(error)
            raise

    return request


def _noting_preload(real: Callable[..., Any], _record: Record) -> Callable[..., Any]:
    """Note whether urllib3 reads the body with the answer, which vcrpy does not pass on."""

    @functools.wraps(real)
    def request(self: Any, *args: Any, **options: Any) -> Any:
        self.__dict__[_PRELOAD] = {k: v for k, v in options.items() if k == "preload_content"}
        return real(self, *args, **options)

    return request


def _connected(real: Callable[..., Any], record: Record) -> Callable[..., Any]:
    """Note whether an error came before the answer, and keep what arrived of a cut body."""
    inner = _blocking(real, record)

    @functools.wraps(real)
    def getresponse(self: Any, *args: Any, **options: Any) -> Any:
        connection = self.real_connection
        preload = self.__dict__.get(_PRELOAD, {})
        connect, request = _marking(connection.connect), _marking(connection.request, preload)
        answer = connection.getresponse
        if not preload.get("preload_content"):
            answer = functools.partial(_answer, answer)
        methods = {"connect": connect, "request": request, "getresponse": answer}
        with patch.multiple(connection, **methods):
            return inner(self, *args, **options)

    return getresponse


def _marking(
    method: Callable[..., Any], preload: dict[str, Any] | None = None
) -> Callable[..., Any]:
    def marked(*args: Any, **options: Any) -> Any:
        try:
            return method(*args, **options, **(preload or {}))
        except OSError as error:
            setattr(error, SENDING, True)
            raise

    return marked


def _answer(real: Callable[..., Any], *args: Any, **options: Any) -> _Answer:
    return _Answer(real(*args, **options))


class _Answer:
    """A real answer that vcrpy reads as a whole, also if its body breaks off."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)

    @functools.cached_property
    def data(self) -> bytes:
        """What arrived of the body."""
        read = b""
        try:
            if not hasattr(self._answer, "stream"):
                return bytes(self._answer.read())
            for piece in _pieces_of(self._answer):
                read += piece
        except http.client.IncompleteRead as error:
            read = error.partial
            _cut.set(cut_of(error, len(read)))
        except Exception as error:
            if type(error).__name__ != "ProtocolError":
                raise
            _cut.set(cut_of(error, len(read)))
        return read


def _pieces_of(answer: Any) -> Iterator[bytes]:
    """Read an answer of urllib3, whose `stream` loses the last piece of a body that breaks off."""
    encoded = answer.headers.get("Content-Encoding")
    if answer.chunked or encoded or not hasattr(answer, "read1"):
        return answer.stream()  # type: ignore[no-any-return]  # of urllib3
    return iter(lambda: answer.read1(2**16), b"")


def _body(real: Callable[..., Any], _record: Record) -> Callable[..., Any]:
    @functools.wraps(real)
    def init(self: Any, recorded: Any, *args: Any, **options: Any) -> None:
        real(self, recorded, *args, **options)
        if CUT in recorded:
            self._content = CutBody(recorded["body"]["string"], recorded[CUT])

    return init


def _pieces(_real: Callable[..., Any], _record: Record) -> Callable[..., Any]:
    """Leave out the empty piece that vcrpy adds to a streamed body."""

    def stream(self: Any, amt: int = 65536, decode_content: bool | None = None) -> Iterator[bytes]:  # noqa: FBT001 - as urllib3's
        del decode_content
        while piece := self.read(amt):
            yield piece

    return stream


def _awaited(real: Callable[..., Any], record: Record) -> Callable[..., Any]:
    @functools.wraps(real)
    async def request(*args: Any, **options: Any) -> Any:
        try:
            return await real(*args, **options)
        except Exception as error:
            record(error)
            raise

    return request


def _aiohttp(real: Callable[..., Any], record: Record) -> Callable[..., Any]:
    inner = _awaited(real, record)

    @functools.wraps(real)
    async def request(self: Any, method: str, url: Any, **options: Any) -> Any:
        body = _payload(self, options)
        if body is not None:
            headers = self._prepare_headers(options.get("headers"))  # a copy
            headers.setdefault("Content-Type", body.content_type)
            options |= {"headers": headers, "data": await body.as_bytes(), "json": None}
        return await inner(self, method, url, **options)

    return request


def _redirects(_real: Callable[..., Any], _record: Record) -> Callable[..., Any]:
    """Follow the recorded redirects with the methods that aiohttp uses. vcrpy takes GET for all."""
    from aiohttp import hdrs
    from vcr.request import Request
    from vcr.stubs.aiohttp_stubs import URL, build_response

    def play(cassette: Any, request: Any, options: dict[str, Any]) -> Any:
        history: list[Any] = []
        response = build_response(request, cassette.play_response(request), history)
        while options.get("allow_redirects", True) and response.status in _REDIRECTS:
            target = response.headers.get(hdrs.LOCATION) or response.headers.get(hdrs.URI)
            if target is None:
                break
            url = str(URL(response.url).join(URL(target)))
            method = _method_after(response.status, request.method)
            request = Request(method, url, None, request.headers)
            history.append(response)
            response = build_response(request, cassette.play_response(request), history)
        return response

    return play


def _method_after(status: int, method: str) -> str:
    """Return the method of the request that follows a redirect."""
    if status == HTTPStatus.SEE_OTHER:
        return method if method == "HEAD" else "GET"
    moved = status in (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND)
    return "GET" if moved and method == "POST" else method


def _urllib(real: Callable[..., Any], _record: Record) -> Callable[..., Any]:
    """Raise a failed connection as urllib does without vcrpy, which connects later than urllib."""

    @functools.wraps(real)
    def do_open(*args: Any, **options: Any) -> Any:
        try:
            return real(*args, **options)
        except (urllib.error.URLError, ConnectionResetError, BrokenPipeError):
            raise
        except OSError as error:
            is_reading = isinstance(error, TimeoutError) and error.errno is None
            if is_reading and not getattr(error, SENDING, False):
                raise
            raise urllib.error.URLError(error) from error

    return do_open


def _payload(session: Any, options: dict[str, Any]) -> Any:
    """Return the payload of an aiohttp request whose body is an object of Python, else None."""
    from aiohttp import FormData, payload

    data, json = options.get("data"), options.get("json")
    if json is not None and data is None:
        return payload.JsonPayload(json, dumps=session.json_serialize)
    if isinstance(data, payload.Payload):
        return data
    if isinstance(data, FormData):
        return data()
    if isinstance(data, dict | list | tuple):
        return FormData(data)()
    return None
