"""An exchange with a model: its recorded form, and its response in a replay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from agy_nb.cassette.http.interactions import Exchange
from agy_nb.cassette.http.proxy import ProxyRequest, passing
from agy_nb.cassette.http.response_fields import CHUNKS, END, HEADERS_AFTER, STARTED
from agy_nb.cassette.http.session_paths import SessionPaths
from agy_nb.cassette.http.upstream.relay import UpstreamAnswer
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.http.http_bodies import encoding_of
from agy_nb.cassette.redaction.http.http_headers import (
    clean_headers,
    clean_request_headers,
    grouped,
)
from agy_nb.cassette.redaction.http.sse_events import Chunk, changed_stream, clean_stream
from agy_nb.cassette.redaction.http.uris import clean_uri
from agy_nb.cassette.storage.model_log import as_text
from agy_nb.cassette.storage.shared.vcr_file import Interaction
from agy_nb.wire.stored.literal_marks import literal, literal_bytes

_LONGEST_WAIT_S = 86_400.0
_UNANSWERED = "unanswered"
"""End of an exchange whose server could not be reached, or sent no response."""


class Received(NamedTuple):
    """A response as it came from the model's server.

    Attributes:
        upstream: Its status and headers.
        started: Start of the request, in seconds since the Unix epoch.
        headers_after: Seconds from the start to the headers.
        pieces: The chunks of the body, and the seconds before each.
        end: How the response ended; see `response_fields.END`.
    """

    upstream: UpstreamAnswer
    started: float
    headers_after: float
    pieces: Sequence[tuple[bytes, float]]
    end: str


def recorded_request(asked: ProxyRequest, paths: SessionPaths, redactor: Redactor) -> Interaction:
    """Return a request in vcrpy's format, without secrets and folders."""
    headers = clean_request_headers(grouped(asked.headers.items()), redactor.text)
    encoding = encoding_of(asked.headers.items())
    body = as_text(paths.body(literal_bytes(asked.body), encoding=encoding))
    uri = clean_uri(_portless(asked.url), redactor.text)
    return {"method": asked.method, "uri": uri, "body": body, "headers": headers}


def unanswered(
    asked: ProxyRequest, words: str, paths: SessionPaths, redactor: Redactor
) -> Interaction:
    """Return the exchange of a request that the model's server did not answer."""
    return {
        "request": recorded_request(asked, paths, redactor),
        "response": {
            "status": {"code": 0, "message": redactor.text(words)},
            "headers": {},
            "body": {"string": ""},
            END: _UNANSWERED,
        },
    }


def answered(
    asked: ProxyRequest, received: Received, paths: SessionPaths, redactor: Redactor
) -> Interaction:
    """Return the exchange of a request with its response, without secrets and folders."""
    upstream = received.upstream
    body = as_text(b"".join(chunk for chunk, _ in received.pieces))
    chunks: list[Chunk] = [[len(chunk), round(dt, 6)] for chunk, dt in received.pieces]
    if isinstance(body, str):
        body, chunks = clean_stream(*changed_stream(body, chunks, literal), paths)
    else:
        whole = paths.body(body, encoding=encoding_of(upstream.headers))
        if whole != body:  # redaction changed the length, so the chunk sizes are not valid
            body, chunks = as_text(whole), [[len(whole), sum(dt for _, dt in chunks)]]
    headers = clean_headers(grouped(passing(upstream.headers)), redactor.text)
    return {
        "request": recorded_request(asked, paths, redactor),
        "response": {
            "status": {"code": upstream.status, "message": upstream.reason or ""},
            "headers": headers,
            "body": {"string": body},
            CHUNKS: chunks,
            END: received.end,
            STARTED: round(received.started, 6),
            HEADERS_AFTER: round(received.headers_after, 6),
        },
    }


def check_answered(response: dict[str, Any]) -> None:
    """Check that a recorded request has a response.

    Raises:
        ConnectionResetError: The server did not answer in the recording.
    """
    if response.get(END) == _UNANSWERED:
        words = response["status"]["message"]
        raise ConnectionResetError(f"the recording has no answer: {words}")


async def replayed_chunks(
    request: Any, played: Exchange, paths: SessionPaths, speed: float
) -> AsyncGenerator[bytes, None]:
    """Send a recorded response, in its chunks, for a request of this run.

    Args:
        request: The request of this run.
        played: The recorded exchange.
        paths: The folders of this run.
        speed: 0 for no waiting, 1 for the recorded pace.

    Raises:
        ConnectionResetError: The model broke the connection in the recording.
    """
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
        await asyncio.sleep(dt / speed if speed else 0)
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


def _portless(url: str) -> str:
    """Remove the port from a loopback URL, because it differs in each run."""
    parts = urlsplit(url)
    if parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return parts._replace(netloc="127.0.0.1").geturl()
    return url
