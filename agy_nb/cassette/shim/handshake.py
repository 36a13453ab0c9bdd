"""What an SDK and its harness tell each other over stdin and stdout before the WebSocket.

Each side sends one protobuf message behind its length in four bytes, little-endian. The two
messages are small and of three kinds of fields, so they are read here without the SDK's classes:
a stand-in for clients in any language starts quickly and does not depend on one SDK's version.

Rule 1: fields that we do not know pass through untouched.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

from agy_nb.cassette.shim.errors import HandshakeError

_LENGTH = struct.Struct("<I")
_MOST = 2**26
"""Bytes of a message; more is not a handshake but something else on the pipe."""

_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
"""Sizes by kind."""
_MORE = 0x80
_PORT, _BIND_ADDRESS, _CLIENT_INFO = 2, 3, 4


class _Field(NamedTuple):
    number: int
    value: int | bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class InputConfig:
    """What the client says first.

    Attributes:
        language: Of the SDK, e.g. `python`; empty where it does not tell.
        version: Of the SDK; empty where it does not tell.
        port: To listen on; 0 for any.
        bind_address: To listen on; empty for this machine only.
        for_harness: The message for the real harness: the same, but any port of this machine.
    """

    language: str
    version: str
    port: int
    bind_address: str
    for_harness: bytes

    @property
    def sdk(self) -> str:
        """The SDK as a cassette's header names it: a version, with the language if not Python."""
        if self.language in ("", "python"):
            return self.version
        return f"{self.language} {self.version}".strip()


def read_message(stream: IO[bytes]) -> bytes:
    """Read one message from a pipe. Blocks.

    Raises:
        HandshakeError: The pipe ended too early, or its data is not a message.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise HandshakeError(
            "the pipe was closed without a message. Do not start this program by hand: set "
            "ANTIGRAVITY_HARNESS_PATH to it, and an SDK starts it"
        )
    (length,) = _LENGTH.unpack(head)
    if length > _MOST:
        raise HandshakeError(
            f"the input starts with {head!r}, which is not the length of a handshake. On stdin, "
            "this program expects a length in four bytes and a protobuf message"
        )
    body = stream.read(length)
    if len(body) < length:
        raise HandshakeError(
            f"the pipe was closed after {len(body)} of {length} bytes of the message"
        )
    return body


def write_message(stream: IO[bytes], message: bytes) -> None:
    """Send a message over a pipe. Blocks."""
    stream.write(_LENGTH.pack(len(message)) + message)
    stream.flush()


def parse_greeting(message: bytes) -> InputConfig:
    """Parse the client's message (`InputConfig`).

    Raises:
        HandshakeError: The message is not a protobuf message.
    """
    port, address, language, version = 0, "", "", ""
    passed = []
    for field in _fields(message):
        if field.number == _PORT and isinstance(field.value, int):
            port = field.value
        elif field.number == _BIND_ADDRESS and isinstance(field.value, bytes):
            address = field.value.decode("utf-8", "replace")
        else:
            passed.append(field.raw)
        if field.number == _CLIENT_INFO and isinstance(field.value, bytes):
            texts = {f.number: f.value for f in _fields(field.value)}
            language, version = _text(texts.get(1)), _text(texts.get(2))
    return InputConfig(language, version, port, address, b"".join(passed))


def greeting_message(storage: str) -> bytes:
    """Return a client's message: the folder of the harness's conversations."""
    path = storage.encode()
    return b"\x0a" + _varint(len(path)) + path


def address_message(port: int, api_key: str) -> bytes:
    """Return the harness's message (`OutputConfig`): its port and the key of the connection."""
    key = api_key.encode()
    return b"\x08" + _varint(port) + b"\x12" + _varint(len(key)) + key


def parse_address(message: bytes) -> tuple[int, str]:
    """Parse the message that `address_message` makes.

    Raises:
        HandshakeError: The message has no port.
    """
    values = {field.number: field.value for field in _fields(message)}
    port = values.get(1)
    if not isinstance(port, int) or not port:
        raise HandshakeError("the harness did not report its port. Check it with `agy-nb doctor`")
    return port, _text(values.get(2))


def _fields(message: bytes) -> Iterator[_Field]:
    position = 0
    try:
        while position < len(message):
            start = position
            tag, position = _read_varint(message, position)
            value, position = _read_value(message, position, tag & 7)
            yield _Field(tag >> 3, value, message[start:position])
    except (ValueError, IndexError) as error:
        raise HandshakeError(f"the handshake is not a protobuf message: {error}") from error


def _read_value(message: bytes, position: int, kind: int) -> tuple[int | bytes, int]:
    if kind == _VARINT:
        return _read_varint(message, position)
    if kind == _BYTES:
        size, position = _read_varint(message, position)
    elif kind in _FIXED:
        size = _FIXED[kind]
    else:
        raise ValueError(f"unknown wire type {kind}")
    if position + size > len(message):
        raise ValueError("its last field is cut off")
    return message[position : position + size], position + size


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < _MORE:
            return value, position
        shift += 7


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= _MORE:
        found.append(value & 0x7F | _MORE)
        value >>= 7
    return bytes([*found, value])


def _text(value: int | bytes | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
