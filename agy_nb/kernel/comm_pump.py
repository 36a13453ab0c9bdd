"""The comm pump: handle widget messages while a cell runs.

A kernel handles shell messages one after the other, so a click on a widget waits until the cell
ends. If the cell waits for that click, it waits forever. While the pump is open, it receives the
messages of the main shell's stream in place of the kernel's own callback. It handles comm messages,
and the requests with which a page finds comms, at once. It holds all other messages. When the pump
closes, it passes them to the kernel's callback in their order.

Rule 1: no message is lost. The kernel's callback gets each message that the pump cannot handle.
Rule 2: everything here runs on the kernel's main loop.
Rule 3: the front end receives the same status messages as from an idle kernel: busy and idle for
every comm message. An ipywidgets model that receives no idle after a change sends no more changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

AT_ONCE = frozenset(
    {
        "comm_open",
        "comm_msg",
        "comm_close",
        "comm_info_request",  # a reloaded page asks for the widgets that exist
        "kernel_info_request",  # a reloaded page sends this request first
    }
)


class Parent(NamedTuple):
    """The request that outputs belong to."""

    ident: Any
    message: Any


class Held(NamedTuple):
    """A message that waits for the end of the cell, and the context it came in."""

    frames: list[Any]
    context: contextvars.Context


def current_parent(kernel: Any) -> Parent:
    """Return the request that the kernel is working on, as the caller's context sees it."""
    idents = getattr(kernel, "_parent_ident", None)
    if idents is None or isinstance(idents, (bytes, list)):
        ident: Any = idents or []
    else:
        ident = idents["shell"]
    return Parent(ident, kernel.get_parent("shell"))


def main_stream(kernel: Any) -> Any:
    """Return the stream that brings the main shell's messages.

    Raises:
        AttributeError: This kernel has no such stream.
    """
    thread = getattr(kernel, "shell_channel_thread", None)
    if thread is None:
        stream = kernel.shell_stream
    else:  # ipykernel 7: a thread of its own reads the socket and passes messages on
        stream = thread.manager._shell_channel_to_main.to_stream
    if not callable(getattr(stream, "_recv_callback", None)):
        raise AttributeError("the main shell's stream has no receive callback")  # noqa: TRY004
    return stream


def reply_socket(kernel: Any) -> Any:
    """Return what replies of the main shell are sent on."""
    thread = getattr(kernel, "shell_channel_thread", None)
    if thread is None:
        return kernel.shell_stream
    return thread.manager.get_subshell_to_shell_channel_socket(None)


class CommPump:
    """Handles comm messages at once, and holds the rest, while open.

    Args:
        kernel: The ipykernel kernel of this process.
        needed: Whether anything runs that other messages must wait for; asked before one is held.
    """

    def __init__(
        self,
        kernel: Any,
        needed: Callable[[], bool] = lambda: True,
    ) -> None:
        self.parent: Parent | None = None  # outputs go back to it after a comm message
        self.handled: int = 0
        self._kernel = kernel
        self._needed = needed
        self._stream: Any = None
        self._original: Callable[[list[Any]], Any] | None = None
        self._passed_to: Callable[[list[Any]], Any] | None = None  # while closed
        self._copy = False
        self._held: list[Held] = []
        self._tasks: set[asyncio.Future[Any]] = set()

    @property
    def is_open(self) -> bool:
        """Whether messages are sorted now."""
        return self._original is not None

    def open(self, parent: Parent | None) -> None:
        """Start to sort messages.

        Args:
            parent: The request whose cell runs, None where that is not known.

        Raises:
            AttributeError: A private hook is missing in this kernel.
        """
        self.parent = parent
        if self.is_open:
            return
        stream = main_stream(self._kernel)
        original = stream._recv_callback
        # `==`, because each access makes another bound method: `is` would never hold.
        if original == self._sort:  # left in the chain when it was closed, see there
            original = self._passed_to
        self._copy = bool(getattr(stream, "_recv_copy", False))
        stream.on_recv(self._sort, copy=self._copy)
        self._stream, self._original = stream, original

    def close(self) -> None:
        """Stop sorting, and give the held messages to the kernel in their order."""
        if self._original is None:
            return
        stream, original = self._stream, self._original
        self._stream = self._original = None
        self._passed_to = original
        try:
            if stream._recv_callback == self._sort:
                stream.on_recv(original, copy=self._copy)
            # Else someone put a callback on top of ours: stay in the chain, let all pass.
        finally:
            self._deliver_held(original)

    def _deliver_held(self, original: Callable[[list[Any]], Any]) -> None:
        stopped: BaseException | None = None
        while self._held:
            message = self._held.pop(0)
            try:
                message.context.run(self._deliver, original, message.frames)
            except Exception:  # the messages after a failed one must be handled, too
                self._kernel.log.exception("Exception in message handler:")
            except BaseException as error:
                stopped = error
        if stopped is not None:
            raise stopped

    def _deliver(self, callback: Callable[[list[Any]], Any], frames: list[Any]) -> None:
        # Not later through call_soon: a message that the stream has ready would overtake.
        result = callback(frames)
        if inspect.isawaitable(result):
            self._keep(asyncio.ensure_future(result))

    def _keep(self, task: asyncio.Future[Any]) -> None:
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._kernel.log.error("Exception in message handler", exc_info=task.exception())

    def _sort(self, frames: list[Any]) -> Any:
        original = self._original
        if original is None:
            if self._passed_to is None:
                raise RuntimeError("the comm pump received a message before it was opened")
            return self._passed_to(frames)
        if self._message_type(frames) not in AT_ONCE:
            if not self._needed():  # the end of what ran was not announced
                self.close()
                return original(frames)
            self._held.append(Held(frames, contextvars.copy_context()))
            return None
        try:
            # In a handle of its own: a callback may block in a nested run, and the stream
            # must be back at the poller by then.
            asyncio.get_running_loop().call_soon(self._handle, frames, original)
        except RuntimeError:  # no loop runs: rule 1
            return original(frames)
        return None

    def _message_type(self, frames: list[Any]) -> str | None:
        """Read the type in the header; the handler of the message checks the signature."""
        try:
            session = self._kernel.session
            _, rest = session.feed_identities(frames, copy=self._copy)
            header = session.unpack(getattr(rest[1], "bytes", rest[1]))
            return str(header["msg_type"])
        except Exception:
            return None

    def _handle(self, frames: list[Any], original: Callable[[list[Any]], Any]) -> None:
        session = self._kernel.session
        _, signed = session.feed_identities(frames, copy=self._copy)
        try:
            parent, handler = self._prepare(frames)
        except Exception:
            # The signature may be noted as seen already: the kernel would take it for a replay.
            signature = getattr(signed[0], "bytes", signed[0])
            with contextlib.suppress(Exception):
                session.digest_history.discard(signature)
            self._restore()
            self._deliver(original, frames)
            return
        self.handled += 1
        result: Any = None
        try:
            result = handler(reply_socket(self._kernel), parent.ident, parent.message)
        except Exception:  # as the kernel does for an error in a handler
            self._kernel.log.exception("Exception in message handler:")
        finally:
            if inspect.isawaitable(result):
                self._keep(asyncio.ensure_future(self._finish_later(result, parent)))
                self._restore()
            else:
                self._finish(parent)

    def _prepare(self, frames: list[Any]) -> tuple[Parent, Callable[..., Any]]:
        kernel = self._kernel
        ident, rest = kernel.session.feed_identities(frames, copy=self._copy)
        message = kernel.session.deserialize(rest, content=True, copy=self._copy)
        handler = kernel.shell_handlers[message["header"]["msg_type"]]
        _flush_output()  # output of the cell so far belongs to the cell
        kernel.set_parent(ident, message, channel="shell")
        self._publish("busy", message)
        return Parent(ident, message), handler

    async def _finish_later(self, result: Any, parent: Parent) -> None:
        try:
            await result
        finally:
            self._finish(parent)

    def _finish(self, parent: Parent) -> None:
        _flush_output()
        self._restore()
        self._publish("idle", parent.message)
        if self.is_open and self.parent is not None:
            # The front end shows the last status that it received, and the cell still runs.
            self._publish("busy", self.parent.message)

    def _restore(self) -> None:
        if self.parent is not None:
            self._kernel.set_parent(self.parent.ident, self.parent.message, channel="shell")

    def _publish(self, status: str, message: Any) -> None:
        self._kernel._publish_status(status, "shell", parent=message)


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
