"""The process that makes a recording's requests to models; see `relay`.

It follows redirects, as the harness would: the harness would follow them past the recording.
It reads requests from stdin and writes responses to stdout. It ends with stdin, so it never
outlives the process that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys

from agy_nb.cassette.http.upstream.http_client import HttpClient
from agy_nb.cassette.http.upstream.relay import (
    ANSWER,
    CANCEL,
    CHUNK,
    END,
    ERROR,
    HEAD,
    LENGTH,
    REQUEST,
)


class _Answering:
    """Make requests concurrently, and write their responses to stdout."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._client = HttpClient()

    def handle(self, kind: int, number: int, payload: bytes) -> None:
        """Start or cancel a request."""
        if kind == REQUEST:
            task = asyncio.get_running_loop().create_task(self._answer(number, payload))
            self._tasks[number] = task
            task.add_done_callback(lambda _: self._tasks.pop(number, None))
        elif kind == CANCEL and number in self._tasks:
            self._tasks[number].cancel()

    async def _answer(self, number: int, payload: bytes) -> None:
        (length,) = LENGTH.unpack_from(payload)
        about = json.loads(payload[LENGTH.size : LENGTH.size + length])
        body = payload[LENGTH.size + length :]
        try:
            answer = await self._client.request(
                about["method"], about["url"], about["headers"], body
            )
        except ConnectionError as error:
            self._write(ERROR, number, _words(error))
            return
        try:
            head = {"status": answer.status, "reason": answer.reason, "headers": answer.headers}
            self._write(ANSWER, number, json.dumps(head).encode())
            async with contextlib.aclosing(answer.chunks()) as chunks:
                async for chunk in chunks:
                    self._write(CHUNK, number, chunk)
            self._write(END, number)
        except ConnectionError as error:
            self._write(ERROR, number, _words(error))
        finally:
            answer.close()

    def _write(self, kind: int, number: int, payload: bytes = b"") -> None:
        # Blocking, so that messages of two requests are not mixed in the pipe. The other process
        # always reads, so this does not block for long.
        view = memoryview(HEAD.pack(kind, number, len(payload)) + payload)
        while view:
            view = view[os.write(self._out, view) :]

    async def close(self) -> None:
        """Cancel all requests."""
        for task in tuple(self._tasks.values()):
            task.cancel()
        await self._client.close()


def _words(error: ConnectionError) -> bytes:
    return str(error).encode("utf-8", "replace")


async def _serve(source: int, out: int) -> None:
    answering = _Answering(out)
    try:
        while True:
            kind, number, length = HEAD.unpack(await asyncio.to_thread(_read, source, HEAD.size))
            payload = await asyncio.to_thread(_read, source, length)
            answering.handle(kind, number, payload)
    finally:
        await answering.close()


def _read(source: int, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        piece = os.read(source, min(length - len(found), 2**20))
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)


def main() -> None:
    """Serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that records
    with contextlib.suppress(EOFError, BrokenPipeError):
        asyncio.run(_serve(sys.stdin.fileno(), sys.stdout.fileno()))
    os._exit(0)  # a thread may still wait for stdin
