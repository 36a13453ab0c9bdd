"""A response shows itself: live while it runs, and as plain HTML in the same place from then on."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Coroutine
from typing import Any

from agy_nb.kernel import current_host, in_kernel, main_loop, run
from agy_nb.kernel.environment import current_shell
from agy_nb.kernel.stdin_prompt import why_no_stdin
from agy_nb.protocol.events import Event
from agy_nb.runtime.turns.response import Response
from agy_nb.terminal import printable
from agy_nb.widgets.response.static_html import bundle
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.front_end_messages import Message, Order
from agy_nb.widgets.tree.live_view import INTERVAL_S, LiveView, put_on_page
from agy_nb.widgets.usage.cost_text import cost_of

_shown: weakref.WeakKeyDictionary[Response, int] = weakref.WeakKeyDictionary()
"""In which cell, by its number, a response was shown last."""


def show(response: Response) -> None:
    """Show a response in the cell that runs, once a cell. Outside of a notebook, print a line.

    While its turn runs that is a widget; at the turn's end the same output becomes HTML. Where no
    input is taken, as in papermill and nbconvert, nobody watches, and what comes after the cell is
    dropped: there it waits for the end of the turn.

    Args:
        response: What is shown.

    Example:
        >>> response = await (await agent.chat("Hello"))
        >>> agy.widgets.show(response)
        <Response turn 1 of agent ...: done, ...>
    """
    if not in_kernel():
        print(printable(repr(response)))  # noqa: T201 - what IPython does in a terminal
        return
    cell = _cell()
    if _shown.get(response) == cell:
        return
    _shown[response] = cell
    if not response.done and current_host().cell_running and why_no_stdin():
        run(response.wait())
    if response.done:
        _show_whole(response)
    else:
        _ResponseView(response).open()


def _cell() -> int:
    return int(getattr(current_shell(), "execution_count", 0))


def _show_whole(response: Response) -> None:
    from IPython.display import display

    transcript = ConversationView()
    transcript.begin()
    for event in response.events:
        transcript.on_event(event)
    transcript.catch_up()
    handle = display(bundle(transcript), raw=True, display_id=True)
    _keep(_add_cost(response, transcript, handle))


_tasks: set[asyncio.Future[None]] = set()


def _keep(work: Coroutine[Any, Any, None]) -> None:
    """Run something to its end on the main loop, whoever drops what."""
    loop = main_loop()
    if loop is None or not loop.is_running():
        work.close()
        return
    task = loop.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _add_cost(
    response: Response,
    transcript: ConversationView,
    handle: Any,  # noqa: ANN401
    *,
    renew: bool = False,
) -> None:
    """Say what it cost once that is known, in what is on the page already."""
    words = await cost_of(response)
    if words:
        transcript.set_cost(words)
    if words or renew:
        with contextlib.suppress(Exception):  # a front end that is gone harms no turn
            handle.update(bundle(transcript), raw=True)


class _ResponseView:
    """The view of a turn that runs."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._transcript = ConversationView()
        self._transcript.begin()
        self._view = LiveView(self._transcript, on_message=self._on_message)
        self._view.running = True
        self._handle: Any = None

    def open(self) -> None:
        self._handle = put_on_page(self._view.widget)
        self._response.watch(self._on_event)

    def _on_event(self, event: Event) -> None:
        self._view.on_event(event)
        if self._response.done:
            self._leave()

    def _on_message(self, message: Message, _buffers: list[Any]) -> None:
        if isinstance(message, Order) and message.type == "stop":
            _keep(self._response.cancel())

    def _leave(self) -> None:
        """The same output is plain HTML from now on; at once, as the kernel may end soon."""
        self._view.running = False
        if not self._view.seen:  # nobody looks on who could be held up
            self._transcript.catch_up()
        with contextlib.suppress(Exception):  # a front end that is gone harms no turn
            self._handle.update(bundle(self._transcript), raw=True)
            self._view.leave()
        _keep(self._complete())

    async def _complete(self) -> None:
        """Draw bit by bit what was too long to be drawn at once, and then renew the HTML."""
        late = self._transcript.behind
        while self._transcript.behind:
            if self._view.closed:
                self._transcript.changes()
            self._view.touch()
            await asyncio.sleep(0 if self._view.closed else INTERVAL_S)
        await _add_cost(self._response, self._transcript, self._handle, renew=late)
        self._view.touch()  # where the view stays, it has the cost, too
