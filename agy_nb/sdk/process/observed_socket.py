"""The WebSocket between the SDK and its harness, with an observer.

Every session has one, live or replayed. It is the outermost layer, next to the SDK: a cassette's
socket is inside it. So the observer sees exactly the frames that the SDK sees and sends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from agy_nb.protocol.events import Event

FrameDirection: TypeAlias = Literal["in", "out"]
"""`in` comes from the harness, `out` is sent to it."""

EndedBy: TypeAlias = Literal["client", "harness"]
OnEnd: TypeAlias = Callable[[EndedBy, "int | None", str], None]
"""Takes who ended the connection, the WebSocket's close code and its reason."""
OnFrame: TypeAlias = Callable[[FrameDirection, "str | bytes"], None]
"""Takes each frame as it passes, unchanged. Never blocks, never raises."""


@runtime_checkable
class NoteSink(Protocol):
    """A socket that keeps facts which never cross the wire, as a recording's does."""

    def note(self, note: Event) -> None:
        """Keep a host note, in its order among the frames. Never blocks, never raises."""
        ...


class ObservedSocket:
    """A WebSocket that reports every frame, in the order of the wire.

    A received frame is reported before the SDK gets it. A sent frame is reported when the socket
    below has taken it, but always before any frame that the harness sends in reply: a reply can
    arrive while `send` still waits for a full buffer.

    Args:
        inner: The socket below: of `websockets`, of a recording or of a replay.
        on_frame: Called with the direction and the frame, as text or bytes.
        on_end: Called once, when the connection ends: by whom, and with the close code and reason.

    Example:
        >>> from agy_nb.sdk.process.observed_socket import ObservedSocket
        >>> class Loopback:
        ...     async def send(self, message):
        ...         self.message = message
        ...
        ...     async def recv(self):
        ...         return self.message
        >>> frames = []
        >>> socket = ObservedSocket(Loopback(), lambda *frame: frames.append(frame))
        >>> await socket.send('{"userInput": {}}')
        >>> await socket.recv()
        '{"userInput": {}}'
        >>> frames
        [('out', '{"userInput": {}}'), ('in', '{"userInput": {}}')]
    """

    def __init__(self, inner: Any, on_frame: OnFrame, on_end: OnEnd | None = None) -> None:
        self._inner = inner
        self._on_frame = on_frame
        self._on_end = on_end
        self._sending: list[str | bytes] = []

    @property
    def inner(self) -> Any:
        """The socket below."""
        return self._inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def note(self, note: Event) -> None:
        """Have the socket below keep a host note, where it keeps any."""
        if isinstance(self._inner, NoteSink):
            self._inner.note(note)

    async def send(self, message: str | bytes) -> None:
        """Send a frame, and report it once the socket below has taken it."""
        self._sending.append(message)
        try:
            await self._inner.send(message)
        except BaseException:
            # A frame that was reported already has been answered: it did go out.
            self._forget(message)
            raise
        self._report_sent(message)

    async def recv(self, *args: Any, **kwargs: Any) -> Any:
        """Receive the next frame, reported before it is returned."""
        message = await self._inner.recv(*args, **kwargs)
        self._report_received(message)
        return message

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for message in self._inner:
                self._report_received(message)
                yield message
        except Exception:
            self._report_end("harness")
            raise
        self._report_end("harness")

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """Close the connection, reported before it is closed."""
        self._report_end("client")
        await self._inner.close(*args, **kwargs)

    def _report_end(self, by: EndedBy) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is None:
            return
        if by == "client":
            on_end(by, None, "")
        else:
            code = getattr(self._inner, "close_code", None)
            on_end(by, code, getattr(self._inner, "close_reason", None) or "")

    def _report_sent(self, message: str | bytes) -> None:
        if self._forget(message):
            self._on_frame("out", message)

    def _report_received(self, message: Any) -> None:
        # A frame that is on its way out when one comes in may be what that one replies to.
        while self._sending:
            self._on_frame("out", self._sending.pop(0))
        self._on_frame("in", message)

    def _forget(self, message: str | bytes) -> bool:
        for place, waiting in enumerate(self._sending):
            if waiting is message:
                del self._sending[place]
                return True
        return False
