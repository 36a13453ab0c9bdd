"""Connect a view model to the front end: changes are sent to it, and clicks come back.

Changes are sent at most every `INTERVAL_S`, however fast tokens arrive, and only after a front end
has opened the view; one that opens it later gets all nodes. Messages may arrive in any thread and
are handled on the loop of the view.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Protocol, TypeAlias

from agy_nb.protocol.events import Approval, Event, Question
from agy_nb.widgets.approvals.pending import PendingRequest, Reply, pending_requests
from agy_nb.widgets.markdown.markup import compact
from agy_nb.widgets.tree.front_end import view_opened
from agy_nb.widgets.tree.front_end_messages import (
    AnswerAll,
    Decide,
    Message,
    Ready,
    StillShown,
    parse,
)
from agy_nb.widgets.tree.nodes import Change, Remove, Upsert
from agy_nb.widgets.tree.view_widget import ViewWidget, loop_of_views

INTERVAL_S = 0.05
"""Minimum time between two updates of the front end, in seconds."""

NOT_SAVED = (
    "This output cannot be saved in the notebook: the page was reloaded during the turn, or "
    "another widget contains it. Show the response in another cell to save it."
)
"""Shown if HTML cannot replace the view because the page does not know its output."""

CLOSE_AFTER_S = 3.0
"""Seconds to wait, after the HTML was sent, for a front end that still shows the view."""

OnMessage: TypeAlias = Callable[[Message, list[Any]], None]
"""Handles a message from the front end and its buffers."""

UNREADABLE = "The page sent an invalid message. Nothing was decided. Try again."


class ViewModel(Protocol):
    """The nodes that a view shows: a `ConversationView` or a `PageTree`.

    Attributes:
        pending: The approvals and questions that wait for the user, by id.
    """

    pending: dict[str, Approval | Question]

    @property
    def status(self) -> str:
        """The state of the current turn as a label."""
        ...

    @property
    def has_backlog(self) -> bool:
        """Whether long text is not rendered yet; each `changes` renders a slice of it."""
        ...

    def on_event(self, event: Event) -> None:
        """Add an event."""
        ...

    def changes(self) -> list[Change]:
        """Return the changes since the last call."""
        ...

    def snapshot(self) -> list[Change]:
        """Return all nodes."""
        ...

    def resend(self, node: str) -> None:
        """Include a node in the next `changes`."""
        ...


class LiveView:
    """A view model with the widget that shows it.

    Args:
        transcript: The view model to show.
        on_message: Called with front-end messages that this class does not handle itself.
        widget: The widget that shows it; by default a new one for a turn.

    Raises:
        WrongLoopError: No event loop has run in this process.

    Attributes:
        widget: The widget to display.
        running: Whether a turn is running; shows the stop button.
        queued: Number of turns that wait for the running one.
        seen: Whether a front end has opened the view.
        extra_fields: Sent with every message, e.g. the grants of a panel's agent.
        loop: The loop that updates the view.
    """

    def __init__(
        self,
        transcript: ViewModel,
        *,
        on_message: OnMessage = lambda _message, _buffers: None,
        widget: Any = None,
    ) -> None:
        self.transcript = transcript
        self.widget: Any = widget or ViewWidget("turn", "Conversation")
        self.running = False
        self.queued = 0
        self.seen: bool = False
        self.extra_fields: dict[str, object] = {}
        self._notice = ""
        self.loop: asyncio.AbstractEventLoop = loop_of_views()
        self._on_message = on_message
        self._flush_at: asyncio.TimerHandle | None = None
        self._close_at: asyncio.TimerHandle | None = None
        self._closed = self._is_saved = False
        self.widget.on_msg(self._receive)
        self._detach = pending_requests.attach_view(self.claim)

    # -- to the front end --------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Add an event and schedule an update."""
        self.transcript.on_event(event)
        self.touch()

    def touch(self) -> None:
        """Schedule an update of the front end within `INTERVAL_S`."""
        if self.seen and self._flush_at is None and not self._closed:
            self._flush_at = self.loop.call_later(INTERVAL_S, self._flush)

    def _flush(self) -> None:
        self._flush_at = None
        if not self._closed:
            self.send(type="changes", changes=self._encode(self.transcript.changes()))
            if self.transcript.has_backlog:
                self.touch()

    def send(self, **message: object) -> None:
        """Send a message to all front ends that show the view."""
        if not self._closed:
            status = self.transcript.status if self.running else ""
            if status and self.queued:
                status += f" · {self.queued} queued"
            if self._notice:
                message["notice"] = self._notice
            label = getattr(self.transcript, "stop_label", "")  # pages have none
            base: dict[str, object] = {"running": self.running, "status": status, "stop": label}
            if status and (since := getattr(self.transcript, "since", None)) is not None:
                base["since"] = since
            self.widget.send({**base, **self.extra_fields, **message})

    def reply(self, view: str, **message: object) -> None:
        """Send a message to the front end that asked for it; to all if it gave no name."""
        self.send(**message, **({"view": view} if view else {}))

    def _encode(self, changes: Iterable[Change]) -> list[dict[str, Any]]:
        return [self._encode_one(change) for change in changes]

    def _encode_one(self, change: Change) -> dict[str, Any]:
        if isinstance(change, Upsert):
            node: dict[str, Any] = {
                name: value
                for name in ("id", "parent", "kind", "head", "body", "fold", "label")
                if (value := getattr(change, name))
            }
            if change.body:
                node["body"] = compact(change.body)
            if change.turn is not None:
                node["turn"] = asdict(change.turn)
            request = pending_requests.get(change.id)
            if request is not None and change.id in self.transcript.pending:
                node["controls"] = request.controls
                # Here, where the buttons are sent, and not in `claim`: a view that no page has
                # opened claims requests as well, and then the user must be asked by text.
                pending_requests.mark_shown(change.id)
            return {"put": node}
        return (
            {"drop": change.id}
            if isinstance(change, Remove)
            else {"tail": [change.id, change.text]}
        )

    # -- from the front end ------------------------------------------------------------------

    def _receive(self, _widget: object, content: object, buffers: Iterable[Any] | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the kernel is shutting down
            self.loop.call_soon_threadsafe(self._on_content, content, list(buffers or ()))

    def _reject(self, content: object) -> None:
        """Report an invalid message in the card that it was about; the request stays pending."""
        key = content.get("id") if isinstance(content, dict) else None
        if isinstance(key, str) and pending_requests.get(key) is not None:
            self.send(type="refused", id=key, words=UNREADABLE)

    def _on_content(self, content: object, buffers: list[Any]) -> None:
        match message := parse(content):
            case None:
                self._reject(content)
            case Ready():
                view_opened()
                self._send_all(message.view)
                if self.transcript.has_backlog:
                    self.touch()
            case Decide() | AnswerAll():
                self._answer(message)
            case StillShown():
                self._keep_widget()
            case _:
                self._on_message(message, buffers)

    def _send_all(self, view: str) -> None:
        """Send all nodes to a new front end, and only changes to those that may hold input."""
        # First the changes: the snapshot includes them, and a later update would append their text
        # again.
        new = self.transcript.changes()
        if self.seen and new:
            self.send(type="changes", changes=self._encode(new))
        self.seen = True
        self.reply(view, type="reset", changes=self._encode(self.transcript.snapshot()))

    def send_all(self) -> None:
        """Send all nodes to all front ends, e.g. because another branch is shown."""
        self.transcript.changes()
        if self.seen:
            self.send(type="reset", changes=self._encode(self.transcript.snapshot()))

    def _answer(self, reply: Reply) -> None:
        if words := pending_requests.validate(reply):
            self.send(type="refused", id=reply.id, words=words)
        else:
            pending_requests.resolve(reply)

    # -- pending requests --------------------------------------------------------------------

    def claim(self, request: PendingRequest) -> bool:
        """Show the buttons of a request if this view contains it; return whether it does."""
        if self._closed or request.id not in self.transcript.pending:
            return False
        self.transcript.resend(request.id)
        self.touch()
        return True

    # -- the end -----------------------------------------------------------------------------

    def leave(self, *, is_saved: bool = False) -> None:
        """Close the widget because HTML has replaced its output, unless a front end still shows it.

        Args:
            is_saved: Whether the notebook saves the HTML in another output, so that a view that
                stays open needs no notice.

        A page that was reloaded, or that shows the widget inside another widget's output, does not
        know the widget's output, so the HTML does not replace it. Closing the widget would leave
        nothing of the turn. Such a front end replies, and the view stays open with a notice.
        """
        self._detach()
        self._is_saved = is_saved
        if not self.seen:
            self.close()
        elif not self._closed:
            self.touch()
            self.flush()
            self.send(type="leaving")
            self._close_at = self.loop.call_later(CLOSE_AFTER_S, self.close)

    def _keep_widget(self) -> None:
        if self._close_at is not None:
            self._close_at.cancel()
            self._notice = "" if self._is_saved else NOT_SAVED
            self.touch()

    def close(self) -> None:
        """Close the widget; front ends no longer show it."""
        if self._closed:
            return
        for timer in (self._flush_at, self._close_at):
            if timer is not None:
                timer.cancel()
        self._closed = True
        self._detach()
        self.widget.on_msg(self._receive, remove=True)
        self.widget.close_widget()

    @property
    def closed(self) -> bool:
        """Whether the widget is closed."""
        return self._closed

    def flush(self) -> None:
        """Send the scheduled update now."""
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush()
