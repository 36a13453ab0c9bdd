"""Show a response: as a live widget while its turn runs, then as HTML in the same output."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from agy_nb.kernel import current_host, in_kernel, run, view_loop
from agy_nb.kernel.environment import current_shell, in_solara, running_loop
from agy_nb.protocol.events import Event
from agy_nb.runtime.turns.response import Response
from agy_nb.terminal import printable
from agy_nb.widgets.response.static_fallback import StaticFallback
from agy_nb.widgets.response.static_html import bundle, still
from agy_nb.widgets.response.text_stream import print_turn
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.front_end import in_text_console, why_headless
from agy_nb.widgets.tree.front_end_messages import Message, PanelAction
from agy_nb.widgets.tree.live_view import INTERVAL_S, LiveView
from agy_nb.widgets.tree.view_widget import display_widget
from agy_nb.widgets.usage.cost_text import cost_of

_shown: weakref.WeakKeyDictionary[Response, int] = weakref.WeakKeyDictionary()
"""The execution count of the cell that last showed each response."""


def show(response: Response) -> None:
    """Show a response in the running cell, at most once per cell; outside a notebook, print it.

    While the turn runs, the output is a widget. When the turn ends, HTML replaces it. The cell ends
    when the turn ends, so that the next cell sees the complete response in every front end. To end
    the cell at once, pass `wait=False` to `agent.chat`.

    Args:
        response: The response to show.

    Example:
        >>> response = await (await agent.chat("Hello"))
        >>> agy.widgets.show(response)
        <Response turn 1 of agent ...: done, ...>
    """
    if in_solara():
        _show_in_solara(response)
        return
    if not in_kernel() or in_text_console():
        _print(response)
        return
    cell = _cell()
    is_new = _shown.get(response) != cell
    _shown[response] = cell
    if not response.done and current_host().cell_running and why_headless():
        run(response.wait())  # such front ends drop outputs that arrive after the cell's end
    if is_new and response.done:
        _show_finished(response)
    elif is_new:
        _ResponseView(response).open()
    if response.waits_in_cell and not response.done and current_host().cell_running:
        _wait_in_cell(response.wait, at_end=is_new)


def _print(response: Response) -> None:
    """Print a response while it streams, or one line about it if nothing can wait here."""
    if in_kernel() or (response.done and running_loop() is None):
        run(print_turn(response))
    elif response.waits_in_cell and current_shell() is not None:
        _wait_in_cell(lambda: print_turn(response), at_end=True)
    else:
        print(printable(repr(response)))  # noqa: T201 - as IPython does in a terminal


def _show_in_solara(response: Response) -> None:
    """Show a response in the page: a widget while the turn runs, which stays open; then HTML."""
    from IPython.display import display

    if response.done:
        display(bundle(_transcript_of(response)), raw=True)
    else:
        display_widget(_ResponseView(response).follow())


class _Html:
    """The HTML of a response whose turn has ended, for marimo."""

    def __init__(self, html: str) -> None:
        self._html = html

    def _mime_(self) -> tuple[str, str]:
        return "text/html", self._html


def part(response: Response) -> object:
    """Return what a front end without IPython's display, such as marimo, shows for a response.

    Args:
        response: The response to show.

    Returns:
        A widget while the turn runs, which stays open; then HTML.

    Example:
        >>> from agy_nb.widgets.response.response_view import part
        >>> agent = await agy.create_agent()
        agy_nb: no GEMINI_API_KEY is set, so a local echo model answers
        >>> response = await (await agent.chat("Hello"))
        >>> part(response)._mime_()[0]
        'text/html'
    """
    if response.done:
        return _Html(bundle(_transcript_of(response))["text/html"])
    return _ResponseView(response).follow()


def _wait_in_cell(wait_for_turn: Callable[[], Awaitable[Any]], *, at_end: bool) -> None:
    """Wait for a turn, in the last line of a cell now, else when the cell's code has ended."""
    shell = current_shell()
    hook = getattr(shell, "displayhook", None)
    if getattr(hook, "msg", None) is not None or (
        in_kernel() and getattr(hook, "_is_active", False)
    ):
        run(wait_for_turn())
    elif at_end and shell is not None:

        def wait(result: Any) -> None:
            shell.events.unregister("post_run_cell", wait)
            if result.success:
                try:
                    run(wait_for_turn())
                except KeyboardInterrupt as error:
                    result.error_in_exec = (
                        error  # the cell was interrupted: the next ones do not run
                    )

        shell.events.register("post_run_cell", wait)


def _cell() -> int:
    return int(getattr(current_shell(), "execution_count", 0))


def _show_finished(response: Response) -> None:
    from IPython.display import display

    transcript = _transcript_of(response)
    late = not (current_host().cell_running and why_headless())
    if not late:
        transcript.set_cost(run(cost_of(response)))
    handle = display(bundle(transcript), raw=True, display_id=True)
    if late:
        _run_in_background(_add_cost(response, transcript, handle))


def _transcript_of(response: Response) -> ConversationView:
    transcript = ConversationView()
    transcript.begin_turn()
    for event in response.event_log:
        transcript.on_event(event)
    transcript.catch_up()
    return transcript


_tasks: set[asyncio.Future[None]] = set()


def _run_in_background(work: Coroutine[Any, Any, None]) -> None:
    """Start a task on the loop of the views and keep a reference until it ends."""
    loop = view_loop()
    if loop is None or not loop.is_running():
        work.close()
        return
    task = loop.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _add_cost(response: Response, transcript: ConversationView, handle: Any) -> None:
    """Update the output when the cost is known."""
    words = await cost_of(response)
    if words:
        transcript.set_cost(words)
        with contextlib.suppress(Exception):  # a front end that is closed must not fail the turn
            handle.update(bundle(transcript), raw=True)


class _ResponseView:
    """The live view of a running turn."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._transcript = ConversationView()
        self._transcript.begin_turn()
        self._view = LiveView(self._transcript, on_message=self._on_message)
        self._view.running = True
        self._stays = False
        self._stop: Callable[[], None] = lambda: None
        self._fallback = StaticFallback(self._view, lambda: still(self._transcript))

    def open(self) -> None:
        self._fallback.display(at_exit=self._fallback.update)
        self._stop = self._response.watch(self._on_event)
        # The turn ended before `watch` returned, so `_on_event` had no function to stop it.
        if self._response.done:
            self._stop()

    def follow(self) -> Any:
        """Return the widget, which stays when the turn has ended."""
        self._stays = True
        self._stop = self._response.watch(self._on_event)
        return self._view.widget

    def _on_event(self, event: Event) -> None:
        self._view.on_event(event)
        self._fallback.update_later()
        if self._response.done and event is self._response.event_log[-1]:
            self._stop()  # the response lives on; its view does not
            self._replace_by_html()

    def _on_message(self, message: Message, _buffers: list[Any]) -> None:
        if isinstance(message, PanelAction) and message.type == "stop":
            _run_in_background(self._response.cancel())

    def _replace_by_html(self) -> None:
        """Replace the output by HTML now, as the kernel may shut down soon."""
        self._view.running = False
        if not self._view.seen:  # no front end is waiting for updates
            self._transcript.catch_up()
        if self._stays:
            _run_in_background(self._complete())
            return
        with contextlib.suppress(Exception):  # a front end that is closed must not fail the turn
            self._replace()
            self._view.leave(is_saved=self._fallback.in_output_widget)
        _run_in_background(self._complete())

    async def _complete(self) -> None:
        """Render the backlog in slices, then update the HTML and show the cost."""
        late = self._transcript.has_backlog
        while self._transcript.has_backlog:
            if self._view.closed:
                self._transcript.changes()
            self._view.touch()
            await asyncio.sleep(0 if self._view.closed else INTERVAL_S)
        words = await cost_of(self._response)
        self._transcript.set_cost(words)
        if (words or late) and not self._stays:
            with contextlib.suppress(Exception):  # as above
                self._replace()
        self._view.touch()  # a view that stays open also shows the cost

    def _replace(self) -> None:
        self._fallback.replace(bundle(self._transcript, short=True))
