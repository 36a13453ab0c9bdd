"""The model seam: the HTTP between harness and model, kept by vcrpy.

vcrpy's own patches cannot see the harness and would read a stream whole before passing it on. Here
its `Cassette` only keeps and finds interactions, with every patcher skipped; a gateway does the
HTTP. The boundaries and times of a stream's chunks stand beside the body, in `x_agy_chunks`.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agy_nb.cassette.bodies import Translation, body_digest, canonical_body
from agy_nb.cassette.compare import Comparer
from agy_nb.cassette.errors import CassetteInvalid, CassetteMismatch
from agy_nb.cassette.format import MODEL, Frame
from agy_nb.cassette.gateway import Answer, Asked, Gateway, passing
from agy_nb.cassette.mismatch import diff_of
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.secrets import harmless_header
from agy_nb.cassette.wireform import paths_of

_DEFAULT_UPSTREAM = "https://generativelanguage.googleapis.com"
_ENDPOINTS = ("geminiApiEndpoint", "vertexEndpoint", "gemmaEndpoint", "customEndpoint")


class ModelSide:
    """What is behind the gateway while a cassette is in use.

    Args:
        path: Folder that holds, or will hold, `model.yaml`.
        redactor: Takes secrets out of what is kept.
        replaying: Whether to answer from the cassette.
        speed: 0 for no waiting, 1 for the recorded pace.
    """

    def __init__(
        self, path: Path, redactor: Redactor, *, replaying: bool, speed: float = 0
    ) -> None:
        self._path = path / MODEL
        self._redactor = redactor
        self._replaying = replaying
        self._speed = speed
        self._gateway = Gateway(self)
        redactor.learn(self._gateway.token)  # the harness's error messages name addresses
        self._translations: dict[int, Translation] = {}
        self._stack = contextlib.ExitStack()
        self._cassette: Any = None
        self._client: Any = None
        self._raw: list[tuple[Asked, Any, list[tuple[bytes, float]], str]] = []
        self.errors: list[CassetteMismatch] = []

    # -- life --------------------------------------------------------------------------------

    def open(self) -> None:
        """Read the cassette, or begin one. Reads the disk.

        Raises:
            CassetteInvalid: There is nothing of the model's side, or it cannot be read.
        """
        import vcr
        from vcr.patch import PATCHER_NAMES

        if self._replaying and not self._path.exists():
            raise CassetteInvalid(
                f"{self._path.parent} holds nothing of the model's side; replay it with "
                'seam="wire", or record it again',
                path=str(self._path.parent),
            )
        recorder = vcr.VCR(record_mode="none" if self._replaying else "all")
        recorder.register_matcher("agy", _same)
        context = recorder.use_cassette(
            str(self._path), match_on=["agy"], skip_patchers=PATCHER_NAMES
        )
        try:
            self._cassette = self._stack.enter_context(context)
        except Exception as error:
            raise CassetteInvalid(
                f"{self._path} is no cassette of vcrpy: {error}", path=str(self._path.parent)
            ) from error
        if self._replaying and not len(self._cassette):
            raise CassetteInvalid(
                f"{self._path} holds no request to a model", path=str(self._path.parent)
            )

    def save(self) -> None:
        """Take out the secrets of what was recorded, and write it. Writes the disk."""
        for asked, upstream, pieces, end in self._raw:
            self._keep(asked, upstream, pieces, end)
        self._raw.clear()
        self._stack.close()

    def start(self) -> None:
        """Listen. Blocks for a moment."""
        self._gateway.start()

    def stop(self) -> None:
        """Stop to listen. Blocks for a moment."""
        self._gateway.stop()

    async def aclose(self) -> None:
        """See `Answerer`."""
        if self._client is not None:
            await self._client.close()

    def rewrite(self, session: int, config: Frame) -> Frame:
        """A session's configuration, with the gateway in the place of every model's address."""
        self._translations[session] = Translation(paths_of(config))
        changed = copy.deepcopy(config)
        for model in changed.get("config", {}).get("models") or ():
            for name in _ENDPOINTS:
                endpoint = model.get(name)
                if not isinstance(endpoint, dict):
                    continue
                upstream = endpoint.get("baseUrl")
                if not upstream and name == "geminiApiEndpoint":
                    upstream = _DEFAULT_UPSTREAM
                if upstream:
                    endpoint["baseUrl"] = self._gateway.address(session, upstream)
        return changed

    # -- requests ----------------------------------------------------------------------------

    async def answer(self, asked: Asked) -> Answer:
        """See `Answerer`."""
        return await (self._replay(asked) if self._replaying else self._record(asked))

    def _request(self, asked: Asked) -> Any:  # noqa: ANN401 - a request of vcrpy
        from vcr.request import Request

        translation = self._translations.get(asked.session) or Translation({})
        headers = {
            name: self._redactor.text(value)
            for name, value in asked.headers.items()
            if harmless_header(name)
        }
        body = self._clean(asked.body, translation)
        return Request(asked.method, self._redactor.text(_portless(asked.url)), body, headers)

    def _clean(self, body: bytes, translation: Translation) -> bytes:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return body
        return self._redactor.text(translation.to_marks(text)).encode("utf-8", "replace")

    async def _record(self, asked: Asked) -> Answer:
        import aiohttp

        if self._client is None:
            self._client = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False, trust_env=True
            )
        headers = [*passing(_Headers(asked.headers)), ("Accept-Encoding", "identity")]
        try:
            upstream = await self._client.request(
                asked.method, asked.url, data=asked.body, headers=headers, allow_redirects=False
            )
        except aiohttp.ClientError as error:
            raise ConnectionResetError(str(error)) from error
        chunks = self._recorded_chunks(asked, upstream)
        return Answer(upstream.status, upstream.reason or "", passing(upstream.headers), chunks)

    async def _recorded_chunks(
        self,
        asked: Asked,
        upstream: Any,  # noqa: ANN401 - a response of aiohttp
    ) -> AsyncGenerator[bytes, None]:
        pieces: list[tuple[bytes, float]] = []
        last, end = time.perf_counter(), "aborted"
        try:
            async for chunk in upstream.content.iter_any():
                now = time.perf_counter()
                pieces.append((chunk, now - last))
                last = now
                yield chunk
            end = "ok"
        except Exception as error:
            end = "reset"
            raise ConnectionResetError(str(error)) from error
        finally:
            if end == "ok":
                upstream.release()  # the connection serves the next request too
            else:
                upstream.close()
            # Cleaned and kept when the cassette is saved: the stream's end does not wait for it.
            self._raw.append((asked, upstream, pieces, end))

    def _keep(
        self,
        asked: Asked,
        upstream: Any,  # noqa: ANN401 - a response of aiohttp
        pieces: list[tuple[bytes, float]],
        end: str,
    ) -> None:
        translation = self._translations.get(asked.session) or Translation({})
        clean = [(self._clean(chunk, translation), dt) for chunk, dt in pieces]
        whole = self._clean(b"".join(chunk for chunk, _ in pieces), translation)
        if b"".join(chunk for chunk, _ in clean) != whole:  # a secret lay across a boundary
            clean = [(whole, sum(dt for _, dt in pieces))]
        headers: dict[str, list[str]] = {}
        for name, value in passing(upstream.headers):
            if harmless_header(name):
                headers.setdefault(name, []).append(self._redactor.text(value))
        self._cassette.append(
            self._request(asked),
            {
                "status": {"code": upstream.status, "message": upstream.reason or ""},
                "headers": headers,
                "body": {"string": whole},
                "x_agy_chunks": [[len(chunk), round(dt, 6)] for chunk, dt in clean],
                "x_agy_end": end,
            },
        )

    async def _replay(self, asked: Asked) -> Answer:
        request = await asyncio.to_thread(self._request, asked)
        if not self._cassette.can_play_response_for(request):
            error = self._mismatch(request)
            self.errors.append(error)
            headers = [("Content-Type", "text/plain; charset=utf-8")]
            return Answer(400, "Not recorded", headers, _text(str(error)))
        response = copy.deepcopy(self._cassette.play_response(request))
        headers = [(k, v) for k, values in response["headers"].items() for v in values]
        status = response["status"]
        translation = self._translations.get(asked.session) or Translation({})
        chunks = self._replayed_chunks(response, translation)
        return Answer(status["code"], status["message"], headers, chunks)

    async def _replayed_chunks(
        self, response: dict[str, Any], translation: Translation
    ) -> AsyncGenerator[bytes, None]:
        body = response["body"]["string"]
        body = body.encode() if isinstance(body, str) else body
        position = 0
        for size, dt in response.get("x_agy_chunks") or [[len(body), 0]]:
            await asyncio.sleep(dt / self._speed if self._speed else 0)
            chunk = body[position : position + size]
            position += size
            try:
                yield translation.to_paths(chunk.decode()).encode()
            except UnicodeDecodeError:
                yield chunk
        match response.get("x_agy_end", "ok"):
            case "reset":
                raise ConnectionResetError("the model's side broke the connection in the recording")
            case "aborted":  # the harness hung up before the end; it will again
                await asyncio.get_running_loop().create_future()

    # -- what went wrong ---------------------------------------------------------------------

    def _mismatch(self, request: Any) -> CassetteMismatch:  # noqa: ANN401 - a request of vcrpy
        folder = str(self._path.parent)
        counts = self._cassette.play_counts
        left = [r for i, (r, _) in enumerate(self._cassette.data) if not counts[i]]
        path = urlsplit(request.uri).path
        near = [r for r in left if urlsplit(r.uri).path == path] or left
        if not near:
            return CassetteMismatch(
                f"{folder}: the harness asks the model more often than was recorded.\n"
                'What to do: record it again with record_mode="all"',
                path=folder,
                phase="extra",
                actual=canonical_body(request.body),
            )
        expected, actual = canonical_body(near[0].body), canonical_body(request.body)
        difference = Comparer().first(expected, actual)
        diff = diff_of(difference) if difference else f"{near[0].uri}\n{request.uri}"
        where = difference.path if difference else "uri"
        return CassetteMismatch(
            f"{folder}: a request to the model is not what was recorded.\n"
            f"{where} differs:\n{diff}\n"
            'What to do: record it again with record_mode="all"',
            path=folder,
            phase="model",
            expected=expected,
            actual=actual,
            diff=diff,
            differs_at=where,
        )

    def unplayed(self) -> CassetteMismatch | None:
        """The error for requests that never came, None if all did."""
        left = self._left()
        if not self._replaying or not left:
            return None
        folder = str(self._path.parent)
        return CassetteMismatch(
            f"{folder}: {len(left)} recorded requests to the model were never made, "
            f"first {left[0]}.\n"
            'What to do: record it again with record_mode="all", or accept it with '
            "allow_unplayed=True",
            path=folder,
            phase="unplayed",
        )

    def _left(self) -> list[str]:
        if self._cassette is None:
            return []
        counts = self._cassette.play_counts
        return [str(r.uri) for i, (r, _) in enumerate(self._cassette.data) if not counts[i]]


class _Headers(dict[str, str]):
    """A plain mapping where a multidict is expected."""


async def _text(text: str) -> AsyncGenerator[bytes, None]:
    yield text.encode()


def _portless(url: str) -> str:
    """A URL whose loopback port says nothing."""
    parts = urlsplit(url)
    if parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return parts._replace(netloc="127.0.0.1").geturl()
    return url


def _same(one: Any, other: Any) -> None:  # noqa: ANN401 - requests of vcrpy
    assert one.method == other.method, "another method"  # noqa: S101 - how vcrpy's matchers answer
    paths = [urlsplit(request.uri)[2:4] for request in (one, other)]
    assert paths[0] == paths[1], "another path"  # noqa: S101
    assert body_digest(one.body) == body_digest(other.body), "another body"  # noqa: S101
