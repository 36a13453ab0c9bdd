"""HTTP/1.1 over asyncio's streams, for a client, a server and a proxy's tunnel. h11 has the rules.

A connection has one request at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import h11

LONGEST_HEADER = 2**20
"""Bytes of a header that pass: as many as the harness accepts of a model."""
READ_BYTES = 2**16
"""Most bytes that are read at once."""


class HttpConnection:
    """One side of a connection.

    Args:
        role: `h11.CLIENT` or `h11.SERVER`.
        reader: Reads what the other side sends.
        writer: Sends to it.
    """

    def __init__(
        self, role: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(role, max_incomplete_event_size=LONGEST_HEADER)

    @property
    def is_closed(self) -> bool:
        """Whether the other side has closed the connection."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def send(self, *events: Any) -> None:
        """Send parts of a message.

        Raises:
            OSError: The connection is broken.
            h11.LocalProtocolError: A part is not HTTP, such as a header of two lines.
        """
        for event in events:
            self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()

    async def read(self) -> bool:
        """Read from the other side, and return whether it sent something."""
        data = await self._reader.read(READ_BYTES)
        self._http.receive_data(data)
        return bool(data)

    def next_event(self) -> object:
        """Return the next part that has arrived, `h11.NEED_DATA` if none has.

        Raises:
            h11.RemoteProtocolError: The other side does not talk HTTP, or ended too early.
        """
        return self._http.next_event()

    async def receive(self) -> object:
        """Wait for the next part, and return it; see `next_event`."""
        while (event := self.next_event()) is h11.NEED_DATA:
            await self.read()
        return event

    def is_reusable(self) -> bool:
        """Return whether another request may follow, and get ready for it."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    def abort(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()


def encoded(text: str) -> bytes:
    """Return a text of a header as bytes, without spaces around it.

    Example:
        >>> encoded(" Fine ")
        b'Fine'
    """
    return text.strip().encode("utf-8", "surrogateescape")


def decoded(raw: bytes) -> str:
    r"""Return bytes of a header as text. Any bytes survive both ways.

    Example:
        >>> encoded(decoded(b"\xff"))
        b'\xff'
    """
    return bytes(raw).decode("utf-8", "surrogateescape")


def encoded_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return headers as h11 takes them."""
    return [(encoded(name), encoded(value)) for name, value in headers]


def decoded_headers(message: h11.Request | h11.Response) -> list[tuple[str, str]]:
    """Return the headers of a message in their order, with names as they were sent."""
    return [(decoded(name), decoded(value)) for name, value in message.headers.raw_items()]
