"""Record and replay the HTTP requests between harness and model, in vcrpy's format.

vcrpy's patches do not reach the harness, which is another process, and would read a whole stream
before passing it on. Here its `Cassette` only finds interactions, without patches. `proxy` does the
HTTP, and `storage.model_log` writes the files. `response_fields` are stored with a response.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agy_nb.cassette.errors import CassetteError, CassetteInvalidError, CassetteMismatchError
from agy_nb.cassette.http.frame_learner import FrameLearner
from agy_nb.cassette.http.interactions import Exchange, Interactions
from agy_nb.cassette.http.proxy import HttpProxy, ProxyRequest, ProxyResponse, passing
from agy_nb.cassette.http.relay import Relay, UpstreamAnswer
from agy_nb.cassette.http.response_fields import CHUNKS, END, HEADERS_AFTER, STARTED
from agy_nb.cassette.http.session_paths import SessionPaths
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.http.exchanges import cleaned
from agy_nb.cassette.redaction.http.http_bodies import encoding_of
from agy_nb.cassette.redaction.http.http_headers import (
    clean_headers,
    clean_request_headers,
    grouped,
)
from agy_nb.cassette.redaction.http.sse_events import Chunk, changed_stream, clean_stream
from agy_nb.cassette.redaction.http.uris import clean_uri
from agy_nb.cassette.storage.format import Frame
from agy_nb.cassette.storage.model_log import ModelLog, as_text
from agy_nb.cassette.storage.shared.vcr_file import Interaction
from agy_nb.wire import frames as f
from agy_nb.wire.client_config import models_of, paths_of
from agy_nb.wire.json_values import object_of
from agy_nb.wire.literal_marks import literal, literal_bytes

_DEFAULT_UPSTREAM = "https://generativelanguage.googleapis.com"
_LONGEST_WAIT_S = 86_400.0
_ANSWERS_S = 0.1
"""Seconds that the end of a recording waits for responses to end."""
_UNANSWERED = "unanswered"
"""End of an exchange whose server could not be reached, or sent no response."""


class ModelRecorder:
    """Answer the requests of the proxy while a cassette is in use.

    Args:
        path: Folder of the cassette or of the recording.
        redactor: Removes secrets.
        replaying: Whether to answer from the cassette.
        speed: 0 for no waiting, 1 for the recorded pace.
        extend: Called once, in a thread, for the first request that was not recorded. Returns the
            folder of a recording, to which such requests are added. None rejects such requests.
        comparer: Compares requests with the recorded ones.
        share_texts: Whether a recording shares texts with the cassettes beside it.

    Attributes:
        learner: Takes the frames of replayed sessions; None before `open`, and for a recording.
    """

    def __init__(
        self,
        path: Path,
        redactor: Redactor,
        *,
        replaying: bool,
        speed: float = 0,
        extend: Callable[[], Path] | None = None,
        comparer: Comparer | None = None,
        share_texts: bool = True,
    ) -> None:
        self._path = path
        self._redactor = redactor
        self._extend = extend
        self._extending = asyncio.Lock()
        self._speed = speed
        self._proxy = HttpProxy(self)
        redactor.learn(self._proxy.token)  # error messages of the harness contain addresses
        self._paths: dict[int, SessionPaths] = {}
        self._no_paths = SessionPaths((), redactor)
        self._recorded = Interactions(path, comparer) if replaying else None
        self.learner: FrameLearner | None = None
        self._relay = Relay()
        self._share = share_texts
        self._log = None if replaying else ModelLog(path, share=share_texts)
        self._known = redactor.known
        self._under_way = 0  # answers that are being recorded
        self._fewer = threading.Condition()
        self.errors: list[CassetteError] = []

    # -- life --------------------------------------------------------------------------------

    def open(self) -> None:
        """Read the recorded requests from disk, for a replay.

        Raises:
            CassetteInvalidError: The cassette has no requests to the model, or cannot be read.
        """
        if self._recorded is not None:
            self._recorded.open()
            self.learner = FrameLearner(self._redactor)

    def save(self) -> None:
        """Finish the recording. Writes the disk."""
        self._close_recorded()
        if self._log is not None:
            # Secrets that were found later must also be removed from earlier exchanges.
            learned = self._redactor.known > self._known
            again = partial(cleaned, redactor=self._redactor)
            self._log.finish(again if learned else lambda made: made)

    def close(self) -> None:
        """Discard the recording. Blocks shortly."""
        self._close_recorded()
        if self._log is not None:
            self._log.close()

    def _close_recorded(self) -> None:
        if self._recorded is not None:
            self._recorded.close()
        if self.learner is not None:
            self.learner.close()
            self.learner = None

    def unplayed(self) -> CassetteMismatchError | None:
        """Return the error for recorded requests that were never made, None if all were."""
        return None if self._recorded is None else self._recorded.unplayed()

    def start(self) -> None:
        """Start the proxy. Blocks shortly."""
        self._proxy.start()
        if self._recorded is None:
            self._proxy.soon(self._relay.start())

    def stop(self) -> None:
        """Stop the proxy. Blocks shortly."""
        self._proxy.stop()

    def discard(self) -> None:
        """Stop the proxy and discard the recording. Blocks shortly."""
        try:
            self.close()
        finally:
            self.stop()

    def wait_for_answers(self) -> None:
        """Wait shortly for the end of open responses. Blocks."""
        with self._fewer:
            self._fewer.wait_for(lambda: not self._under_way, _ANSWERS_S)

    def detach(self) -> Callable[[], None]:
        """Stop recording, but go on serving agents that outlive the recording.

        Returns:
            A function that stops the proxy without blocking.
        """
        self._log = None
        if self._extend is not None:
            self._recorded = None
        return self._proxy.hang_up

    async def aclose(self) -> None:
        """See `ProxyHandler`."""
        await self._relay.close()

    def rewrite(self, session: int, config: Frame) -> Frame:
        """Return a session's configuration with the proxy's address for every model."""
        self._paths[session] = SessionPaths(paths_of(config).items(), self._redactor)
        changed = copy.deepcopy(config)
        for model in models_of(changed):
            for name in f.ENDPOINTS:
                endpoint = model.get(name)
                if not isinstance(endpoint, dict):
                    continue
                upstream = endpoint.get(f.BASE_URL)
                if not upstream and name == f.GEMINI_ENDPOINT:
                    upstream = _DEFAULT_UPSTREAM
                if self._recorded and name == f.GEMINI_ENDPOINT and not endpoint.get(f.API_KEY):
                    endpoint[f.API_KEY] = "replayed"  # the harness does not start without a key
                if upstream:
                    endpoint[f.BASE_URL] = self._proxy.address(session, upstream)
        return changed

    def only_replayed(self, config: Frame) -> list[Frame]:
        """Return the recorded models for the harness of a replay, without other addresses.

        A cassette may come from an attacker. Without this check, its models could make the harness
        send requests past the proxy.

        Args:
            config: The recorded configuration, which is not trusted.

        Raises:
            CassetteInvalidError: A model has an address that the proxy cannot replace.
        """
        models = []
        for model in models_of(config):
            known: Frame = {name: model[name] for name in (f.NAME, "types") if name in model}
            for name in [name for name in model if name not in known]:
                endpoint = model[name]
                has_address = isinstance(endpoint, dict) and endpoint.get(f.BASE_URL)
                if name not in f.ENDPOINTS or not (has_address or name == f.GEMINI_ENDPOINT):
                    raise CassetteInvalidError(
                        f"the recorded model {model.get(f.NAME)!r} has a {name}, which "
                        'seam="model" cannot replay; use seam="wire"',
                        path=str(self._path),
                    )
                known[name] = object_of(endpoint)
            models.append(known)
        return models

    # -- requests ----------------------------------------------------------------------------

    async def answer(self, asked: ProxyRequest) -> ProxyResponse:
        """See `ProxyHandler`."""
        recorded = self._recorded
        if recorded is None:
            return await self._record(asked)
        request = await asyncio.to_thread(self._request, asked)
        if (played := recorded.play(request)) is not None:
            return self._replay(asked, request, played)
        if self._extend is None:
            return self._refuse(recorded.mismatch(request))
        async with self._extending:
            if self._log is None:
                try:
                    folder = await asyncio.to_thread(self._extend)
                    self._log = ModelLog(folder, share=self._share)
                except CassetteError as error:
                    return self._refuse(error)
        return await self._record(asked)

    def _refuse(self, error: CassetteError) -> ProxyResponse:
        self.errors.append(error)
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        return ProxyResponse(400, "Not recorded", headers, _text(str(error)))

    def _request(self, asked: ProxyRequest) -> Any:
        from vcr.request import Request

        if (learner := self.learner) is not None:
            learner.wait()
        return Request(**self._asked(asked))

    def _asked(self, asked: ProxyRequest) -> dict[str, Any]:
        headers = clean_request_headers(grouped(asked.headers.items()), self._redactor.text)
        encoding = encoding_of(asked.headers.items())
        body = as_text(self._paths_of(asked).body(literal_bytes(asked.body), encoding=encoding))
        uri = clean_uri(_portless(asked.url), self._redactor.text)
        return {"method": asked.method, "uri": uri, "body": body, "headers": headers}

    def _paths_of(self, asked: ProxyRequest) -> SessionPaths:
        return self._paths.get(asked.session, self._no_paths)

    async def _record(self, asked: ProxyRequest) -> ProxyResponse:
        headers = [*passing(asked.headers.items()), ("Accept-Encoding", "identity")]
        started, began = datetime.now(UTC).timestamp(), time.perf_counter()
        try:
            upstream = await self._relay.request(asked.method, asked.url, headers, asked.body)
        except ConnectionError as error:
            self._put(partial(self._unanswered, asked, str(error)))
            raise
        times = started, time.perf_counter() - began
        chunks = self._recorded_chunks(asked, upstream, times)
        return ProxyResponse(upstream.status, upstream.reason, passing(upstream.headers), chunks)

    async def _recorded_chunks(
        self,
        asked: ProxyRequest,
        upstream: UpstreamAnswer,
        times: tuple[float, float],
    ) -> AsyncGenerator[bytes, None]:
        pieces: list[tuple[bytes, float]] = []
        last, end = time.perf_counter(), "aborted"
        with self._fewer:
            self._under_way += 1
        try:
            async for chunk in upstream.chunks():
                now = time.perf_counter()
                pieces.append((chunk, now - last))
                last = now
                yield chunk
            end = "ok"
        except Exception as error:
            end = "reset"
            raise ConnectionResetError(str(error)) from error
        finally:
            upstream.close()
            # A thread redacts and writes the exchange, so the stream's end does not wait for it.
            self._put(partial(self._interaction, asked, upstream, times, pieces, end))
            with self._fewer:
                self._under_way -= 1
                self._fewer.notify_all()

    def _put(self, make: Callable[[], Interaction]) -> None:
        if self._log is not None:
            self._log.put(make)

    def _unanswered(self, asked: ProxyRequest, words: str) -> Interaction:
        """Return the exchange of a request that the model's server did not answer."""
        return {
            "request": self._asked(asked),
            "response": {
                "status": {"code": 0, "message": self._redactor.text(words)},
                "headers": {},
                "body": {"string": ""},
                END: _UNANSWERED,
            },
        }

    def _interaction(
        self,
        asked: ProxyRequest,
        upstream: UpstreamAnswer,
        times: tuple[float, float],
        pieces: list[tuple[bytes, float]],
        end: str,
    ) -> Interaction:
        redactor = self._paths_of(asked)
        body = as_text(b"".join(chunk for chunk, _ in pieces))
        chunks: list[Chunk] = [[len(chunk), round(dt, 6)] for chunk, dt in pieces]
        if isinstance(body, str):
            body, chunks = clean_stream(*changed_stream(body, chunks, literal), redactor)
        else:
            whole = redactor.body(body, encoding=encoding_of(upstream.headers))
            if whole != body:  # redaction changed the length, so the chunk sizes are not valid
                body, chunks = as_text(whole), [[len(whole), sum(dt for _, dt in chunks)]]
        headers = clean_headers(grouped(passing(upstream.headers)), self._redactor.text)
        return {
            "request": self._asked(asked),
            "response": {
                "status": {"code": upstream.status, "message": upstream.reason or ""},
                "headers": headers,
                "body": {"string": body},
                CHUNKS: chunks,
                END: end,
                STARTED: round(times[0], 6),
                HEADERS_AFTER: round(times[1], 6),
            },
        }

    def _replay(self, asked: ProxyRequest, request: Any, played: Exchange) -> ProxyResponse:
        response = played.response
        headers = [(k, v) for k, values in response["headers"].items() for v in values]
        status = response["status"]
        if response.get(END) == _UNANSWERED:
            raise ConnectionResetError(f"the recording has no answer: {status['message']}")
        chunks = self._replayed_chunks(self._paths_of(asked), request, played)
        return ProxyResponse(status["code"], status["message"], headers, chunks)

    async def _replayed_chunks(
        self, paths: SessionPaths, request: Any, played: Exchange
    ) -> AsyncGenerator[bytes, None]:
        response = played.response
        raw = _bytes(response["body"]["string"])
        body, chunks = as_text(raw), _chunks_of(response, len(raw))
        if isinstance(body, str):
            body, chunks = paths.restored(
                body,
                chunks,
                recorded=_bytes(played.request.body).decode("utf-8", "replace"),
                asked=_bytes(request.body).decode("utf-8", "replace"),
            )
        body = _bytes(body)
        position = 0
        for size, dt in chunks:
            await asyncio.sleep(dt / self._speed if self._speed else 0)
            yield body[position : position + size]
            position += size
        match response.get(END, "ok"):
            case "reset":
                raise ConnectionResetError("the model broke the connection in the recording")
            case "aborted":  # the harness closed the connection before the end, and will again
                await asyncio.get_running_loop().create_future()


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else body or b""


def _chunks_of(response: dict[str, Any], length: int) -> list[Chunk]:
    """Return sizes of a body's chunks and seconds before each.

    Sizes that do not add up are those of a body that was edited by hand. They would cut the body
    anywhere, so it is one chunk.

    Args:
        response: In vcrpy's format.
        length: Bytes of the body.
    """
    found = response.get(CHUNKS)
    try:
        chunks: list[Chunk] = [[int(size), float(dt)] for size, dt in found or ()]
    except (TypeError, ValueError, OverflowError):
        chunks = []
    sound = all(size >= 0 and 0 <= dt < _LONGEST_WAIT_S for size, dt in chunks)
    if sound and sum(size for size, _ in chunks) == length:
        return chunks
    return [[length, sum(dt for _, dt in chunks) if sound else 0.0]]


async def _text(text: str) -> AsyncGenerator[bytes, None]:
    yield text.encode()


def _portless(url: str) -> str:
    """Remove the port from a loopback URL, because it differs in each run."""
    parts = urlsplit(url)
    if parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return parts._replace(netloc="127.0.0.1").geturl()
    return url
