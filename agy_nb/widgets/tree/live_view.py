"""A transcript on a page: changes go to the front end, clicks come back.

Rule 1: at most one message every `INTERVAL_S`, whatever the token rate.
Rule 2: nothing is sent before a front end has said that it is there; a late one gets a snapshot.
Rule 3: messages may come in any thread; what they cause happens on the main loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import anywidget
import traitlets

from agy_nb.errors import WrongLoopError
from agy_nb.kernel import main_loop
from agy_nb.protocol.events import Approval, Event, Question
from agy_nb.widgets.approvals.pending import PendingRequest, Reply, desk
from agy_nb.widgets.tree.front_end_messages import AnswerAll, Decide, Here, Message, Ready, parse
from agy_nb.widgets.tree.nodes import Change, Remove, Upsert

INTERVAL_S = 0.05
"""Seconds between two messages to the front end, at the least."""

_STATIC = Path(__file__).parents[1] / "static"

LASTS = (
    "This output cannot be saved in the notebook: the page was reloaded during the turn, or "
    "another widget contains it. Show the response in another cell to save it."
)
"""Said where a view cannot be replaced by HTML, since the page does not know it by its output."""

LEAVES_AFTER_S = 3.0
"""Seconds in which a front end that shows a view still can say so, when the HTML is there."""

OnMessage: TypeAlias = Callable[[Message, list[Any]], None]
"""Takes a message of the front end, and its buffers."""

UNREADABLE = "The page sent an invalid message. Nothing was decided. Try again."


class ViewModel(Protocol):
    """What a view shows: a `Transcript`, or a `Page`.

    Attributes:
        pending: Ids of the approvals and questions that wait for somebody.
    """

    pending: dict[str, Approval | Question]

    @property
    def status(self) -> str:
        """How the turn that runs stands, in words."""
        ...

    @property
    def behind(self) -> bool:
        """Whether `changes` has more to tell than it does at once."""
        ...

    def on_event(self, event: Event) -> None:
        """Take an event."""
        ...

    def changes(self) -> list[Change]:
        """What is new since the last call."""
        ...

    def snapshot(self) -> list[Change]:
        """All nodes as they stand."""
        ...

    def renew(self, node: str) -> None:
        """Give a node again at the next `changes`."""
        ...


class Canvas(anywidget.AnyWidget):
    """The widget: a tree of nodes, and a composer where `mode` is `"chat"`.

    Attributes:
        mode: `"turn"`, `"chat"`, or `"page"` for one with controls of its own.
        label: What a screen reader calls it.
        key: Its name among the front end's models.
    """

    _esm = _STATIC / "view.js"
    _css = _STATIC / "view.css"
    mode = traitlets.Unicode("turn").tag(sync=True)
    label = traitlets.Unicode("Conversation").tag(sync=True)
    key = traitlets.Unicode("").tag(sync=True)

    def __repr__(self) -> str:  # what a notebook without widgets shows in its place
        return f"<{self.label}, live>"


def _canvas(mode: str, label: str) -> Any:  # noqa: ANN401 - widgets have no types
    canvas = Canvas(mode=mode, label=label)
    canvas.key = canvas.model_id
    return canvas


def put_on_page(widget: Any) -> Any:  # noqa: ANN401 - widgets have no types
    """Display a widget in the cell that runs, in an output that can become something else.

    Not by `display(widget)`: ipywidgets 7, which Colab has, then forgets the output's id.

    Returns:
        The handle of the output.
    """
    from IPython.display import display

    bundle = widget._repr_mimebundle_()
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    return display(data, metadata=metadata, raw=True, display_id=True)


def _loop() -> asyncio.AbstractEventLoop:
    loop = main_loop()
    if loop is None:
        raise WrongLoopError(
            "a view needs an event loop, and none was ever run here: show it in a notebook, or "
            "make it within a coroutine, e.g. one that `asyncio.run` runs"
        )
    return loop


class LiveView:
    """A transcript with a widget that shows it.

    Args:
        transcript: What to show.
        mode: `"turn"`, `"chat"` for a composer below, or `"page"`.
        label: What a screen reader calls it.
        on_message: Takes the front end's messages that are about the conversation or the page.

    Raises:
        WrongLoopError: No event loop runs here, nor ever did.

    Attributes:
        widget: To be displayed.
        running: Whether there is something to stop.
        queued: How many turns wait for the one that runs.
        seen: Whether a front end has shown it.
        standing: Told with every message, e.g. the grants of a panel's agent.
        loop: The main loop.
    """

    def __init__(
        self,
        transcript: ViewModel,
        *,
        mode: str = "turn",
        label: str = "Conversation",
        on_message: OnMessage = lambda _message, _buffers: None,
    ) -> None:
        self.transcript = transcript
        self.widget = _canvas(mode, label)
        self.running = False
        self.queued = 0
        self.seen = False
        self.standing: dict[str, object] = {}
        self._notice = ""
        self.loop = _loop()
        self._on_message = on_message
        self._flush_at: asyncio.TimerHandle | None = None
        self._close_at: asyncio.TimerHandle | None = None
        self._closed = False
        self.widget.on_msg(self._receive)
        self._detach = desk.attach(self.claim)

    # -- to the front end --------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take an event, and show it soon."""
        self.transcript.on_event(event)
        self.touch()

    def touch(self) -> None:
        """Something has changed: have it shown within `INTERVAL_S`."""
        if self.seen and self._flush_at is None and not self._closed:
            self._flush_at = self.loop.call_later(INTERVAL_S, self._flush)

    def _flush(self) -> None:
        self._flush_at = None
        if not self._closed:
            self.send(type="changes", changes=self._wire(self.transcript.changes()))
            if self.transcript.behind:
                self.touch()

    def send(self, **message: object) -> None:
        """Send a message to every front end that shows this."""
        if not self._closed:
            status = self.transcript.status if self.running else ""
            if status and self.queued:
                status += f" · {self.queued} queued"
            if self._notice:
                message["notice"] = self._notice
            label = getattr(self.transcript, "stop_label", "")  # not all that is shown is a turn
            base = {"running": self.running, "status": status, "stop": label}
            self.widget.send({**base, **self.standing, **message})

    def reply(self, view: str, **message: object) -> None:
        """Send a message to the one view that asked for it; to all where it gave no name."""
        self.send(**message, **({"view": view} if view else {}))

    def _wire(self, changes: Iterable[Change]) -> list[dict[str, Any]]:
        return [self._wire_one(change) for change in changes]

    def _wire_one(self, change: Change) -> dict[str, Any]:
        if isinstance(change, Upsert):
            put: dict[str, Any] = {
                name: value
                for name in ("id", "parent", "kind", "head", "body", "fold", "label")
                if (value := getattr(change, name))
            }
            waiting = desk.get(change.id)
            if waiting is not None and change.id in self.transcript.pending:
                put["controls"] = waiting.controls
                desk.see(change.id)
            return {"put": put}
        return (
            {"drop": change.id}
            if isinstance(change, Remove)
            else {"tail": [change.id, change.text]}
        )

    # -- from the front end ------------------------------------------------------------------

    def _receive(self, _widget: object, content: object, buffers: Iterable[Any] | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the kernel ends
            self.loop.call_soon_threadsafe(self._take, content, list(buffers or ()))

    def _refuse(self, content: object) -> None:
        """A message could not be read; an approval or a question that it was about waits on."""
        key = content.get("id") if isinstance(content, dict) else None
        if isinstance(key, str) and desk.get(key) is not None:
            self.send(type="refused", id=key, words=UNREADABLE)

    def _take(self, content: object, buffers: list[Any]) -> None:
        match message := parse(content):
            case None:
                self._refuse(content)
            case Ready():
                self._show_all(message.view)
                if self.transcript.behind:
                    self.touch()
            case Decide() | AnswerAll():
                self._answer(message)
            case Here():
                self._stay()
            case _:
                self._on_message(message, buffers)

    def _show_all(self, view: str) -> None:
        """Give a view all nodes; the others, in which somebody may be typing, only what is new."""
        new = self.transcript.changes()
        if self.seen and new:
            self.send(type="changes", changes=self._wire(new))
        self.seen = True
        self.reply(view, type="reset", changes=self._wire(self.transcript.snapshot()))

    def _answer(self, reply: Reply) -> None:
        if words := desk.objection(reply):
            self.send(type="refused", id=reply.id, words=words)
        else:
            desk.answer(reply)

    # -- what waits for a person -------------------------------------------------------------

    def claim(self, waiting: PendingRequest) -> bool:
        """Show the buttons of an approval or a question that is in this transcript."""
        if self._closed or waiting.id not in self.transcript.pending:
            return False
        self.transcript.renew(waiting.id)
        self.touch()
        return True

    # -- the end -----------------------------------------------------------------------------

    def leave(self) -> None:
        """There is HTML in the output now: take the widget away, unless somebody needs it still.

        A page does not know which output the widget stands in when it was loaded anew, or when the
        output is another widget's: no HTML gets there, and without the widget nothing would be left
        of the turn. The view is there still, and says so.
        """
        self._detach()
        if not self.seen:
            self.close()
        elif not self._closed:
            self.touch()
            self.flush()
            self.send(type="leaving")
            self._close_at = self.loop.call_later(LEAVES_AFTER_S, self.close)

    def _stay(self) -> None:
        if self._close_at is not None:
            self._close_at.cancel()
            self._notice = LASTS
            self.touch()

    def close(self) -> None:
        """Take the widget away; its front ends show nothing any more."""
        if self._closed:
            return
        for timer in (self._flush_at, self._close_at):
            if timer is not None:
                timer.cancel()
        self._closed = True
        self._detach()
        self.widget.close()

    @property
    def closed(self) -> bool:
        """Whether the widget was taken away."""
        return self._closed

    def flush(self) -> None:
        """Show what has changed now."""
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush()
