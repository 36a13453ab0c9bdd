"""Extend vcrpy's patches of HTTP clients, while a cassette of tools is open.

Rule 1: the error of a request that got no answer is recorded, and raised again in a replay.
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
import importlib.util
import threading
import types
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch

from agy_nb.cassette.http.recorded_errors import error_of, response_of

_asked: ContextVar[Any] = ContextVar("agy_nb_asked_request", default=None)
"""The request that this context makes now, because the cassette has no answer to it."""


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
    can_play, play = cassette.can_play_response_for, cassette.play_response
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

    cassette.can_play_response_for = can_play_response_for
    cassette.play_response = play_response


Record = Callable[[Exception], None]
_Wrap = Callable[[Callable[..., Any], Record], Callable[..., Any]]


def _clients() -> Iterator[tuple[Any, str, _Wrap]]:
    """Give what to patch: the owner, the name, and how to wrap it."""
    from vcr.stubs import VCRConnection

    yield VCRConnection, "getresponse", _blocking
    for name in ("httpx", "httpx2"):
        if importlib.util.find_spec(name):
            module = importlib.import_module(name)
            yield module.HTTPTransport, "handle_request", _blocking
            yield module.AsyncHTTPTransport, "handle_async_request", _awaited
    if importlib.util.find_spec("aiohttp"):
        from aiohttp import ClientSession

        yield ClientSession, "_request", _aiohttp


def _blocking(real: Callable[..., Any], record: Record) -> Callable[..., Any]:
    @functools.wraps(real)
    def request(*args: Any, **options: Any) -> Any:
        try:
            return real(*args, **options)
        except Exception as error:
            record(error)
            raise

    return request


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
