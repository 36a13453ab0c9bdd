"""The conversations of a client, each on a WebSocket of its own.

Rule 1: a client without the key is refused, as by the harness.
Rule 2: as the harness, it ends when the client closes stdin, not when it closes a WebSocket. It
also ends after a conversation that failed, or that the harness ended, once no other is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias

from agy_nb.cassette.shim import handshake
from agy_nb.cassette.shim.errors import HandshakeError

WebSocket: TypeAlias = Any
"""A connection of websockets."""

_REASON_BYTES = 123
"""What a WebSocket's closing frame has room for."""

_CLOSE_S = 0.5
_FAILED = 1011
_NO_FRAME = (1005, 1006, 1015)
"""Codes that no closing frame can carry."""


class ClientHandler(Protocol):
    """The other end of the WebSocket."""

    async def serve(self, ws: WebSocket) -> None:
        """Serve the client until one side closes the connection; then return or raise."""
        ...


class ClientGoneError(Exception):
    """The harness hung up.

    Attributes:
        code: Of the WebSocket; 1006 for an end without a closing frame.
        reason: Beside the code.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class Server:
    """Waits for the client, and lets a handler talk to it in each conversation.

    Args:
        new_handler: Creates the handler of a conversation.
        greeting: Says where to listen.
    """

    def __init__(
        self, new_handler: Callable[[], ClientHandler], greeting: handshake.InputConfig
    ) -> None:
        self._new_handler = new_handler
        self._greeting = greeting
        self._key = secrets.token_hex(16)
        self._open = 0
        self._has_failed = False
        self._over = asyncio.Event()
        self._hung_up = asyncio.Event()
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Listen, tell the client where, and stay until it is over.

        Raises:
            HandshakeError: The address that the client asks for cannot be had.
            Exception: What a handler raises, except `ClientGoneError`.
        """
        from websockets.asyncio.server import serve

        host = self._greeting.bind_address or "127.0.0.1"
        self._watch()
        try:
            server = await serve(
                self._serve,
                host,
                self._greeting.port,
                process_request=self._admit,
                max_size=None,
                compression=None,
                ping_interval=None,
                close_timeout=_CLOSE_S,
            )
        except OSError as error:
            raise HandshakeError(
                f"cannot listen on {host}, port {self._greeting.port}: {error.strerror or error}"
            ) from error
        async with server:
            port = next(iter(server.sockets)).getsockname()[1]
            message = handshake.address_message(port, self._key)
            handshake.write_message(sys.stdout.buffer, message)
            await self._over.wait()
        if self._failure is not None:
            raise self._failure

    def _watch(self) -> None:
        """Notice that stdin is closed, or that we are asked to go."""
        loop = asyncio.get_running_loop()

        def read_to_the_end() -> None:
            try:
                while os.read(0, 65536):
                    pass
            except OSError:
                pass
            with contextlib.suppress(RuntimeError):  # the loop is closed: it was over before
                loop.call_soon_threadsafe(self._go)

        threading.Thread(target=read_to_the_end, name="stdin", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._go)

    def _go(self) -> None:
        self._hung_up.set()
        if not self._open:
            self._over.set()

    def _admit(self, connection: WebSocket, request: Any) -> Any:
        key = request.headers.get("x-goog-api-key") or ""
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Unauthorized\n")
        return None

    async def _serve(self, ws: WebSocket) -> None:
        self._open += 1
        acting = asyncio.ensure_future(self._new_handler().serve(ws))
        leaving = asyncio.ensure_future(self._hung_up.wait())
        try:
            await asyncio.wait((acting, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not acting.done():  # stdin is closed, and the WebSocket is not: it will not be
                await ws.close(1001)
                await acting
            else:
                acting.result()
        except ClientGoneError as closed:
            self._has_failed = True
            await _close(ws, closed.code, closed.reason)
        except Exception as error:
            self._has_failed = True
            self._failure = error
            await _close(ws, _FAILED, str(error))
        finally:
            leaving.cancel()
            self._open -= 1
            if not self._open and (self._has_failed or self._hung_up.is_set()):
                self._over.set()


async def _close(ws: WebSocket, code: int, reason: str) -> None:
    if code in _NO_FRAME:
        ws.transport.abort()
        return
    raw = reason.encode()[:_REASON_BYTES]
    await ws.close(code, raw.decode("utf-8", "ignore"))
