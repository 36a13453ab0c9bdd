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

from agy_nb.cassette.errors import CassetteError, CassetteInvalidError, CassetteMismatchError
from agy_nb.cassette.http.frame_learner import FrameLearner
from agy_nb.cassette.http.http_server import HttpResponse
from agy_nb.cassette.http.interactions import Exchange, Interactions
from agy_nb.cassette.http.model_exchanges import (
    Received,
    answered,
    check_answered,
    recorded_request,
    replayed_chunks,
    unanswered,
)
from agy_nb.cassette.http.proxy import HttpProxy, ProxyRequest, passing
from agy_nb.cassette.http.session_paths import SessionPaths
from agy_nb.cassette.http.upstream.relay import Relay, UpstreamAnswer, UpstreamRelay
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.http.exchanges import cleaned
from agy_nb.cassette.storage.format import Frame
from agy_nb.cassette.storage.model_log import ModelLog
from agy_nb.cassette.storage.shared.vcr_file import Interaction
from agy_nb.wire import frames as f
from agy_nb.wire.client_config import models_of, paths_of
from agy_nb.wire.json_values import object_of

_DEFAULT_UPSTREAM = "https://generativelanguage.googleapis.com"
_ANSWERS_S = 0.1
"""Seconds that the end of a recording waits for responses to end."""


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
        conversation: Id of a recorded conversation, to replay only its requests; see
            `Interactions`.
        relay: Makes the recorded requests; a process of its own when None.

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
        conversation: str = "",
        relay: UpstreamRelay | None = None,
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
        found = Interactions(path, comparer, conversation=conversation) if replaying else None
        self._recorded = found
        self.learner: FrameLearner | None = None
        self._relay = Relay() if relay is None else relay
        self._share = share_texts
        self._log = None if replaying else ModelLog(path, share=share_texts)
        self._known: int | None = None  # before the first exchange was redacted
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

    def save(self, *, as_log: bool = False) -> None:
        """Finish the recording. Writes the disk.

        Args:
            as_log: Whether a log may stay in the place of `model.yaml`, which takes longer; for a
                recording whose requests go into another cassette.
        """
        self._close_recorded()
        if self._log is not None:
            # Secrets that were found later must also be removed from earlier exchanges.
            self._log.close()
            learned = self._known is not None and self._redactor.known > self._known
            if as_log and not learned:
                self._log.end()
                return
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
        """Stop recording, but keep serving agents that outlive the recording.

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
        # A copy: the recording gets the configuration with the addresses of the client.
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

    async def answer(self, asked: ProxyRequest) -> HttpResponse:
        """See `ProxyHandler`."""
        recorded = self._recorded
        if recorded is None:
            return await self._record(asked)
        # In a thread: it waits for the frames up to now, and redacts a body that may be large.
        request = await asyncio.to_thread(self._request, asked)
        if (played := recorded.play(request)) is not None:
            return self._replay(asked, request, played)
        if self._extend is None:
            return self._refuse(recorded.mismatch(request))
        async with self._extending:
            # Looked at within the lock: requests that come at the same time must get one recording.
            if self._log is None:
                try:
                    folder = await asyncio.to_thread(self._extend)
                    self._log = ModelLog(folder, share=self._share)
                except CassetteError as error:
                    return self._refuse(error)
        return await self._record(asked)

    def _refuse(self, error: CassetteError) -> HttpResponse:
        self.errors.append(error)
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        return HttpResponse(400, "Not recorded", headers, _text(str(error)))

    def _request(self, asked: ProxyRequest) -> Any:
        from vcr.request import Request

        if (learner := self.learner) is not None:
            learner.wait()
        paths = self._paths_of(asked)
        return Request(**recorded_request(asked, paths, self._redactor))

    def _paths_of(self, asked: ProxyRequest) -> SessionPaths:
        return self._paths.get(asked.session, self._no_paths)

    async def _record(self, asked: ProxyRequest) -> HttpResponse:
        headers = [*passing(asked.headers.items()), ("Accept-Encoding", "identity")]
        started, began = datetime.now(UTC).timestamp(), time.perf_counter()
        try:
            upstream = await self._relay.request(asked.method, asked.url, headers, asked.body)
        except ConnectionError as error:
            self._put(partial(unanswered, asked, str(error)), asked)
            raise
        times = started, time.perf_counter() - began
        chunks = self._recorded_chunks(asked, upstream, times)
        return HttpResponse(upstream.status, upstream.reason, passing(upstream.headers), chunks)

    async def _recorded_chunks(
        self,
        asked: ProxyRequest,
        upstream: UpstreamAnswer,
        times: tuple[float, float],
    ) -> AsyncGenerator[bytes, None]:
        pieces: list[tuple[bytes, float]] = []
        # A harness that hangs up closes this generator at its `yield`. So an end counts as aborted
        # until another one is seen.
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
            self._put(partial(answered, asked, Received(upstream, *times, pieces, end)), asked)
            with self._fewer:
                self._under_way -= 1
                self._fewer.notify_all()

    def _put(
        self,
        make: Callable[[SessionPaths, Redactor], Interaction],
        asked: ProxyRequest,
    ) -> None:
        def redacted() -> Interaction:  # in the thread of the log
            if self._known is None:
                self._known = self._redactor.known
            return make(self._paths_of(asked), self._redactor)

        if self._log is not None:
            self._log.put(redacted)

    def _replay(self, asked: ProxyRequest, request: Any, played: Exchange) -> HttpResponse:
        response = played.response
        headers = [(k, v) for k, values in response["headers"].items() for v in values]
        status = response["status"]
        check_answered(response)
        chunks = replayed_chunks(request, played, self._paths_of(asked), self._speed)
        return HttpResponse(status["code"], status["message"], headers, chunks)


async def _text(text: str) -> AsyncGenerator[bytes, None]:
    yield text.encode()
