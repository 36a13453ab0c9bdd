"""The loopback HTTP server under a scripted model.

The server listens on 127.0.0.1 only, and accepts any API key. It rejects requests that a web page
can send: a foreign Host or Origin, and content types that browsers send across origins without a
preflight. `stop` returns within two seconds, also while clients or scripts hang.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from agy_nb.testing.errors import ScriptCrashedError, ScriptError
from agy_nb.testing.gemini import GeminiDialect
from agy_nb.testing.model_request import Dialect, ModelRequest
from agy_nb.testing.openai import OpenAIDialect
from agy_nb.testing.script.model_turn import (
    DroppedConnection,
    Garbage,
    Hang,
    HttpError,
    ModelTurn,
)
from agy_nb.testing.token_estimates import CHARS_PER_TOKEN

GEMINI = GeminiDialect()
OPENAI = OpenAIDialect()

MAX_BODY_BYTES = 1 << 27
PARSE_OFF_LOOP_BYTES = 1 << 18  # parsing more would block the loop for milliseconds
BATCH_BYTES = 1 << 15
STOP_GRACE_S = 0.5

SCRIPTED, ECHO = "scripted-model", "echo-model"
MODEL_NAMES = (SCRIPTED, ECHO)
"""Names of the models in configurations, tables and views."""


class _StoppedError(Exception):
    """The server stops while it sends an answer."""


@dataclass(slots=True)
class _Call:
    """A call and its HTTP request."""

    http: web.Request
    request: ModelRequest
    started: bool = False

    def hang_up(self) -> web.StreamResponse:
        """Abort the connection."""
        if self.http.transport is not None:
            self.http.transport.abort()
        return web.Response()


_OURS = frozenset({"127.0.0.1", "localhost"})
_FROM_ANY_PAGE = frozenset(
    {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}
)
"""Content types that a browser sends to another origin without a preflight request."""


@web.middleware
async def _no_browsers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Reject requests of web pages, which could use up a script's turns or read answers."""
    host = _host_of(f"http://{request.headers.get('Host', '')}")
    origin = request.headers.get("Origin")
    if host not in _OURS or (origin is not None and _host_of(origin) not in _OURS):
        return web.json_response({"error": "only programs of this machine are served"}, status=403)
    sent = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and sent in _FROM_ANY_PAGE:
        return web.json_response({"error": "send application/json"}, status=415)
    return await handler(request)


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


class LoopbackServer:
    """An HTTP server on a free port of 127.0.0.1.

    Args:
        answer: Returns the turn for a call, or raises a `ScriptError`.
        failed: Called with the error of an answer that could not be sent.
    """

    def __init__(
        self,
        answer: Callable[[ModelRequest], Awaitable[ModelTurn]],
        failed: Callable[[ScriptError], object] = lambda error: None,  # noqa: ARG005
    ) -> None:
        self._answer = answer
        self._failed = failed
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()
        self._calls = 0
        self._active = 0
        self.port: int = 0

    @property
    def running(self) -> bool:
        """Whether the server listens."""
        return self._runner is not None

    @property
    def active(self) -> int:
        """Number of answers in progress."""
        return self._active

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_no_browsers])
        app.router.add_post(r"/{prefix:.*}/{model:[^/:]+}:{method}", self._gemini)
        app.router.add_post(r"/{prefix:.*}chat/completions", self._openai)
        app.router.add_get(r"/{prefix:.*}models", _models)
        self._stopping = asyncio.Event()
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=STOP_GRACE_S
        )
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        await web.SockSite(runner, listener).start()
        self.port = listener.getsockname()[1]
        self._runner = runner

    async def stop(self) -> None:
        """Abort answers in progress and stop listening."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._stopping.set()
            await runner.cleanup()

    async def _gemini(self, http: web.Request) -> web.StreamResponse:
        method = http.match_info["method"]
        if method == "countTokens":
            size = len(await http.read())
            return web.json_response({"totalTokens": -(-size // CHARS_PER_TOKEN)})
        if method not in ("streamGenerateContent", "generateContent"):
            return _refusal(GEMINI, HttpError(status=404, message=f"no method {method!r}"))
        return await self._serve(
            http, GEMINI, model=http.match_info["model"], streaming=method.startswith("stream")
        )

    async def _openai(self, http: web.Request) -> web.StreamResponse:
        return await self._serve(http, OPENAI)

    async def _serve(
        self,
        http: web.Request,
        dialect: Dialect,
        *,
        model: str | None = None,
        streaming: bool | None = None,
    ) -> web.StreamResponse:
        self._calls += 1
        number = self._calls
        raw = await http.read()
        try:
            body = await _parsed(raw)
        except (ValueError, RecursionError) as error:
            return _refusal(
                dialect, HttpError(status=400, message=f"the body must be a JSON object: {error}")
            )
        request = ModelRequest(
            number=number,
            path=str(http.rel_url),
            model=str(body.get("model", "")) if model is None else model,
            headers={name.lower(): value for name, value in http.headers.items()},
            body=body,
            streaming=bool(body.get("stream")) if streaming is None else streaming,
            size=len(raw),
            dialect=dialect,
        )
        if wrong := _problem_of(request):
            return _refusal(dialect, HttpError(status=400, message=wrong))
        self._active += 1
        call = _Call(http, request)
        try:
            turn = await self._answer(request)
            return await self._play(call, turn)
        except ScriptError as error:
            return _refusal(dialect, HttpError(status=400, message=f"ScriptedModel: {error}"))
        except (_StoppedError, ConnectionResetError):  # the server stops, or the client is gone
            return call.hang_up()
        except Exception as error:
            # aiohttp would answer with a status of 500, and the harness would ask again.
            crashed = ScriptCrashedError(
                f"the answer to call {number} cannot be sent: {type(error).__name__}: {error}",
                request_number=number,
            )
            crashed.__cause__ = error
            self._failed(crashed)
            if call.started:
                return call.hang_up()
            return _refusal(dialect, HttpError(status=400, message=f"ScriptedModel: {crashed}"))
        finally:
            self._active -= 1

    async def _play(self, call: _Call, turn: ModelTurn) -> web.StreamResponse:
        await self._pause(turn.delay_s)
        dialect = call.request.dialect
        match turn.fault:
            case HttpError() as error:
                return _refusal(dialect, error)
            case Hang() if not turn.parts or not call.request.streaming:
                await self._hang()
            case DroppedConnection(data) if not (turn.parts or data) or not call.request.streaming:
                return call.hang_up()
        if call.request.streaming:
            return await self._stream(call, turn)
        if isinstance(turn.fault, Garbage):
            return web.Response(body=turn.fault.data, content_type="application/json")
        return web.Response(
            body=dialect.document(turn, call.request), content_type="application/json"
        )

    async def _stream(self, call: _Call, turn: ModelTurn) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        call.started = True
        await response.prepare(call.http)
        dialect = call.request.dialect
        chunks = dialect.chunks(turn, call.request)
        if turn.byte_delay_s:
            await self._drip(response, chunks, turn.byte_delay_s)
        elif turn.chunk_delay_s:
            first = True
            for chunk in chunks:
                await self._pause(0 if first else turn.chunk_delay_s)
                first = False
                await response.write(chunk)
        else:
            for batch in _batches(chunks):
                await response.write(batch)
                await asyncio.sleep(0)  # a long answer must not block the loop
        match turn.fault:
            case Hang():
                await self._hang()
            case DroppedConnection(data):
                await response.write(data)
                return call.hang_up()
            case Garbage(data):
                for start in range(0, len(data), BATCH_BYTES):
                    await response.write(data[start : start + BATCH_BYTES])
                    await asyncio.sleep(0)
            case _:
                await response.write(dialect.ending(turn, call.request))
        await response.write_eof()
        return response

    async def _drip(
        self, response: web.StreamResponse, chunks: Iterator[bytes], delay_s: float
    ) -> None:
        for chunk in chunks:
            for byte in chunk:
                await self._pause(delay_s)
                await response.write(bytes((byte,)))

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._hang()
        except TimeoutError:
            return

    async def _hang(self) -> None:
        """Wait until the server stops. aiohttp cancels the handler if the client disconnects."""
        await self._stopping.wait()
        raise _StoppedError


def _batches(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Join chunks, because a write to a socket costs more than joining hundreds of chunks."""
    batch: list[bytes] = []
    size = 0
    for chunk in chunks:
        batch.append(chunk)
        size += len(chunk)
        if size >= BATCH_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)


async def _parsed(raw: bytes) -> dict[str, Any]:
    parse = json.loads
    body = await asyncio.to_thread(parse, raw) if len(raw) > PARSE_OFF_LOOP_BYTES else parse(raw)
    if not isinstance(body, dict):
        raise ValueError(f"got {type(body).__name__}")  # noqa: TRY004 - one kind of error for the caller
    return body


def _problem_of(request: ModelRequest) -> str:
    """Return the reason for which a body is not a model request, or an empty text."""
    try:
        _ = (request.user_texts, request.tool_results, request.tools, request.conversation_key)
        request.dialect.ending(ModelTurn(), request)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        return f"the body is not a model request: {type(error).__name__}: {error}"
    return ""


async def _models(_http: web.Request) -> web.Response:
    known = [{"id": name, "object": "model", "owned_by": "agy_nb"} for name in MODEL_NAMES]
    named = [{"name": f"models/{name}"} for name in MODEL_NAMES]
    return web.json_response({"object": "list", "data": known, "models": named})


def _refusal(dialect: Dialect, error: HttpError) -> web.Response:
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = f"{error.retry_after:g}"
    headers.setdefault("Content-Type", "application/json; charset=utf-8")
    body = dialect.error(error) if error.body is None else error.body
    return web.Response(status=error.status, body=body, headers=headers)
