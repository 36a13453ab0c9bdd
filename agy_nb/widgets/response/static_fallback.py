"""Static HTML next to a widget, which remains when the kernel is gone.

The widget hides the HTML while it works. A notebook that is opened without its kernel, and the
output of nbconvert, show the HTML. It is complete when a cell ends. Between cells it is updated
some seconds after a change, not with each one.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from agy_nb.kernel import current_host, in_kernel
from agy_nb.kernel.environment import current_kernel, in_solara
from agy_nb.terminal import printable
from agy_nb.widgets.response.static_html import VIEW, Still
from agy_nb.widgets.tree.live_view import LiveView
from agy_nb.widgets.tree.view_widget import display_widget

FIRST_UPDATE_AFTER_S = 0.2
"""Delay between the first content and the HTML, in seconds. JupyterLab drops what a kernel sends
while it restarts, so the HTML must not wait for the restart."""

UPDATE_AFTER_S = 1.0
"""Minimum delay between a change and the update of the HTML, in seconds."""

SENT_PER_S = 50_000
"""Maximum average rate of HTML, in characters per second. The HTML is always sent whole, so a long
conversation is updated less often. The update at shutdown is sent at once."""

StaticContent = Callable[[], Still]
"""Returns the static content of a view."""


class StaticFallback:
    """Show a view in cells, each with static HTML next to the widget.

    Args:
        live: The view.
        static: Returns the static content.
        catch_up: Reads and shows all that has happened so far; it may block.

    Attributes:
        in_output_widget: Whether an `ipywidgets.Output` contains the widget. The HTML is then in
            the cell itself, because the notebook does not save the content of widgets.
    """

    def __init__(
        self,
        live: LiveView,
        static: StaticContent,
        catch_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.in_output_widget: bool = False
        self._live = live
        self._static = static
        self._catch_up = catch_up
        self._handles: list[Any] = []
        self._outputs: list[Any] = []
        self._html = ""
        self._update_at: asyncio.TimerHandle | None = None
        self._forget: list[Callable[[], None]] = []

    def display(self, at_exit: Callable[[], None]) -> None:
        """Show the view in the running cell; in a terminal, print its text.

        Args:
            at_exit: Called when the kernel shuts down.
        """
        self._catch_up()
        if in_solara():
            display_widget(self._live.widget)
            return
        if not in_kernel():
            print(printable(self._static().text))  # noqa: T201 - as IPython does in a terminal
            return
        from IPython.display import display

        if not self._handles:
            host = current_host()
            self._forget.append(host.at_exit(at_exit, fallback=lambda: None))
            self._forget.append(host.at_cell_end(self._at_cell_end))
        self._outputs.append(display_widget(self._live.widget))
        with _outside_of_output_widgets() as inside:
            self.in_output_widget = self.in_output_widget or inside
            self._handles.append(display(self._bundle(), raw=True, display_id=True))

    def update_later(self) -> None:
        """Schedule an update of the HTML."""
        if self._handles and self._update_at is None:
            pause = max(UPDATE_AFTER_S, len(self._html) * len(self._handles) / SENT_PER_S)
            pause = pause if self._html else FIRST_UPDATE_AFTER_S
            self._update_at = self._live.loop.call_later(pause, self.update)

    def _at_cell_end(self) -> None:
        self._catch_up()
        if self._update_at is not None:
            self.update()

    def _bundle(self) -> dict[str, str]:
        found = self._static().bundle(f"{VIEW} agy-still agy-still-{self._live.widget.key}")
        self._html = found.get("text/html", "")
        return found

    def update(self) -> None:
        """Update the HTML now if it has changed."""
        self._cancel_update()
        # In this order: `_bundle` changes `_html`.
        before, bundle = self._html, self._bundle()
        if self._html != before:
            for handle in self._handles:
                handle.update(bundle, raw=True)

    def replace(self, bundle: dict[str, str]) -> None:
        """Replace the widget by static content.

        Args:
            bundle: The content by MIME type. If an output widget contains the view, the content
                is shown in the cell itself.
        """
        self._stop()
        if self.in_output_widget:
            self.update()
            return
        for output, handle in zip(self._outputs, self._handles, strict=True):
            output.update(bundle, raw=True)
            handle.update({}, raw=True)  # an output without content takes no room

    def close(self) -> None:
        """Update the HTML a last time and close the widget."""
        self._stop()
        with contextlib.suppress(
            Exception
        ):  # a front end that is closed must not fail the clean-up
            if self._handles:
                self.update()
            for output in self._outputs:
                output.update({}, raw=True)
        self._handles.clear()
        self._outputs.clear()
        self._live.close()

    def _stop(self) -> None:
        for forget in self._forget:
            forget()
        self._forget.clear()
        self._cancel_update()

    def _cancel_update(self) -> None:
        if self._update_at is not None:
            self._update_at.cancel()
            self._update_at = None


@contextlib.contextmanager
def _outside_of_output_widgets() -> Iterator[bool]:
    """Display in the cell itself although an output widget takes the cell's outputs."""
    parent = current_kernel().get_parent() or {}  # type: ignore[union-attr]
    header = parent.get("header", {})
    found = [each for each in _output_widgets() if each.msg_id == header.get("msg_id", "-")]
    if header.get("msg_type") != "execute_request":  # no cell would show it
        found = []
    for widget in found:
        widget.msg_id = ""
    try:
        yield bool(found)
    finally:
        for widget in found:
            widget.msg_id = header["msg_id"]


def _output_widgets() -> list[Any]:
    """Return all `ipywidgets.Output` of this kernel; importing nothing."""
    module = sys.modules.get("ipywidgets.widgets.widget_output")
    if module is None:
        return []
    widget = sys.modules["ipywidgets.widgets.widget"]
    known = getattr(widget, "_instances", None)
    if known is None:
        known = widget.Widget.widgets  # ipywidgets 7
    return [each for each in tuple(known.values()) if isinstance(each, module.Output)]
